// Layers whose output channels CPU and coprocessor share: whether results are right, whether the
// CPU ever waits in vain, how good planned splits are, and what latencies are predicted.
// co_execution [<shared runs of small layers> [<seconds of measuring>]]; 100000 and 60 without.
#include "runtime/co_execution.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <random>

#include "benchmarks/recordings.hpp"
#include "benchmarks/rows.hpp"
#include "benchmarks/simulated_coprocessor.hpp"
#include "predictor/confirmed_splits.hpp"
#include "profiler/co_execution_profile.hpp"
#include "profiler/heap.hpp"
#include "profiler/host.hpp"
#include "profiler/measure.hpp"
#include "profiler/statistics.hpp"
#include "runtime/opencl/opencl.hpp"
#include "runtime/steady_clock.hpp"
#include "runtime/system.hpp"
#include "space/zoo.hpp"

using namespace cpubone;

namespace {

using Random = std::mt19937;

int between(Random& random, int low, int high) {
  return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
}

template <typename Value>
Value one_of(Random& random, std::initializer_list<Value> values) {
  return values.begin()[random() % values.size()];
}

/// A convolution of some kind, or a linear layer, of up to so many channels.
Op random_layer(Random& random, int most_channels) {
  const int size = one_of(random, {7, 14, 28});
  const int in = 4 * between(random, 2, most_channels / 4);
  const int out = 4 * between(random, 2, most_channels / 4);
  const int kernel = one_of(random, {3, 3, 5});
  const int stride = one_of(random, {1, 1, 2});
  const auto conv = [&](int channels, int k, int s, int groups) {
    return parse_op(
        fmt::format("conv2d 1x{0}x{0}x{1}->1x{2}x{2}x{3} k{4}x{4} s{5} p{6},{6},{6},{6} "
                    "g{7}{8} f32",
                    size, channels, (size - 1) / s + 1, groups == channels ? channels : out, k, s,
                    k / 2, groups, random() % 2 ? " act=relu" : ""));
  };
  switch (random() % 5) {
    case 0:
      return conv(in, 3, stride, 1);
    case 1:
      return conv(in, 1, 1, 1);
    case 2:
      return conv(in, kernel, stride, in);
    case 3:
      return conv(in, 3, stride, one_of(random, {2, 4}));
    default:
      return parse_op(fmt::format("linear 1x1x{}x{}->1x1x{}x{} f32", size, in, size, out));
  }
}

Network one_layer(const Op& op) {
  Network net;
  net.name = text(op);
  net.inputs = op.inputs;
  net.nodes = {{"op", "", op, {Edge(network_input)}}};
  net.outputs = {0};
  return net;
}

void fill_with(Executor& executor, unsigned seed) {
  Random random(seed);
  std::uniform_real_distribution<float> uniform(-1.0F, 1.0F);
  for (float& value : executor.input()) value = uniform(random);
}

double relative_error(std::span<const float> got, std::span<const float> expected) {
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    difference += std::pow(double{got[i]} - double{expected[i]}, 2);
    norm += std::pow(double{expected[i]}, 2);
  }
  return std::isfinite(difference) ? std::sqrt(difference / std::max(norm, 1e-30)) : 1;
}

/// Between a network under co-execution and on the CPU alone.
double error_of(const Network& network, const CoExecution& co) {
  Executor alone(network, random_parameters(), nullptr);
  Executor shared = co_executor(network, co, random_parameters(), nullptr);
  fill_with(alone, 1);
  fill_with(shared, 1);
  alone.run();
  shared.run();
  return relative_error(shared.output(), alone.output());
}

int random_split(Random& random, const Op& op) {
  const int groups = op.output().c / channel_step(op);
  return channel_step(op) * between(random, groups > 1 ? 1 : 0, groups - 1);
}

Split randomly(unsigned seed) {
  return [seed](const Op& op) {
    if (!has_channel_parts(op)) return 0;
    Random random(seed + static_cast<unsigned>(std::hash<std::string>()(text(op))));
    return random_split(random, op);
  };
}

constexpr double same = 1e-4;

