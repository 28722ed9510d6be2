#include "benchmarks/replay.hpp"

#include <algorithm>
#include <fstream>

#include "benchmarks/recordings.hpp"
#include "profiler/host_profile.hpp"
#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;

namespace {

const KnownMachine& machine() {
  static const KnownMachine known(
      judge(load_recordings(CPUBONE_FIXTURES "/machines").front()).predictor);
  return known;
}

Trace made(const std::string& name) {
  const std::vector<Trace> traces = made_traces();
  return *std::find_if(traces.begin(), traces.end(),
                       [&](const Trace& trace) { return trace.name == name; });
}

}  // namespace

TEST_CASE("a profile of a machine that throttles is at the pace that it keeps", "[replay]") {
  const ReplayQuality q = replay(machine(), made("throttling"), 90, 1);
  CHECK(q.typical_pace == Approx(1.6));
  CHECK(q.networks.rmspe < 0.025);
  CHECK(q.networks.covered > 0.8);
  CHECK(q.operators_mape < 0.045);
  CHECK(q.records_covered > 0.65);  // the pace is known to 1 or 2 %, their medians better
}

TEST_CASE("on a host whose pace never rests profiles are at its mean", "[replay]") {
  const ReplayQuality q =
      replay(machine(), load_trace(CPUBONE_FIXTURES "/traces/busy-host.csv"), 90, 1);
  CHECK(q.typical_pace == Approx(1.63).epsilon(0.03));
  CHECK(q.measured_networks == 40);
  CHECK(q.operators == host_profile_spread_ops + 500);
  CHECK(q.networks.rmspe < 0.035);
  CHECK(q.networks.covered > 0.85);
  CHECK(q.operators_mape < 0.07);
  CHECK(q.records_covered > 0.8);
}

TEST_CASE("a trace that is none is refused by line", "[replay]") {
  const std::filesystem::path path = scratch_path("trace.csv");
  const auto error_of = [&](const std::string& text) {
    std::ofstream(path) << text;
    try {
      load_trace(path);
    } catch (const std::exception& e) {
      return std::string(e.what()).substr(path.string().size());
    }
    return std::string();
  };
  CHECK(error_of("time,pace\n") == ":1: expected the columns seconds,pace, got \"time,pace\"");
  CHECK(error_of("seconds,pace\n0,1\n0.1,fast\n") ==
        ":3: expected seconds and a pace above 0, got \"0.1,fast\"");
  CHECK(error_of("seconds,pace\n0,0\n") == ":2: expected seconds and a pace above 0, got \"0,0\"");
  CHECK(error_of("seconds,pace\n0,1\n") == ": expected at least two readings in order of time");
}
