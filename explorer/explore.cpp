#include "explorer/explore.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <utility>

#include "explorer/assembly.hpp"
#include "explorer/confirmation.hpp"
#include "explorer/next.hpp"
#include "explorer/robust.hpp"
#include "explorer/seeds.hpp"
#include "explorer/selection.hpp"
#include "runtime/steady_clock.hpp"
#include "space/zoo.hpp"

namespace cpubone {
namespace {

constexpr std::size_t most_compared = 300;  // beside the front, to tell what choosing does
constexpr std::size_t most_trained = 150;   // candidates for training
constexpr int choice_draws = 100;
constexpr double settled = 0.005;  // growth of the confirmed front that is no improvement

class Explorer {
 public:
  Explorer(const ExploreInput& input, const ExploreOptions& options)
      : input_(input), options_(options), started_s_(now_s()) {
    check(options);
    state_.latency = input.latency;
    if (input.measure && !input.elsewhere.empty())
      throw std::invalid_argument("explore: several devices are predicted, not measured");
    evaluator_.emplace(input.space, state_.latency, input.accuracy, input.form, input.elsewhere);
  }

  Exploration run() {
    find_references();
    // What the predictor misses on the references today corrects it before anything is chosen by
    // it.
    if (input_.measure && !cancelled()) confirm({}, 0);
    double volume = 0;
    const int rounds = input_.measure ? options_.rounds : 1;
    for (int round = 0; round < rounds; ++round) {
      if (round_evaluations(round) == 0) break;
      run_search(round);
      const std::vector<std::size_t> chosen = pick();
      if (!input_.measure || chosen.empty() || cancelled()) break;
      if (round > 0 && elapsed_s() > options_.budget_seconds) break;
      const double before = elapsed_s();
      learn(chosen, round);
      confirm(chosen, round);
      const double round_seconds = elapsed_s() - before;
      const double now = confirmed_volume(state_.references, state_.picks);
      const bool stops_improving = round > 0 && now <= volume * (1 + settled);
      volume = now;
      if (stops_improving || elapsed_s() + round_seconds > options_.budget_seconds) break;
    }
    measure_finally();
    report(1, "writing down");
    Exploration found = assemble(state_, input_, options_on(0), *evaluator_);
    if (!input_.elsewhere.empty()) {
      find_robust(found.result);
      for (std::size_t d = 1; d <= input_.elsewhere.size(); ++d)
        found.elsewhere.push_back(seen_on(d));
    }
    choose_next(found);
    return found;
  }

 private:
  double now_s() const { return options_.now_s ? options_.now_s() : steady_now_ns() * 1e-9; }
  double elapsed_s() const { return now_s() - started_s_; }
  bool cancelled() const { return options_.cancel && options_.cancel->load(); }

  double limit_ms() const { return latency_limit_ms(options_.search.constraints); }

  void report(double fraction, const std::string& text) const {
    if (options_.progress) options_.progress(fraction, text);
  }

  void find_references() {
    for (const std::string& name : input_.space.peers.references) {
      Reference r;
      r.name = name;
      const Network whole = find_network(name);
      r.network = in_form(whole, input_.form);
      predict(r.network, r.terms, r.predicted_ms);
      const auto known = known_top1(input_.accuracy, name);
      r.top1 = known ? known->percent.value
                     : estimate(input_.accuracy.posterior, accuracy_terms(whole)).top1;
      state_.references.push_back(std::move(r));
    }
  }

  void predict(const Network& network, LatencyTerms& terms, double& ms) const {
    terms = latency_terms(network, state_.latency);
    ms = state_.latency.combine(terms).ms;
  }

  /// Lets the evaluator know what was measured.
  void correct() {
    evaluator_->set_combine(corrected(state_.latency, state_.references, state_.picks).combine);
  }

