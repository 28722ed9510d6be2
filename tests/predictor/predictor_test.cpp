#include "predictor/predictor.hpp"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <numeric>
#include <random>
#include <set>

#include "graph/builder.hpp"
#include "graph/error.hpp"
#include "graph/json_file.hpp"
#include "predictor/evaluation.hpp"
#include "predictor/precision_comparison.hpp"
#include "runtime/precision.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "space/random_network.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;

namespace {

Device imaginary_device() {
  Device device;
  device.name = "imaginary";
  device.cpu = "Imaginary 1";
  device.architecture = "x86_64";
  device.features = {"avx512f"};
  device.cores = 2;
  device.l1d_bytes = 32 << 10;
  device.l2_bytes = 1 << 20;
  device.llc_bytes = 32 << 20;
  device.runtime = "imagined";
  return device;
}

/// What an operator takes on the imaginary device: 20 MACs/ns, weights at 10 B/ns, activations at
/// 50 B/ns, 1 us a run.
double imagined_ns(const Op& op) {
  const Work w = facts(op, cpu_traits(imaginary_device())).work;
  return w.padded_macs / 20 + w.weight_bytes / 10 + w.activation_bytes / 50 + 1000;
}

double imagined_ns(const Network& network) {
  double sum = 0;
  for (const Node& node : lowered(network).nodes) sum += imagined_ns(node.op);
  return sum;
}

double noise(std::mt19937_64& random, double size) {
  return std::exp(size * (static_cast<double>(random() >> 11) * 0x1p-52 - 1));
}

Timing timing(double ns) {
  return {ns, 0.998 * ns, 1.002 * ns, 0.001, {ns, ns}, 1, false};
}

/// Operators that are executed of random networks, in a precision.
std::vector<Op> random_ops(int first, int networks, DType dtype = DType::f32) {
  std::vector<Network> all;
  for (int i = 0; i < networks; ++i)
    all.push_back(lowered(random_network(static_cast<std::uint64_t>(first + i)), dtype));
  return distinct_ops(all);
}

/// Operators of random networks with the latencies that they would have there.
Profile imagined_profile(int networks, double noise_size = 0, int first = 500) {
  Profile profile;
  profile.device = imaginary_device();
  profile.tool_version = version();
  profile.created = "2026-01-01T00:00:00Z";
  std::mt19937_64 random(1);
  for (const Op& op : random_ops(first, networks))
    profile.ops.push_back({op, "xnnpack", timing(imagined_ns(op) * noise(random, noise_size))});
  return profile;
}

/// A profile and predictor that several tests look at.
const Profile& exact_profile() {
  static const Profile profile = imagined_profile(12);
  return profile;
}
const Predictor& exact_predictor() {
  static const Predictor predictor = fit_predictor(exact_profile());
  return predictor;
}

/// Fits the network model to so many networks that take what `truth` says, in ns.
template <typename Truth>
void calibrate_by(const Truth& truth, std::uint64_t networks, Predictor& predictor) {
  std::vector<Network> calibration;
  std::vector<double> measured_ns;
  for (std::uint64_t seed = 0; seed < networks; ++seed) {
    calibration.push_back(random_network(seed));
    measured_ns.push_back(truth(calibration.back()));
  }
  fit_network_model(predictor, calibration, measured_ns);
}

const ClassModel& class_named(const Predictor& predictor, std::string_view name) {
  for (const ClassModel& model : predictor.classes)
    if (model.name == name) return model;
  throw Error("no such class");
}

}  // namespace

TEST_CASE("a cost model is recovered from what it gave", "[predictor]") {
  for (const char* name : {"pointwise", "convolution"}) {
    INFO(name);
    const ClassModel& model = class_named(exact_predictor(), name);
    CHECK(model.cost.ns_per_mac == Approx(1.0 / 20).epsilon(0.05));
    CHECK(model.cost.ns_per_weight_byte == Approx(1.0 / 10).epsilon(0.1));
    CHECK(model.engine == "xnnpack");
    CHECK(model.test_mape < 0.01);
    CHECK(model.test_within_10 == Approx(1));
  }
}

TEST_CASE("operators that were never measured are predicted", "[predictor]") {
  double error = 0;
  int count = 0;
  for (const Op& op : random_ops(700, 5)) {
    if (macs(op) == 0) continue;
    error += std::abs(terms(exact_predictor(), op).ops_ns / imagined_ns(op) - 1);
    ++count;
  }
  CHECK(error / count < 0.02);
}

