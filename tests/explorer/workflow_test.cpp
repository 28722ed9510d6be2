#include "explorer/workflow.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "explorer/exploration_journal.hpp"
#include "explorer/inputs.hpp"
#include "graph/error.hpp"
#include "predictor/features.hpp"
#include "runtime/channel_part.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"
#include "tests/explorer/models.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;
namespace fs = std::filesystem;

namespace {

Timing timing_of(double ns) {
  return {ns, 0.995 * ns, 1.005 * ns, 0.005, std::vector<double>(5, ns), 1, false};
}

double ns_of(const Network& network) {
  const LatencyModel model = fake_latency();
  return 1.06e6 * model.combine(latency_terms(network, model)).ms;
}

/// Some operators of each class that the zoo and the search space have.
const std::vector<Op>& known_ops() {
  static const std::vector<Op> ops = [] {
    std::map<std::string, std::vector<Op>> by_class;
    std::set<std::string> seen;
    const auto add = [&](const Network& network) {
      for (const Node& node : lowered(network).nodes)
        if (seen.insert(text(node.op)).second) by_class[op_class(node.op)].push_back(node.op);
    };
    for (const ZooEntry& entry : zoo()) add(entry.build());
    std::vector<Op> some;
    for (const auto& [name, all] : by_class)
      for (std::size_t i = 0; i < all.size(); i += std::max<std::size_t>(1, all.size() / 25))
        some.push_back(all[i]);
    return some;
  }();
  return ops;
}

/// A machine whose seconds pass only while it measures.
class FakeMachine : public Measurer {
 public:
  explicit FakeMachine(const fs::path& folder) : file_(folder / "profile.json") {}

  fs::path profile_file() const override { return file_; }
  Profile profile(double budget_s, bool, const Progress&) override {
    ++profiles;
    now_s += budget_s;
    Profile profile;
    profile.device.name = "host";
    profile.device.cpu = "Fake CPU";
    profile.device.cores = 2;
    profile.device.l2_bytes = 1 << 20;
    profile.device.llc_bytes = 8 << 20;
    profile.tool_version = version();
    profile.created = "2026-01-31T12:00:00Z";
    profile.seconds = budget_s;
    measure(std::span(known_ops()).first(std::min(most_ops, known_ops().size())), profile);
    save_profile(profile, file_);
    return profile;
  }
  void networks(std::span<const Network> networks, double budget_s, const Progress&,
                Profile& profile) override {
    now_s += budget_s;
    published += networks.size();
    Profile measured = nothing_of(profile);
    for (const Network& network : networks)
      measured.networks.push_back(
          {network.name, "", params(network), macs(network), timing(ns_of(network)), {}, 0});
    merge(profile, measured);
  }
  void ops(std::span<const Op> ops, double budget_s, Profile& profile) override {
    now_s += budget_s;
    learnt += ops.size();
    Profile measured = nothing_of(profile);
    measured.seconds = budget_s;
    measure(ops, measured);
    merge(profile, measured);
  }
  std::vector<Timing> timings(std::span<const Network> networks, int, double budget_s,
                              const Profile&) override {
    if (on_timings) on_timings();
    now_s += budget_s;
    budgets_s.push_back(budget_s);
    std::vector<Timing> timings;
    for (const Network& network : networks) timings.push_back(timing_of(ns_of(network)));
    return timings;
  }

  WorkHooks hooks() {
    WorkHooks hooks;
    hooks.now_s = [this] { return now_s; };
    return hooks;
  }

  double now_s = 0;
  int profiles = 0;
  std::size_t published = 0;
  std::size_t learnt = 0;
  std::vector<double> budgets_s;  ///< of each measuring of networks together
  std::function<void()> on_timings;
  std::function<bool()> is_disturbed = [] { return false; };
  std::size_t most_ops = 1'000'000;  ///< that a profile has time for

