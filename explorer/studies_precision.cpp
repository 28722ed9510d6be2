#include "explorer/studies_precision.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <stdexcept>

#include "explorer/studies.hpp"
#include "graph/error.hpp"
#include "predictor/precision_comparison.hpp"
#include "space/published.hpp"

namespace cpubone {
namespace {

/// A network with all that is known of it.
struct ComparedNetwork {
  const PrecisionComparison* shown = nullptr;      ///< measured, else predicted
  const PrecisionComparison* predicted = nullptr;  ///< where it was measured, too
  std::optional<double> f32_top1;                  ///< published, percent
  std::optional<double> int8_top1;                 ///< the user's
};

std::optional<double> top1_of(std::span<const OwnTop1> table, std::string_view network) {
  for (const OwnTop1& own : table)
    if (own.network == network || own.zoo_name == network) return own.top1;
  return std::nullopt;
}

std::vector<ComparedNetwork> compared(std::span<const PrecisionComparison> measured,
                                      std::span<const PrecisionComparison> predicted,
                                      std::span<const OwnTop1> int8_top1) {
  if (measured.empty() && predicted.empty())
    throw std::invalid_argument("study precision: expected at least one network, got none");
  if (!measured.empty() && !predicted.empty() &&
      !std::equal(measured.begin(), measured.end(), predicted.begin(), predicted.end(),
                  [](const auto& a, const auto& b) { return a.network == b.network; }))
    throw std::invalid_argument(
        "study precision: expected the same networks measured and predicted");
  std::vector<ComparedNetwork> networks;
  const auto shown = measured.empty() ? predicted : measured;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    ComparedNetwork network;
    network.shown = &shown[i];
    if (!measured.empty() && !predicted.empty()) network.predicted = &predicted[i];
    if (!int8_top1.empty()) {
      if (const auto row = published_accuracy(shown[i].network)) network.f32_top1 = row->top1;
      network.int8_top1 = top1_of(int8_top1, shown[i].network);
    }
    networks.push_back(network);
  }
  return networks;
}

using PrecisionCell = std::function<nlohmann::json(const ComparedNetwork&)>;
struct PrecisionColumn {
  StudyColumn column;
  PrecisionCell cell;
};

nlohmann::json cell_of(const std::optional<double>& value) {
  return value ? nlohmann::json(rounded(*value, 0.01)) : nlohmann::json();
}

/// A number of the comparison that is shown; 0 is not known.
PrecisionCell shown_number(std::function<double(const PrecisionComparison&)> value) {
  return [value = std::move(value)](const ComparedNetwork& network) -> nlohmann::json {
    const double number = value(*network.shown);
    return number == 0 ? nlohmann::json() : nlohmann::json(significant(number));
  };
}

double half_width_percent(const Interval& interval) {
  return interval.value == 0 ? 0
                             : rounded(50 * (interval.high - interval.low) / interval.value, 0.1);
}

constexpr double mebibyte = 1 << 20;
constexpr double least_comparison_s = 1;  // of a network in all precisions

/// A precision and how a comparison calls what is of it.
struct Precision {
  const char* name;
  Interval PrecisionComparison::*ns;
  std::int64_t PrecisionComparison::*memory_bytes;
};
constexpr Precision in_f32{"f32", &PrecisionComparison::f32_ns,
                           &PrecisionComparison::f32_memory_bytes};
constexpr Precision in_f16{"f16", &PrecisionComparison::f16_ns,
                           &PrecisionComparison::f16_memory_bytes};
constexpr Precision in_int8{"int8", &PrecisionComparison::int8_ns,
                            &PrecisionComparison::int8_memory_bytes};

bool has_dynamic(const ComparedNetwork& network) {
  return dynamic_layers(*network.shown) > 0;
}

bool has_prediction(std::span<const ComparedNetwork> networks, const Precision& in) {
  return std::any_of(networks.begin(), networks.end(), [&](const ComparedNetwork& n) {
    return n.predicted != nullptr && (n.predicted->*in.ns).value > 0;
  });
}

std::vector<PrecisionColumn> columns_of(std::span<const ComparedNetwork> networks,
                                        std::span<const Precision> precisions, bool has_top1) {
  std::vector<PrecisionColumn> columns{
      {{"network", ""}, [](const ComparedNetwork& n) { return n.shown->network; }},
      {{"family", ""}, [](const ComparedNetwork& n) { return n.shown->family; }}};
  for (const Precision& in : precisions) {
    columns.push_back(
        {{in.name, "ms"}, shown_number([in](const auto& c) { return 1e-6 * (c.*in.ns).value; })});
    columns.push_back({{fmt::format("± {}", in.name), "%"},
                       shown_number([in](const auto& c) { return half_width_percent(c.*in.ns); })});
    if (has_prediction(networks, in))
      columns.push_back({{fmt::format("{} predicted", in.name), "ms"},
                         [in](const ComparedNetwork& n) -> nlohmann::json {
                           const double ns = (n.predicted->*in.ns).value;
                           return ns == 0 ? nlohmann::json()
                                          : nlohmann::json(significant(1e-6 * ns));
                         }});
  }
  bool knows_int8 = false;
  for (const Precision& in : precisions.subspan(1)) {
    const auto speedup =
        in.ns == in_f16.ns ? &PrecisionComparison::f16_speedup : &PrecisionComparison::speedup;
    columns.push_back({{fmt::format("f32 / {}", in.name), ""},
                       shown_number([speedup](const auto& c) { return (c.*speedup).value; })});
    knows_int8 = knows_int8 || in.ns == in_int8.ns;
  }
  if (knows_int8) {
    const auto share = [](double (*part_ns)(const PrecisionComparison&)) {
      return [part_ns](const ComparedNetwork& n) -> nlohmann::json {
        const PrecisionComparison& c = *n.shown;
        if (c.int8_ns.value == 0) return nullptr;
        return rounded(100 * part_ns(c) / c.int8_ns.value, 0.1);
      };
    };
    columns.push_back({{"conversions", "%"}, share(conversion_ns)});
    // Not every XNNPACK has them; a column of zeros would tell nothing.
    if (std::any_of(networks.begin(), networks.end(), has_dynamic)) {
      columns.push_back({{"dynamic layers", ""},
                         [](const ComparedNetwork& n) { return dynamic_layers(*n.shown); }});
      columns.push_back({{"dynamic", "%"}, share(dynamic_ns)});
    }
    columns.push_back({{"stays f32", "%"}, share(fallback_ns)});
    columns.push_back(
        {{"what stays f32", ""}, [](const ComparedNetwork& n) { return fallback_text(*n.shown); }});
    columns.push_back({{"slower than in f32", ""},
                       [](const ComparedNetwork& n) { return slower_text(*n.shown); }});
  }
  for (const Precision& in : precisions)
    columns.push_back(
        {{fmt::format("{} memory", in.name), "MiB"}, shown_number([in](const auto& c) {
           return static_cast<double>(c.*in.memory_bytes) / mebibyte;
         })});
  if (has_top1) {
    columns.push_back({{"top-1 in f32 (published)", "%"},
                       [](const ComparedNetwork& n) { return cell_of(n.f32_top1); }});
    columns.push_back({{"top-1 in int8 (yours)", "%"},
                       [](const ComparedNetwork& n) { return cell_of(n.int8_top1); }});
  }
  return columns;
}

/// How many times as fast as f32: on average, and the networks that gain least and most.
void add_speedups(std::span<const ComparedNetwork> networks, const std::string& precision,
                  Interval PrecisionComparison::*speedup, Study& study) {
  std::vector<Interval> speedups;
  std::size_t least = networks.size();
  std::size_t most = networks.size();
  int slower = 0;
  const auto value = [&](std::size_t i) { return (networks[i].shown->*speedup).value; };
  for (std::size_t i = 0; i < networks.size(); ++i) {
    if (value(i) == 0) continue;
    speedups.push_back(networks[i].shown->*speedup);
    if (least == networks.size() || value(i) < value(least)) least = i;
    if (most == networks.size() || value(i) > value(most)) most = i;
    slower += value(i) < 1 ? 1 : 0;
  }
  if (speedups.empty()) return;
  add(study, precision + "_speedup_mean", mean_ratio(speedups));
  add(study, precision + "_networks", static_cast<double>(speedups.size()));
  add(study, precision + "_slower_networks", slower);
  add(study, precision + "_least_row", static_cast<double>(least));
  add(study, precision + "_most_row", static_cast<double>(most));
}

void add_prediction_error(std::span<const ComparedNetwork> networks, const Precision& in,
                          Study& study) {
  double error = 0;
  int count = 0;
  for (const ComparedNetwork& n : networks) {
    if (n.predicted == nullptr) return;
    const double predicted = (n.predicted->*in.ns).value;
    const double measured = (n.shown->*in.ns).value;
    if (predicted == 0 || measured == 0) continue;
    error += std::abs(predicted / measured - 1);
    ++count;
  }
  if (count > 0) add(study, fmt::format("{}_prediction_mape", in.name), error / count);
}

void add_numbers(std::span<const ComparedNetwork> networks, std::span<const Precision> precisions,
                 Study& study) {
  add_speedups(networks, "int8", &PrecisionComparison::speedup, study);
  add_speedups(networks, "f16", &PrecisionComparison::f16_speedup, study);
  for (const Precision& in : precisions) add_prediction_error(networks, in, study);
  double conversions = 0;
  double fallbacks = 0;
  double in_dynamic = 0;
  int layers = 0;
  int with_dynamic = 0;
  double memory = 0;
  double lost = 0;
  double most_lost = 0;
  int quantised = 0;
  int with_top1 = 0;
  bool emulated = false;
  for (const ComparedNetwork& n : networks) {
    const PrecisionComparison& c = *n.shown;
    emulated = emulated || c.f16_emulated;
    if (n.f32_top1 && n.int8_top1) {
      const double points = *n.f32_top1 - *n.int8_top1;
      most_lost = with_top1 == 0 ? points : std::max(most_lost, points);
      lost += points;
      ++with_top1;
    }
    if (c.int8_ns.value == 0) continue;
    conversions += conversion_ns(c) / c.int8_ns.value;
    fallbacks += fallback_ns(c) / c.int8_ns.value;
    in_dynamic += dynamic_ns(c) / c.int8_ns.value;
    layers += dynamic_layers(c);
    with_dynamic += has_dynamic(n) ? 1 : 0;
    memory += static_cast<double>(c.int8_memory_bytes) / static_cast<double>(c.f32_memory_bytes);
    ++quantised;
  }
  if (quantised > 0) {
    add(study, "conversions_share", conversions / quantised);
    add(study, "stays_f32_share", fallbacks / quantised);
    if (layers > 0) {
      add(study, "dynamic_share", in_dynamic / quantised);
      add(study, "dynamic_layers", layers);
      add(study, "dynamic_networks", with_dynamic);
    }
    add(study, "int8_memory_ratio", memory / quantised);
  }
  add(study, "f16_emulated", emulated ? 1 : 0);
  if (with_top1 > 0) {
    add(study, "int8_top1_loss_mean", lost / with_top1);
    add(study, "int8_top1_loss_most", most_lost);
    add(study, "int8_top1_networks", with_top1);
  }
}

}  // namespace

