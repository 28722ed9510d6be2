#include "profiler/co_execution_profile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "graph/error.hpp"
#include "profiler/host.hpp"
#include "profiler/statistics.hpp"
#include "profiler/subjects.hpp"
#include "runtime/channel_part.hpp"
#include "runtime/co_execution.hpp"
#include "runtime/steady_clock.hpp"
#include "runtime/xnnpack_channels.hpp"

namespace cpubone {
namespace {

constexpr double share_of_cpu = 0.6;             // of the budget; the coprocessor takes the rest
constexpr int coprocessor_ops = 340;             // with those that are shared
constexpr std::size_t readable_past_input = 64;  // as `CoprocessorTask::bind` asks for
constexpr std::size_t small_layers = 30;
constexpr std::size_t larger_layers = 10;

/// Of the plan, in its order.
std::vector<Op> supported_ops(const CoExecution& co_execution, const MeasureOptions& options) {
  constexpr int plan_ops = 2 * coprocessor_ops;
  std::vector<Op> ops;
  for (Op& op : sampling_plan(options.seed, plan_ops, options.settings.dtype))
    if (co_execution.supports(op) && ops.size() < coprocessor_ops) ops.push_back(std::move(op));
  return ops;
}

/// Runs an operator of each kernel, as the coprocessor chooses it, once: drivers compile a kernel
/// when it first runs, PoCL in some 0.3 s, which is no time of measuring.
void run_each_kernel(std::span<const Op> ops, const CoExecution& alone,
                     const std::function<bool()>& cancelled) {
  std::set<std::string> seen;
  for (const Op& op : ops) {
    if (cancelled()) return;
    const Network network = network_around(op);
    const ChannelPart part =
        has_channel_parts(op)
            ? channel_part(op, random_parameters()(network.nodes.back()), 0, op.output().c)
            : ChannelPart{op, {}, 0, 0, 0, 0};
    if (seen.insert(alone.coprocessor().compile(part)->kernel()).second)
      co_executor(network, alone, random_parameters(), nullptr).run();
  }
}

/// About half of the channels, in whole groups; all of a layer of a single group.
int half_of_channels(const Op& op) {
  const int step = channel_step(op);
  return (op.output().c / step + 1) / 2 * step;
}

/// Every second of the layers of least work, since of larger ones synchronisation is less than
/// predictions err, and some of the larger, which tell whether one side hides the other. The others
/// are measured on the coprocessor alone.
std::set<std::string> layers_to_share(std::span<const Op> ops) {
  std::vector<Op> layers;
  for (const Op& op : ops)
    if (has_channel_parts(op) && half_of_channels(op) < op.output().c) layers.push_back(op);
  std::stable_sort(layers.begin(), layers.end(),
                   [](const Op& a, const Op& b) { return macs(a) < macs(b); });
  std::set<std::string> some;
  const std::size_t small = std::min(layers.size(), 2 * small_layers);
  for (std::size_t i = 0; i < small; i += 2) some.insert(text(layers[i]));
  const std::size_t rest = layers.size() - small;
  for (std::size_t k = 0; k < std::min(rest, larger_layers); ++k)
    some.insert(text(layers[small + k * rest / larger_layers]));
  return some;
}

/// With one of those that are shared after every few others, so that a budget that ends early
/// leaves some of both.
std::vector<Op> mixed(std::span<const Op> ops, const std::set<std::string>& shared) {
  std::vector<Op> first;
  std::vector<Op> others;
  for (const Op& op : ops) (shared.contains(text(op)) ? first : others).push_back(op);
  const std::size_t every = first.empty() ? 1 : others.size() / first.size() + 1;
  std::vector<Op> all;
  for (std::size_t i = 0, next = 0; i < others.size() || next < first.size(); ++i) {
    if (i % every == 0 && next < first.size()) all.push_back(first[next++]);
    if (i < others.size()) all.push_back(others[i]);
  }
  return all;
}

}  // namespace

double start_ns(const Coprocessor& coprocessor, DType dtype) {
  constexpr int starts = 401;
  const Op op = with_dtype(parse_op("linear 1x1x1x64->1x1x1x64 f32"), dtype);
  const Parameters parameters = random_parameters()(network_around(op).nodes.back());
  const auto task = coprocessor.compile(channel_part(op, parameters, 0, op.output().c));
  constexpr std::size_t bytes = 64 * sizeof(float) + readable_past_input;
  const auto input = coprocessor.memory(bytes);
  const auto output = coprocessor.memory(bytes);
  const std::array<const void*, 1> inputs{input->data()};
  task->bind(inputs, output->data());
  std::vector<double> ns;
  for (int i = 0; i < starts; ++i) {
    const double before = steady_now_ns();
    task->start();
    ns.push_back(steady_now_ns() - before);
    while (!task->done()) std::this_thread::yield();
  }
  return median(ns);
}

CoExecutionProfile measure_co_execution_profile(const MeasureOptions& options,
                                                std::shared_ptr<const Coprocessor> coprocessor,
                                                const MakeSpread& spread_of) {
  const DType dtype = options.settings.dtype;
  if (!is_shared_precision(dtype))
    throw std::invalid_argument(fmt::format(
        "precision: got {}, but layers are shared with a coprocessor in f32 and f16 only",
        name(dtype)));
  if (dtype == DType::f16 && !channels_run_in_f16())
    throw Error(
        "precision f16: XNNPACK does not calculate in f16 on this CPU, so that no layer can be "
        "shared; measure in f32");
  CoExecutionProfile measured;
  const auto cancelled = [&] { return options.cancelled && options.cancelled(); };
  const auto alone = std::make_shared<const CoExecution>(coprocessor, [](const Op&) { return 0; });
  // Named before anything is measured, so that a result that is cut short can be told apart.
  measured.coprocessor = host_profile(options.settings, *alone);
  measured.cpu = measure_host_profile(part_of(options, "", 0, share_of_cpu), spread_of);
  if (cancelled()) return measured;

  const std::vector<Op> ops = supported_ops(*alone, options);
  run_each_kernel(ops, *alone, cancelled);
  {
    const PinnedThread pinned(options.settings.cpus);
    measured.start_ns = start_ns(*coprocessor, dtype);
  }
  // Alone and shared in the same rounds: where cores or clocks change meanwhile, all see it alike.
  const std::set<std::string> shared = layers_to_share(ops);
  const auto both = std::make_shared<const CoExecution>(coprocessor, [shared](const Op& op) {
    return shared.contains(text(op)) ? half_of_channels(op) : 0;
  });
  MeasureOptions part = part_of(options, ".coprocessor", share_of_cpu, 1 - share_of_cpu);
  part.co_execution = both;
  if (!ops.empty()) measure_ops(mixed(ops, shared), part, measured.coprocessor);
  for (OpRecord& record : measured.coprocessor.ops)
    if (shared.contains(text(record.op)))
      measured.shared.push_back({record.op, half_of_channels(record.op), std::move(record.timing)});
  std::erase_if(measured.coprocessor.ops,
                [&](const OpRecord& record) { return shared.contains(text(record.op)); });
  return measured;
}

std::filesystem::path host_co_execution_profile_path(const MeasureSettings& settings) {
  return cache_folder() /
         fmt::format("host+gpu-{}.json", fingerprint(describe_host(settings.cpus), settings));
}

}  // namespace cpubone