 private:
  Timing timing(double ns) const {
    Timing timing = timing_of(ns);
    timing.disturbed = is_disturbed();
    return timing;
  }
  void measure(std::span<const Op> ops, Profile& profile) const {
    for (const Op& op : ops)
      profile.ops.push_back({op, "xnnpack", timing(fake_latency().op_terms(op).ops_ns)});
  }
  static Profile nothing_of(Profile profile) {
    profile.ops.clear();
    profile.networks.clear();
    profile.warnings.clear();
    profile.seconds = 0;
    return profile;
  }
  fs::path file_;
};

fs::path empty_folder(const char* name) {
  const fs::path path = scratch_path(std::string("cpubone-workflow-") + name);
  fs::remove_all(path);
  fs::create_directories(path);
  return path;
}

ExploreRequest request(const fs::path& folder, double explore_s = 1000) {
  ExploreRequest r;
  r.space = default_search_space();
  r.accuracy = published_accuracy_model();
  r.options.search.population = 40;
  r.options.search.evaluations = 3000;
  r.options.rounds = 3;
  r.budget = {0, 0, explore_s, 8};
  r.folder = folder;
  r.provenance = {"2026-01-31T12:00:00Z", "cpubone-explore", 1};
  return r;
}

/// A target that was profiled once for all tests.
const Target& known_target() {
  static const Target target = [] {
    const fs::path path = empty_folder("known");
    FakeMachine machine(path);
    Target made = machine_target(machine, 140, false, {}, published_networks());
    fs::remove_all(path);
    made.file.clear();
    return made;
  }();
  return target;
}

}  // namespace

TEST_CASE("a budget goes half into the profile, and all into exploring where there is one",
          "[explorer]") {
  const Budget fresh = share_out(140, false);
  CHECK(fresh.profile_s + fresh.published_s + fresh.explore_s == Approx(140));
  CHECK(fresh.profile_s == Approx(70));
  CHECK(fresh.round_s == Approx(fresh.explore_s / 6));
  CHECK(share_out(140, true).explore_s == Approx(8.4));
}

TEST_CASE("a machine is profiled once, and its published networks measured once", "[explorer]") {
  const fs::path path = empty_folder("profile");
  FakeMachine machine(path);
  const Target first = machine_target(machine, 140, false, machine.hooks(), published_networks());
  CHECK_FALSE(first.is_known);
  CHECK(machine.profiles == 1);
  CHECK(machine.published == zoo().size());
  CHECK(machine.now_s == Approx(91));
  CHECK(first.file == machine.profile_file());
  const Target second = machine_target(machine, 140, false, machine.hooks(), published_networks());
  CHECK(second.is_known);
  CHECK(machine.profiles == 1);
  CHECK(machine.published == zoo().size());
  CHECK(second.profile == first.profile);
  machine_target(machine, 140, true, machine.hooks(), published_networks());
  CHECK(machine.profiles == 2);
  const std::atomic<bool> stop = true;
  WorkHooks hooks = machine.hooks();
  hooks.cancel = &stop;
  CHECK_THROWS_WITH(machine_target(machine, 140, false, hooks, published_networks()),
                    "interrupted; what was measured is kept, the same command goes on");
  fs::remove_all(path);
}

TEST_CASE("what was disturbed is measured again on the next run, and what was good is kept",
          "[explorer]") {
  const fs::path path = empty_folder("disturbed");
  FakeMachine busy(path);
  busy.is_disturbed = [n = 0]() mutable { return n++ % 4 == 0; };
  Profile first = machine_target(busy, 140, false, busy.hooks(), published_networks()).profile;
  first.warnings = {{"some measurements stayed disturbed", "measure again"}};
  save_profile(first, busy.profile_file());
  const auto disturbed = [](const auto& records) {
    return static_cast<std::size_t>(std::count_if(
        records.begin(), records.end(), [](const auto& r) { return r.timing.disturbed; }));
  };
  REQUIRE(disturbed(first.ops) > 10);
  REQUIRE(disturbed(first.networks) > 10);

  FakeMachine quiet(path);
  const Target second = machine_target(quiet, 140, false, quiet.hooks(), published_networks());
  CHECK(second.is_known);
  CHECK(quiet.profiles == 0);
  CHECK(quiet.learnt == disturbed(first.ops));
  CHECK(quiet.published == disturbed(first.networks));
  CHECK(quiet.now_s == Approx(91.0 / 4).epsilon(0.03));  // a quarter of the time, too
  CHECK(disturbed(second.profile.ops) == 0);
  CHECK(disturbed(second.profile.networks) == 0);
  CHECK(second.profile.warnings.empty());
  CHECK(load_profile(quiet.profile_file()) == second.profile);
  fs::remove_all(path);
}