Study precision_study(std::span<const PrecisionComparison> measured,
                      std::span<const PrecisionComparison> predicted,
                      std::span<const OwnTop1> int8_top1) {
  const std::vector<ComparedNetwork> networks = compared(measured, predicted, int8_top1);
  std::vector<Precision> precisions{in_f32};
  for (const Precision& in : {in_f16, in_int8})
    if (std::any_of(networks.begin(), networks.end(),
                    [&](const ComparedNetwork& n) { return (n.shown->*in.ns).value > 0; }))
      precisions.push_back(in);
  if (precisions.size() == 1)
    throw std::invalid_argument(
        "study precision: expected latencies in f16 or int8 beside those in f32, got f32 only");
  const std::vector<PrecisionColumn> columns = columns_of(networks, precisions, !int8_top1.empty());
  Study study;
  study.name = precision_study_name;
  study.predicted = measured.empty();
  for (const PrecisionColumn& column : columns) study.columns.push_back(column.column);
  for (const ComparedNetwork& network : networks) {
    std::vector<nlohmann::json> row;
    for (const PrecisionColumn& column : columns) row.push_back(column.cell(network));
    study.rows.push_back(std::move(row));
  }
  add_numbers(networks, precisions, study);
  return study;
}

double comparison_s(double budget_s, std::size_t networks) {
  return std::max(least_comparison_s, budget_s / static_cast<double>(networks));
}

Study run_precision_study(std::span<const Predictor> predictors, std::span<const Network> networks,
                          const ComparePrecisions& compare, std::span<const OwnTop1> int8_top1,
                          const WorkHooks& hooks) {
  std::vector<PrecisionComparison> predicted;
  std::vector<PrecisionComparison> measured;
  for (const Network& network : networks) {
    if (hooks.progress)
      hooks.progress("comparing precisions",
                     static_cast<double>(predicted.size()) / static_cast<double>(networks.size()),
                     network.name);
    predicted.push_back(predict_precisions(predictors, network));
    if (compare) measured.push_back(compare(network));
    if (hooks.cancel && hooks.cancel->load()) throw Error("interrupted");
  }
  return precision_study(measured, predicted, int8_top1);
}

}  // namespace cpubone
