#include "explorer/explore.hpp"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "explorer/assembly.hpp"
#include "explorer/correction.hpp"
#include "explorer/finding.hpp"
#include "explorer/predicted_studies.hpp"
#include "graph/passes.hpp"
#include "predictor/features.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "tests/catch.hpp"
#include "tests/explorer/models.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;

namespace {

/// A machine that is slower than predicted, more so where weights are many.
std::vector<MeasuredLatency> measure(std::span<const Network> networks) {
  const LatencyModel model = fake_latency();
  std::vector<MeasuredLatency> out;
  for (const Network& n : networks) {
    const double ms = 1.06 * model.combine(latency_terms(n, model)).ms +
                      static_cast<double>(weight_bytes(n)) / 1e9;
    out.push_back({{ms, 0.995 * ms, 1.005 * ms}, 20, false});
  }
  return out;
}

ExploreInput input(bool measuring) {
  ExploreInput in;
  in.space = default_search_space();
  in.latency = fake_latency();
  in.accuracy = published_accuracy_model();
  if (measuring) in.measure = measure;
  return in;
}

ExploreOptions quick() {
  ExploreOptions options;
  options.search.population = 40;
  options.search.evaluations = 5000;
  options.search.constraints = {{Objective::latency, 120}};
  options.rounds = 3;
  return options;
}

}  // namespace

TEST_CASE("an exploration confirms what it proposes", "[explorer]") {
  ExploreInput in = input(true);
  in.measured = {{"mobilenetv2-100", {{90, 89, 91}, 20, false}}};
  const Exploration found = explore(in, quick());
  const Result& result = found.result;
  REQUIRE(found.proposals.size() >= 5);
  Result whole = result;
  whole.created = "2026-01-31T12:00:00Z";
  whole.tool_version = "0.1.0";
  whole.device = {"fake", "Fake CPU", Evidence::measured, "none", 1, "f32", {}, false};
  const nlohmann::json json = to_json(whole);
  CHECK(read_result(JsonReader(json, "result#")) == whole);
  const LatencyModel model = fake_latency();
  int better = 0;
  double worst = 0;
  double last = 0;
  for (const Proposal& p : found.proposals) {
    const ResultNetwork* n = find_network(result, p.network.name);
    REQUIRE(n);
    CHECK(n->macs == macs(p.network));
    CHECK(n->params == params(p.network));
    CHECK(n->description == describe(*p.config));
    CHECK(build(*p.config) == p.network);
    CHECK_FALSE(n->difference.empty());
    CHECK(n->nearest.substr(0, 9) == "cpubone-b");
    REQUIRE(n->measured_ms);
    CHECK(n->measured_ms->ms.value == Approx(measure(std::span(&p.network, 1))[0].ms.value));
    CHECK(n->measured_ms->ms.value >= last);
    last = n->measured_ms->ms.value;
    worst = std::max(worst, std::abs(n->predicted_ms->value / n->measured_ms->ms.value - 1));
    better += !n->better_than.empty();
    for (const std::string& other : n->better_than) {
      const ResultNetwork* o = find_network(result, other);
      REQUIRE(o->measured_ms);
      CHECK(n->measured_ms->ms.value < o->measured_ms->ms.value);
      CHECK(probability_of(*n->top1, o->top1->percent.value) >= 0.899);
    }
  }
  CHECK(better > 0);
  CHECK(worst < 0.05);
  // Nobody on the front is beaten.
  for (const std::string& a : result.front)
    for (const ResultNetwork& b : result.networks) {
      const ResultNetwork* n = find_network(result, a);
      if (!b.measured_ms || !b.top1) continue;
      CHECK_FALSE((b.measured_ms->ms.value < n->measured_ms->ms.value &&
                   b.top1->percent.value > n->top1->percent.value));
    }
  const ResultNetwork* b0 = find_network(result, "cpubone-b0");
  REQUIRE(b0);
  CHECK(b0->published->macs_m == 519);
  CHECK(b0->measured_ms);
  CHECK(result.candidates.size() > 100);
  CHECK(result.search->distinct >= 4700);
  CHECK(result.search->distinct <= 5000);
  // The curve goes on from round to round.
  const auto& curve = result.search->hypervolume;
  CHECK(curve.back().evaluations > 3750);
  CHECK(curve.back().evaluations <= result.search->distinct);
  for (std::size_t i = 1; i < curve.size(); ++i)
    CHECK(curve[i].evaluations >= curve[i - 1].evaluations);
  CHECK(result.findings.size() >= 9);
  CHECK(result.studies.size() == 3);
}

