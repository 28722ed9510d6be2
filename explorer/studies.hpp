#pragma once
#include <fmt/format.h>

#include "explorer/study.hpp"
#include "graph/builder.hpp"

/// The studies by topic, and what they share.
namespace cpubone {

using Rows = std::span<const StudyRow>;

void add(Study& study, std::string name, const Interval& value);
void add(Study& study, std::string name, double value);
/// The widest channels at which the fused block is faster, and the first from which on the unfused
/// is; 0 where there is none.
void add_crossover(Study& study, int resolution, int last_fused, int first_unfused);

/// `layers` operators of the same shape one after the other.
template <typename Append>
Network stacked(int channels, int resolution, int layers, Append append) {
  NetworkBuilder b("stack", "study", {1, resolution, resolution, channels});
  b.stage(1);
  int x = network_input;
  for (int i = 0; i < layers; ++i) x = append(b, x, fmt::format("layer{}", i));
  return b.finish(x);
}

StudyPlan operators_study();
StudyPlan partial_conv_study();
StudyPlan activations_study();
StudyPlan blocks_study();
StudyPlan grouping_study();
StudyPlan kernel_study();
StudyPlan fusion_study();
StudyPlan upsampling_study();
StudyPlan attention_study();
StudyPlan correlation_study(const StudyContext& context);
StudyPlan mac_efficiency_study();
StudyPlan threads_study(const StudyContext& context);

/// Three significant digits, so that tables do not claim more than was measured.
double significant(double value);

/// To a whole number of steps, so that tables do not claim more than is known; `step` is a power of
/// ten.
double rounded(double value, double step);

}  // namespace cpubone
