#include "profiler/pace.hpp"

#include <algorithm>
#include <cmath>

#include "profiler/statistics.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

constexpr double truth_ns(std::size_t task) {
  return 1e4 * static_cast<double>(task + 1);
}

/// Factors around 1 that scatter by `spread` without a pattern.
double noise(std::size_t task, int round, double spread) {
  const double phase = 12.9898 * static_cast<double>(task) + 78.233 * round;
  const double uniform = std::abs(std::fmod(std::sin(phase) * 43758.5453, 1.0));
  return std::exp(spread * (uniform - 0.5));
}

/// Samples of each task in each of the rounds, which are a second apart.
template <typename Factor>
std::vector<std::vector<Sample>> measured(std::size_t tasks, int rounds, Factor factor) {
  std::vector<std::vector<Sample>> samples(tasks);
  for (int round = 0; round < rounds; ++round)
    for (std::size_t task = 0; task < tasks; ++task)
      samples[task].push_back(
          {static_cast<int>(task), truth_ns(task) * factor(task, round), 1000, false, 1.0 * round});
  return samples;
}

std::vector<double> medians(const std::vector<std::vector<Sample>>& samples) {
  const std::vector<int> runs(samples.size(), 1);
  std::vector<double> all;
  for (const std::vector<double>& ns : at_typical_pace(samples, runs).durations_ns)
    all.push_back(median(ns));
  return all;
}

double worst_error(const std::vector<double>& medians) {
  double worst = 0;
  for (std::size_t task = 0; task < medians.size(); ++task)
    worst = std::max(worst, std::abs(medians[task] / truth_ns(task) - 1));
  return worst;
}

}  // namespace

TEST_CASE("without noise durations stay what they are", "[pace]") {
  const auto samples = measured(50, 10, [](std::size_t, int) { return 1.0; });
  CHECK(worst_error(medians(samples)) < 1e-9);
}

TEST_CASE("rounds that are slower throughout are brought to the typical pace", "[pace]") {
  const auto factor = [](std::size_t task, int round) {
    return (round < 4 ? 1.4 : 1.0) * noise(task, round, 0.02);
  };
  const auto samples = measured(60, 10, factor);
  CHECK(worst_error(medians(samples)) < 0.01);
}

TEST_CASE("a task that was measured while the machine was slow is brought to the typical pace",
          "[pace]") {
  auto samples = measured(60, 12, [](std::size_t task, int round) {
    return (round < 4 ? 1.4 : 1.0) * noise(task, round, 0.02);
  });
  samples[7].resize(4);
  CHECK(medians(samples)[7] == Approx(truth_ns(7)).epsilon(0.01));
}

TEST_CASE("the pace of most of the time is typical, not that of most rounds", "[pace]") {
  // Rounds of all tasks, then many short ones of a task that is not done.
  auto samples =
      measured(60, 6, [](std::size_t task, int round) { return noise(task, round, 0.02); });
  for (int round = 6; round < 600; ++round)
    samples[0].push_back({0, truth_ns(0) * 1.4 * noise(0, round, 0.02), 1000, false, 1.0 * round});
  CHECK(medians(samples)[30] == Approx(truth_ns(30)).epsilon(0.01));
}

TEST_CASE("a drift stays many regimes, so that its typical pace can be found again", "[pace]") {
  const auto samples = measured(60, 40, [](std::size_t, int round) { return 1 + 0.0025 * round; });
  const std::vector<int> runs(samples.size(), 1);
  const std::vector<PaceRegime> paces = at_typical_pace(samples, runs).paces;
  double left_s = 0;
  for (const PaceRegime& regime : paces) left_s += regime.seconds / 2;
  double typical = 0;  // of a drift regimes are in order of pace
  for (const PaceRegime& regime : paces) {
    typical = regime.pace;
    if ((left_s -= regime.seconds) <= 0) break;
  }
  CHECK(typical == Approx(1).epsilon(0.004));
}