TEST_CASE("backbones of another resolution are proposed, measured and told as such", "[explorer]") {
  ExploreInput in = input(true);
  in.form = {.height = 320, .width = 320, .features = true};
  std::set<std::pair<int, std::size_t>> measured;  // height, outputs
  in.measure = [&](std::span<const Network> networks) {
    for (const Network& n : networks) measured.insert({n.inputs[0].shape.h, n.outputs.size()});
    return measure(networks);
  };
  ExploreOptions options = quick();
  options.search.constraints.clear();
  const Exploration found = explore(in, options);
  CHECK(measured == std::set<std::pair<int, std::size_t>>{{320, 4}});
  for (const Proposal& p : found.proposals) {
    CHECK(p.network == in_form(build(*p.config), in.form));
    CHECK(find_network(found.result, p.network.name)->resolution == 320);
  }
  const ResultNetwork* b0 = find_network(found.result, "cpubone-b0");
  CHECK(b0->params < 7'000'000);
  CHECK(b0->top1->percent.value == 77.6);
  CHECK_FALSE(b0->published);
  CHECK(
      std::any_of(found.result.warnings.begin(), found.result.warnings.end(), [](const Warning& w) {
        return w.what.find("(320x320 pixels, without heads)") != std::string::npos;
      }));
}

TEST_CASE("another space is explored from its own references to findings", "[explorer]") {
  ExploreInput in = input(true);
  in.space = named_search_space("mnasnet");
  in.accuracy = published_accuracy_model("MNASNet");
  ExploreOptions options = quick();
  options.next = 2;
  const Exploration found = explore(in, options);
  REQUIRE(found.next.size() == 2);
  CHECK(found.next[1].name == "next-2");
  CHECK(found.result.next[1].name == "next-2");
  CHECK(found.result.next[0].improvement >= found.result.next[1].improvement);
  REQUIRE(found.proposals.size() >= 5);
  for (const Proposal& p : found.proposals) {
    CHECK_FALSE(p.config);
    const ResultNetwork* n = find_network(found.result, p.network.name);
    CHECK(n->description.starts_with("e"));
    CHECK((n->nearest == "mnasnet-a1" || n->nearest == "mnasnet-b1" ||
           n->nearest == "efficientnet-b0"));
    CHECK(n->top1->percent.value > 65);
    CHECK(n->top1->percent.value < 80);
    CHECK(n->measured_ms);
  }
  CHECK(find_network(found.result, "mnasnet-a1")->measured_ms);
  CHECK_FALSE(find_network(found.result, "cpubone-b0")->measured_ms);
  CHECK(std::get<GainFinding>(found.result.findings[0]).network == "mnasnet-b1");
  CHECK(found.result.warnings.empty());
}

TEST_CASE("a limit on parameters that the head exceeds says so", "[explorer]") {
  ExploreOptions options = quick();
  options.search.constraints = {{Objective::params, 3}};
  CHECK_THROWS_WITH(explore(input(false), options),
                    ContainsSubstring("M of its parameters are the head's: let the space choose a "
                                      "smaller \"head\", or search for backbones without one"));
  ExploreInput backbones = input(false);
  backbones.form.features = true;
  CHECK_NOTHROW(explore(backbones, options));
}

TEST_CASE("nothing is claimed to be faster from measurements that were disturbed", "[explorer]") {
  ExploreInput in = input(true);
  in.measure = [](std::span<const Network> networks) {
    std::vector<MeasuredLatency> all = measure(networks);
    for (MeasuredLatency& one : all) one.disturbed = true;
    return all;
  };
  // Published long ago, when the machine was quiet.
  in.measured = {{"mobilenetv2-100", {{90, 89, 91}, 20, false}}};
  for (const ResultNetwork& n : explore(in, quick()).result.networks) CHECK(n.better_than.empty());
}

