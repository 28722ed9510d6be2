#pragma once
#include <algorithm>
#include <vector>

#include "graph/passes.hpp"
#include "records/co_execution_profile.hpp"
#include "runtime/channel_part.hpp"
#include "runtime/precision.hpp"
#include "space/random_network.hpp"

namespace cpubone::test {

inline constexpr double waiting_ns = 9000;
inline constexpr double starting_ns = 4000;

inline double cpu_ns(const Op& op) {
  return 1000 + static_cast<double>(macs(op)) / 20 +
         static_cast<double>(input_bytes(op) + output_bytes(op)) / 50;
}
/// Starts late, and is `times` as fast then.
inline double coprocessor_ns(const Op& op, double times) {
  return 30'000 + cpu_ns(op) / times;
}

inline std::vector<Op> some_ops(DType dtype) {
  std::vector<Network> networks;
  for (std::uint64_t seed = 500; seed < 512; ++seed)
    networks.push_back(lowered(random_network(seed), dtype));
  return distinct_ops(networks);
}

/// Of an imaginary machine, whose coprocessor starts late and is `times` as fast then.
inline CoExecutionProfile imaginary_profile(double times, DType dtype = DType::f32) {
  const auto timing = [](double ns) {
    return Timing{ns, 0.998 * ns, 1.002 * ns, 0.001, {ns, ns}, 1, false};
  };
  CoExecutionProfile profile;
  profile.cpu.device.name = "imaginary";
  profile.cpu.device.architecture = "x86_64";
  profile.cpu.settings.dtype = dtype;
  profile.coprocessor = profile.cpu;
  profile.coprocessor.device.coprocessor = "imaginary GPU";
  profile.start_ns = starting_ns;
  for (const Op& op : some_ops(dtype)) {
    profile.cpu.ops.push_back({op, "xnnpack", timing(cpu_ns(op))});
    if (!has_channel_parts(op)) continue;
    profile.coprocessor.ops.push_back({op, "co-execution", timing(coprocessor_ns(op, times))});
    const int channels = op.output().c;
    const int half = channels / channel_step(op) / 2 * channel_step(op);
    if (half > 0 && profile.shared.size() < 20)
      profile.shared.push_back(
          {op, half,
           timing(waiting_ns + std::max(starting_ns + cpu_ns(channel_part(op, 0, half)),
                                        coprocessor_ns(channel_part(op, half, channels), times)))});
  }
  return profile;
}

}  // namespace cpubone::test