void equality(const std::shared_ptr<const Coprocessor>& device, Rows& rows) {
  constexpr int layers = 200;
  Random random(1);
  double worst = 0;
  std::string where;
  for (int i = 0; i < layers; ++i) {
    const Op op = random_layer(random, 256);
    const CoExecution co(device, randomly(static_cast<unsigned>(i)));
    const double error = error_of(one_layer(op), co);
    if (error >= worst) where = text(op);
    worst = std::max(worst, error);
  }
  rows.add(fmt::format("{} random layers, shared at random, against the CPU", layers), worst,
           "relative L2", same, "<=", where);
  for (const char* name : {"cpubone-b0", "cpubone-nano", "fasternet-t0", "mobileone-s0"}) {
    const CoExecution co(device, randomly(1));
    rows.add(fmt::format("{}, layers shared at random, against the CPU", name),
             error_of(find_network(name), co), "relative L2", same, "<=");
  }
}

/// Small layers under several splits, run in random order with two inputs in turns, so that the
/// results of an earlier run are wrong ones; each result must be that of the first run to the bit.
void endurance(const std::string& who, const std::shared_ptr<const Coprocessor>& device, int runs,
               Rows& rows) {
  struct Case {
    std::unique_ptr<CoExecution> co;
    Executor executor;
    std::array<std::vector<float>, 2> results;
  };
  std::vector<Case> cases;
  Random random(2);
  for (int i = 0; i < 24; ++i) {
    const Op op = random_layer(random, 24);
    auto co = std::make_unique<CoExecution>(device, randomly(static_cast<unsigned>(i)));
    Executor executor = co_executor(one_layer(op), *co, random_parameters(), nullptr);
    cases.push_back({std::move(co), std::move(executor), {}});
  }
  int wrong = 0;
  std::int64_t before = 0;
  for (int run = 0; run < runs; ++run) {
    if (run == runs / 10) before = heap_bytes();
    Case& c = cases[random() % cases.size()];
    const unsigned which = random() % 2;
    fill_with(c.executor, which);
    c.executor.run();
    const std::span<const float> got = c.executor.output();
    std::vector<float>& expected = c.results[which];
    if (expected.empty())
      expected.assign(got.begin(), got.end());
    else
      wrong += std::equal(got.begin(), got.end(), expected.begin()) ? 0 : 1;
  }
  rows.add(fmt::format("{}: {} small shared layers with wrong results", who, runs), wrong, "layers",
           0, "<=", "each ended, or this had not");
  rows.add(fmt::format("{}: memory after the first tenth of them", who),
           1e-6 * static_cast<double>(heap_bytes() - before), "MB more", 1, "<=");
}

/// Flags against the blocking call, of a layer that takes next to no time, in turns.
void synchronisation(const OpenClOptions& options, Rows& rows) {
  OpenClOptions blocking = options;
  blocking.synchronisation = Synchronisation::finish;
  const Op op = parse_op("linear 1x1x1x8->1x1x1x32 f32");
  std::array<std::vector<double>, 2> us;
  std::vector<std::unique_ptr<CoExecution>> shared;
  std::vector<Executor> executors;
  for (const OpenClOptions& o : {options, blocking}) {
    shared.push_back(
        std::make_unique<CoExecution>(opencl_coprocessor(o), [](const Op&) { return 16; }));
    executors.push_back(co_executor(one_layer(op), *shared.back(), random_parameters(), nullptr));
  }
  constexpr int runs = 4000;
  for (int run = 0; run < runs; ++run)
    for (std::size_t i = 0; i < executors.size(); ++i) {
      const double before = steady_now_ns();
      executors[i].run();
      us[i].push_back(1e-3 * (steady_now_ns() - before));
    }
  const char* const note = "a shared layer of 512 MACs, start to end, median";
  rows.inform("synchronisation by a flag in shared memory", median(us[0]), "us", note);
  rows.inform("synchronisation by clFinish", median(us[1]), "us", note);
}