TEST_CASE("operators of the candidates that are uncertain are learnt before they are measured",
          "[explorer]") {
  // Pointwise convolutions take twice as long as predicted, until they are measured.
  std::set<std::string> known;
  const LatencyModel plain = fake_latency();
  const auto surprising = [](const Op& op) {
    return op.kind == OpKind::conv2d && is_pointwise(op) && op.input().h <= 7;
  };
  ExploreInput in = input(true);
  in.measure = [&](std::span<const Network> networks) {
    std::vector<MeasuredLatency> out;
    for (const Network& n : networks) {
      LatencyTerms sum;
      for (const Node& node : lowered(n).nodes) {
        LatencyTerms t = plain.op_terms(node.op);
        t.ops_ns *= surprising(node.op) ? 2 : 1;
        sum += t;
      }
      const double ms = plain.combine(sum).ms;
      out.push_back({{ms, ms, ms}, 20, false});
    }
    return out;
  };
  const auto mean_error = [&] {
    double sum = 0;
    int count = 0;
    for (const ResultNetwork& n : explore(in, quick()).result.networks) {
      if (n.origin != Origin::proposal) continue;
      sum += std::abs(n.predicted_ms->value / n.measured_ms->ms.value - 1);
      ++count;
    }
    return sum / count;
  };
  const double unlearnt = mean_error();
  std::size_t most = 0;
  in.learn = [&](std::span<const Op> ops) {
    most = std::max(most, ops.size());
    for (const Op& op : ops) CHECK(known.insert(text(op)).second);
    LatencyModel learnt = plain;
    learnt.op_terms = [&](const Op& op) {
      LatencyTerms t = plain.op_terms(op);
      if (known.count(text(op)) == 0) return t;
      t.ops_ns *= surprising(op) ? 2 : 1;
      t.independent_ns2 = t.shared_ns = 0;
      return t;
    };
    return learnt;
  };
  CHECK(mean_error() < unlearnt);
  CHECK(most <= 60);
  CHECK(known.size() > 20);
}

TEST_CASE("own accuracies take the place of published ones", "[explorer]") {
  ExploreInput in = input(false);
  const auto path = scratch_path("cpubone_own.csv");
  std::ofstream(path) << "network,params_m,macs_m,top1,family\n"
                         "CPUBone-B0,10.3,520,70.5,CPUBone\n"
                         "cpubone-b1,12.4,746,71.9,CPUBone\n"
                         "cpubone-b2,23.8,1355,73.1,CPUBone\n"
                         "mine,9.1,480,70.1,CPUBone\n";
  in.accuracy = load_accuracy_model(path);
  std::filesystem::remove(path);
  const Result result = explore(in, quick()).result;
  CHECK(find_network(result, "cpubone-b0")->top1->percent.value == 70.5);
  CHECK(find_network(result, "cpubone-b0")->top1->source == "own");
  // On another scale, so that nothing is compared with them.
  CHECK_FALSE(find_network(result, "cpubone-s0")->top1);
  CHECK(find_network(result, "fasternet-t0")->published->top1 == 71.9);
  const ResultNetwork* mine = find_network(result, "mine");
  REQUIRE(mine);
  CHECK(mine->top1->percent.value == 70.1);
  CHECK(mine->macs == 480'000'000);
  CHECK_FALSE(latency_ms(*mine));
  for (const ResultNetwork& n : result.networks)
    if (n.origin == Origin::proposal) CHECK(n.top1->percent.value < 80);
  const auto told = [](const Warning& w) {
    return w.what ==
           "accuracies are your own; of the published networks only the 3 that you trained are "
           "compared with";
  };
  CHECK(std::any_of(result.warnings.begin(), result.warnings.end(), told));
}

TEST_CASE("a machine that gets slower does so for proposals and B0 to B3", "[explorer]") {
  ExploreInput in = input(true);
  double pace = 1;
  in.measure = [&](std::span<const Network> networks) {
    std::vector<MeasuredLatency> out = measure(networks);
    for (MeasuredLatency& m : out) m.ms = {pace * m.ms.value, pace * m.ms.low, pace * m.ms.high};
    pace *= 1.2;
    return out;
  };
  const Exploration found = explore(in, quick());
  for (const Proposal& proposal : found.proposals) {
    const ResultNetwork* n = find_network(found.result, proposal.network.name);
    CHECK(n->predicted_ms->value == Approx(n->measured_ms->ms.value).epsilon(0.05));
    const ResultNetwork* b3 = find_network(found.result, "cpubone-b3");
    const Network networks[] = {proposal.network, build(cpubone_config("b3"))};
    const auto expected = measure(networks);
    CHECK(n->measured_ms->ms.value / b3->measured_ms->ms.value ==
          Approx(expected[0].ms.value / expected[1].ms.value));
  }
}

