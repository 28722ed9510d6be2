// How right predictors of recorded machines are about networks and operators that they have not
// seen; measures nothing.
// machines [<folder with a folder of profiles a machine>]
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>

#include "benchmarks/recordings.hpp"
#include "benchmarks/rows.hpp"
#include "explorer/correction.hpp"
#include "explorer/inputs.hpp"
#include "graph/error.hpp"
#include "predictor/adaptation.hpp"
#include "predictor/features.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "space/random_network.hpp"

using namespace cpubone;

namespace {

constexpr std::size_t enough_ops = 100;                    // for a predictor of one's own
constexpr std::array<std::size_t, 3> few_ops{10, 30, 50};  // that another's is adapted by
constexpr std::size_t candidates = 300;                    // that these are chosen of

Profile with_ops(const Profile& profile, std::span<const std::size_t> which) {
  Profile few = profile;
  few.networks.clear();
  few.ops.clear();
  for (const std::size_t i : which) few.ops.push_back(profile.ops[i]);
  return few;
}

std::vector<std::size_t> spread_evenly(std::size_t count, std::size_t of) {
  std::vector<std::size_t> which;
  for (std::size_t i = 0; i < count; ++i) which.push_back(i * of / count);
  return which;
}

/// Recordings that were made by older plans lack classes of operators.
bool knows(const Predictor& predictor, const Op& op) {
  return std::any_of(predictor.classes.begin(), predictor.classes.end(),
                     [&](const ClassModel& model) { return model.name == op_class(op); });
}

/// Operators of a profile in the order in which one would measure them there: each tells most
/// about the networks that profiles calibrate on, after those before it.
std::vector<std::size_t> chosen_actively(const Predictor& from, const Profile& to,
                                         std::size_t count) {
  const std::vector<std::size_t> known_ops =
      spread_evenly(std::min(candidates, to.ops.size()), to.ops.size());
  std::vector<Adaptation::Subject> subjects;
  for (const std::size_t i : known_ops) subjects.push_back({{to.ops[i].op}, false});
  for (const Network& network : calibration_networks()) {
    const Network executed = lowered(network);
    if (std::all_of(executed.nodes.begin(), executed.nodes.end(),
                    [&](const Node& node) { return knows(from, node.op); }))
      subjects.push_back(subject_of(network));
  }
  const Adaptation adaptation(from, to.device, to.settings.threads, subjects);
  std::vector<std::size_t> all(subjects.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  const auto ops = std::span(all).first(known_ops.size());
  std::vector<Adaptation::Observation> known;
  std::vector<std::size_t> chosen;
  while (chosen.size() < count) {
    const std::size_t next =
        adaptation.most_informative(ops, std::span(all).subspan(ops.size()), known);
    chosen.push_back(known_ops[next]);
    const Timing& timing = to.ops[chosen.back()].timing;
    known.push_back({next, timing.median_ns, relative_error(timing)});
  }
  return chosen;
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

void tell_transfer(Rows& rows, const Predictor& from, const std::string& from_name, Recording to) {
  std::erase_if(to.profile.ops, [&](const OpRecord& record) { return !knows(from, record.op); });
  if (to.networks.empty()) return;
  const std::size_t most = std::min(few_ops.back(), to.profile.ops.size());
  const std::vector<std::size_t> chosen = chosen_actively(from, to.profile, most);
  const auto tell = [&](std::string_view how, std::span<const std::size_t> which) {
    double expected_error = 0;
    const Predictor adapted =
        adapt_predictor(from, with_ops(to.profile, which), {}, &expected_error);
    const PredictionQuality q = prediction_quality(compare(adapted, to));
    rows.inform(fmt::format("{} from {}, {} {}: MAPE", to.name, from_name, which.size(), how),
                100 * q.mape, "%",
                fmt::format("expected error {:.1f} % an operator, Spearman {:.3f}, {:.0f} % in "
                            "the 90 % interval",
                            100 * expected_error, q.spearman, 100 * q.covered));
  };
  for (const std::size_t count : few_ops) {
    if (count > most) break;
    tell("spread evenly", spread_evenly(count, to.profile.ops.size()));
    tell("chosen actively", std::span(chosen).first(count));
  }
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
      if (from != to && predictors[from] &&
          recordings[from].profile.settings.dtype == recordings[to].profile.settings.dtype)
        tell_transfer(rows, *predictors[from], recordings[from].name, recordings[to]);
}

}  // namespace

int main(int argc, char** argv) {
  return run_benchmark("machines [FOLDER]", 1, argc, argv, run);
}