/// What splits of layers reach on simulated processors, as shares of the grid's best.
struct SimulatedSplits {
  std::vector<double> planned;  ///< by predictions alone
  std::vector<double>
      executed;  ///< the fastest of `splits_to_measure` when measured, as is executed
  std::vector<double> of_channels;  ///< the planned one, where the grid has every channel
  std::vector<double> speedups;     ///< of the executed one over the faster processor
};

/// 200 layers; nothing is measured. The CPU is a predictor of a recorded machine; the GPU takes its
/// dispatch, and the CPU's time for the operator over its speed in proportion to channels rounded
/// up to blocks. What is true deviates from what the planner knows by an error of that mean: half
/// of its variance alike for all parts of a layer on one side, half on its own for each part. What
/// is measured deviates from what is true as layers do that are measured twice.
void simulate(const Predictor& cpu, double error, unsigned seed, SimulatedSplits& all) {
  const double to_sd = std::sqrt(std::acos(-1.0) / 2);  // of a normal distribution
  constexpr double measuring_error = 0.02;
  constexpr int layers = 200;
  Random random(seed);
  std::normal_distribution<double> half(0, error * to_sd / std::sqrt(2.0));
  std::normal_distribution<double> measuring(0, measuring_error * to_sd);
  for (int i = 0; i < layers; ++i) {
    const Op op = random_layer(random, 512);
    const double speed = 0.3 * std::pow(10.0, static_cast<double>(random() % 1000) / 1000);
    const double dispatch_ns = between(random, 20'000, 200'000);
    const double cpu_ns = estimate(cpu, op).ns;
    const int block = one_of(random, {4, 8, 32, 64});
    const CoExecutionCosts known{[&](const Op& part) { return estimate(cpu, part).ns; },
                                 [&](const Op& part) {
                                   const int c = (part.output().c + block - 1) / block * block;
                                   return dispatch_ns + cpu_ns / speed * c / op.output().c;
                                 },
                                 3000};
    std::map<std::pair<bool, int>, double> factors;
    const std::array<double, 2> common{half(random), half(random)};
    const auto truth = [&](bool gpu, const Op& part, double ns) {
      const auto [at, added] = factors.try_emplace({gpu, part.output().c}, 0);
      if (added) at->second = std::exp(common[gpu ? 1 : 0] + half(random));
      return ns * at->second;
    };
    const CoExecutionCosts real{
        [&](const Op& part) { return truth(false, part, known.cpu(part)); },
        [&](const Op& part) { return truth(true, part, known.coprocessor(part)); },
        known.synchronisation_ns};
    const double planned_ns = split_at(op, plan_split(op, known).cpu_channels, real).ns;
    const double best_ns = plan_split(op, real).ns;
    double executed_ns = planned_ns;
    double least_measured_ns = std::numeric_limits<double>::infinity();
    for (const ChannelSplit& likely : splits_to_measure(op, known)) {
      const double ns = split_at(op, likely.cpu_channels, real).ns;
      const double measured_ns = ns * std::exp(measuring(random));
      if (measured_ns >= least_measured_ns) continue;
      least_measured_ns = measured_ns;
      executed_ns = ns;
    }
    all.planned.push_back(best_ns / planned_ns);
    all.executed.push_back(best_ns / executed_ns);
    all.of_channels.push_back(std::min(1.0, plan_split(op, real, 1).ns / planned_ns));
    all.speedups.push_back(std::min(real.cpu(op), real.coprocessor(op)) / executed_ns);
  }
}