TEST_CASE("what is far below the roofline is limited by the runtime's kernel", "[predictor]") {
  Predictor predictor = exact_predictor();
  const Op op = parse_op("conv2d 1x56x56x64->1x56x56x64 k3x3 s1 p1,1,1,1 g1 f32");
  const double macps = static_cast<double>(macs(op)) / estimate(predictor, op).ns * 1e9;
  CHECK(estimate(predictor, op).bound == Bound::compute);
  predictor.roofline = {1.5 * macps, 1e15, 1e15, 1e15, 1e15};
  CHECK(estimate(predictor, op).bound == Bound::compute);
  predictor.roofline.f32_macps = 3 * macps;
  CHECK(estimate(predictor, op).bound == Bound::kernel);
  const nlohmann::json json = to_json(predictor);
  const Predictor read = predictor_from_json(JsonReader(json, "x.json#"));
  CHECK(read.roofline == predictor.roofline);
}

TEST_CASE("the bound is the largest term of the cost model", "[predictor]") {
  const NetworkPrediction p = predict(exact_predictor(), random_network(501));
  int seen = 0;
  for (const OpPrediction& op : p.ops) {
    if (op.op.kind == OpKind::add && op.op.output().h > 20) {
      CHECK(op.bound == Bound::memory);
      ++seen;
    }
    if (op.op.kind == OpKind::conv2d && macs(op.op) > 10'000'000 && op.op.output().h > 10) {
      CHECK(op.bound == Bound::compute);
      ++seen;
    }
  }
  CHECK(seen > 2);
}

TEST_CASE("operators larger or smaller than all that were measured are told apart", "[predictor]") {
  Profile profile = exact_profile();
  profile.ops.clear();
  for (const char* op : {"conv2d 1x28x28x32->1x28x28x64 k1x1 s1 p0,0,0,0 g1 f32",
                         "conv2d 1x56x56x64->1x56x56x128 k1x1 s1 p0,0,0,0 g1 f32"})
    profile.ops.push_back({parse_op(op), "xnnpack", timing(imagined_ns(parse_op(op)))});
  const Predictor predictor = fit_predictor(profile);
  const auto is_beyond = [&](int side, int channels) {
    const Op op = parse_op(
        fmt::format("conv2d 1x{0}x{0}x64->1x{0}x{0}x{1} k1x1 s1 p0,0,0,0 g1 f32", side, channels));
    return is_beyond_measured(predictor.classes.at(0), facts(op, cpu_traits(imaginary_device())));
  };
  CHECK_FALSE(is_beyond(56, 128));
  CHECK_FALSE(is_beyond(40, 100));
  CHECK_FALSE(is_beyond(56, 200));  // not twice
  CHECK(is_beyond(56, 300));
  CHECK(is_beyond(14, 64));
}

TEST_CASE("terms of operators add up to the network's", "[predictor]") {
  const Network network = random_network(501);
  LatencyTerms sum;
  for (const Node& node : lowered(network).nodes) sum += terms(exact_predictor(), node.op);
  const NetworkPrediction p = predict(exact_predictor(), network);
  CHECK(combine(exact_predictor(), sum).ms == Approx(p.latency.ms));
  CHECK(p.latency.low_ms < p.latency.ms);
  CHECK(p.latency.ms < p.latency.high_ms);
  double ops_ns = 0;
  for (const OpPrediction& op : p.ops) ops_ns += op.latency_ns;
  CHECK(ops_ns * 1e-6 == Approx(p.latency.ms));
  CHECK(sum.nodes == static_cast<double>(p.ops.size()));
  CHECK(p.latency.ms == Approx(imagined_ns(network) * 1e-6).epsilon(0.02));
}

TEST_CASE("the best MACpS is the highest that was measured", "[predictor]") {
  double best = 0;
  for (const OpRecord& record : exact_profile().ops)
    best = std::max(best, static_cast<double>(macs(record.op)) / record.timing.median_ns * 1e9);
  CHECK(exact_predictor().best_macps == best);
  const Network network = random_network(501);
  CHECK(predict(exact_predictor(), network).at_best_macps_ms ==
        Approx(static_cast<double>(macs(network)) / best * 1e3));
}

TEST_CASE("what the sum of operators misses is learnt from measured networks", "[predictor]") {
  // Networks take 4 % more than their operators.
  Profile profile = exact_profile();
  std::vector<Network> calibration;
  const auto truth = [](const Network& network) { return 1.04 * imagined_ns(network); };
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    calibration.push_back(random_network(seed));
    NetworkRecord record;
    record.structure = structure_hash(calibration.back());
    record.timing = timing(truth(calibration.back()));
    profile.networks.push_back(record);
  }
  const Predictor predictor = fit_predictor(profile, calibration);
  CHECK(predictor.network.networks == 20);
  CHECK(predictor.network.test_mape < 0.015);
  for (std::uint64_t seed = 900; seed < 910; ++seed) {
    const Network network = random_network(seed);
    CHECK(predict(predictor, network).latency.ms == Approx(truth(network) * 1e-6).epsilon(0.03));
  }
}

