#include "explorer/studies_co_execution.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "explorer/studies.hpp"
#include "graph/error.hpp"

namespace cpubone {
namespace {

constexpr std::array<std::string_view, 2> co_execution_names{"co-execution-linear",
                                                             "co-execution-conv"};
constexpr int grid_steps = 8;

struct StudiedLayer {
  const char* label;
  const char* op;
};
// The paper's own shapes are not at hand, so these are of networks that everybody knows: ViT-B/32
// at 224 pixels (arXiv 2010.11929) and ResNet-18 (arXiv 1512.03385), without activations.
constexpr std::array<StudiedLayer, 4> linear_layers{{
    {"ViT-B/32 projection, 50x768→768", "linear 1x1x50x768->1x1x50x768 f32"},
    {"ViT-B/32 MLP, 50x768→3072", "linear 1x1x50x768->1x1x50x3072 f32"},
    {"ViT-B/32 MLP, 50x3072→768", "linear 1x1x50x3072->1x1x50x768 f32"},
    {"ViT-B/32 head, 768→1000", "linear 1x1x1x768->1x1x1x1000 f32"},
}};
constexpr std::array<StudiedLayer, 5> conv_layers{{
    {"ResNet-18 3x3, 64x56²", "conv2d 1x56x56x64->1x56x56x64 k3x3 s1 p1,1,1,1 g1 f32"},
    {"ResNet-18 3x3, 128x28²", "conv2d 1x28x28x128->1x28x28x128 k3x3 s1 p1,1,1,1 g1 f32"},
    {"ResNet-18 3x3, 256x14²", "conv2d 1x14x14x256->1x14x14x256 k3x3 s1 p1,1,1,1 g1 f32"},
    {"ResNet-18 3x3, 512x7²", "conv2d 1x7x7x512->1x7x7x512 k3x3 s1 p1,1,1,1 g1 f32"},
    {"ResNet-18 1x1, 128→256x14²", "conv2d 1x14x14x128->1x14x14x256 k1x1 s1 p0,0,0,0 g1 f32"},
}};

/// Candidates at about equal distances, both ends among them, and the likely ones.
std::vector<int> studied_splits(const Op& op, std::span<const int> likely) {
  const std::vector<int> all = candidate_splits(op);
  std::vector<int> some(likely.begin(), likely.end());
  for (std::size_t k = 0; k <= grid_steps; ++k)
    some.push_back(all[k * (all.size() - 1) / grid_steps]);
  std::sort(some.begin(), some.end());
  some.erase(std::unique(some.begin(), some.end()), some.end());
  return some;
}

/// A layer with its splits; latencies in milliseconds.
struct LayerStudy {
  std::string label;
  Op op;
  std::vector<int> likely;  ///< channels of the likely splits, those of the planned one first
  std::vector<int> splits;
  std::vector<double> predicted_ms;
  std::vector<MeasuredLatency> measured;  ///< none, or one a split