/// Ten draws, since one may flatter. A `goal` is set or not to what is executed by default.
void simulated(const Predictor& cpu, double error, const std::string& note, bool goal, Rows& rows) {
  constexpr unsigned first_seed = 3;
  constexpr unsigned draws = 10;
  SimulatedSplits all;
  for (unsigned draw = 0; draw < draws; ++draw) simulate(cpu, error, first_seed + draw, all);
  const auto n = static_cast<double>(all.planned.size());
  const auto mean = [&](const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / n;
  };
  const auto least = [](const std::vector<double>& values) {
    return *std::min_element(values.begin(), values.end());
  };
  const std::string layers = fmt::format("simulated, {} layers: ", all.planned.size());
  const std::string executed = layers + "fastest of the likely splits when measured";
  if (goal) {
    rows.add(executed + ", mean", mean(all.executed), "of best split", 0.95, ">=", note);
    rows.add(executed + ", worst", least(all.executed), "of best split", 0.90, ">=", note);
  } else {
    rows.inform(executed + ", mean", mean(all.executed), "of best split", note);
    rows.inform(executed + ", worst", least(all.executed), "of best split", note);
  }
  const std::string planned = layers + "planned split without measuring";
  rows.inform(planned + ", mean", mean(all.planned), "of best split", note);
  rows.inform(planned + ", worst", least(all.planned), "of best split", note);
  rows.inform(planned + ", mean", mean(all.of_channels), "of best channel", note);
  rows.inform(layers + "speed-up over the faster processor, median", median(all.speedups), "times",
              note);
  rows.inform(layers + "speed-up over the faster processor, most",
              *std::max_element(all.speedups.begin(), all.speedups.end()), "times", note);
  rows.inform(layers + "slower than the faster processor",
              static_cast<double>(std::count_if(all.speedups.begin(), all.speedups.end(),
                                                [](double times) { return times < 1; })),
              "layers", note);
}

void all_simulated(Rows& rows) {
  const auto recordings = load_recordings(std::string(CPUBONE_FIXTURES) + "/machines");
  const Judgement busy = judge(recordings.front());
  constexpr double expected_of_predictors = 0.06;  // on held-out layers
  simulated(busy.predictor, 0, "predictions without error", false, rows);
  simulated(busy.predictor, expected_of_predictors, "predictions with an error of 6 %", true, rows);
  simulated(busy.predictor, busy.operators.mape,
            fmt::format("with the {:.1f} % of {}, a busy machine", 100 * busy.operators.mape,
                        recordings.front().name),
            false, rows);
}

/// The last CPU, away from PoCL's thread, which `POCL_AFFINITY` keeps on the first: where both are
/// on one, a kernel starts 15 us later and takes up to a quarter more. Any, where there is one
/// only.
std::vector<int> own_cpu() {
  const std::optional<std::vector<int>> cpus = thread_cpus();
  return cpus && cpus->size() > 1 ? std::vector<int>{cpus->back()} : std::vector<int>{};
}

Profile measured(std::span<const Op> ops, std::shared_ptr<const CoExecution> co, double budget_s) {
  MeasureOptions options;
  options.settings.cache = CacheMode::hot;  // else each has as many copies as fill the caches
  options.settings.cpus = own_cpu();
  options.budget_s = budget_s;
  options.co_execution = std::move(co);
  Profile profile = options.co_execution ? host_profile(options.settings, *options.co_execution)
                                         : host_profile(options.settings);
  measure_ops(ops, options, profile);
  return profile;
}

/// A budget that ends early may leave a class without any operator.
bool knows(const Predictor& predictor, const Op& op) {
  return std::any_of(predictor.classes.begin(), predictor.classes.end(),
                     [&](const ClassModel& model) { return model.name == op_class(op); });
}

double mape(std::span<const double> errors) {
  double sum = 0;
  for (const double e : errors) sum += std::abs(e);
  return errors.empty() ? 0 : sum / static_cast<double>(errors.size());
}

/// Mean difference of latencies of the same operators, measured twice.
double difference(const Profile& a, const Profile& b) {
  std::vector<double> differences;
  for (const OpRecord& first : a.ops)
    for (const OpRecord& second : b.ops)
      if (first.op == second.op)
        differences.push_back(second.timing.median_ns / first.timing.median_ns - 1);
  return mape(differences);
}

constexpr std::size_t left_out_every = 5;

/// Of a profile without a fifth of its operators: its predictor, and the errors on these.
Predictor fit_without(const Profile& profile, std::size_t fold, std::vector<double>& errors) {
  Profile known = profile;
  known.ops.clear();
  for (std::size_t i = 0; i < profile.ops.size(); ++i)
    if (i % left_out_every != fold) known.ops.push_back(profile.ops[i]);
  Predictor predictor = fit_predictor(known);
  for (std::size_t i = fold; i < profile.ops.size(); i += left_out_every)
    if (knows(predictor, profile.ops[i].op))
      errors.push_back(estimate(predictor, profile.ops[i].op).ns / profile.ops[i].timing.median_ns -
                       1);
  return predictor;
}