TEST_CASE("who was measured when the machine was faster is compared at the pace of now",
          "[explorer]") {
  const std::string other = "mobilenetv3-small-100";  // less accurate than all that is proposed
  const auto latency_of = [](const Exploration& found, const std::string& network) {
    return find_network(found.result, network)->measured_ms->ms;
  };
  const auto beaten = [&](ExploreInput in) {
    const Exploration found = explore(in, quick());
    const auto& names = find_network(found.result, "proposal-1")->better_than;
    return std::find(names.begin(), names.end(), other) != names.end();
  };
  const Exploration found = explore(input(true), quick());
  const double proposal_ms = latency_of(found, "proposal-1").high;
  const double b0_ms = latency_of(found, "cpubone-b0").value;
  // 1.5 times as fast then, as only B0 of B0 to B3 tells: the other would take 1.15 times the
  // proposal's time now.
  const double other_ms = 1.15 * proposal_ms / 1.5;
  ExploreInput in = input(true);
  in.measured = {{"cpubone-b0", {{b0_ms / 1.5, b0_ms / 1.5, b0_ms / 1.5}, 20, false}},
                 {other, {{other_ms, other_ms, other_ms}, 20, false}}};
  CHECK(beaten(in));
  in.measured[0].latency.ms = {b0_ms, b0_ms, b0_ms};
  CHECK_FALSE(beaten(in));
}

TEST_CASE("without measuring nothing is called better", "[explorer]") {
  const Exploration found = explore(input(false), quick());
  CHECK(found.proposals.size() >= 5);
  for (const ResultNetwork& n : found.result.networks) {
    CHECK(n.better_than.empty());
    CHECK_FALSE(n.measured_ms);
  }
  CHECK_THAT(found.result.warnings.at(0).what, ContainsSubstring("no proposal was measured"));
  CHECK_FALSE(found.result.front.empty());
}

TEST_CASE("members that a space does not have are told in one warning", "[explorer]") {
  ExploreInput in = input(false);
  in.space = tiny_space();
  ExploreOptions options = quick();
  options.search.evaluations = 500;
  const Exploration found = explore(in, options);
  int about_members = 0;
  for (const Warning& warning : found.result.warnings)
    about_members += warning.what.rfind("the search space \"tiny\" does not contain", 0) == 0;
  CHECK(about_members == 1);
}

TEST_CASE("an exploration is the same on one thread and two", "[explorer]") {
  ExploreOptions options = quick();
  auto one = explore(input(true), options).result;
  options.search.threads = 2;
  auto two = explore(input(true), options).result;
  CHECK(to_json(one).dump() == to_json(two).dump());
}

TEST_CASE("a machine that fails ends the exploration with what it said", "[explorer]") {
  ExploreInput in = input(true);
  in.measure = [](std::span<const Network> networks) {
    return std::vector<MeasuredLatency>(networks.size() - 1);
  };
  CHECK_THROWS_WITH(explore(in, quick()), ContainsSubstring("networks were measured, expected"));
  in.measure = [](std::span<const Network> networks) {
    return std::vector<MeasuredLatency>(networks.size());
  };
  CHECK_THROWS_WITH(explore(in, quick()),
                    ContainsSubstring("\"cpubone-b0\" was measured to take 0 ms"));
  ExploreOptions options = quick();
  options.search.objectives = {Objective::top1, Objective::latency};
  CHECK_THROWS_WITH(explore(input(true), options),
                    "explore: the first two objectives must be latency and top1");
}

TEST_CASE("options of an exploration have bounds", "[explorer]") {
  const auto with = [](int ExploreOptions::*option, int value) {
    ExploreOptions options = quick();
    options.*option = value;
    return options;
  };
  CHECK_NOTHROW(check(with(&ExploreOptions::proposals, 5)));
  CHECK_NOTHROW(check(with(&ExploreOptions::proposals, 100)));
  CHECK_NOTHROW(check(with(&ExploreOptions::rounds, 1)));
  CHECK_NOTHROW(check(with(&ExploreOptions::round_size, 5)));
  CHECK_THROWS_WITH(check(with(&ExploreOptions::proposals, 4)),
                    "explore: proposals must be in 5..100, got 4");
  CHECK_THROWS_WITH(check(with(&ExploreOptions::proposals, 101)),
                    "explore: proposals must be in 5..100, got 101");
  CHECK_THROWS_WITH(check(with(&ExploreOptions::rounds, 0)), "explore: rounds must be >= 1, got 0");
  CHECK_THROWS_WITH(check(with(&ExploreOptions::round_size, 4)),
                    "explore: round_size must be >= 5, got 4");
}

