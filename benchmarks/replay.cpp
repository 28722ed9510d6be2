// How right the sampler and a predictor made of its profile are on a machine whose every latency is
// known, while its pace changes as a trace says; no real time passes.
// replay [<trace, CSV of seconds,pace> [<budget in s>]]
#include "benchmarks/replay.hpp"

#include <charconv>

#include "benchmarks/recordings.hpp"
#include "benchmarks/rows.hpp"
#include "profiler/host_profile.hpp"

using namespace cpubone;

namespace {

constexpr int draws = 4;  // one is as good or bad as all of its networks together

void tell(Rows& rows, const KnownMachine& machine, const Trace& trace, double budget_s) {
  const ReplayQuality q = replay(machine, trace, budget_s, draws);
  const bool steady = trace.name == "quiet";
  const auto row = [&](const char* what, double value, double goal_quiet, double goal,
                       const char* sense, const std::string& note = "") {
    rows.add(trace.name + ": " + what, 100 * value, "%", steady ? goal_quiet : goal, sense, note);
  };
  row("networks, RMSPE", q.networks.rmspe, 2, 3.5, "<=",
      fmt::format("46 networks, {} predictions, bias {:+.1f} %, worst {:.1f} %", q.networks.count,
                  100 * q.networks.bias, 100 * q.networks.worst));
  row("networks, within 5 %", q.networks.within_5, 97, 80, ">=");
  row("networks, within 10 %", q.networks.within_10, 99.99, 98, ">=");
  row("networks, in the 90 % interval", q.networks.covered, 85, 85, ">=", "and at most 95 %");
  row("operators held out, MAPE", q.operators_mape, 4, 7, "<=");
  row("operators held out, within 10 %", q.operators_within_10, 95, 80, ">=");
  row("two profiles, 95th percentile", q.repeat_95, 2, 6, "<=", "operators above 10 µs");
  rows.inform(trace.name + ": measured operators, in the 95 % interval", 100 * q.records_covered,
              "%",
              fmt::format("{} operators, {} disturbed, {} of {} networks, {:.0f} s at a pace of "
                          "{:.2f} the last time",
                          q.operators, q.disturbed, q.measured_networks, 40 * draws, q.seconds,
                          q.typical_pace));
}

void run(std::span<const std::string> arguments, Rows& rows) {
  double budget_s = 90;
  if (arguments.size() > 1) {
    const std::string& text = arguments[1];
    if (std::from_chars(text.data(), text.data() + text.size(), budget_s).ptr !=
            text.data() + text.size() ||
        !(budget_s > 0))
      throw std::invalid_argument("budget: got \"" + text + "\", expected seconds above 0");
  }
  std::vector<Trace> traces;
  if (arguments.empty()) {
    traces = made_traces();
    traces.push_back(load_trace(CPUBONE_FIXTURES "/traces/busy-host.csv"));
  } else {
    traces.push_back(load_trace(arguments[0]));
  }
  const KnownMachine machine(
      judge(load_recordings(CPUBONE_FIXTURES "/machines").front()).predictor);
  for (const Trace& trace : traces) tell(rows, machine, trace, budget_s);
}

}  // namespace

int main(int argc, char** argv) {
  return run_benchmark("replay [TRACE.csv [SECONDS]]", 2, argc, argv, run);
}