  /// Measures the operators that make the chosen networks' latencies uncertain, and predicts anew.
  void learn(const std::vector<std::size_t>& chosen, int round) {
    if (!input_.learn) return;
    std::vector<Network> networks;
    for (const std::size_t i : chosen) networks.push_back(state_.picks[i].network);
    const std::vector<Op> ops =
        unsure_ops(networks, state_.latency, static_cast<std::size_t>(options_.learnt_ops));
    if (ops.empty()) return;
    report((round + 0.3) / options_.rounds,
           fmt::format("measuring {} operators of the candidates", ops.size()));
    state_.latency = input_.learn(ops);
    evaluator_.emplace(input_.space, state_.latency, input_.accuracy, input_.form);
    for (Reference& r : state_.references) predict(r.network, r.terms, r.predicted_ms);
    for (Pick& p : state_.picks) predict(p.network, p.terms, p.uncorrected_ms);
    correct();
    for (const std::size_t i : chosen) {
      Pick& p = state_.picks[i];
      p.evaluation.latency = evaluator_->evaluate(p.genome).latency;
      note_prediction(p);
    }
  }

  void run_search(int round) {
    SearchOptions o = options_.search;
    for (std::size_t d = 1; d <= input_.elsewhere.size(); ++d)
      o.objectives.insert(o.objectives.begin() + 1 + static_cast<std::ptrdiff_t>(d),
                          latency_objective(d));
    o.seed += static_cast<std::uint64_t>(round);
    o.cancel = options_.cancel;
    if (round > 0) o.checkpoint.clear();
    o.evaluations = round_evaluations(round);
    o.budget_seconds = options_.budget_seconds - elapsed_s();
    o.reference = state_.searched.reference;
    correct();
    o.start = search_seeds(input_.space.skeleton->members(input_.space), search_.front,
                           static_cast<std::size_t>(o.population) / 2);
    o.progress = [&](double fraction, const std::string& text) {
      report((round + fraction * 0.3) / options_.rounds, "searching: " + text);
    };
    search_ = search(*evaluator_, o);
    merge(state_.searched, search_);
    if (!input_.elsewhere.empty())
      search_.front = surely_within(search_.front, options_.search.constraints);
    state_.out_of_time |= search_.out_of_time;
    state_.cloud = search_.cloud;
    allow_for_choice();
  }

  /// Estimates of what is on the front flatter it, as it was chosen for them.
  void allow_for_choice() {
    if (search_.front.empty()) return;
    std::vector<AccuracyTerms> terms;
    std::vector<double> ms;
    const auto add = [&](const Found& f) {
      terms.push_back(accuracy_terms(build(input_.space, f.genome)));
      ms.push_back(f.evaluation.latency.ms);
    };
    for (const Found& f : search_.front) add(f);
    const std::size_t step = search_.cloud.size() / most_compared + 1;
    for (std::size_t i = 0; i < search_.cloud.size(); i += step) add(search_.cloud[i]);
    const AccuracyPosterior& posterior = input_.accuracy.posterior;
    const SelectionEffect effect =
        selection_effect(posterior, terms, ms, choice_draws, options_.search.seed);
    for (std::size_t i = 0; i < search_.front.size(); ++i)
      search_.front[i].evaluation.accuracy = estimate(posterior, terms[i], effect);
  }

  /// The first round may use half of what is asked for, or all where it is the only one; the others
  /// share the rest.
  std::int64_t round_evaluations(int round) const {
    const int rounds = input_.measure ? options_.rounds : 1;
    const std::int64_t left = options_.search.evaluations - state_.searched.distinct();
    const int shares = round == 0 ? std::min(rounds, 2) : rounds - round;
    return (left + shares - 1) / shares;
  }

  /// Networks of the last search to confirm, as indices of picks.
  std::vector<std::size_t> pick() {
    std::vector<std::size_t> chosen;
    const std::vector<Found> members =
        input_.elsewhere.empty()
            ? choose(unpublished(search_.front, input_.space), state_.references, state_.picks,
                     static_cast<std::size_t>(options_.round_size), limit_ms())
            : choose_for_all(search_.front, state_.references, input_.elsewhere.size() + 1,
                             static_cast<std::size_t>(options_.proposals));
    for (const Found& f : members) {
      Pick p;
      p.genome = canonical(input_.space, f.genome);
      p.network = in_form(build(input_.space, p.genome), input_.form);
      p.evaluation = f.evaluation;
      predict(p.network, p.terms, p.uncorrected_ms);
      note_prediction(p);
      chosen.push_back(state_.picks.size());
      state_.picks.push_back(std::move(p));
    }
    return chosen;
  }

  const std::string& device_name(std::size_t device) const {
    return device == 0 ? input_.latency.device : input_.elsewhere[device - 1].device;
  }