TEST_CASE("a cancelled exploration ends with what it has", "[explorer]") {
  const std::atomic<bool> stop = true;
  ExploreOptions options = quick();
  options.cancel = &stop;
  const Exploration found = explore(input(true), options);
  CHECK_FALSE(found.result.warnings.empty());
}

TEST_CASE("a correction follows measured networks and trusts few of them little", "[explorer]") {
  const LatencyModel model = fake_latency();
  std::vector<Confirmed> networks;
  std::vector<LatencyTerms> terms;
  for (const CpuboneConfig& member : cpubone_family()) {
    terms.push_back(latency_terms(build(member), model));
    const double ms = model.combine(terms.back()).ms;
    networks.push_back({terms.back(), ms, 1.08 * ms});
  }
  const LatencyModel after = corrected(model, networks);
  for (const LatencyTerms& t : terms) {
    const LatencyEstimate e = after.combine(t);
    CHECK(e.ms == Approx(1.08 * model.combine(t).ms).epsilon(0.005));
    CHECK(e.low_ms <= e.ms);
    CHECK(e.ms <= e.high_ms);
    CHECK(e.high_ms / e.ms <= model.combine(t).high_ms / model.combine(t).ms + 1e-12);
  }
  CHECK(corrected(model, {}).combine(terms[0]).ms == model.combine(terms[0]).ms);
  networks.resize(1);
  networks[0].measured_ms = 3 * networks[0].predicted_ms;
  CHECK(corrected(model, networks).combine(terms[0]).ms <= 1.2215 * model.combine(terms[0]).ms);
  networks[0].measured_ms = 0;
  CHECK_THROWS_WITH(corrected(model, networks),
                    ContainsSubstring("latencies must be positive, got"));
}

TEST_CASE("a correction by networks that are alike does not turn on those that are not",
          "[explorer]") {
  // B0 to B3 within 3 % of each other's errors, as noise would have it.
  const LatencyModel model = fake_latency();
  const double errors[] = {0.94, 0.96, 0.95, 0.97};
  std::vector<Confirmed> networks;
  for (const char* name : {"b0", "b1", "b2", "b3"}) {
    const LatencyTerms terms = latency_terms(build(cpubone_config(name)), model);
    const double ms = model.combine(terms).ms;
    networks.push_back({terms, ms, errors[networks.size()] * ms});
  }
  const LatencyModel after = corrected(model, networks);
  const SearchSpace space = default_search_space();
  Rng rng(1);
  for (int i = 0; i < 30; ++i) {
    const LatencyTerms t = latency_terms(build(decode(space, sample(space, rng))), model);
    CHECK(after.combine(t).ms == Approx(0.955 * model.combine(t).ms).epsilon(0.04));
  }
}

TEST_CASE("parts of a breakdown sum to the prediction", "[explorer]") {
  const LatencyModel model = fake_latency();
  const Network b0 = build(cpubone_config("b0"));
  double sum = 0;
  std::int64_t total_macs = 0;
  for (const BreakdownRow& row : break_down(b0, model)) {
    sum += row.latency_ms;
    total_macs += row.macs;
  }
  CHECK(sum == Approx(model.combine(latency_terms(b0, model)).ms));
  CHECK(total_macs == macs(b0));
}

TEST_CASE("a part is limited by what limits most of its time", "[explorer]") {
  LatencyModel model = fake_latency();
  model.bound = [](const Op& op) { return op.output().c >= 512 ? Bound::overhead : Bound::memory; };
  const Network b0 = build(cpubone_config("b0"));
  int overhead = 0;
  for (const BreakdownRow& row : break_down(b0, model)) {
    double ns[3] = {};
    for (const Node& node : lowered(b0).nodes)
      if (node.stage == row.stage && op_class(node.op) == row.op_class)
        ns[static_cast<std::size_t>(model.bound(node.op))] += model.op_terms(node.op).ops_ns;
    CHECK(row.bound == (ns[2] > ns[1] ? Bound::overhead : Bound::memory));
    overhead += ns[2] > ns[1] && ns[1] > 0;
  }
  CHECK(overhead > 0);
}

