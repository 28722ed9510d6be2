#include "explorer/study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <stdexcept>

#include "explorer/studies.hpp"
#include "explorer/studies_co_execution.hpp"
#include "explorer/studies_precision.hpp"
#include "space/published.hpp"

namespace cpubone {
namespace {

constexpr std::array<std::string_view, 12> known_studies{
    "operators", "partial-conv", "grouping", "kernel",      "fusion",         "upsampling",
    "attention", "activations",  "blocks",   "correlation", "mac-efficiency", "threads"};

StudyPlan plan_by_name(std::string_view name, const StudyContext& context) {
  if (name == "operators") return operators_study();
  if (name == "partial-conv") return partial_conv_study();
  if (name == "grouping") return grouping_study();
  if (name == "kernel") return kernel_study();
  if (name == "fusion") return fusion_study();
  if (name == "upsampling") return upsampling_study();
  if (name == "attention") return attention_study();
  if (name == "activations") return activations_study();
  if (name == "blocks") return blocks_study();
  if (name == "correlation") return correlation_study(context);
  if (name == "mac-efficiency") return mac_efficiency_study();
  return threads_study(context);
}

std::string joined_labels(const StudySubject& subject) {
  std::string text;
  for (const nlohmann::json& label : subject.labels)
    text +=
        (text.empty() ? "" : ", ") + (label.is_string() ? label.get<std::string>() : label.dump());
  return text;
}

/// A reference column for each device on which others timed the same.
void add_published(StudyPlan& plan) {
  std::vector<std::string> devices;
  std::map<std::pair<std::string, std::string>, double> ms;  // by device and subject
  for (const PublishedStudyRow& row : published_studies()) {
    if (row.study != plan.name) continue;
    if (std::find(devices.begin(), devices.end(), row.device) == devices.end())
      devices.push_back(row.device);
    ms[{row.device, row.subject}] = row.latency_ms;
  }
  for (const std::string& device : devices) {
    plan.reference_columns.push_back({device + " (published)", "ms"});
    for (StudySubject& subject : plan.subjects) {
      const auto found = ms.find({device, joined_labels(subject)});
      subject.references.push_back(found == ms.end() ? std::nullopt : std::optional(found->second));
    }
  }
}

}  // namespace

std::optional<bool> below_one(const Interval& quotient) {
  if (quotient.low <= 1 && 1 <= quotient.high) return std::nullopt;
  return quotient.high < 1;
}

Interval mean_ratio(std::span<const Interval> quotients) {
  const auto n = static_cast<double>(quotients.size());
  double mean = 0;
  for (const Interval& q : quotients) mean += std::log(q.value) / n;
  double variance = 0;
  for (const Interval& q : quotients) {
    variance += std::pow(std::log(q.value) - mean, 2) / std::max(1.0, n * (n - 1));
    variance += std::pow(0.25 * std::log(q.high / q.low), 2) / (n * n);
  }
  const double half = 1.96 * std::sqrt(variance);
  return {std::exp(mean), std::exp(mean - half), std::exp(mean + half)};
}

void add(Study& study, std::string name, const Interval& value) {
  // A file has no infinity.
  if (std::isfinite(value.low) && std::isfinite(value.high))
    study.numbers.push_back({std::move(name), value});
}

void add(Study& study, std::string name, double value) {
  add(study, std::move(name), {value, value, value});
}

void add_crossover(Study& study, int resolution, int last_fused, int first_unfused) {
  add(study, fmt::format("last_fused_channels_at_{}", resolution), last_fused);
  add(study, fmt::format("first_unfused_channels_at_{}", resolution), first_unfused);
}

Study run_study(const StudyPlan& plan, const StudyContext& context) {
  std::map<int, std::vector<std::size_t>> by_threads;
  for (std::size_t i = 0; i < plan.subjects.size(); ++i)
    by_threads[plan.subjects[i].threads].push_back(i);
  std::vector<StudyRow> rows(plan.subjects.size());
  for (const auto& [threads, members] : by_threads) {
    std::vector<Network> networks;
    for (const std::size_t i : members) {
      networks.push_back(plan.subjects[i].network);
      networks.back().name = fmt::format("{}-{}", plan.name, i);
    }
    const std::vector<Interval> latencies = context.latencies(networks, threads);
    if (latencies.size() != networks.size())
      throw std::logic_error(fmt::format("study {}: {} latencies for {} networks", plan.name,
                                         latencies.size(), networks.size()));
    for (std::size_t k = 0; k < members.size(); ++k) {
      const StudySubject& subject = plan.subjects[members[k]];
      const std::int64_t count = macs(subject.network);
      rows[members[k]] = {&subject, count, latencies[k],
                          static_cast<double>(count) / latencies[k].value * 1e-6};
    }
  }

  Study study;
  study.name = plan.name;
  study.predicted = context.predicted;
  study.columns = plan.label_columns;
  for (const StudyColumn& column : std::array<StudyColumn, 4>{
           {{"MACs", "M"}, {"latency", "ms"}, {"±", "%"}, {"rate", "GMACpS"}}})
    study.columns.push_back(column);
  const bool compares = std::any_of(plan.subjects.begin(), plan.subjects.end(),
                                    [](const StudySubject& s) { return s.baseline >= 0; });
  if (compares)
    for (const char* quantity : {"MACs", "rate", "latency"})
      study.columns.push_back({quantity, "×"});
  study.columns.insert(study.columns.end(), plan.reference_columns.begin(),
                       plan.reference_columns.end());
  for (const StudyRow& row : rows) {
    std::vector<nlohmann::json> cells = row.subject->labels;
    cells.emplace_back(significant(static_cast<double>(row.macs) * 1e-6));
    cells.emplace_back(significant(row.ms.value));
    cells.emplace_back(rounded(50 * (row.ms.high - row.ms.low) / row.ms.value, 0.1));
    cells.emplace_back(significant(row.gmacps));
    if (compares) {
      if (row.subject->baseline >= 0) {
        const StudyRow& base = rows[static_cast<std::size_t>(row.subject->baseline)];
        cells.emplace_back(
            significant(static_cast<double>(row.macs) / static_cast<double>(base.macs)));
        cells.emplace_back(significant(row.gmacps / base.gmacps));
        cells.emplace_back(significant(row.ms.value / base.ms.value));
      } else {
        cells.insert(cells.end(), 3, nullptr);
      }
    }
    for (const auto& value : row.subject->references)
      cells.emplace_back(value ? nlohmann::json(*value) : nlohmann::json());
    cells.resize(study.columns.size());
    study.rows.push_back(std::move(cells));
  }
  if (plan.conclude) plan.conclude(rows, study);
  return study;
}

double significant(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double step = std::pow(10.0, std::floor(std::log10(std::abs(value))) - 2);
  return rounded(value, step);
}

double rounded(double value, double step) {
  // Dividing by a whole number gives the double that prints shortest: 0.0081, not
  // 0.008100000000000001.
  const double parts = std::round(1 / step);
  if (parts > 1) return std::round(value * parts) / parts;
  return std::round(value / step) * step;
}

std::span<const std::string_view> study_names() {
  return known_studies;
}

void check_study_name(std::string_view name) {
  if (std::find(known_studies.begin(), known_studies.end(), name) == known_studies.end())
    throw std::invalid_argument(fmt::format("study: got \"{}\", expected one of {}, {}, {}", name,
                                            fmt::join(known_studies, ", "), precision_study_name,
                                            fmt::join(co_execution_study_names(), ", ")));
}

StudyPlan study_plan(std::string_view name, const StudyContext& context) {
  check_study_name(name);
  StudyPlan plan = plan_by_name(name, context);
  add_published(plan);
  return plan;
}

}  // namespace cpubone