TEST_CASE("nine tenths of noisy networks are inside of their intervals", "[predictor]") {
  Predictor predictor = fit_predictor(imagined_profile(12, 0.03));
  std::vector<Network> calibration;
  for (std::uint64_t seed = 0; seed < 40; ++seed) calibration.push_back(random_network(seed));
  std::mt19937_64 random(3);
  int inside = 0;
  constexpr int rounds = 6;
  constexpr int count = 50;
  for (int round = 0; round < rounds; ++round) {
    std::vector<double> measured_ns;
    for (const Network& network : calibration)
      measured_ns.push_back(imagined_ns(network) * noise(random, 0.06));
    fit_network_model(predictor, calibration, measured_ns);
    for (std::uint64_t seed = 1000; seed < 1000 + count; ++seed) {
      const Network network = random_network(seed);
      const double ms = imagined_ns(network) * noise(random, 0.06) * 1e-6;
      const LatencyEstimate e = predict(predictor, network).latency;
      inside += e.low_ms <= ms && ms <= e.high_ms ? 1 : 0;
    }
  }
  CHECK(inside >= 0.85 * rounds * count);
  CHECK(inside <= 0.95 * rounds * count);
}

TEST_CASE("intervals of networks leave out what measuring adds to errors", "[predictor]") {
  Predictor predictor = fit_predictor(imagined_profile(12, 0.03));
  std::vector<Network> networks;
  for (std::uint64_t seed = 0; seed < 20; ++seed) networks.push_back(random_network(seed));
  const std::vector<double> errors(networks.size(), 0.05);
  const auto factor = [&](const std::vector<double>& measuring) {
    calibrate_intervals(predictor, networks, errors, measuring);
    return predictor.network.interval_factor;
  };
  const double exact = factor({});
  CHECK(factor(std::vector<double>(20, 0.0)) == exact);
  // sqrt(5^2 - (1.645 * 0.8 * 2)^2) / 5
  CHECK(factor(std::vector<double>(20, 0.02)) == Approx(0.850 * exact).epsilon(0.001));
  // What is hardly known does not make intervals narrow.
  CHECK(factor(std::vector<double>(20, 1.0)) == Approx(0.5 * exact));
}

TEST_CASE("a network takes less by weights that the last-level cache keeps", "[predictor]") {
  Predictor predictor = exact_predictor();
  predictor.device.llc_bytes = 32 << 20;
  constexpr double kept_bytes = 8 << 20;
  constexpr double ns_less = 0.01;
  const auto truth = [&](const Network& network) {
    const auto bytes = static_cast<double>(weight_bytes(lowered(network)));
    return imagined_ns(network) - ns_less * std::min(kept_bytes, bytes);
  };
  calibrate_by(truth, 40, predictor);
  CHECK(predictor.network.most_kept_bytes == kept_bytes);
  CHECK(predictor.network.ns_less_per_kept_byte == Approx(ns_less).epsilon(0.15));
  for (std::uint64_t seed = 900; seed < 910; ++seed) {
    const Network network = random_network(seed);
    CHECK(predict(predictor, network).latency.ms == Approx(truth(network) * 1e-6).epsilon(0.02));
  }
  const nlohmann::json json = to_json(predictor);
  const Predictor read = predictor_from_json(JsonReader(json, "predictor#"));
  const Network network = random_network(900);
  CHECK(predict(read, network).latency.ms == predict(predictor, network).latency.ms);
  // Of another machine it says nothing.
  Profile few = exact_profile();
  few.ops.erase(few.ops.begin() + 8, few.ops.end());
  CHECK(adapt_predictor(predictor, few).network.ns_less_per_kept_byte == 0);
  // Never so much less that little is left.
  LatencyTerms tiny;
  tiny.ops_ns = 100;
  tiny.weight_bytes = 1e6;
  CHECK(combine(predictor, tiny).ms == Approx(70e-6));
}