TEST_CASE("the stage that loses most is named with its cause", "[explorer]") {
  Result result;
  ResultNetwork b0;
  b0.name = "cpubone-b0";
  b0.macs = 300'000'000;
  b0.breakdown = {{"stage1", "convolution", 200'000'000, 4, Bound::compute},
                  {"stage2", "convolution", 90'000'000, 2, Bound::compute},
                  {"stage2", "depthwise", 10'000'000, 3, Bound::memory}};
  result.networks.push_back(b0);
  const auto lost = find_lost_time(result);
  REQUIRE(lost.size() == 1);
  CHECK(lost[0].network == "cpubone-b0");
  CHECK(lost[0].best_gmacps == Approx(50));
  CHECK(lost[0].network_ms == Approx(9));
  CHECK(lost[0].network_lost_ms == Approx(3));
  CHECK(lost[0].stage == "stage2");
  CHECK(lost[0].stage_lost_ms == Approx(3));
  CHECK(lost[0].op_class == "depthwise");
  CHECK(lost[0].op_class_lost_ms == Approx(2.8));
  CHECK(lost[0].bound == Bound::memory);
}

TEST_CASE("the gain at a network's accuracy is of the fastest proposal that reaches it",
          "[explorer]") {
  const auto network = [](const char* name, Origin origin, double ms, double top1) {
    ResultNetwork n;
    n.name = name;
    n.origin = origin;
    n.top1 = Top1{{top1, top1 - 0.5, top1 + 0.5}, origin == Origin::proposal, ""};
    n.measured_ms = MeasuredLatency{{ms, 0.99 * ms, 1.01 * ms}, 20, false};
    n.predicted_ms = Interval{1.04 * ms, ms, 1.1 * ms};
    return n;
  };
  Result result;
  result.networks = {network("cpubone-b1", Origin::published, 10, 78.7),
                     network("too-poor", Origin::proposal, 5, 78.9),
                     network("slower", Origin::proposal, 8.5, 79.4),
                     network("faster", Origin::proposal, 8, 79.2)};
  GainFinding gain = find_gain(result, "cpubone-b1", 78.7);
  CHECK(gain.proposal == "faster");
  CHECK(gain.latency_ratio->value == Approx(0.8));
  CHECK(*gain.probability == Approx(0.95).margin(0.005));  // 78.7 is the low end of its interval
  CHECK(gain.holds == true);
  // Faster beyond noise, but not by 10 %.
  result.networks[3].measured_ms->ms = {9.5, 9.4, 9.6};
  result.networks[2].measured_ms->ms = {9.6, 9.5, 9.7};
  CHECK(find_gain(result, "cpubone-b1", 78.7).holds == false);
  // Within noise nothing is claimed; nor are predictions.
  result.networks[3].measured_ms->ms = {8.5, 7, 10};
  CHECK_FALSE(find_gain(result, "cpubone-b1", 78.7).holds);
  result.networks[3].measured_ms = MeasuredLatency{{8, 7.9, 8.1}, 20, true};
  CHECK_FALSE(find_gain(result, "cpubone-b1", 78.7).holds);
  CHECK(find_prediction_error(result)->networks == 2);
  result.networks[3].measured_ms = MeasuredLatency{{8.5, 7, 10}, 20, false};
  gain = find_gain(result, "cpubone-b1", 85);
  CHECK(gain.proposal.empty());
  CHECK(gain.holds == false);
  const auto error = find_prediction_error(result);
  CHECK(error->networks == 3);
  CHECK(error->worst_error == Approx(1 - 8.84 / 9.6));
  CHECK(error->holds == false);
}

TEST_CASE("a crossover is where the model has it", "[explorer]") {
  LatencyModel model = fake_latency();
  // Only depthwise operators cost anything, and as much as fused ones of 100 channels.
  model.op_terms = [](const Op& op) {
    LatencyTerms terms;
    if (is_depthwise(op)) terms.ops_ns = 100'000;
    if (op.kernel_h == 3 && !is_depthwise(op)) terms.ops_ns = 1000.0 * op.input().c;
    return terms;
  };
  const Study study = crossover_study(model);
  CHECK(find_number(study, "first_unfused_channels_at_14")->value == 128);
  CHECK(study.holds == false);
  CHECK(study.columns.size() == study.rows.at(0).size());
}