TEST_CASE("what scatters within rounds is not taken for the pace of rounds", "[pace]") {
  const auto samples = measured(40, 30, [](std::size_t t, int r) { return noise(t, r, 0.6); });
  const std::vector<double> corrected = medians(samples);
  std::vector<double> own;
  double change = 0;
  for (std::size_t task = 0; task < samples.size(); ++task) {
    std::vector<double> ns;
    for (const Sample& sample : samples[task]) ns.push_back(sample.ns);
    change += std::abs(corrected[task] / median(ns) - 1) / 40;
  }
  CHECK(change < 0.03);  // the mean is 1.5 % above the median, too
}

TEST_CASE("a pace that changes within rounds is followed where samples tell it", "[pace]") {
  // Samples a millisecond apart, in runs of 7 a third of which are at half the speed.
  constexpr std::size_t tasks = 40;
  std::vector<std::vector<Sample>> samples(tasks);
  double mean = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto task = static_cast<std::size_t>(i * 7 + i / 40) % tasks;
    const double pace = noise(99, i / 7, 1) < 0.85 ? 2 : 1;
    mean += pace / 2000;
    samples[task].push_back({static_cast<int>(task), truth_ns(task) * pace * noise(task, i, 0.02),
                             1000, false, 0.001 * i});
  }
  const std::vector<int> runs(tasks, 1);
  double widest = 0;
  const PacedSamples paced = at_typical_pace(samples, runs);
  for (std::size_t task = 0; task < tasks; ++task) {
    CHECK(median(paced.durations_ns[task]) == Approx(mean * truth_ns(task)).epsilon(0.1));
    widest = std::max(widest, summarise(paced.durations_ns[task], 1).mdape);
  }
  CHECK(widest < 0.1);
}

TEST_CASE("a pace that changes too fast counts by its mean, as operators add up", "[pace]") {
  // Three of four samples at pace 1, one at 2: a network takes 1.25 of its operators' medians.
  const auto samples = measured(40, 40, [](std::size_t task, int round) {
    return (static_cast<int>(task) + round) % 4 == 0 ? 2.0 : 1.0;
  });
  for (std::size_t task = 0; task < 40; task += 13)
    CHECK(medians(samples)[task] == Approx(1.25 * truth_ns(task)).epsilon(0.01));
}

TEST_CASE("tasks without samples have no durations", "[pace]") {
  auto samples = measured(3, 2, [](std::size_t, int) { return 1.0; });
  samples[1].clear();
  const std::vector<int> runs(3, 1);
  CHECK(at_typical_pace(samples, runs).durations_ns[1].empty());
  CHECK(at_typical_pace({}, {}).durations_ns.empty());
}

namespace {

Timing timing_of(double ns) {
  return {.median_ns = ns, .low_ns = 0.99 * ns, .high_ns = 1.01 * ns, .samples_ns = {ns}};
}

Profile profile_of(std::size_t ops, double ns, std::vector<PaceRegime> paces) {
  Profile profile;
  for (std::size_t i = 0; i < ops; ++i) {
    profile.ops.push_back({parse_op("linear 1x1x1x8->1x1x1x8 f32"), "xnnpack", timing_of(ns)});
    profile.ops.back().timing.samples_ns.assign(5, ns);
  }
  profile.paces = std::move(paces);
  return profile;
}

/// So many that the profile knows, and one that is new.
std::vector<PacedTask> tasks_of(std::size_t known, double ns, bool moves_data = false) {
  std::vector<PacedTask> tasks(known, {ns, moves_data});
  tasks.push_back({0, moves_data});
  return tasks;
}

}  // namespace