TEST_CASE("a class that networks slow down is scaled", "[predictor]") {
  // Pointwise convolutions take a tenth longer in networks than on their own.
  Predictor predictor = exact_predictor();
  const auto truth = [](const Network& network) {
    double sum = 0;
    for (const Node& node : lowered(network).nodes)
      sum += imagined_ns(node.op) * (op_class(node.op) == "pointwise" ? 1.1 : 1);
    return sum;
  };
  calibrate_by(truth, 40, predictor);
  CHECK(class_named(predictor, "pointwise").network_scale == Approx(1.1).epsilon(0.03));
  CHECK(class_named(predictor, "convolution").network_scale == Approx(1).epsilon(0.03));
  CHECK(predictor.network.networks == 40);
  // Three tell nothing, also not that there is no error.
  calibrate_by(truth, 3, predictor);
  CHECK(predictor.network.networks == 0);
}

TEST_CASE("few operators adapt a predictor to another device", "[predictor]") {
  // Half the speed of arithmetic and 3 us more a run: far from what the base knows.
  const auto other_ns = [](const Op& op) {
    const Work w = facts(op, cpu_traits(imaginary_device())).work;
    return w.padded_macs / 10 + w.weight_bytes / 10 + w.activation_bytes / 50 + 4000;
  };
  Profile few;
  few.device = imaginary_device();
  few.device.name = "other";
  const Profile source = imagined_profile(4, 0, 800);
  for (std::size_t i = 0; i < source.ops.size() && few.ops.size() < 30;
       i += source.ops.size() / 30) {
    few.ops.push_back(source.ops[i]);
    few.ops.back().timing = timing(other_ns(source.ops[i].op));
  }
  double expected = 0;
  const Predictor adapted = adapt_predictor(exact_predictor(), few, {}, &expected);
  CHECK(expected < 0.25);
  CHECK(adapted.device.name == "other");
  CHECK(evidence_text(adapted) ==
        fmt::format("adapted from another device (imaginary, 1 thread; 30 operators, expected "
                    "error {:.1f} % an operator)",
                    100 * expected));
  for (std::uint64_t seed = 900; seed < 910; ++seed) {
    const Network network = random_network(seed);
    double ns = 0;
    for (const Node& node : lowered(network).nodes) ns += other_ns(node.op);
    CHECK(predict(adapted, network).latency.ms == Approx(ns * 1e-6).epsilon(0.12));
  }
  // The same again from its file.
  const nlohmann::json json = to_json(adapted);
  CHECK(to_json(predictor_from_json(JsonReader(json, "p.json#"))) == json);
}

namespace {

// Two threads of the imaginary device: XNNPACK's operators are shared but for weights, which memory
// limits.
constexpr double synchronisation_ns = 1.5e3;

bool shared_by_two(const Op& op) {
  return facts(op, cpu_traits(imaginary_device())).work.work_items > 1;
}

double ns_by_two(const Op& op) {
  const Work w = facts(op, cpu_traits(imaginary_device())).work;
  const double busiest = std::ceil(w.work_items / 2) / w.work_items;
  return busiest * (w.padded_macs / 20 + w.activation_bytes / 50) +
         w.weight_bytes / (shared_by_two(op) ? 15 : 10) + 1000 +
         (shared_by_two(op) ? synchronisation_ns + 3 * w.work_items : 0);
}

double ns_by_two(const Network& network) {
  double sum = 0;
  for (const Node& node : lowered(network).nodes) sum += ns_by_two(node.op);
  return sum;
}

Profile profile_by_two(const Profile& one_thread, std::size_t count) {
  Profile profile;
  profile.device = imaginary_device();
  profile.settings.threads = 2;
  for (std::size_t i = 0; i < count; ++i) {
    OpRecord record = one_thread.ops[i * one_thread.ops.size() / count];
    record.timing = timing(ns_by_two(record.op));
    profile.ops.push_back(record);
  }
  return profile;
}

}  // namespace

TEST_CASE("few operators adapt a predictor to two threads", "[predictor]") {
  const Predictor adapted =
      adapt_predictor(exact_predictor(), profile_by_two(imagined_profile(4, 0, 800), 30));
  const Correction c = class_named(adapted, "pointwise").correction.value();
  CHECK(c.compute == Approx(1).epsilon(0.05));
  CHECK(c.weights == Approx(10.0 / 15).epsilon(0.1));
  CHECK(c.threads == 2);
  constexpr double items = 100;
  CHECK(c.ns_per_synchronisation + items * c.ns_per_work_item ==
        Approx(synchronisation_ns + 3 * items).epsilon(0.15));
  for (std::uint64_t seed = 900; seed < 910; ++seed) {
    const Network network = random_network(seed);
    CHECK(predict(adapted, network).latency.ms == Approx(ns_by_two(network) * 1e-6).epsilon(0.05));
  }
  // And back again.
  Profile back;
  back.device = imaginary_device();
  for (std::size_t i = 0; i < 30; ++i)
    back.ops.push_back(exact_profile().ops[i * exact_profile().ops.size() / 30]);
  const Predictor again = adapt_predictor(adapted, back);
  const Network network = random_network(900);
  CHECK(predict(again, network).latency.ms == Approx(imagined_ns(network) * 1e-6).epsilon(0.05));
}

