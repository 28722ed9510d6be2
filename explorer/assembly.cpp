#include "explorer/assembly.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

#include "explorer/finding.hpp"
#include "explorer/inputs.hpp"
#include "explorer/pareto.hpp"
#include "explorer/predicted_studies.hpp"
#include "predictor/features.hpp"
#include "space/published.hpp"
#include "space/zoo.hpp"

namespace cpubone {
namespace {

Interval interval(const LatencyEstimate& e) {
  return {e.ms, std::min(e.low_ms, e.ms), std::max(e.high_ms, e.ms)};
}

ResultNetwork assemble(const Pick& p, const ExplorationState& state, const SearchSpace& space) {
  ResultNetwork n;
  n.description = describe(space, p.genome);
  n.origin = Origin::proposal;
  n.params = p.evaluation.params;
  n.macs = p.evaluation.macs;
  n.resolution = p.network.inputs[0].shape.h;
  n.weight_bytes = p.evaluation.weight_bytes;
  n.peak_activation_bytes = p.evaluation.peak_activation_bytes;
  const AccuracyEstimate& a = p.evaluation.accuracy;
  n.top1 = Top1{{a.top1, a.low, a.high}, true, estimate_source};
  n.predicted_ms = interval(p.evaluation.latency);
  n.measured_ms = measured_of(p);
  n.gmacps = static_cast<double>(n.macs) / latency_of(p) / 1e6;
  n.breakdown = break_down(p.network, state.latency);
  const auto gap = [&](const Reference& r) {
    const auto measured = measured_of(r);
    return std::abs(std::log((measured ? measured->ms.value : r.predicted_ms) / latency_of(p)));
  };
  const Reference* nearest = &state.references.front();
  for (const Reference& r : state.references)
    if (gap(r) < gap(*nearest)) nearest = &r;
  n.nearest = nearest->name;
  n.difference = space.skeleton->difference(space, p.genome, nearest->name);
  return n;
}

/// Latencies of published networks, those of the references as they are now.
std::map<std::string, MeasuredLatency> latencies_of(const ExplorationState& state,
                                                    std::span<const KnownLatency> known) {
  std::map<std::string, MeasuredLatency> measured;
  for (const KnownLatency& k : known) measured[k.network] = k.latency;
  for (const Reference& r : state.references)
    if (const auto now = measured_of(r)) measured[r.name] = *now;
  return measured;
}

/// How much slower the machine is now than when the other published networks were measured, as
/// those of the references tell that were measured then too.
double pace_since(const ExplorationState& state, std::span<const KnownLatency> known) {
  std::vector<double> paces;
  for (const Reference& r : state.references)
    for (const KnownLatency& k : known)
      if (const auto now = measured_of(r);
          k.network == r.name && now && is_measured(*now) && is_measured(k.latency))
        paces.push_back(now->ms.value / k.latency.ms.value);
  return geometric_mean(paces);
}

/// Published networks that are slower, beyond both intervals, and, with the probability of a claim,
/// no more accurate.
std::vector<std::string> beaten_by(const ResultNetwork& proposal, const ExplorationState& state,
                                   double pace, std::span<const ResultNetwork> networks) {
  std::vector<std::string> names;
  if (!is_measured(proposal)) return names;
  for (const ResultNetwork& other : networks) {
    if (other.origin != Origin::published || !is_measured(other) || !other.top1) continue;
    double needed = other.top1->percent.value;
    double low_ms = pace * other.measured_ms->ms.low;
    for (const Reference& r : state.references)
      if (r.name == other.name) {
        needed = r.top1;
        low_ms = other.measured_ms->ms.low;
      }
    if (proposal.measured_ms->ms.high < low_ms && assured(*proposal.top1) >= needed)
      names.push_back(other.name);
  }
  return names;
}

void assemble_front(Result& result) {
  // Measured latencies stand only beside measured ones.
  const bool any_measured = std::any_of(result.networks.begin(), result.networks.end(),
                                        [](const auto& n) { return n.measured_ms.has_value(); });
  std::vector<Costs> points;
  std::vector<std::string> names;
  for (const ResultNetwork& n : result.networks) {
    if (!n.top1) continue;
    if (any_measured && !n.measured_ms) continue;
    const std::optional<Interval> ms = latency_ms(n);
    if (!ms) continue;
    points.push_back({ms->value, -n.top1->percent.value});
    names.push_back(n.name);
  }
  for (const std::size_t i : front(points)) result.front.push_back(names[i]);
}

void assemble_search(const ExplorationState& state, const ExploreOptions& options, Result& result) {
  SearchSummary s;
  s.algorithm = name(options.search.algorithm);
  for (const Constraint& c : options.search.constraints)
    s.limits.push_back({std::string(name(c.objective)), c.limit, std::string(unit(c.objective))});
  s.evaluations = state.searched.evaluations;
  s.distinct = state.searched.distinct();
  s.hypervolume = state.searched.hypervolume;
  result.search = s;
  for (const Found& f : state.cloud)
    result.candidates.push_back({f.evaluation.latency.ms, f.evaluation.accuracy.top1,
                                 f.evaluation.macs, f.evaluation.params});
}

constexpr const char* own_family = "own";

/// A user's own network, of which no more is known than the table says.
ResultNetwork own_network(const OwnTop1& own) {
  ResultNetwork n;
  n.name = own.network;
  n.family = own_family;
  n.description = "only its totals are known";
  n.params = std::llround(own.params);
  n.macs = std::llround(own.macs);
  n.top1 = Top1{{own.top1, own.top1, own.top1}, false, "own"};
  return n;
}

void assemble_warnings(const ExplorationState& state, const ExploreInput& input,
                       const ExploreOptions& options, Result& result) {
  std::vector<std::string> missing;
  for (const Member& member : input.space.skeleton->members(input.space))
    if (!member.genome) missing.push_back(member.name);
  if (!missing.empty())
    result.warnings.push_back({fmt::format("the search space \"{}\" does not contain {}",
                                           input.space.name, fmt::join(missing, ", ")),
                               "add their choices to the space to start the search from them"});
  if (input.form != NetworkForm{})
    result.warnings.push_back(
        {fmt::format("networks are counted and timed in the form asked for ({}), but accuracies "
                     "are those of whole classifiers at the resolution that they were trained at",
                     text(input.form)),
         "train detectors on them to compare their accuracy"});
  if (!input.accuracy.own.empty()) {
    const auto of_zoo = std::count_if(input.accuracy.own.begin(), input.accuracy.own.end(),
                                      [](const OwnTop1& own) { return !own.zoo_name.empty(); });
    result.warnings.push_back(
        {fmt::format("accuracies are your own; of the published networks only the {} that you "
                     "trained are compared with",
                     of_zoo),
         "train one of them with your recipe and add it to the table"});
  }
  if (!input.measure)
    result.warnings.push_back({"no proposal was measured: all latencies are predictions",
                               "measure on the device itself"});
  if (state.out_of_time)
    result.warnings.push_back({fmt::format("the budget ended the search after {} of {} networks",
                                           state.searched.distinct(), options.search.evaluations),
                               "allow more time, or ask for fewer networks"});
  int disturbed = 0;
  for (const ResultNetwork& n : result.networks)
    disturbed += n.measured_ms && n.measured_ms->disturbed;
  if (disturbed > 0)
    result.warnings.push_back(
        {fmt::format("other processes disturbed the measuring of {} networks", disturbed),
         "close other programs and run again"});
  if (options.cancel && options.cancel->load())
    result.warnings.push_back({"the exploration was stopped early", "run it again to the end"});
  int proposals = 0;
  for (const ResultNetwork& n : result.networks) proposals += n.origin == Origin::proposal;
  if (proposals < 5)
    result.warnings.push_back(
        {fmt::format("only {} networks to propose were found, expected at least 5", proposals),
         "loosen the constraints or enlarge the space"});
}

}  // namespace

Exploration assemble(const ExplorationState& state, const ExploreInput& input,
                     const ExploreOptions& options, const Evaluator& evaluator) {
  Exploration out;
  Result& result = out.result;
  result.seed = static_cast<std::int64_t>(options.search.seed);
  const auto measured = latencies_of(state, input.measured);
  const auto is_own = [&](const Network& network) {
    return std::any_of(input.own.begin(), input.own.end(),
                       [&](const Network& own) { return own.name == network.name; });
  };
  for (const Network& network : compared_networks(input.form, input.own)) {
    ResultNetwork n = rebuild(network.name, network, state.latency);
    n.top1 = known_top1(input.accuracy, n.name);
    if (input.form != NetworkForm{}) n.published.reset();  // of the whole networks at 224 pixels
    if (is_own(network)) n.family = own_family;
    if (const auto known = measured.find(n.name); known != measured.end()) {
      n.measured_ms = known->second;
      n.gmacps = static_cast<double>(n.macs) / known->second.ms.value / 1e6;
    }
    result.networks.push_back(std::move(n));
  }
  for (const OwnTop1& own : input.accuracy.own)
    if (own.zoo_name.empty() && find_network(result, own.network) == nullptr)
      result.networks.push_back(own_network(own));
  const double pace = pace_since(state, input.measured);
  int number = 0;
  for (const std::size_t i : state.proposals) {
    const Pick& p = state.picks[i];
    ResultNetwork n = assemble(p, state, input.space);
    n.better_than = beaten_by(n, state, pace, result.networks);
    Proposal proposal{{}, p.network};
    proposal.network.name = n.name = fmt::format("proposal-{}", ++number);
    proposal.network.family = n.family = "proposals";
    if (input.space.skeleton == &cpubone_skeleton()) {
      proposal.config = decode(input.space, p.genome);
      proposal.config->name = n.name;
      proposal.config->family = n.family;
    }
    result.networks.push_back(std::move(n));
    out.proposals.push_back(std::move(proposal));
  }
  assemble_front(result);
  assemble_search(state, options, result);
  result.accuracy_model = input.accuracy.summary;
  assemble_warnings(state, input, options, result);
  for (const Reference& r : state.references)
    result.findings.emplace_back(find_gain(result, r.name, r.top1));
  if (const auto error = find_prediction_error(result)) result.findings.emplace_back(*error);
  for (const LostTimeFinding& lost : find_lost_time(result)) result.findings.emplace_back(lost);
  if (options.cancel && options.cancel->load()) return out;
  std::vector<Genome> around;
  for (const Member& member : input.space.skeleton->members(input.space))
    if (member.genome && std::any_of(state.references.begin(), state.references.end(),
                                     [&](const Reference& r) { return r.name == member.name; }))
      around.push_back(*member.genome);
  if (around.empty() && !state.picks.empty()) around.push_back(state.picks.front().genome);
  if (!around.empty()) result.studies.push_back(sensitivity_study(evaluator, around));
  result.studies.push_back(crossover_study(state.latency));
  result.studies.push_back(groups_and_kernels_study(state.latency));
  return out;
}

std::optional<Top1> known_top1(const AccuracyModel& accuracy, std::string_view name) {
  for (const OwnTop1& own : accuracy.own)
    if (own.zoo_name == name || (own.zoo_name.empty() && own.network == name))
      return Top1{{own.top1, own.top1, own.top1}, false, "own"};
  const auto row = published_accuracy(name);
  if (!accuracy.own.empty() || !row) return std::nullopt;
  return Top1{{row->top1, row->top1, row->top1}, false, row->source};
}

std::vector<BreakdownRow> break_down(const Network& network, const LatencyModel& latency) {
  std::vector<BreakdownRow> rows;
  std::vector<std::array<double, bound_count>> bound_ns;  // of each row, by bound
  LatencyTerms total;
  for (const Node& node : lowered(network, latency).nodes) {
    const LatencyTerms terms = latency.op_terms(node.op);
    total += terms;
    const std::string op = op_class(node.op);
    const auto known = std::find_if(rows.begin(), rows.end(), [&](const BreakdownRow& r) {
      return r.stage == node.stage && r.op_class == op;
    });
    const auto i = static_cast<std::size_t>(known - rows.begin());
    if (known == rows.end()) {
      rows.push_back({node.stage, op, 0, 0, Bound::compute});
      bound_ns.emplace_back();
    }
    rows[i].macs += macs(node.op);
    rows[i].latency_ms += terms.ops_ns / 1e6;
    const Bound bound = latency.bound       ? latency.bound(node.op)
                        : macs(node.op) > 0 ? Bound::compute
                                            : Bound::memory;
    bound_ns[i].at(static_cast<std::size_t>(bound)) += terms.ops_ns;
  }
  const double scale = latency.combine(total).ms / (total.ops_ns / 1e6);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].latency_ms *= scale;
    rows[i].bound = static_cast<Bound>(std::max_element(bound_ns[i].begin(), bound_ns[i].end()) -
                                       bound_ns[i].begin());
  }
  return rows;
}