TEST_CASE("a machine of which all was disturbed is not known", "[explorer]") {
  const fs::path path = empty_folder("all-disturbed");
  FakeMachine machine(path);
  machine.is_disturbed = [] { return true; };
  const Profile first =
      machine_target(machine, 140, false, machine.hooks(), published_networks()).profile;
  machine.is_disturbed = [] { return false; };
  machine.most_ops = 10;
  const Target second = machine_target(machine, 140, false, machine.hooks(), published_networks());
  CHECK_FALSE(second.is_known);
  CHECK(machine.profiles == 2);
  // What there was no time for is known from the first time, if only disturbed.
  CHECK(second.profile.ops.size() == first.ops.size());
  CHECK(std::count_if(second.profile.ops.begin(), second.profile.ops.end(),
                      [](const OpRecord& r) { return !r.timing.disturbed; }) == 10);
  fs::remove_all(path);
}

TEST_CASE("what an exploration learns is in its profile, not in the target it was given",
          "[explorer]") {
  const fs::path path = empty_folder("learn");
  FakeMachine machine(path);
  Target target = known_target();
  target.file = path / "profile.json";
  const Profile before = target.profile;
  const Explored explored = explore_target(target, &machine, request(path), machine.hooks());
  CHECK(target.profile == before);
  CHECK(machine.learnt > 0);
  CHECK(explored.is_complete);
  CHECK(explored.profile.ops.size() > before.ops.size());
  CHECK_FALSE(fs::exists(target.file));
  save(explored, target, path);
  CHECK(load_profile(target.file).ops.size() == explored.profile.ops.size());
  CHECK(load_result(path / "result.json") == explored.result);
  CHECK(fs::exists(path / "networks" / "proposal-1.json"));
  CHECK_FALSE(fs::exists(path / "measured.jsonl"));
  CHECK_FALSE(fs::exists(path / "search.json"));

  const Result& result = explored.result;
  CHECK(result.device.name == "host");
  CHECK(result.device.evidence == Evidence::measured);
  CHECK(result.command == "cpubone-explore");
  CHECK(result.predictor->profile_seconds == explored.profile.seconds);
  CHECK(result.predictor->networks->count == static_cast<int>(zoo().size()));
  for (const char* name : {"fusion", "grouping", "kernel", "operators"})
    CHECK(std::any_of(result.studies.begin(), result.studies.end(),
                      [&](const Study& study) { return study.name == name; }));
  fs::remove_all(path);
}

TEST_CASE("networks in a form are explored from the machine's profile to the result",
          "[explorer]") {
  const fs::path path = empty_folder("form");
  FakeMachine machine(path);
  const NetworkForm form{.height = 256, .width = 256, .features = true};
  const Target target =
      machine_target(machine, 140, false, machine.hooks(), published_networks(form));
  CHECK(known_latencies(target.profile, published_networks()).empty());
  CHECK(known_latencies(target.profile, published_networks(form)).size() ==
        published_networks(form).size());
  CHECK(published_networks(form).size() > 40);
  ExploreRequest r = request({});
  r.form = form;
  const Explored explored = explore_target(target, &machine, r, machine.hooks());
  CHECK(explored.result.device.conditions.back() ==
        Labelled{"networks", "256x256 pixels, without heads"});
  CHECK(explored.result.predictor->networks->count ==
        static_cast<int>(published_networks(form).size()));
  for (const Proposal& p : explored.proposals) {
    CHECK(p.config->resolution == 224);
    CHECK(p.network.inputs[0].shape.h == 256);
  }
  // The whole networks are not known, for what was measured were others.
  FakeMachine other(path);
  machine_target(other, 140, false, other.hooks(), published_networks());
  CHECK(other.published == zoo().size());
  fs::remove_all(path);
}