TEST_CASE("a predictor of two threads is fitted to operators that they share", "[predictor]") {
  const Profile& source = exact_profile();
  const Predictor predictor = fit_predictor(profile_by_two(source, source.ops.size()));
  for (const char* name : {"pointwise", "convolution"}) {
    INFO(name);
    CHECK(class_named(predictor, name).cost.ns_per_synchronisation ==
          Approx(synchronisation_ns).epsilon(0.3));
    CHECK(class_named(predictor, name).cost.ns_per_mac == Approx(1.0 / 20).epsilon(0.05));
  }
  for (std::uint64_t seed = 900; seed < 910; ++seed) {
    const Network network = random_network(seed);
    CHECK(predict(predictor, network).latency.ms ==
          Approx(ns_by_two(network) * 1e-6).epsilon(0.03));
  }
}

TEST_CASE("adapting to the same device changes nothing much", "[predictor]") {
  Profile few;
  few.device = imaginary_device();
  for (std::size_t i = 0; i < 30; ++i)
    few.ops.push_back(exact_profile().ops[i * exact_profile().ops.size() / 30]);
  double expected = 1;
  const Predictor adapted = adapt_predictor(exact_predictor(), few, {}, &expected);
  CHECK(expected < 0.01);
  const Network network = random_network(900);
  CHECK(predict(adapted, network).latency.ms ==
        Approx(predict(exact_predictor(), network).latency.ms).epsilon(0.01));
}

TEST_CASE("a disturbed operator barely adapts a predictor", "[predictor]") {
  Profile few;
  few.device = imaginary_device();
  for (std::size_t i = 0; i < 30; ++i)
    few.ops.push_back(exact_profile().ops[i * exact_profile().ops.size() / 30]);
  Timing& wild = few.ops[3].timing;
  wild = {10 * wild.median_ns, 0, 100 * wild.median_ns, 3, {}, 1, true};
  const Predictor adapted = adapt_predictor(exact_predictor(), few);
  const Network network = random_network(900);
  CHECK(predict(adapted, network).latency.ms ==
        Approx(predict(exact_predictor(), network).latency.ms).epsilon(0.02));
}

TEST_CASE("a predictor adapted to another instruction set errs as it says", "[predictor]") {
  // Tiles of 6 x 8 instead of 7 x 16, and half the speed.
  Profile few;
  few.device = imaginary_device();
  few.device.architecture = "aarch64";
  few.device.features = {"neon"};
  few.device.l2_bytes = 128 << 10;
  const CpuTraits other = cpu_traits(few.device);
  const auto other_ns = [&](const Op& op) {
    const Work w = facts(op, other).work;
    return w.padded_macs / 10 + w.weight_bytes / 10 + w.activation_bytes / 50 + 1000;
  };
  const Profile source = imagined_profile(4, 0, 800);
  for (std::size_t i = 0; i < 40; ++i) {
    few.ops.push_back(source.ops[i * source.ops.size() / 40]);
    few.ops.back().timing = timing(other_ns(few.ops.back().op));
  }
  double expected = 0;
  const Predictor adapted = adapt_predictor(exact_predictor(), few, {}, &expected);
  double error = 0;
  for (const OpRecord& record : few.ops)
    error += std::abs(estimate(adapted, record.op).ns / record.timing.median_ns - 1) /
             static_cast<double>(few.ops.size());
  CHECK(error < expected);  // nothing was left out for it
}

TEST_CASE("a predictor is adapted by the instruction set that it then predicts with",
          "[predictor]") {
  // Tiles of 8 channels waste nothing on 24, those of 16 a quarter.
  Profile few;
  few.device = imaginary_device();
  few.device.architecture = "aarch64";
  few.device.features = {"neon"};
  const CpuTraits other = cpu_traits(few.device);
  for (const int in : {64, 96, 128})
    for (const int out : {16, 24, 32, 40, 48, 56, 64}) {
      const Op op =
          parse_op(fmt::format("conv2d 1x30x30x{}->1x30x30x{} k1x1 s1 p0,0,0,0 g1 f32", in, out));
      few.ops.push_back({op, "xnnpack", timing(facts(op, other).work.padded_macs / 10)});
    }
  const Predictor adapted = adapt_predictor(exact_predictor(), few);
  for (const OpRecord& record : few.ops) {
    INFO(text(record.op));
    CHECK(estimate(adapted, record.op).ns == Approx(record.timing.median_ns).epsilon(0.07));
  }
}