  /// The one network for all devices at the accuracy of each reference.
  void find_robust(Result& result) const {
    const std::size_t devices = input_.elsewhere.size() + 1;
    for (const Reference& r : state_.references) {
      RobustFinding finding{r.name, r.top1, {}, 1, {}};
      const auto choice = robust_choice(search_.front, r.top1, devices);
      for (std::size_t k = 0; choice && k < state_.proposals.size(); ++k)
        if (state_.picks[state_.proposals[k]].genome ==
            canonical(input_.space, search_.front[choice->network].genome))
          finding.proposal = fmt::format("proposal-{}", k + 1);
      if (!finding.proposal.empty()) {
        finding.worst_slowdown = choice->worst_slowdown;
        for (std::size_t d = 0; d < devices; ++d)
          finding.devices.push_back(
              {device_name(d), latency_on(search_.front[choice->network].evaluation, d).ms,
               latency_on(search_.front[choice->fastest[d]].evaluation, d).ms});
      }
      result.findings.emplace_back(std::move(finding));
    }
  }

  /// With the limits on latency of one device only.
  ExploreOptions options_on(std::size_t device) const {
    ExploreOptions options = options_;
    options.search.constraints.clear();
    for (const Constraint& c : options_.search.constraints) {
      const std::size_t of = device_of(c.objective);
      const bool is_latency = c.objective == latency_objective(of);
      if (!is_latency)
        options.search.constraints.push_back(c);
      else if (of == device)
        options.search.constraints.push_back({Objective::latency, c.limit});
    }
    return options;
  }

  /// The result as another device sees it: the same networks with their latencies there.
  Result seen_on(std::size_t device) const {
    ExploreInput input = input_;
    input.latency = input_.elsewhere[device - 1];
    input.elsewhere.clear();
    input.measured.clear();
    ExplorationState state = state_;
    state.latency = input.latency;
    for (Reference& r : state.references) {
      r.terms = latency_terms(r.network, state.latency);
      r.predicted_ms = state.latency.combine(r.terms).ms;
    }
    for (Pick& p : state.picks) p.evaluation.latency = latency_on(p.evaluation, device);
    for (Found& f : state.cloud) f.evaluation.latency = latency_on(f.evaluation, device);
    const Evaluator evaluator(input.space, input.latency, input.accuracy, input.form);
    return assemble(state, input, options_on(device), evaluator).result;
  }

  /// What to train next, of the last search's front.
  void choose_next(Exploration& found) const {
    if (options_.next == 0 || cancelled()) return;
    std::vector<TrainingCandidate> candidates;
    std::vector<const Found*> members;
    const std::size_t step = search_.front.size() / most_trained + 1;
    for (std::size_t i = 0; i < search_.front.size(); i += step) {
      const Found& f = search_.front[i];
      members.push_back(&f);
      candidates.push_back({accuracy_terms(build(input_.space, f.genome)), f.evaluation.latency});
    }
    std::vector<std::pair<double, double>> known;
    for (const ResultNetwork& n : found.result.networks)
      if (n.top1 && !n.top1->estimated && latency_ms(n))
        known.emplace_back(latency_ms(n)->value, n.top1->percent.value);
    for (const TrainingChoice& choice :
         train_next(input_.accuracy.posterior, candidates, known,
                    static_cast<std::size_t>(options_.next), options_.search.seed)) {
      const Found& f = *members[choice.candidate];
      const LatencyEstimate& ms = f.evaluation.latency;
      const AccuracyEstimate& a = f.evaluation.accuracy;
      NextNetwork next{fmt::format("next-{}", found.next.size() + 1),
                       describe(input_.space, f.genome),
                       {ms.ms, std::min(ms.low_ms, ms.ms), std::max(ms.high_ms, ms.ms)},
                       Top1{{a.top1, a.low, a.high}, true, estimate_source},
                       choice.improvement};
      found.next.push_back(in_form(build(input_.space, f.genome), input_.form));
      found.next.back().name = next.name;
      found.result.next.push_back(std::move(next));
    }
  }

  void note_prediction(Pick& p) const {
    p.predicted = p.evaluation.latency;
    std::vector<double> ms;
    for (const Reference& r : state_.references)
      ms.push_back(evaluator_->latency().combine(r.terms).ms);
    p.references_ms = geometric_mean(ms);
  }