/// Operators of devices that are not at hand, each predicted by others of its coprocessor.
void published_devices(Rows& rows) {
  for (const DeviceDescription& device : known_devices()) {
    if (!device.coprocessor) continue;
    const Profile published = published_profile(device, *device.coprocessor);
    std::vector<double> errors;
    for (std::size_t fold = 0; fold < left_out_every; ++fold) fit_without(published, fold, errors);
    rows.inform(
        fmt::format("published latency of left-out operators, {}", published.device.coprocessor),
        mape(errors), "MAPE", fmt::format("{} operators, {}", errors.size(), device.title));
    const CoExecutionPredictor predictor = calibrate_co_execution(device);
    for (const char* name : {"cpubone-b0", "mobilenetv1-100"}) {
      const CoExecutionPrediction p = predict(predictor, find_network(name));
      rows.inform(fmt::format("{} on {}, from published figures", name, device.title),
                  p.cpu_alone.latency.ms / p.latency.ms, "times as fast as its CPU alone",
                  fmt::format("{:.1f} ms, predicted; {:.0f} us of waiting assumed", p.latency.ms,
                              1e-3 * predictor.wait_ns));
    }
  }
}

/// A split that the planner chooses among; 0: there is none.
int random_candidate(Random& random, const Op& op) {
  const std::vector<int> splits = candidate_splits(op);
  return splits.size() < 3 ? 0 : splits[1 + random() % (splits.size() - 2)];
}

/// Records of the operators that are shared, or of the others.
Profile only(const Profile& all, const std::map<std::string, int>& cpu_channels, bool shared) {
  Profile some = all;
  std::erase_if(some.ops, [&](const OpRecord& record) {
    return cpu_channels.contains(text(record.op)) != shared;
  });
  return some;
}