TEST_CASE("adapting refuses too few operators", "[predictor]") {
  Profile few;
  few.device = imaginary_device();
  few.ops.assign(exact_profile().ops.begin(), exact_profile().ops.begin() + 3);
  CHECK_THROWS_WITH(adapt_predictor(exact_predictor(), few),
                    "adapting a predictor needs at least 4 measured operators or networks, got 3");
}

TEST_CASE("a class without model is an error that names it", "[predictor]") {
  const Op op = parse_op("conv_transpose2d 1x7x7x8->1x14x14x8 k2x2 s2 p0,0,0,0 g1 f32");
  CHECK_THROWS_WITH(terms(exact_predictor(), op),
                    "op \"" + text(op) +
                        "\": the predictor has no model of class \"conv_transpose2d\"; measure "
                        "some with cpubone-profile --ops and fit again");
}

TEST_CASE("an operator of a kind that was not measured moves its bytes as others do",
          "[predictor]") {
  const auto is_pool = [](const OpRecord& r) { return r.op.kind == OpKind::global_avg_pool; };
  Profile profile = exact_profile();
  const Op op = std::find_if(profile.ops.begin(), profile.ops.end(), is_pool)->op;
  std::erase_if(profile.ops, is_pool);
  for (OpRecord& r : profile.ops)
    if (r.op.kind == OpKind::add) r.engine = "eigen";  // what XNNPACK lacks
  const Predictor predictor = fit_predictor(profile);
  CHECK(estimate(predictor, op).ns == Approx(imagined_ns(op)).epsilon(0.1));
  NetworkBuilder b("pool", "test", op.input());
  const Network network = b.finish(b.global_avg_pool(network_input, "mean"));
  CHECK(predict(predictor, network).ops.at(0).beyond_measured);
  CHECK(predict(predictor, network).ops.at(0).engine == "eigen");
  CHECK_FALSE(predict(exact_predictor(), network).ops.at(0).beyond_measured);
}

TEST_CASE("a predictor is sure of what it was fitted on and unsure of other classes",
          "[predictor]") {
  Profile profile = exact_profile();
  const auto is_conv = [](const OpRecord& r) { return r.op.kind == OpKind::conv2d; };
  std::erase_if(profile.ops, [&](const OpRecord& r) { return !is_conv(r); });
  const auto spread = spread_of(profile);
  const Op known = profile.ops[0].op;
  Op larger = known;
  larger.inputs[0].shape = {1, 300, 300, larger.input().c};
  larger = with_inferred_outputs(larger);
  CHECK(spread(known) > 0);
  CHECK(spread(known) < spread(larger));
  CHECK(spread(parse_op("activation 1x7x7x16->1x7x7x16 act=gelu f32")) == 1);
}

TEST_CASE("a machine that is busy throughout has a predictor", "[predictor]") {
  Profile busy = exact_profile();
  for (OpRecord& record : busy.ops) record.timing.disturbed = true;
  CHECK(fit_predictor(busy).training_hash == exact_predictor().training_hash);
  CHECK_THROWS_WITH(fit_predictor(Profile()),
                    ContainsSubstring("measure it again and allow more time (--budget)"));
}

TEST_CASE("operators and networks count by their intervals", "[predictor]") {
  // A third took twice as long as it should, and says that it does not know.
  const auto badly = [](Timing t) {
    return Timing{2 * t.median_ns, 0.5 * t.median_ns, 4 * t.median_ns, 0.5, {}, 1, true};
  };
  Profile profile = exact_profile();
  for (std::size_t i = 0; i < profile.ops.size(); i += 3)
    profile.ops[i].timing = badly(profile.ops[i].timing);
  std::vector<Network> calibration;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    calibration.push_back(random_network(seed));
    NetworkRecord record;
    record.name = calibration.back().name;
    const Timing exact = timing(imagined_ns(calibration.back()));
    record.timing = seed % 3 == 0 ? badly(exact) : exact;
    profile.networks.push_back(record);
  }
  const Predictor predictor = fit_predictor(profile, calibration);
  for (std::uint64_t seed = 900; seed < 905; ++seed) {
    const Network network = random_network(seed);
    CHECK(predict(predictor, network).latency.ms ==
          Approx(imagined_ns(network) * 1e-6).epsilon(0.04));
  }
}

TEST_CASE("the same profile gives the same bytes", "[predictor]") {
  CHECK(to_json(fit_predictor(exact_profile())).dump() == to_json(exact_predictor()).dump());
}