  /// Latencies of the references, then of these picks.
  std::vector<MeasuredLatency> measure(const std::vector<std::size_t>& picks) const {
    std::vector<Network> networks;
    for (const Reference& r : state_.references) networks.push_back(r.network);
    for (const std::size_t i : picks) networks.push_back(state_.picks[i].network);
    std::vector<MeasuredLatency> measured = input_.measure(networks);
    if (measured.size() != networks.size())
      throw Error(fmt::format("explore: {} networks were measured, expected {}", measured.size(),
                              networks.size()));
    for (std::size_t i = 0; i < measured.size(); ++i)
      if (!(measured[i].ms.value > 0 && std::isfinite(measured[i].ms.value)))
        throw Error(
            fmt::format("explore: \"{}\" was measured to take {} ms, expected a positive "
                        "latency",
                        networks[i].name, measured[i].ms.value));
    return measured;
  }

  void confirm(const std::vector<std::size_t>& chosen, int round) {
    report((round + 0.35) / options_.rounds,
           chosen.empty()
               ? std::string("measuring published networks")
               : fmt::format("measuring published networks and {} candidates", chosen.size()));
    const std::vector<MeasuredLatency> measured = measure(chosen);
    const std::size_t references = state_.references.size();
    confirmations_ += chosen.empty() ? 0 : 1;
    for (std::size_t i = 0; i < references; ++i)
      state_.references[i].measured.push_back(measured[i]);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      Pick& p = state_.picks[chosen[i]];
      p.measured.push_back(measured[references + i]);
      rescale(p, std::span(measured).first(references));
    }
  }

  /// The proposals beside the references in one run: a machine whose speed changes does so for all,
  /// and what was lucky when it was chosen is measured anew.
  void measure_finally() {
    if (input_.elsewhere.empty()) {
      state_.proposals = propose(state_.picks, state_.references,
                                 static_cast<std::size_t>(options_.proposals), limit_ms());
    } else {
      for (std::size_t i = 0; i < state_.picks.size(); ++i) state_.proposals.push_back(i);
      sort_by_latency(state_.proposals, state_.picks);
    }
    if (!input_.measure || cancelled()) return;
    if (confirmations_ == 1) {  // so they were
      for (Reference& r : state_.references) r.final_measurement = r.measured.back();
      for (const std::size_t i : state_.proposals)
        state_.picks[i].final_measurement = state_.picks[i].measured.back();
      return;
    }
    report(0.95,
           fmt::format("measuring published networks and {} proposals", state_.proposals.size()));
    const std::vector<MeasuredLatency> measured = measure(state_.proposals);
    const std::size_t references = state_.references.size();
    for (std::size_t i = 0; i < references; ++i)
      state_.references[i].final_measurement = measured[i];
    for (std::size_t i = 0; i < state_.proposals.size(); ++i) {
      Pick& p = state_.picks[state_.proposals[i]];
      p.final_measurement = measured[references + i];
      rescale(p, std::span(measured).first(references));
    }
    sort_by_latency(state_.proposals, state_.picks);
  }

  const ExploreInput& input_;
  const ExploreOptions& options_;
  double started_s_;
  std::optional<Evaluator> evaluator_;
  ExplorationState state_;
  int confirmations_ = 0;  ///< rounds in which candidates were measured
  SearchResult search_;
};

}  // namespace

void check(const ExploreOptions& options) {
  const auto& objectives = options.search.objectives;
  if (objectives.size() < 2 || objectives[0] != Objective::latency ||
      objectives[1] != Objective::top1)
    throw std::invalid_argument("explore: the first two objectives must be latency and top1");
  if (options.proposals < 5 || options.proposals > 100)
    throw std::invalid_argument(
        fmt::format("explore: proposals must be in 5..100, got {}", options.proposals));
  if (options.next < 0 || options.next > 100)
    throw std::invalid_argument(
        fmt::format("explore: next must be in 0..100, got {}", options.next));
  if (options.rounds < 1)
    throw std::invalid_argument(
        fmt::format("explore: rounds must be >= 1, got {}", options.rounds));
  if (options.round_size < 5)
    throw std::invalid_argument(
        fmt::format("explore: round_size must be >= 5, got {}", options.round_size));
}

Exploration explore(const ExploreInput& input, const ExploreOptions& options) {
  return Explorer(input, options).run();
}

}  // namespace cpubone