  std::size_t index_of(int channels) const {
    return static_cast<std::size_t>(std::find(splits.begin(), splits.end(), channels) -
                                    splits.begin());
  }
  double ms(std::size_t split) const {
    return measured.empty() ? predicted_ms[split] : measured[split].ms.value;
  }
  /// Of the faster processor alone.
  double alone_ms() const { return std::min(ms(0), ms(splits.size() - 1)); }
  double planned_ms() const { return ms(index_of(likely.front())); }
  /// Of the likely split that is the fastest.
  double fastest_likely_ms() const {
    double least = planned_ms();
    for (const int channels : likely) least = std::min(least, ms(index_of(channels)));
    return least;
  }
  std::size_t best() const {
    std::size_t least = 0;
    for (std::size_t i = 1; i < splits.size(); ++i)
      if (ms(i) < ms(least)) least = i;
    return least;
  }
};

std::vector<LayerStudy> studied_layers(std::span<const StudiedLayer> layers,
                                       const CoExecutionPredictor& predictor) {
  std::vector<LayerStudy> studied;
  const CoExecutionCosts costs = costs_within_network(predictor);
  for (const StudiedLayer& layer : layers) {
    LayerStudy s;
    s.label = layer.label;
    s.op = with_dtype(parse_op(layer.op), predictor.cpu.settings.dtype);
    if (!runs_on_coprocessor(predictor, s.op))
      throw Error(
          fmt::format("study: operators of the class of \"{}\" were not measured on the "
                      "coprocessor; run `cpubone-profile --device host+gpu` with a longer "
                      "budget",
                      text(s.op)));
    for (const ChannelSplit& split : likely_splits(s.op, costs, splits_worth_measuring))
      s.likely.push_back(split.cpu_channels);
    s.splits = studied_splits(s.op, s.likely);
    for (const int channels : s.splits)
      s.predicted_ms.push_back(1e-6 * split_at(s.op, channels, costs).ns);
    studied.push_back(std::move(s));
  }
  return studied;
}

void measure_layers(std::vector<LayerStudy>& layers, const MeasureSplits& measure) {
  std::vector<LayerSplit> splits;
  for (const LayerStudy& layer : layers)
    for (const int channels : layer.splits) splits.push_back({layer.op, channels});
  const std::vector<MeasuredLatency> measured = measure(splits);
  if (measured.size() != splits.size())
    throw std::logic_error(
        fmt::format("study: {} latencies for {} splits", measured.size(), splits.size()));
  auto next = measured.begin();
  for (LayerStudy& layer : layers)
    for (std::size_t i = 0; i < layer.splits.size(); ++i) layer.measured.push_back(*next++);
}

void add_rows(const LayerStudy& layer, Study& study) {
  for (std::size_t i = 0; i < layer.splits.size(); ++i) {
    const int channels = layer.splits[i];
    std::string choice = channels == layer.likely.front() ? "planned" : "";
    if (!layer.measured.empty() && i == layer.best()) choice += choice.empty() ? "best" : ", best";
    std::vector<nlohmann::json> row{layer.label, channels,
                                    rounded(100.0 * channels / layer.op.output().c, 0.1),
                                    significant(layer.predicted_ms[i])};
    if (!layer.measured.empty()) {
      const Interval& ms = layer.measured[i].ms;
      row.emplace_back(significant(ms.value));
      row.emplace_back(rounded(50 * (ms.high - ms.low) / ms.value, 0.1));
    }
    row.emplace_back(choice);
    study.rows.push_back(std::move(row));
  }
}

/// What follows from all layers.
void add_numbers(std::span<const LayerStudy> layers, double published_share, Study& study) {
  const auto n = static_cast<double>(layers.size());
  double log_speedup = 0;
  double most = 0;
  double grid_most = 0;
  double share = 0;
  double worst_share = 1;
  double likely_share = 0;
  double worst_likely_share = 1;
  double error = 0;
  double splits = 0;
  bool disturbed = false;
  for (const LayerStudy& layer : layers) {
    const double speedup = layer.alone_ms() / layer.planned_ms();
    log_speedup += std::log(speedup) / n;
    most = std::max(most, speedup);
    const double best_ms = layer.ms(layer.best());
    grid_most = std::max(grid_most, layer.alone_ms() / best_ms);
    share += best_ms / layer.planned_ms() / n;
    worst_share = std::min(worst_share, best_ms / layer.planned_ms());
    likely_share += best_ms / layer.fastest_likely_ms() / n;
    worst_likely_share = std::min(worst_likely_share, best_ms / layer.fastest_likely_ms());
    for (std::size_t i = 0; i < layer.measured.size(); ++i) {
      error += std::abs(layer.predicted_ms[i] / layer.ms(i) - 1);
      splits += 1;
      disturbed = disturbed || !is_measured(layer.measured[i]);
    }
  }
  add(study, "planned_speedup_mean", std::exp(log_speedup));
  add(study, "planned_speedup_most", most);
  if (study.predicted) return;
  add(study, "grid_speedup_most", grid_most);
  add(study, "planned_of_best_mean", share);
  add(study, "planned_of_best_worst", worst_share);
  add(study, "likely_of_best_mean", likely_share);
  add(study, "likely_of_best_worst", worst_likely_share);
  add(study, "prediction_mape", error / splits);
  if (!disturbed) study.holds = share >= published_share;
}

}  // namespace

std::span<const std::string_view> co_execution_study_names() {
  return co_execution_names;
}

bool is_co_execution_study(std::string_view name) {
  return std::find(co_execution_names.begin(), co_execution_names.end(), name) !=
         co_execution_names.end();
}

Study co_execution_study(std::string_view name, const CoExecutionPredictor& predictor,
                         const MeasureSplits& measure) {
  if (!is_co_execution_study(name))
    throw std::invalid_argument(fmt::format("study: got \"{}\", expected one of {}", name,
                                            fmt::join(co_execution_names, ", ")));
  const bool is_linear = name == co_execution_names[0];
  std::vector<LayerStudy> layers =
      is_linear ? studied_layers(linear_layers, predictor) : studied_layers(conv_layers, predictor);
  if (measure) measure_layers(layers, measure);
  Study study;
  study.name = name;
  study.predicted = !measure;
  study.columns = {{"layer", ""}, {"CPU channels", ""}, {"on the CPU", "%"}, {"predicted", "ms"}};
  if (measure) study.columns.insert(study.columns.end(), {{"measured", "ms"}, {"±", "%"}});
  study.columns.push_back({"split", ""});
  for (const LayerStudy& layer : layers) add_rows(layer, study);
  // The abstract's most: 1.89 of 2.01 times for linear layers, 1.75 of 1.87 for convolutions.
  add_numbers(layers, is_linear ? 1.89 / 2.01 : 1.75 / 1.87, study);
  return study;
}

}  // namespace cpubone