void predictions(const std::shared_ptr<const Coprocessor>& device, double budget_s, Rows& rows) {
  constexpr std::size_t layers_alone = 150;
  constexpr std::size_t layers_shared = 60;
  Random random(4);
  std::map<std::string, Op> distinct;
  std::map<std::string, int> cpu_channels;  // of those that are shared
  while (distinct.size() < layers_alone + layers_shared) {
    const Op op = random_layer(random, 192);
    const int channels = random_candidate(random, op);
    if (!distinct.emplace(text(op), op).second) continue;
    if (channels > 0 && cpu_channels.size() < layers_shared) cpu_channels[text(op)] = channels;
  }
  std::vector<Op> ops;
  for (const auto& [line, op] : distinct) ops.push_back(op);
  std::shuffle(ops.begin(), ops.end(), random);
  const Profile on_cpu = measured(ops, nullptr, 0.2 * budget_s);
  // Alone and shared in the same rounds, as `cpubone-profile` measures them.
  const auto both = std::make_shared<CoExecution>(device, [&](const Op& op) {
    const auto found = cpu_channels.find(text(op));
    return found == cpu_channels.end() ? 0 : found->second;
  });
  const Profile first = measured(ops, both, 0.4 * budget_s);
  const Profile again = measured(ops, both, 0.4 * budget_s);
  const Profile on_device = only(first, cpu_channels, false);
  const Profile shared = only(first, cpu_channels, true);
  // What the truth itself repeats by bounds what a prediction can reach.
  rows.inform("latency of layers on the device, measured twice",
              difference(on_device, only(again, cpu_channels, false)), "mean difference",
              fmt::format("{} layers", on_device.ops.size()));
  rows.inform("latency of shared layers, measured twice",
              difference(shared, only(again, cpu_channels, true)), "mean difference",
              fmt::format("{} layers", shared.ops.size()));

  std::vector<double> cpu_errors;
  std::vector<double> device_errors;
  const Predictor cpu = fit_without(on_cpu, 0, cpu_errors);
  const Predictor coprocessor = fit_without(on_device, 0, device_errors);
  rows.inform("latency of left-out layers on the CPU, predicted against measured", mape(cpu_errors),
              "MAPE", fmt::format("{} layers", cpu_errors.size()));
  rows.add("latency of left-out layers on the device, predicted against measured",
           mape(device_errors), "MAPE", 0.06, "<=", fmt::format("{} layers", device_errors.size()));

  std::vector<MeasuredSplit> splits;
  for (const OpRecord& record : shared.ops)
    if (knows(cpu, record.op) && knows(coprocessor, record.op))
      splits.push_back({record.op, cpu_channels.at(text(record.op)), record.timing.median_ns});
  CoExecutionCosts apart = predicted_costs(cpu, coprocessor, 0);
  {
    const PinnedThread pinned(own_cpu());
    apart.start_ns = start_ns(*device, DType::f32);
  }
  const std::size_t known = splits.size() / 2;
  const SharingCosts sharing = fitted_sharing(std::span(splits).first(known), apart);
  std::vector<double> errors;
  CoExecutionCosts costs = apart;
  costs.synchronisation_ns = sharing.synchronisation_ns;
  costs.unhidden_share = sharing.unhidden_share;
  for (const MeasuredSplit& m : std::span(splits).subspan(known))
    errors.push_back(split_at(m.op, m.cpu_channels, costs).ns / m.ns - 1);
  rows.inform("start of an operator on the device, before the CPU's own part",
              1e-3 * apart.start_ns, "us");
  rows.inform("synchronisation, fitted to shared layers", 1e-3 * sharing.synchronisation_ns, "us");
  rows.inform("the shorter part's time that the longer does not hide, fitted",
              100 * sharing.unhidden_share, "%", "100: both take turns on one core");
  rows.add("latency of shared layers, predicted against measured", mape(errors), "MAPE", 0.06,
           "<=", fmt::format("{} layers; PoCL's threads share the CPU's cores", errors.size()));
}

double number(std::span<const std::string> arguments, std::size_t i, double otherwise) {
  if (i >= arguments.size()) return otherwise;
  char* end = nullptr;
  const double value = std::strtod(arguments[i].c_str(), &end);
  if (*end != '\0' || !(value >= 1))
    throw std::invalid_argument(fmt::format("got \"{}\", expected a number from 1", arguments[i]));
  return value;
}

void judge_co_execution(std::span<const std::string> arguments, Rows& rows) {
  const int runs = static_cast<int>(number(arguments, 0, 100'000));
  const double budget_s = number(arguments, 1, 60);
  // The device's work on one core, and the CPU's on the other.
  setenv("POCL_MAX_PTHREAD_COUNT", "1", 0);
  setenv("POCL_AFFINITY", "1", 0);
  all_simulated(rows);
  published_devices(rows);
  Random random(6);
  SimulatedCoprocessor late;
  late.duration_ns = [&random](const Op&) { return static_cast<double>(random() % 20'000); };
  endurance("a thread that is late at random", simulated_coprocessor(late), runs, rows);

  OpenClOptions options;
  const std::vector<OpenClDevice> devices = opencl_devices();
  const auto usable = std::find_if(devices.begin(), devices.end(),
                                   [](const OpenClDevice& d) { return d.fine_grained_svm; });
  if (usable == devices.end()) {
    fmt::print(stderr, "no OpenCL device with fine-grained SVM: install pocl-opencl-icd\n");
    return;
  }
  fmt::print(stderr, "{}\n", text(*usable));
  options.device = static_cast<int>(usable - devices.begin());
  const std::shared_ptr<const Coprocessor> device = opencl_coprocessor(options);
  equality(device, rows);
  endurance("OpenCL", device, runs, rows);
  synchronisation(options, rows);
  predictions(device, budget_s, rows);
}

}  // namespace

int main(int argc, char** argv) {
  return run_benchmark("co_execution [RUNS [SECONDS]]", 2, argc, argv, judge_co_execution);
}
