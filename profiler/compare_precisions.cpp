#include "profiler/compare_precisions.hpp"

#include <algorithm>
#include <map>
#include <memory>

#include "profiler/measure.hpp"
#include "profiler/statistics.hpp"
#include "profiler/subjects.hpp"
#include "runtime/calibration.hpp"
#include "runtime/executor.hpp"
#include "runtime/steady_clock.hpp"

namespace cpubone {
namespace {

using Pool = std::shared_ptr<const ThreadPool>;

constexpr std::size_t fewest_turns = 5;

double run_ns(Executor& executor) {
  const double begin = steady_now_ns();
  executor.run();
  return steady_now_ns() - begin;
}

/// Times of an executor's steps, run by run.
class StepTimes {
 public:
  StepTimes(const Network& network, const Pool& pool)
      : executor_(network, random_parameters(), pool, {.one_step_per_op = true}) {
    fill_inputs(executor_);
    executor_.run();
    step_ns_.resize(executor_.steps().size());
  }
  void run() {
    std::vector<double> once(step_ns_.size(), 0.0);
    executor_.run_timed(once);
    for (std::size_t s = 0; s < once.size(); ++s) step_ns_[s].push_back(once[s]);
  }
  const Network& network() const { return executor_.network(); }
  /// Of each node of `network()`: medians, scaled so that all add up to `total_ns`.
  std::vector<double> node_ns(double total_ns) const {
    std::vector<double> nodes(network().nodes.size(), 0.0);
    double sum = 0;
    for (std::size_t s = 0; s < step_ns_.size(); ++s) {
      const double ns = median(step_ns_[s]);
      nodes[static_cast<std::size_t>(executor_.steps()[s].ops[0].node)] += ns;
      sum += ns;
    }
    for (double& ns : nodes) ns *= total_ns / sum;
    return nodes;
  }

 private:
  Executor executor_;
  std::vector<std::vector<double>> step_ns_;
};

bool converts(const Op& op) {
  return op.kind == OpKind::quantise || op.kind == OpKind::dequantise;
}

}  // namespace

double conversion_ns(const PrecisionComparison& comparison) {
  double total = 0;
  for (const PrecisionPart& part : comparison.parts)
    if (converts(part.op)) total += part.int8_ns;
  return total;
}

double fallback_ns(const PrecisionComparison& comparison) {
  double total = 0;
  for (const PrecisionPart& part : comparison.parts)
    if (!part.reason.empty()) total += part.int8_ns;
  return total;
}

PrecisionComparison compare_precisions(const Network& network, int threads, double seconds) {
  const auto pool = std::make_shared<const ThreadPool>(threads);
  const QuantisedNetwork quantised =
      quantise(network, random_parameters(), random_images(network, 1), pool);
  PrecisionComparison result{.network = network.name};
  result.f32_memory_bytes = memory_of(network, pool);
  result.int8_memory_bytes = memory_of(quantised.network, pool);

  Executor f32(network, random_parameters(), pool);
  Executor int8(quantised.network, random_parameters(), pool);
  for (Executor* executor : {&f32, &int8}) {
    fill_inputs(*executor);
    executor->run();
  }
  StepTimes f32_steps(network, pool);
  StepTimes int8_steps(quantised.network, pool);
  std::vector<double> f32_ns;
  std::vector<double> int8_ns;
  std::vector<double> ratios;
  const double end = steady_now_ns() + seconds * 1e9;
  while (ratios.size() < fewest_turns || steady_now_ns() < end) {
    f32_ns.push_back(run_ns(f32));
    int8_ns.push_back(run_ns(int8));
    ratios.push_back(f32_ns.back() / int8_ns.back());
    f32_steps.run();
    int8_steps.run();
  }
  result.f32_ns = median(f32_ns);
  result.int8_ns = median(int8_ns);
  result.speedup = median(ratios);

  std::map<std::string, double> f32_of;
  const std::vector<double> of_f32 = f32_steps.node_ns(result.f32_ns);
  for (std::size_t i = 0; i < of_f32.size(); ++i)
    f32_of[f32_steps.network().nodes[i].name] = of_f32[i];
  std::map<std::string, std::string> reason_of;
  for (const FloatOperator& stays : quantised.floats) reason_of[stays.node] = stays.reason;
  const std::vector<double> of_int8 = int8_steps.node_ns(result.int8_ns);
  for (std::size_t i = 0; i < of_int8.size(); ++i) {
    const Node& node = int8_steps.network().nodes[i];
    if (node.op.kind == OpKind::constant) continue;  // nothing runs it
    result.parts.push_back({node.name, node.stage, without_quantisation(node.op),
                            engine_of(node.op), f32_of[node.name], of_int8[i],
                            reason_of[node.name]});
  }
  return result;
}

}  // namespace cpubone
