#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "reports/summary.hpp"
#include "reports/words.hpp"

namespace cpubone {
namespace {

/// What sentences are made from: a study's numbers by name and cells by column. A sentence that
/// asked for what the study lacks is not told.
class Facts {
 public:
  Facts(const Study& of, std::string at) : study(of), place(std::move(at)) {}

  Interval number(std::string_view name) const {
    if (const Interval* found = find_number(study, name)) return *found;
    complete = false;
    return {};
  }
  double operator()(std::string_view name) const { return number(name).value; }
  bool has(std::string_view name) const { return find_number(study, name) != nullptr; }

  /// Index of a column by its title; the number of columns where there is none.
  std::size_t column(std::string_view wanted) const {
    std::size_t i = 0;
    while (i < study.columns.size() && title(study.columns[i]) != wanted) ++i;
    complete = complete && i < study.columns.size();
    return i;
  }
  double value(std::size_t row, std::size_t column) const {
    const nlohmann::json* cell = find(row, column);
    if (cell != nullptr && cell->is_number()) return cell->get<double>();
    complete = false;
    return 0;
  }
  std::string text(std::size_t row, std::size_t column) const {
    const nlohmann::json* cell = find(row, column);
    if (cell != nullptr && cell->is_string()) return cell->get<std::string>();
    complete = false;
    return "";
  }

  const Study& study;
  std::string place;  ///< of the device, in a sentence
  mutable bool complete = true;