TEST_CASE("a saved predictor predicts the same", "[predictor]") {
  const auto path = scratch_path("cpubone-predictor-test.json");
  save_predictor(exact_predictor(), path);
  const Predictor loaded = load_predictor(path);
  std::filesystem::remove(path);
  CHECK(to_json(loaded) == to_json(exact_predictor()));
  const Network network = random_network(601);
  CHECK(predict(loaded, network).latency.ms == predict(exact_predictor(), network).latency.ms);
}

TEST_CASE("a predictor file that does not fit says why", "[predictor]") {
  nlohmann::json json = to_json(exact_predictor());
  const auto read = [&] { return predictor_from_json(JsonReader(json, "p.json#")); };
  SECTION("an unknown key") {
    json["colour"] = "red";
    CHECK_THROWS_WITH(read(), ContainsSubstring("colour"));
  }
  SECTION("a version to come") {
    json["schema"] = "cpubone/predictor/3";
    CHECK_THROWS_WITH(read(),
                      "p.json#/schema: expected \"cpubone/predictor/2\", got "
                      "\"cpubone/predictor/3\"");
  }
  SECTION("a former version") {
    json["schema"] = "cpubone/predictor/1";
    CHECK_THROWS_WITH(read(),
                      "p.json#/schema: written by an earlier version of cpubone, whose models this "
                      "one does not know; fit it again from its profile");
  }
  SECTION("other features") {
    json["features"][3] = "phase of the moon";
    CHECK_THROWS_WITH(read(), "p.json#/features: made with other features than version " +
                                  version() + " has; fit it again from its profile");
  }
  SECTION("a point with too few inputs") {
    json["classes"][0]["factor"]["points"][0].erase(0);
    CHECK_THROWS_WITH(read(),
                      ContainsSubstring("/classes/0/factor/points/0: expected " +
                                        std::to_string(feature_names().size()) + " numbers, got "));
  }
  SECTION("a negative cost") {
    json["classes"][0]["cost_model"]["ns_per_mac"] = -1;
    CHECK_THROWS_WITH(read(), ContainsSubstring("/classes/0/cost_model/ns_per_mac"));
  }
}

namespace {

/// Operators of random networks in int8, scales left out, as profiles have them.
Profile int8_profile() {
  Profile profile;
  profile.device = imaginary_device();
  profile.settings.dtype = DType::qs8;
  std::set<std::string> seen;
  for (const Op& op : random_ops(500, 12, DType::qs8))
    if (const Op plain = without_quantisation(op); seen.insert(text(plain)).second)
      profile.ops.push_back({plain, "xnnpack", timing(imagined_ns(plain))});
  return profile;
}

}  // namespace

TEST_CASE("a predictor of a profile in int8 predicts networks as they run in int8", "[predictor]") {
  const Predictor predictor = fit_predictor(int8_profile());
  const Network network = random_network(703);
  double sum = 0;
  bool converts = false;
  for (const Node& node : lowered(network, DType::qs8).nodes)
    if (node.op.kind != OpKind::constant) {
      sum += imagined_ns(node.op);
      converts = converts || node.op.kind == OpKind::quantise;
    }
  CHECK(converts);
  const NetworkPrediction predicted = predict(predictor, network);
  CHECK(predicted.latency.ms == Approx(sum * 1e-6).epsilon(0.05));
  CHECK(terms(predictor, network).ops_ns * 1e-6 == Approx(predicted.latency.ms));
  for (const OpPrediction& op : predicted.ops) CHECK(op.op == without_quantisation(op.op));
  // One that is quantised already is predicted as it is.
  CHECK(predict(predictor, in_precision(network, DType::qs8)).latency.ms == predicted.latency.ms);
}