TEST_CASE("a run at another pace is brought to that of most of the time", "[pace]") {
  // Ten seconds; then 30 during which what takes 100 us took 150 us.
  Profile profile = profile_of(6, 100e3, {{10, 1}});
  SampleReport report;
  report.timings.assign(6, timing_of(150e3));
  report.timings.push_back(timing_of(300e3));
  report.paces = {{30, 1}};
  bring_to_common_pace(profile, report, tasks_of(6, 100e3));
  CHECK(profile.ops[0].timing.median_ns == Approx(150e3));
  CHECK(profile.ops[0].timing.samples_ns[0] == Approx(150e3));
  CHECK(report.timings.back().median_ns == Approx(300e3));
  REQUIRE(profile.paces.size() == 2);
  CHECK(profile.paces[0].pace == Approx(1 / 1.5));
  CHECK(profile.paces[1].pace == Approx(1));

  SECTION("and a shorter one to the profile's") {
    SampleReport shorter;
    shorter.timings.assign(6, timing_of(200e3));
    shorter.timings.push_back(timing_of(300e3));
    shorter.paces = {{10, 1}};
    bring_to_common_pace(profile, shorter, tasks_of(6, 150e3));
    CHECK(profile.ops[0].timing.median_ns == Approx(150e3));
    CHECK(shorter.timings.back().median_ns == Approx(300e3 * 3 / 4));
    CHECK(profile.paces.back().pace == Approx(4.0 / 3));
    CHECK(profile.paces.back().seconds == Approx(10));
  }
}

TEST_CASE("what moves data is brought to the pace at which the profile's does", "[pace]") {
  // What calculates takes as long as before, what moves data 20 % less.
  Profile profile = profile_of(12, 100e3, {{10, 1}});
  SampleReport report;
  std::vector<PacedTask> tasks = tasks_of(6, 100e3);
  report.timings.assign(6, timing_of(100e3));
  report.timings.push_back(timing_of(300e3));
  for (const PacedTask& task : tasks_of(6, 100e3, true)) {
    tasks.push_back(task);
    report.timings.push_back(timing_of(task.known_ns > 0 ? 80e3 : 240e3));
  }
  report.paces = {{5, 1}};
  bring_to_common_pace(profile, report, tasks);
  REQUIRE(report.timings.size() == 2);
  CHECK(report.timings[0].median_ns == Approx(300e3).epsilon(0.02));
  CHECK(report.timings[1].median_ns == Approx(300e3).epsilon(0.02));
  CHECK(profile.ops[0].timing.median_ns == Approx(100e3).epsilon(0.02));

  CHECK(moves_data(parse_op("add 1x28x28x64,1x28x28x64->1x28x28x64 f32")));
  CHECK_FALSE(moves_data(parse_op("conv2d 1x28x28x64->1x28x28x64 k3x3 s1 p1,1,1,1 g64 f32")));
}

TEST_CASE("noise of what two runs have in common is no pace", "[pace]") {
  Profile profile = profile_of(6, 100e3, {{10, 1}});
  SampleReport report;
  for (const double ns : {70e3, 80e3, 95e3, 107e3, 120e3, 140e3})
    report.timings.push_back(timing_of(ns));
  report.timings.push_back(timing_of(300e3));
  report.paces = {{5, 1}};
  bring_to_common_pace(profile, report, tasks_of(6, 100e3));
  CHECK(report.timings.back().median_ns == Approx(300e3));
  CHECK(profile.paces.size() == 1);
}

TEST_CASE("runs are compared by operators that are known well and neither long nor very short",
          "[pace]") {
  Profile profile = profile_of(30, 100e3, {});
  profile.ops[3].timing.median_ns = 5e3;
  profile.ops[4].timing.median_ns = 5e6;
  profile.ops[5].timing.samples_ns.resize(2);
  profile.ops[6].timing.high_ns = 150e3;
  for (int i = 0; i < 3; ++i) {
    profile.ops.push_back(profile.ops[0]);
    profile.ops.back().op = parse_op("add 1x28x28x64,1x28x28x64->1x28x28x64 f32");
  }
  const std::vector<std::size_t> chosen = anchors(profile);
  CHECK(chosen.size() == 12 + 3);
  for (const std::size_t poor : {3U, 4U, 5U, 6U})
    CHECK(std::find(chosen.begin(), chosen.end(), poor) == chosen.end());
}