 private:
  const nlohmann::json* find(std::size_t row, std::size_t column) const {
    if (row >= study.rows.size() || column >= study.rows[row].size()) return nullptr;
    return &study.rows[row][column];
  }
};

std::string change(double ratio) {
  return fmt::format("{:+.0f} %", 100 * (ratio - 1));
}

/// `a takes x % less time than b` with the spread, or that the difference is within noise.
std::string compare(std::string_view a, std::string_view b, const Interval& ratio) {
  const double half = 50 * (ratio.high - ratio.low) / ratio.value;
  if (ratio.low <= 1 && 1 <= ratio.high)
    return fmt::format("{} and {} take the same time within noise ({} ± {:.0f} %)", a, b,
                       change(ratio.value), half);
  const double percent = 100 * (ratio.value - 1);
  return fmt::format("{} takes {:.0f} % {} time than {} (± {:.0f} %)", a, std::abs(percent),
                     percent < 0 ? "less" : "more", b, half);
}

std::string operators(const Facts& f) {
  return fmt::format(
      "On {} depthwise convolutions reach {:.1f} GMACpS on average, partial ones {:.1f}, grouped "
      "ones {:.1f} and dense ones {:.1f}; published: partial 6.5 times (i9-9900X) and 22.7 times "
      "(Cortex-A72) the rate of depthwise, here {:.1f} times.",
      f.place, f("depthwise_gmacps"), f("partial_gmacps"), f("grouped_gmacps"), f("dense_gmacps"),
      f("partial_gmacps") / f("depthwise_gmacps"));
}

std::string partial_conv(const Facts& f) {
  return fmt::format(
      "On {} {}; on whole FasterNets {}. Published: slicing is 7 to 23 % faster in stacks and 2 to "
      "4 % in networks.",
      f.place,
      compare("slicing in stacks of ten layers", "split and concatenate",
              f.number("stacks_latency_ratio")),
      compare("slicing", "split and concatenate", f.number("networks_latency_ratio")));
}

std::string grouping(const Facts& f) {
  return fmt::format(
      "On {} two groups leave {:.2f} of a fused block's MACs at {} of its MACpS, so {} latency; in "
      "unfused blocks {} latency; eight groups leave {:.2f} of the MACs and change latency by {}. "
      "Published: two groups leave 0.55 of the MACs at nearly the same MACpS.",
      f.place, f("fused_2_macs_ratio"), change(f("fused_2_macps_ratio")),
      change(f("fused_2_latency_ratio")), change(f("unfused_2_latency_ratio")),
      f("fused_8_macs_ratio"), change(f("fused_8_latency_ratio")));
}

std::string kernel(const Facts& f) {
  return fmt::format(
      "On {} kernels of 2x2 instead of 3x3 change the MACpS of fused blocks by {} and of unfused "
      "ones by {}, and latency by {} and {}. Second-hand: 2x2 kernels have 5 to 42 % higher MACpS "
      "on Arm.",
      f.place, change(f("fused_macps_ratio")), change(f("unfused_macps_ratio")),
      change(f("fused_latency_ratio")), change(f("unfused_latency_ratio")));
}

/// A part of a sentence for each resolution of the table, in its order.
template <typename Part>
std::vector<std::string> by_resolution(const Facts& f, Part part) {
  std::vector<std::string> parts;
  std::vector<int> seen;
  const std::size_t resolutions = f.column("resolution");
  const std::size_t channels = f.column("channels");
  for (std::size_t row = 0; row < f.study.rows.size() && f.complete; ++row) {
    const int resolution = static_cast<int>(f.value(row, resolutions));
    if (std::find(seen.begin(), seen.end(), resolution) != seen.end()) continue;
    seen.push_back(resolution);
    double largest = 0;
    for (std::size_t other = row; other < f.study.rows.size(); ++other)
      if (static_cast<int>(f.value(other, resolutions)) == resolution)
        largest = std::max(largest, f.value(other, channels));
    parts.push_back(part(resolution, f(fmt::format("last_fused_channels_at_{}", resolution)),
                         f(fmt::format("first_unfused_channels_at_{}", resolution)), largest));
  }
  return parts;
}

std::string fusion(const Facts& f) {
  const auto part = [](int resolution, double last_fused, double first_unfused, double largest) {
    if (first_unfused == 0)
      return fmt::format("nowhere up to {} channels at {}²", largest, resolution);
    if (last_fused == 0)
      return fmt::format("at every width from {} channels at {}²", first_unfused, resolution);
    return fmt::format("from between {} and {} channels at {}²", last_fused, first_unfused,
                       resolution);
  };
  return fmt::format(
      "On {} the unfused block (groups 2, kernel 2) is the faster one {}; the paper's rule is 256 "
      "at every resolution.",
      f.place, fmt::join(by_resolution(f, part), ", "));
}

std::string crossover(const Facts& f) {
  const auto part = [](int resolution, double last_fused, double first_unfused, double) {
    if (first_unfused == 0)
      return fmt::format("at {0}x{0} never up to {1} channels", resolution, last_fused);
    return fmt::format("at {0}x{0} from {1}", resolution, first_unfused);
  };
  return fmt::format(
      "Predicted for 3x3 blocks of expansion 4 and groups 2, a fused block is slower than an "
      "unfused one {} channels; the rule to fuse below 256 channels picks the faster of the two in "
      "{} of {} cases that differ.",
      fmt::join(by_resolution(f, part), ", "), f("agreeing_cases"), f("cases"));
}

std::string upsampling(const Facts& f) {
  return fmt::format("On {} {}; published: -16 %.", f.place,
                     compare("B1 with nearest upsampling", "B1 with transposed convolution",
                             f.number("latency_ratio")));
}

std::string attention(const Facts& f) {
  return fmt::format(
      "On {} the blocks of attention and MLP take {:.0f} % of B1's time at 224² and {:.0f} % at "
      "320² (stage 3 alone {:.0f} % and {:.0f} %).",
      f.place, 100 * f("share_at_224"), 100 * f("share_at_320"), 100 * f("stage3_share_at_224"),
      100 * f("stage3_share_at_320"));
}

std::string activations(const Facts& f) {
  return fmt::format(
      "On {} hardswish costs {}, GELU {} and SiLU {} over ReLU in thirty layers; published for an "
      "iPhone 12: GELU +7 %, SiLU +66 %.",
      f.place, change(f("hardswish_latency_ratio")), change(f("gelu_latency_ratio")),
      change(f("silu_latency_ratio")));
}

std::string blocks(const Facts& f) {
  return fmt::format(
      "On {} {}, and {}; published for an iPhone 12: +37 % and +71 %.", f.place,
      compare("the network with squeeze-excite", "the plain one",
              f.number("squeeze_excite_latency_ratio")),
      compare("the one with skip connections", "the plain one", f.number("skip_latency_ratio")));
}

std::string correlation(const Facts& f) {
  std::string sentence = fmt::format(
      "On {} latency of {} networks follows MACs with Spearman {:.2f} (p {:.1g}) and parameters "
      "with {:.2f} (p {:.1g})",
      f.place, f.study.rows.size(), f("macs_spearman"), f("macs_p"), f("params_spearman"),
      f("params_p"));
  if (f.has("predicted_spearman"))
    sentence += fmt::format("; prediction by MACs / MACpS reaches {:.3f}", f("predicted_spearman"));
  return sentence + ". Published: 0.47 and 0.30 on an iPhone 12, 0.06 and 0.07 on a desktop CPU.";
}

std::string mac_efficiency(const Facts& f) {
  const std::size_t rate = f.column("rate GMACpS");
  const std::size_t network = f.column("network");
  std::size_t slowest = 0;
  std::size_t fastest = 0;
  for (std::size_t row = 0; row < f.study.rows.size(); ++row) {
    if (f.value(row, rate) < f.value(slowest, rate)) slowest = row;
    if (f.value(row, rate) > f.value(fastest, rate)) fastest = row;
  }
  return fmt::format(
      "On {} networks reach from {:.1f} GMACpS ({}) to {:.1f} ({}); FasterNets {:.1f} on average, "
      "MobileNets, ShuffleNets and GhostNets {:.1f}.",
      f.place, f.value(slowest, rate), f.text(slowest, network), f.value(fastest, rate),
      f.text(fastest, network), f("fasternet_gmacps"), f("depthwise_networks_gmacps"));
}

std::string threads(const Facts& f) {
  if (f.study.predicted)
    return fmt::format(
        "What is known of {} holds for one number of threads: how it scales, only measuring tells.",
        f.place);
  const std::size_t counts = f.column("threads");
  double most = 1;
  for (std::size_t row = 0; row < f.study.rows.size(); ++row)
    most = std::max(most, f.value(row, counts));
  if (most == 1) return fmt::format("On {} there is one core: nothing to scale over.", f.place);
  std::vector<std::string> parts;
  const std::size_t ratio = f.column("latency ×");
  const std::size_t subject = f.column("subject");
  for (std::size_t row = 0; row < f.study.rows.size(); ++row)
    if (f.value(row, counts) == most)
      parts.push_back(fmt::format("{} {:.2f}", f.text(row, subject), 1 / f.value(row, ratio)));
  return fmt::format("On {} {} threads are faster than one by a factor of: {}.", f.place, most,
                     fmt::join(parts, ", "));
}

std::string sensitivity(const Facts& f) {
  if (!f.has("best_row"))
    return "No single step improves on the trade-off that the published networks already make.";
  const auto row = static_cast<std::size_t>(f("best_row"));
  return fmt::format(
      "The single step that pays most on average is {} one step {} ({:+.1f} % latency, {:+.2f} "
      "points); predicted and estimated.",
      f.text(row, f.column("choice")), f.text(row, f.column("step")),
      f.value(row, f.column("latency change %")),
      f.value(row, f.column("estimated top-1 change points")));
}

std::string groups_and_kernels(const Facts& f) {
  const double macs = f("macs_ratio");
  const double latency = f("latency_ratio");
  return fmt::format(
      "Predicted for fused blocks of expansion 4: a 2x2 kernel in place of 3x3 leaves {:.0f} % of "
      "the MACs and {:.0f} % of the time, so {:.0f} % of the MACpS.",
      100 * macs, 100 * latency, 100 * macs / latency);
}

/// `most` is the published speed-up at most, planned and by a grid search.
std::string co_execution(const Facts& f, std::string_view layers, std::string_view most) {
  std::string sentence = fmt::format(
      "On {} and the coprocessor beside it planned splits of {} are {:.2f} times as fast as the "
      "faster of both alone, {:.2f} at most",
      f.place, layers, f("planned_speedup_mean"), f("planned_speedup_most"));
  if (f.study.predicted)
    sentence += "; as predicted, which only measuring can compare with a search of the grid";
  else
    sentence += fmt::format(
        ", and by a search of the measured grid {:.2f} at most, of whose best split the planned "
        "one reaches {:.0f} % on average and {:.0f} % at worst, the fastest of the likeliest five "
        "{:.0f} % and {:.0f} %; predicted latencies are {:.0f} % off",
        f("grid_speedup_most"), 100 * f("planned_of_best_mean"), 100 * f("planned_of_best_worst"),
        100 * f("likely_of_best_mean"), 100 * f("likely_of_best_worst"),
        100 * f("prediction_mape"));
  return sentence + fmt::format(". Published for a Pixel 5: {} at most.", most);
}

std::string co_execution_linear(const Facts& f) {
  return co_execution(f, "linear layers", "1.89 planned and 2.01 by grid search");
}

std::string co_execution_conv(const Facts& f) {
  return co_execution(f, "convolutions", "1.75 planned and 1.87 by grid search");
}

/// How much faster than f32 networks are in `precision`, `int8` or `f16`.
std::string speedups(const Facts& f, const std::string& precision) {
  const std::size_t network = f.column("network");
  const std::size_t speedup = f.column("f32 / " + precision);
  const auto least = static_cast<std::size_t>(f(precision + "_least_row"));
  const auto most = static_cast<std::size_t>(f(precision + "_most_row"));
  std::string text =
      fmt::format("{} is {:.2f} times as fast as f32", precision, f(precision + "_speedup_mean"));
  if (f.study.rows.size() > 1)
    text += fmt::format(" in the geometric mean of {} networks, from {:.2f} ({}) to {:.2f} ({})",
                        f(precision + "_networks"), f.value(least, speedup), f.text(least, network),
                        f.value(most, speedup), f.text(most, network));
  return text;
}

std::string precision(const Facts& f) {
  std::string sentence = fmt::format("On {} ", f.place);
  const bool has_int8 = f.has("int8_speedup_mean");
  const bool has_f16 = f.has("f16_speedup_mean");
  if (has_int8) {
    std::string dynamic;
    if (f.has("dynamic_share"))
      dynamic = fmt::format(
          ", dynamic layers {:.1f} % ({}{})", 100 * f("dynamic_share"), f("dynamic_layers"),
          f.study.rows.size() > 1 ? fmt::format(" in {} of the networks", f("dynamic_networks"))
                                  : "");
    sentence += fmt::format(
        "{}; conversions take {:.1f} % of int8's time{} and what stays f32 {:.1f} %, and memory is "
        "{:.2f} of f32's",
        speedups(f, "int8"), 100 * f("conversions_share"), dynamic, 100 * f("stays_f32_share"),
        f("int8_memory_ratio"));
  }
  if (has_f16) {
    sentence += (has_int8 ? "; " : "") + speedups(f, "f16");
    sentence += f("f16_emulated") != 0
                    ? ", and emulated: the CPU, or XNNPACK on it, calculates in f32 and only "
                      "stores in f16"
                    : ", natively";
  }
  sentence += ".";
  if (f.has("f32_prediction_mape")) {
    std::vector<std::string> errors;
    for (const char* in : {"f32", "f16", "int8"})
      if (const std::string error = fmt::format("{}_prediction_mape", in); f.has(error))
        errors.push_back(fmt::format("{:.1f} % in {}", 100 * f(error), in));
    sentence += fmt::format(" Predictions are off by {} on average.", fmt::join(errors, ", "));
  }
  if (!has_int8) return sentence;
  if (f.has("int8_top1_loss_mean"))
    return sentence + fmt::format(
                          " Top-1 in int8 is {:.2f} points below what was published for f32 on "
                          "average over {} network{}, {:.2f} at most.",
                          f("int8_top1_loss_mean"), f("int8_top1_networks"),
                          f("int8_top1_networks") == 1 ? "" : "s", f("int8_top1_loss_most"));
  return sentence + " What int8 loses of the accuracy is not known.";
}

struct StudyWords {
  std::string_view name;
  std::string_view title;
  std::string_view source;  ///< of the published finding
  std::string (*sentence)(const Facts&);
  bool claims = true;            ///< there is something that holds or does not
  bool claims_predicted = true;  ///< also where latencies are predicted
};

constexpr std::string_view cpubone_rule = "CPUBone (arXiv 2603.26425): fused below 256 channels";

constexpr std::string_view co_execution_paper =
    "Li, Paolieri, Golubchik (arXiv 2510.21081), abstract";

constexpr std::array<StudyWords, 18> all_words{{
    {"operators", "Ten stacked layers: convolution, grouped, depthwise, partial",
     "FasterNet (arXiv 2303.03667), Table 1", operators},
    {"partial-conv", "Partial convolution: slicing against split and concatenate",
     "FasterNet (arXiv 2303.03667), Table 9", partial_conv},
    {"grouping", "What groups buy in MACs and cost in MACpS", "CPUBone (arXiv 2603.26425)",
     grouping},
    {"kernel", "What smaller kernels buy in MACs and cost in MACpS", "CPUBone (arXiv 2603.26425)",
     kernel},
    {"fusion", "Where fused blocks stop beating unfused ones", cpubone_rule, fusion},
    {"upsampling", "B1 with nearest and with transposed upsampling",
     "CPUBone (arXiv 2603.26425), second-hand: 33.5 ms against 39.7 ms on a Raspberry Pi 5",
     upsampling},
    {"attention", "What attention costs, by stage and resolution", "CPUBone (arXiv 2603.26425)",
     attention, false},
    {"activations", "Thirty layers with different activations",
     "MobileOne (arXiv 2206.04040), Table 3", activations},
    {"blocks", "Thirty layers with squeeze-excite and with skip connections",
     "MobileOne (arXiv 2206.04040), Table 1b", blocks},
    {"correlation", "What latency follows: MACs, parameters, or MACs / MACpS",
     "MobileOne (arXiv 2206.04040), Table 1a", correlation},
    {"mac-efficiency", "MACpS under varied MACs", "FasterNet (arXiv 2303.03667), Figure 2",
     mac_efficiency},
    {"threads", "Scaling over threads", "", threads, false},
    {"co-execution-linear", "Linear layers shared with a coprocessor: latency against split",
     co_execution_paper, co_execution_linear, true, false},
    {"co-execution-conv", "Convolutions shared with a coprocessor: latency against split",
     co_execution_paper, co_execution_conv, true, false},
    {"precision", "f32 beside f16 and int8", "", precision, false},
    {"sensitivity", "What one step in each choice does to the published networks", "", sensitivity,
     false},
    {"crossover", "Where fused blocks stop beating unfused ones, as predicted", cpubone_rule,
     crossover},
    {"groups-and-kernels", "What groups and kernel sizes save in MACs and cost in MACpS", "",
     groups_and_kernels},
}};

const StudyWords* words_of(const Study& study) {
  for (const StudyWords& words : all_words)
    if (words.name == study.name) return &words;
  return nullptr;
}

}  // namespace

Statement statement(const Study& study, const ResultDevice& device) {
  const StudyWords* words = words_of(study);
  if (words == nullptr) return {study.name, "", Verdict::none};
  const std::string in = unusual_precision(device);
  std::string place = device.name == "host" ? "this CPU" : device.name;
  if (!in.empty()) place += " in " + in;
  const Facts facts(study, std::move(place));
  Statement said{std::string(words->title), words->sentence(facts), Verdict::none};
  if (!facts.complete) said.sentence.clear();
  // Those that the explorer adds say so themselves.
  if (study.predicted && !said.sentence.empty() &&
      said.sentence.find("redicted") == std::string::npos)
    said.sentence += " Latencies are predicted, not measured.";
  if (in == "int8" && !words->source.empty() && !said.sentence.empty())
    said.sentence += fmt::format(" What was published is not in {}.", in);
  if (words->claims && (words->claims_predicted || !study.predicted))
    said.verdict = !study.holds ? Verdict::open : *study.holds ? Verdict::holds : Verdict::fails;
  return said;
}

std::string_view study_source(const Study& study) {
  const StudyWords* words = words_of(study);
  return words != nullptr ? words->source : std::string_view();
}

}  // namespace cpubone