TEST_CASE("a user's own networks are measured and told beside the published ones", "[explorer]") {
  const fs::path path = empty_folder("own");
  FakeMachine machine(path);
  Network mine = find_network("mobilenetv2-100");
  mine.name = "mine";
  ExploreRequest r = request({});
  r.own = {mine};
  r.accuracy.own = {{"mine", "", 3.5e6, 300e6, 73.2}};
  const std::vector<Network> compared = compared_networks(r.form, r.own);
  const Target target = machine_target(machine, 140, false, machine.hooks(), compared);
  CHECK(machine.published == zoo().size() + 1);
  const Explored explored = explore_target(target, &machine, r, machine.hooks());
  const ResultNetwork* told = find_network(explored.result, "mine");
  REQUIRE(told != nullptr);
  CHECK(told->family == "own");
  CHECK(told->macs == macs(mine));
  CHECK(is_measured(*told));
  CHECK(told->predicted_ms);
  CHECK(told->top1->percent.value == 73.2);
  CHECK(find_network(explored.result, "mobilenetv2-100")->family == "MobileNetV2");
  r.own = {find_network("mobilenetv2-100")};
  CHECK_THROWS_WITH(explore_target(target, &machine, r, machine.hooks()),
                    ContainsSubstring("two are called \"mobilenetv2-100\"; rename a file"));
  fs::remove_all(path);
}

TEST_CASE("rounds end with the budget of the clock that is passed in", "[explorer]") {
  const auto measurings = [](double explore_s) {
    FakeMachine machine("");
    explore_target(known_target(), &machine, request({}, explore_s), machine.hooks());
    return machine.budgets_s.size();
  };
  CHECK(measurings(1) == 2);  // B0 to B3, and one round
  CHECK(measurings(1000) > 2);
}

TEST_CASE("each measuring has the time of its own networks, whatever was measured before",
          "[explorer]") {
  FakeMachine machine("");
  ExploreRequest r = request({});
  r.budget.round_s = 2;
  explore_target(known_target(), &machine, r, machine.hooks());
  CHECK(machine.budgets_s.at(0) == Approx(2));         // B0 to B3: 1.6 s would do
  CHECK(machine.budgets_s.at(1) == Approx(14 * 0.4));  // and ten candidates
  CHECK(networks_s(r.budget, 4) == Approx(2));
}

TEST_CASE("an exploration that was killed measures nothing twice and ends as if it had not been",
          "[explorer]") {
  const fs::path path = empty_folder("kill");
  constexpr double explore_s = 45;  // two rounds, where what is known counts as time
  FakeMachine whole("");
  const Explored expected =
      explore_target(known_target(), &whole, request({}, explore_s), whole.hooks());
  REQUIRE(whole.budgets_s.size() == 4);

  const pid_t child = ::fork();
  if (child == 0) {
    FakeMachine machine("");
    machine.on_timings = [&] {
      if (machine.budgets_s.size() == 2) ::_exit(9);
    };
    explore_target(known_target(), &machine, request(path, explore_s), machine.hooks());
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WEXITSTATUS(status) == 9);

  FakeMachine machine("");
  const Explored resumed =
      explore_target(known_target(), &machine, request(path, explore_s), machine.hooks());
  CHECK(machine.budgets_s.size() == whole.budgets_s.size() - 2);
  CHECK(machine.learnt < whole.learnt);
  const bool same = resumed.result == expected.result;
  CHECK(same);

  // All of it is known now; another machine's is not.
  FakeMachine again("");
  explore_target(known_target(), &again, request(path, explore_s), again.hooks());
  CHECK(again.budgets_s.empty());
  CHECK(again.learnt == 0);
  Target other = known_target();
  other.profile.device.cpu = "Other CPU";
  explore_target(other, &again, request(path, explore_s), again.hooks());
  CHECK(again.budgets_s.size() == whole.budgets_s.size());
  ExploreRequest afresh = request(path, explore_s);
  afresh.afresh = true;
  FakeMachine fresh("");
  explore_target(other, &fresh, afresh, fresh.hooks());
  CHECK(fresh.budgets_s.size() == whole.budgets_s.size());
  fs::remove_all(path);
}

