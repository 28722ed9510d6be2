// How right predictors of recorded machines are about networks and operators that they have not
// seen; measures nothing.
// machines [<folder with a folder of profiles a machine>]
#include <algorithm>
#include <cmath>
#include <optional>

#include "benchmarks/recordings.hpp"
#include "benchmarks/rows.hpp"
#include "explorer/correction.hpp"
#include "explorer/inputs.hpp"
#include "graph/error.hpp"

using namespace cpubone;

namespace {

constexpr std::size_t enough_ops = 100;  // for a predictor of one's own
constexpr std::size_t few_ops = 30;      // that another machine's predictor is adapted by

Profile few_of(const Profile& profile) {
  Profile few = profile;
  few.networks.clear();
  few.ops.clear();
  const std::size_t count = std::min(few_ops, profile.ops.size());
  for (std::size_t i = 0; i < count; ++i)
    few.ops.push_back(profile.ops[i * profile.ops.size() / count]);
  return few;
}

void tell_machine(Rows& rows, const Recording& recording, const Judgement& judgement) {
  const std::string& name = recording.name;
  const auto disturbed =
      std::count_if(recording.profile.ops.begin(), recording.profile.ops.end(),
                    [](const OpRecord& record) { return record.timing.disturbed; });
  const OperatorQuality& o = judgement.operators;
  rows.inform(name + ": operators held out, MAPE", 100 * o.mape, "%",
              fmt::format("{} of {} operators, {} marked disturbed", o.count,
                          recording.profile.ops.size(), disturbed));
  rows.inform(name + ": operators held out, within 10 %", 100 * o.within_10, "%");
  rows.inform(name + ": operators held out, in the 90 % interval", 100 * o.covered, "%");
  if (judgement.networks.empty()) return;
  const PredictionQuality q = prediction_quality(judgement.networks);
  rows.inform(name + ": networks, RMSPE", 100 * q.rmspe, "%",
              fmt::format("{} networks, bias {:+.1f} %, worst {:.1f} %", q.count, 100 * q.bias,
                          100 * q.worst));
  rows.inform(name + ": networks, within 5 %", 100 * q.within_5, "%");
  rows.inform(name + ": networks, within 10 %", 100 * q.within_10, "%");
  rows.inform(name + ": networks, in the 90 % interval", 100 * q.covered, "%");
  rows.inform(name + ": networks, Spearman", q.spearman, "");
}

/// What an exploration does: it measures B0 to B3, and corrects all predictions by them.
void tell_correction(Rows& rows, const Recording& recording, const Predictor& predictor) {
  const LatencyModel model = latency_model(predictor);
  std::vector<Confirmed> confirmed;
  double log_pace = 0;
  std::vector<std::size_t> others;
  for (std::size_t i = 0; i < recording.networks.size(); ++i) {
    const std::string& name = recording.networks[i].name;
    if (name.size() != 10 || !name.starts_with("cpubone-b")) {
      others.push_back(i);
      continue;
    }
    const LatencyTerms t = terms(predictor, recording.networks[i]);
    confirmed.push_back({t, model.combine(t).ms, recording.measured_ns[i] * 1e-6});
    log_pace += std::log(confirmed.back().measured_ms / confirmed.back().predicted_ms);
  }
  if (confirmed.empty() || others.empty()) return;
  const double pace = std::exp(log_pace / static_cast<double>(confirmed.size()));
  const LatencyModel better = corrected(model, confirmed);
  std::vector<Comparison> raw;
  std::vector<Comparison> rescaled;
  std::vector<Comparison> by_correction;
  for (const std::size_t i : others) {
    const LatencyTerms t = terms(predictor, recording.networks[i]);
    const LatencyEstimate e = model.combine(t);
    const LatencyEstimate c = better.combine(t);
    const double ms = recording.measured_ns[i] * 1e-6;
    raw.push_back({recording.networks[i].name, ms, e.ms, e.low_ms, e.high_ms});
    rescaled.push_back({"", ms, pace * e.ms, pace * e.low_ms, pace * e.high_ms});
    by_correction.push_back({"", ms, c.ms, c.low_ms, c.high_ms});
  }
  const auto row = [&](const char* how, const std::vector<Comparison>& comparisons) {
    const PredictionQuality q = prediction_quality(comparisons);
    rows.inform(fmt::format("{}: but B0 to B3, {}: RMSPE", recording.name, how), 100 * q.rmspe, "%",
                fmt::format("{} networks, bias {:+.1f} %, {:.0f} % in the 90 % interval", q.count,
                            100 * q.bias, 100 * q.covered));
  };
  row("as predicted", raw);
  row("rescaled by them", rescaled);
  row("corrected by them", by_correction);
}

void tell_transfer(Rows& rows, const Predictor& from, const std::string& from_name,
                   const Recording& to) {
  if (to.networks.empty()) return;
  const Profile few = few_of(to.profile);
  double expected_error = 0;
  const Predictor adapted = adapt_predictor(from, few, {}, &expected_error);
  const PredictionQuality q = prediction_quality(compare(adapted, to));
  rows.inform(
      fmt::format("{} from {}: MAPE", to.name, from_name), 100 * q.mape, "%",
      fmt::format("{} operators, expected error {:.1f} % an operator, Spearman {:.3f}, {:.0f} "
                  "% in the 90 % interval",
                  few.ops.size(), 100 * expected_error, q.spearman, 100 * q.covered));
}

void run(std::span<const std::string> arguments, Rows& rows) {
  std::vector<Recording> recordings =
      load_recordings(arguments.empty() ? CPUBONE_FIXTURES "/machines" : arguments[0]);
  std::vector<std::optional<Predictor>> predictors;
  for (const Recording& recording : recordings) {
    predictors.emplace_back();
    if (recording.profile.ops.size() < enough_ops) continue;
    Judgement judgement = judge(recording);
    tell_machine(rows, recording, judgement);
    tell_correction(rows, recording, judgement.predictor);
    predictors.back() = std::move(judgement.predictor);
  }
  for (std::size_t from = 0; from < recordings.size(); ++from)
    for (std::size_t to = 0; to < recordings.size(); ++to)
      if (from != to && predictors[from])
        tell_transfer(rows, *predictors[from], recordings[from].name, recordings[to]);
}

}  // namespace

int main(int argc, char** argv) {
  return run_benchmark("machines [FOLDER]", 1, argc, argv, run);
}