TEST_CASE("networks are predicted with dynamic layers where such were measured", "[predictor]") {
  Network network;
  network.nodes = {{"norm", "", parse_op("layer_norm 1x1x49x256->1x1x49x256"), {network_input}},
                   {"qkv", "", parse_op("linear 1x1x49x256->1x1x49x768"), {0}},
                   {"end", "", parse_op("layer_norm 1x1x49x768->1x1x49x768"), {1}}};
  network.inputs = network.nodes[0].op.inputs;
  network.outputs = {2};
  Profile profile = int8_profile();
  std::erase_if(profile.ops, [](const OpRecord& record) { return record.op.dynamic; });
  const auto layers = [&] {
    std::vector<std::string> names;
    for (const OpPrediction& op : predict(fit_predictor(profile), network).ops)
      names.push_back(op.node + (op.op.dynamic ? " dynamic" : ""));
    return names;
  };
  CHECK(layers() ==
        std::vector<std::string>{"norm", "norm.quantise", "qkv", "qkv.dequantise", "end"});
  for (const int tokens : {1, 49, 100, 196})
    for (const int in : {192, 256, 384, 768})
      for (const int out : {256, 768}) {
        const Op op =
            parse_op(fmt::format("linear 1x1x{0}x{1}->1x1x{0}x{2} dynamic", tokens, in, out));
        profile.ops.push_back({op, "xnnpack", timing(imagined_ns(op))});
      }
  CHECK(layers() == std::vector<std::string>{"norm", "qkv dynamic", "end"});
  const Predictor predictor = fit_predictor(profile);
  CHECK(knows_dynamic(predictor));
  const Op qkv = predict(predictor, network).ops[1].op;
  CHECK(estimate(predictor, qkv).ns == Approx(imagined_ns(qkv)).epsilon(0.05));
  const PrecisionComparison compared =
      predict_precisions(std::vector{exact_predictor(), predictor}, network);
  CHECK(compared.parts[1].op.dynamic);
  CHECK(compared.parts[1].reason.empty());
  CHECK_THROWS_WITH(estimate(exact_predictor(), qkv),
                    ContainsSubstring("it is int8, and the predictor knows f32"));
}

TEST_CASE("predictions in f32 and int8 are compared node by node", "[predictor]") {
  const std::vector<Predictor> both{exact_predictor(), fit_predictor(int8_profile())};
  const Network network = random_network(703);
  const PrecisionComparison compared = predict_precisions(both, network);
  CHECK(compared.f32_ns.value * 1e-6 == Approx(predict(both[0], network).latency.ms));
  CHECK(compared.int8_ns.value * 1e-6 == Approx(predict(both[1], network).latency.ms));
  CHECK(compared.speedup.value == Approx(compared.f32_ns.value / compared.int8_ns.value));
  CHECK(compared.f16_ns.value == 0);
  CHECK(4 * compared.int8_memory_bytes > compared.f32_memory_bytes);
  CHECK(2 * compared.int8_memory_bytes < compared.f32_memory_bytes);
  double int8_ns = 0;
  double f32_ns = 0;
  std::size_t floats = 0;
  for (const PrecisionPart& part : compared.parts) {
    int8_ns += part.int8_ns;
    f32_ns += part.f32_ns;
    floats += part.reason.empty() ? 0 : 1;
    if (is_conversion(part)) CHECK(part.f32_ns == 0);
  }
  CHECK(int8_ns == Approx(compared.int8_ns.value));
  CHECK(f32_ns == Approx(compared.f32_ns.value));
  CHECK(conversion_ns(compared) > 0);
  CHECK(floats == quantised_for_latency(network).floats.size());
  CHECK(fallback_text(compared).empty() == (floats == 0));
  CHECK_THROWS_WITH(predict_precisions(std::span(both).last(1), network),
                    ContainsSubstring("expected a predictor in f32, got none"));
  CHECK_THROWS_WITH(predict_precisions(std::vector(2, both[0]), network),
                    ContainsSubstring("two predictors are of f32"));
  std::vector<Predictor> others = both;
  others[1].settings.threads = 4;
  CHECK_THROWS_WITH(predict_precisions(others, network),
                    ContainsSubstring("of one device on one number of threads, got ") &&
                        ContainsSubstring(" on 1 and ") && ContainsSubstring(" on 4"));
}

TEST_CASE("what is known in another precision is refused by name", "[predictor]") {
  const Network quantised = in_precision(random_network(703), DType::qs8);
  CHECK_THROWS_WITH(predict(exact_predictor(), quantised),
                    ContainsSubstring("it is int8, and the predictor knows f32; a profile that "
                                      "cpubone-profile --precision qs8 makes knows int8"));
  CHECK_THROWS_WITH(adapt_predictor(exact_predictor(), int8_profile()),
                    "adapting a predictor: it is of f32, and the profile of qs8; expected one "
                    "precision");
}

TEST_CASE("a predictor of a profile in f16 reads half the bytes", "[predictor]") {
  Profile profile;
  profile.device = imaginary_device();
  profile.settings.dtype = DType::f16;
  for (const Op& op : random_ops(500, 6, DType::f16))
    profile.ops.push_back({op, "xnnpack", timing(imagined_ns(op))});
  const LatencyTerms f16 = terms(fit_predictor(profile), random_network(501));
  const LatencyTerms f32 = terms(exact_predictor(), random_network(501));
  CHECK(f16.weight_bytes == Approx(f32.weight_bytes / 2));
  CHECK(f16.ops_ns < f32.ops_ns);
}
