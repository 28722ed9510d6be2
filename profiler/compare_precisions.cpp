#include "profiler/compare_precisions.hpp"

#include <map>
#include <memory>
#include <optional>
#include <span>

#include "graph/error.hpp"
#include "graph/passes.hpp"
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

/// Their median with its 95 % interval.
Interval interval_of(std::span<const double> samples) {
  const Timing timing = summarise(samples, 1);
  return {timing.median_ns, timing.low_ns, timing.high_ns};
}

/// A network that runs beside others, as a whole and step by step.
class InTurns {
 public:
  /// Adds the bytes that it takes.
  InTurns(const Network& network, const Pool& pool, Backends backends, std::int64_t& memory_bytes)
      : whole_(network, random_parameters(), pool, {.backends = backends}),
        steps_(network, random_parameters(), pool,
               {.one_step_per_op = true, .backends = backends}) {
    memory_bytes = memory_of(network, pool, backends);
    for (Executor* executor : {&whole_, &steps_}) {
      fill_inputs(*executor);
      executor->run();
    }
    step_ns_.resize(steps_.steps().size());
  }
  void run() {
    const double begin = steady_now_ns();
    whole_.run();
    whole_ns_.push_back(steady_now_ns() - begin);
    std::vector<double> once(step_ns_.size(), 0.0);
    steps_.run_timed(once);
    for (std::size_t s = 0; s < once.size(); ++s) step_ns_[s].push_back(once[s]);
  }
  std::size_t runs() const { return whole_ns_.size(); }
  /// As it is executed step by step.
  const Network& network() const { return steps_.network(); }
  Interval ns() const { return interval_of(whole_ns_); }
  /// The quotient of this one's times over the other's, turn by turn.
  Interval over(const InTurns& other) const {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < runs(); ++i) ratios.push_back(whole_ns_[i] / other.whole_ns_[i]);
    return interval_of(ratios);
  }
  /// Of each node: medians, scaled so that all add up to the whole's.
  std::map<std::string, double> node_ns() const {
    std::map<std::string, double> nodes;
    double sum = 0;
    for (std::size_t s = 0; s < step_ns_.size(); ++s) {
      const double ns = median(step_ns_[s]);
      const int node = steps_.steps()[s].ops[0].node;
      nodes[network().nodes[static_cast<std::size_t>(node)].name] += ns;
      sum += ns;
    }
    for (auto& [name, ns] : nodes) ns *= median(whole_ns_) / sum;
    return nodes;
  }

 private:
  Executor whole_;
  Executor steps_;
  std::vector<double> whole_ns_;
  std::vector<std::vector<double>> step_ns_;
};

}  // namespace

PrecisionComparison compare_precisions(const Network& network, const Device& host, int threads,
                                       double seconds, Backends backends) {
  const auto pool = thread_pool(threads, backends);
  const QuantisedNetwork quantised =
      quantise(network, random_parameters(), random_images(network, 1), pool, backends);
  PrecisionComparison result{.network = network.name, .family = network.family};
  InTurns f32(network, pool, backends, result.f32_memory_bytes);
  InTurns int8(quantised.network, pool, backends, result.int8_memory_bytes);
  std::optional<InTurns> f16;
  try {
    f16.emplace(with_dtype(network, DType::f16), pool, backends, result.f16_memory_bytes);
  } catch (const Error&) {  // the CPU has not even conversions
    result.f16_memory_bytes = 0;
  }
  const double end = steady_now_ns() + seconds * 1e9;
  while (f32.runs() < fewest_turns || steady_now_ns() < end) {
    f32.run();
    if (f16) f16->run();
    int8.run();
  }
  result.f32_ns = f32.ns();
  result.int8_ns = int8.ns();
  result.speedup = f32.over(int8);
  if (f16) {
    result.f16_ns = f16->ns();
    result.f16_speedup = f32.over(*f16);
    result.f16_emulated = !calculates_in_f16(host);
  }

  std::map<std::string, double> f32_of = f32.node_ns();
  std::map<std::string, double> f16_of = f16 ? f16->node_ns() : std::map<std::string, double>();
  std::map<std::string, double> int8_of = int8.node_ns();
  std::map<std::string, std::string> reason_of;
  for (const FloatOperator& stays : quantised.floats) reason_of[stays.node] = stays.reason;
  for (const Node& node : int8.network().nodes) {
    if (node.op.kind == OpKind::constant) continue;  // nothing runs it
    result.parts.push_back({node.name, node.stage, without_quantisation(node.op),
                            engine_of(node.op, backends), f32_of[node.name], f16_of[node.name],
                            int8_of[node.name], reason_of[node.name]});
  }
  return result;
}

}  // namespace cpubone