TEST_CASE("an exploration that is stopped keeps what it measured for the next", "[explorer]") {
  const fs::path path = empty_folder("stop");
  FakeMachine machine("");
  std::atomic<bool> stop = false;
  WorkHooks hooks = machine.hooks();
  hooks.cancel = &stop;
  hooks.progress = [&](std::string_view, double, const std::string& detail) {
    stop = stop || (detail.rfind("searching", 0) == 0 && machine.budgets_s.size() == 2);
  };
  const Explored explored = explore_target(known_target(), &machine, request(path), hooks);
  CHECK_FALSE(explored.is_complete);
  save(explored, known_target(), path);
  CHECK(fs::exists(path / "result.json"));
  CHECK(fs::exists(path / "measured.jsonl"));
  fs::remove_all(path);
}

TEST_CASE("an exploration with a coprocessor searches by latencies of shared layers",
          "[explorer]") {
  CoExecutionProfile profile;
  profile.cpu = known_target().profile;
  profile.coprocessor = profile.cpu;
  profile.coprocessor.device.coprocessor = "a fake GPU";
  std::erase_if(profile.coprocessor.ops,
                [](const OpRecord& record) { return !has_channel_parts(record.op); });
  for (OpRecord& record : profile.coprocessor.ops)
    record.timing = timing_of(2e4 + record.timing.median_ns / 2);
  Target target = predicted_target(fit_co_execution(profile));
  target.co_execution->shared_mape = 0.3;
  ExploreRequest asked = request({});
  asked.options.search.evaluations = 300;
  const Result result = explore_target(target, nullptr, asked, {}).result;
  REQUIRE(result.co_execution);
  CHECK(result.co_execution->coprocessor == "a fake GPU");
  int proposals = 0;
  double most = 0;
  for (const SharedNetwork& shared : result.co_execution->networks) {
    const ResultNetwork* n = find_network(result, shared.name);
    REQUIRE(n != nullptr);
    CHECK(n->predicted_ms->value == Approx(shared.predicted_ms.value));
    CHECK_FALSE(n->measured_ms);
    CHECK(shared.predicted_ms.value < 1.001 * shared.cpu_alone_ms.value);
    most = std::max(most, shared.cpu_alone_ms.value / shared.predicted_ms.value);
    proposals += n->origin == Origin::proposal ? 1 : 0;
  }
  CHECK(most > 1.2);
  CHECK(std::any_of(result.warnings.begin(), result.warnings.end(), [](const Warning& warning) {
    return warning.what.find("a mean error of 30 %") != std::string::npos;
  }));
  CHECK(proposals >= 5);
}

TEST_CASE("studies are predicted where nothing measures", "[explorer]") {
  const std::vector<std::string> names{"upsampling"};
  FakeMachine machine("");
  const std::vector<Study> measured =
      run_studies(known_target(), &machine, names, 30, machine.hooks());
  CHECK(machine.budgets_s == std::vector<double>{30});
  const std::vector<Study> predicted = run_studies(known_target(), nullptr, names, 0, {});
  CHECK(predicted.at(0).predicted);
  CHECK_FALSE(measured.at(0).predicted);
  CHECK(studies_s(12) == Approx(240));
  CHECK_THROWS_WITH(run_studies(known_target(), nullptr, std::vector<std::string>{"colour"}, 0, {}),
                    ContainsSubstring("study: got \"colour\", expected one of operators"));
}

TEST_CASE("what was measured twice is found twice, first what was measured first", "[explorer]") {
  const fs::path path = empty_folder("journal");
  const Network networks[] = {build(cpubone_config("nano"))};
  const auto record = [&](double ns) {
    return std::vector<NetworkRecord>{{"nano", "", 1, 1, timing_of(ns), {}, 0}};
  };
  {
    ExplorationJournal journal(path / "journal", "machine");
    CHECK_FALSE(journal.find(networks));
    journal.add(networks, record(1e6), 3);
    journal.add(networks, record(2e6), 4);
  }
  ExplorationJournal journal(path / "journal", "machine");
  const auto first = journal.find(networks);
  const auto second = journal.find(networks);
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->records.at(0).timing == timing_of(1e6));
  CHECK(first->seconds == 3);
  CHECK(second->records.at(0).timing == timing_of(2e6));
  CHECK_FALSE(journal.find(networks));
  CHECK_FALSE(journal.find(std::vector<Op>{networks[0].nodes[0].op}));
  journal.remove();
  CHECK_FALSE(fs::exists(path / "journal"));
  fs::remove_all(path);
}