ResultNetwork rebuild(const std::string& zoo_name, const Network& network,
                      const LatencyModel& latency) {
  ResultNetwork n;
  n.name = zoo_name;
  n.family = network.family;
  n.origin = Origin::published;
  n.params = params(network);
  n.macs = macs(network);
  n.resolution = network.inputs[0].shape.h;
  n.weight_bytes = weight_bytes(lowered(network, latency));
  n.peak_activation_bytes = peak_activation_bytes(with_dtype(network, latency.precision));
  for (const CpuboneConfig& member : cpubone_family())
    if (member.name == zoo_name) n.description = describe(member);
  n.predicted_ms = interval(latency.combine(latency_terms(network, latency)));
  n.gmacps = static_cast<double>(n.macs) / n.predicted_ms->value / 1e6;
  n.breakdown = break_down(network, latency);
  PublishedFacts facts;
  if (const auto row = published_accuracy(zoo_name)) {
    facts.params_m = row->params_m;
    facts.macs_m = row->macs_m;
    facts.top1 = row->top1;
    n.top1 = Top1{{row->top1, row->top1, row->top1}, false, row->source};
  }
  for (const PublishedLatencyRow& row : published_latencies(zoo_name))
    if (row.exclusion_reason.empty())
      facts.latency.push_back({row.device, row.runtime, row.threads, row.latency_ms, row.source});
  if (facts.top1 || !facts.latency.empty()) n.published = facts;
  return n;
}

}  // namespace cpubone
