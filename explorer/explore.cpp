#include "explorer/explore.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>

#include "explorer/correction.hpp"
#include "explorer/insight.hpp"
#include "predictor/features.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "space/published.hpp"
#include "space/zoo.hpp"

namespace cpubone {
namespace {

constexpr std::array<const char*, 4> reference_names{"cpubone-b0", "cpubone-b1", "cpubone-b2",
                                                     "cpubone-b3"};
constexpr double settled = 0.005;  // relative growth of the confirmed front that counts as rest
constexpr double near_best = 1.03;
constexpr double known_spread = 0.01;  // an operator this well known need not be measured

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Interval interval(const LatencyEstimate& e) {
  return {e.ms, std::min(e.low_ms, e.ms), std::max(e.high_ms, e.ms)};
}

/// A member of CPUBone that proposals are compared with.
struct Reference {
  std::string name;
  CpuboneConfig config;
  Network network;
  LatencyTerms terms;
  double predicted_ms = 0;
  double top1 = 0;  ///< the higher of published and estimated: what a proposal must reach
  std::vector<MeasuredLatency> measured;
  std::optional<MeasuredLatency> final_measurement;  ///< with all proposals
};

/// A network of the search that was chosen to be confirmed.
struct Pick {
  Genome genome{};
  CpuboneConfig config;
  Network network;
  LatencyTerms terms;
  Evaluation evaluation;      ///< as it was when chosen: before its own measurement
  LatencyEstimate predicted;  ///< then
  double references_ms = 0;   ///< then predicted of B0 to B3, geometric mean
  double uncorrected_ms = 0;
  std::vector<MeasuredLatency> measured;
  std::optional<MeasuredLatency> final_measurement;  ///< with B0 to B3 and the other proposals
};

/// Several measurements of one network as one.
MeasuredLatency merged(const std::vector<MeasuredLatency>& all) {
  MeasuredLatency m;
  const auto n = static_cast<double>(all.size());
  for (const MeasuredLatency& one : all) {
    m.ms.value += one.ms.value / n;
    m.ms.low += one.ms.low / n;
    m.ms.high += one.ms.high / n;
    m.samples += one.samples;
    m.disturbed |= one.disturbed;
  }
  return m;
}

/// What a reader is told: measured together with what it is compared with, where that was done.
template <typename T>
std::optional<MeasuredLatency> measured_of(const T& network) {
  if (network.final_measurement) return network.final_measurement;
  if (network.measured.empty()) return std::nullopt;
  return merged(network.measured);
}

int distance(const Genome& a, const Genome& b) {
  int n = 0;
  for (std::size_t i = 0; i < a.size(); ++i) n += a[i] != b[i];
  return n;
}

class Explorer {
 public:
  Explorer(const ExploreInput& input, const ExploreOptions& options)
      : input_(input), options_(options), started_(std::chrono::steady_clock::now()) {
    check(options);
    evaluator_.emplace(input.space, input.latency, input.accuracy);
  }

  Exploration run() {
    find_references();
    // What the predictor misses on B0 to B3 today corrects it before anything is chosen by it.
    if (input_.measure && !cancelled()) confirm({}, 0);
    double volume = 0;
    const int rounds = input_.measure ? options_.rounds : 1;
    for (int round = 0; round < rounds; ++round) {
      run_search(round);
      const std::vector<std::size_t> chosen = choose();
      if (!input_.measure || chosen.empty() || cancelled()) break;
      if (round > 0 && seconds_since(started_) > options_.budget_seconds) break;
      const double before = seconds_since(started_);
      learn(chosen, round);
      confirm(chosen, round);
      const double round_seconds = seconds_since(started_) - before;
      const double now = confirmed_volume();
      const bool stops_improving = round > 0 && now <= volume * (1 + settled);
      volume = now;
      if (stops_improving || seconds_since(started_) + round_seconds > options_.budget_seconds)
        break;
    }
    measure_finally();
    report(1, "writing down");
    return assemble();
  }

 private:
  bool cancelled() const { return options_.cancel && options_.cancel->load(); }

  void report(double fraction, const std::string& text) const {
    if (options_.progress) options_.progress(fraction, text);
  }

  void find_references() {
    for (const char* name : reference_names) {
      Reference r;
      r.name = name;
      r.config = cpubone_config(name);
      r.network = build(r.config);
      predict(r.network, r.terms, r.predicted_ms);
      r.top1 = input_.accuracy.estimate(capacity(r.network)).top1;
      if (const auto published = published_accuracy(name))
        r.top1 = std::max(r.top1, published->top1);
      references_.push_back(std::move(r));
    }
  }

  void predict(const Network& network, LatencyTerms& terms, double& ms) const {
    terms = latency_terms(network, input_.latency);
    ms = input_.latency.combine(terms).ms;
  }

  /// Lets the evaluator know what was measured.
  void correct() {
    std::vector<Confirmed> confirmed;
    const auto add = [&](const LatencyTerms& terms, double predicted,
                         const std::vector<MeasuredLatency>& measured) {
      if (!measured.empty()) confirmed.push_back({terms, predicted, merged(measured).ms.value});
    };
    for (const Reference& r : references_) add(r.terms, r.predicted_ms, r.measured);
    for (const Pick& p : picks_) add(p.terms, p.uncorrected_ms, p.measured);
    evaluator_->set_combine(corrected(input_.latency, confirmed).combine);
  }

  /// Measures the operators that make the chosen networks' latencies uncertain, and predicts anew.
  void learn(const std::vector<std::size_t>& chosen, int round) {
    if (!input_.learn) return;
    std::map<std::string, std::pair<double, Op>> unsure;  // spread in ns, over all networks
    for (const std::size_t i : chosen)
      for (const Node& node : lowered(picks_[i].network).nodes) {
        const LatencyTerms t = input_.latency.op_terms(node.op);
        const double spread_ns = std::sqrt(t.independent_ns2 + t.shared_ns * t.shared_ns);
        if (spread_ns <= known_spread * t.ops_ns) continue;
        auto& [sum_ns, op] = unsure[text(node.op)];
        sum_ns += spread_ns;
        op = node.op;
      }
    std::vector<std::pair<double, Op>> ranked;
    for (auto& [name, entry] : unsure) ranked.push_back(std::move(entry));
    std::stable_sort(ranked.begin(), ranked.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<Op> ops;
    for (auto& [spread_ns, op] : ranked)
      if (ops.size() < static_cast<std::size_t>(options_.learnt_ops)) ops.push_back(std::move(op));
    if (ops.empty()) return;
    report((round + 0.3) / options_.rounds,
           fmt::format("measuring {} operators of the candidates", ops.size()));
    input_.learn(ops);
    evaluator_.emplace(input_.space, input_.latency, input_.accuracy);
    for (Reference& r : references_) predict(r.network, r.terms, r.predicted_ms);
    for (Pick& p : picks_) predict(p.network, p.terms, p.uncorrected_ms);
    correct();
    for (const std::size_t i : chosen) {
      picks_[i].evaluation = evaluator_->evaluate(picks_[i].genome);
      note_prediction(picks_[i]);
    }
  }

  void run_search(int round) {
    SearchOptions o = options_.search;
    o.seed += static_cast<std::uint64_t>(round);
    o.cancel = options_.cancel;
    if (round > 0) {
      o.checkpoint.clear();
      o.evaluations = std::max<std::int64_t>(1, o.evaluations / 2);
    }
    correct();
    o.start.clear();
    for (const CpuboneConfig& member : cpubone_family())
      if (contains(input_.space, member)) o.start.push_back(encode(input_.space, member));
    for (const Found& f : search_.front) o.start.push_back(f.genome);
    if (o.start.size() > static_cast<std::size_t>(o.population)) {
      // Members first, then the front evenly.
      std::vector<Genome> thinned;
      const std::size_t room = static_cast<std::size_t>(o.population) / 2;
      for (std::size_t i = 0; i < room; ++i)
        thinned.push_back(o.start[i * (o.start.size() - 1) / (room - 1)]);
      o.start = thinned;
    }
    o.progress = [&](double fraction, const std::string& text) {
      report((round + fraction * 0.3) / options_.rounds, "searching: " + text);
    };
    SearchResult found = search(*evaluator_, o);
    evaluations_ += found.evaluations;
    distinct_ += found.distinct;
    if (round == 0) {
      hypervolume_ = found.hypervolume;
    }
    search_ = std::move(found);
  }

  bool picked(const Genome& genome) const {
    return std::any_of(picks_.begin(), picks_.end(),
                       [&](const Pick& p) { return p.genome == genome; });
  }

  std::size_t pick(const Found& f) {
    Pick p;
    p.genome = f.genome;
    p.config = decode(input_.space, f.genome);
    p.network = build(p.config);
    p.evaluation = f.evaluation;
    predict(p.network, p.terms, p.uncorrected_ms);
    note_prediction(p);
    picks_.push_back(std::move(p));
    return picks_.size() - 1;
  }

  void note_prediction(Pick& p) const {
    p.predicted = p.evaluation.latency;
    double log_ms = 0;
    for (const Reference& r : references_)
      log_ms += std::log(evaluator_->latency().combine(r.terms).ms) /
                static_cast<double>(references_.size());
    p.references_ms = std::exp(log_ms);
  }

  /// A prediction at the pace at which B0 to B3, measured in the same rounds, ran.
  void rescale(Pick& p, std::span<const MeasuredLatency> references) const {
    double log_pace = -std::log(p.references_ms);
    for (const MeasuredLatency& r : references)
      log_pace += std::log(r.ms.value) / static_cast<double>(references.size());
    const double pace = std::exp(log_pace);
    p.evaluation.latency = {pace * p.predicted.ms, pace * p.predicted.low_ms,
                            pace * p.predicted.high_ms};
  }

  /// For each of B0..B3 the fastest networks that are no less accurate, unlike each other; then the
  /// front evenly. Networks that are already measured are left out.
  std::vector<std::size_t> choose() {
    std::vector<std::size_t> chosen;
    const auto& front = search_.front;
    const auto room = [&] { return chosen.size() < static_cast<std::size_t>(options_.round_size); };
    const int each = std::max(1, options_.round_size / 5);
    for (const Reference& r : references_) {
      const Found* best = nullptr;
      for (const Found& f : front)
        if (f.evaluation.accuracy.top1 >= r.top1 &&
            (!best || f.evaluation.latency.ms < best->evaluation.latency.ms))
          best = &f;
      if (!best) continue;
      const double limit = best->evaluation.latency.ms * near_best;
      for (int k = 0; k < each && room(); ++k) {
        const Found* next = nullptr;
        int farthest = -1;
        for (const Found& f : front) {
          if (f.evaluation.accuracy.top1 < r.top1 || f.evaluation.latency.ms > limit ||
              picked(f.genome))
            continue;
          int nearest = 1000;
          for (const Pick& p : picks_) nearest = std::min(nearest, distance(p.genome, f.genome));
          if (k == 0 && &f == best) nearest = 2000;
          if (nearest > farthest) {
            farthest = nearest;
            next = &f;
          }
        }
        if (next) chosen.push_back(pick(*next));
      }
    }
    // Between the fastest and the slowest network that is asked for.
    const double low = 0.6 * references_.front().predicted_ms;
    const double high = 1.1 * references_.back().predicted_ms;
    std::vector<const Found*> range;
    for (const Found& f : front)
      if (f.evaluation.latency.ms >= low && f.evaluation.latency.ms <= high) range.push_back(&f);
    if (range.empty())
      for (const Found& f : front) range.push_back(&f);
    for (std::size_t k = 0; room() && k < 2 * static_cast<std::size_t>(options_.round_size); ++k) {
      // The front's member that is farthest in latency from all that were picked.
      const Found* next = nullptr;
      double farthest = 0;
      for (const Found* f : range) {
        if (picked(f->genome)) continue;
        double nearest = 1e9;
        for (const Pick& p : picks_)
          nearest = std::min(
              nearest, std::abs(std::log(p.evaluation.latency.ms / f->evaluation.latency.ms)));
        if (nearest > farthest) {
          farthest = nearest;
          next = f;
        }
      }
      if (!next) break;
      chosen.push_back(pick(*next));
    }
    return chosen;
  }

  void confirm(const std::vector<std::size_t>& chosen, int round) {
    std::vector<Network> networks;
    for (const Reference& r : references_) networks.push_back(r.network);
    for (const std::size_t i : chosen) networks.push_back(picks_[i].network);
    report((round + 0.35) / options_.rounds,
           chosen.empty() ? std::string("measuring B0 to B3")
                          : fmt::format("measuring B0 to B3 and {} candidates", chosen.size()));
    const std::vector<MeasuredLatency> measured = this->measured(networks);
    confirmations_ += chosen.empty() ? 0 : 1;
    for (std::size_t i = 0; i < measured.size(); ++i) {
      if (i < references_.size()) {
        references_[i].measured.push_back(measured[i]);
        continue;
      }
      Pick& p = picks_[chosen[i - references_.size()]];
      p.measured.push_back(measured[i]);
      rescale(p, std::span(measured).first(references_.size()));
    }
  }

  std::vector<MeasuredLatency> measured(std::span<const Network> networks) const {
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

  /// The proposals beside B0 to B3 in one run: a machine whose speed changes does so for all, and
  /// what was lucky when it was chosen is measured anew.
  void measure_finally() {
    proposals_ = proposed();
    if (!input_.measure || cancelled()) return;
    if (confirmations_ == 1) {  // so they were
      for (Reference& r : references_) r.final_measurement = r.measured.back();
      for (const std::size_t i : proposals_)
        picks_[i].final_measurement = picks_[i].measured.back();
      return;
    }
    std::vector<Network> networks;
    for (const Reference& r : references_) networks.push_back(r.network);
    for (const std::size_t i : proposals_) networks.push_back(picks_[i].network);
    report(0.95, fmt::format("measuring B0 to B3 and {} proposals", proposals_.size()));
    const std::vector<MeasuredLatency> latencies = measured(networks);
    for (std::size_t i = 0; i < references_.size(); ++i)
      references_[i].final_measurement = latencies[i];
    for (std::size_t i = 0; i < proposals_.size(); ++i) {
      Pick& p = picks_[proposals_[i]];
      p.final_measurement = latencies[references_.size() + i];
      rescale(p, std::span(latencies).first(references_.size()));
    }
    sort_by_latency(proposals_);
  }

  /// Volume of the confirmed networks over the slowest, least accurate of B0..B3.
  double confirmed_volume() const {
    std::vector<Costs> points;
    Costs reference{0, -100};
    for (const Reference& r : references_) {
      points.push_back({merged(r.measured).ms.value, -r.top1});
      reference[0] = std::max(reference[0], 1.2 * points.back()[0]);
      reference[1] = std::max(reference[1], points.back()[1] + 5);
    }
    for (const Pick& p : picks_)
      if (!p.measured.empty())
        points.push_back({merged(p.measured).ms.value, -p.evaluation.accuracy.top1});
    return hypervolume(points, reference);
  }

  double latency_of(const Pick& p) const {
    const auto measured = measured_of(p);
    return measured ? measured->ms.value : p.evaluation.latency.ms;
  }

  void sort_by_latency(std::vector<std::size_t>& picks) const {
    std::sort(picks.begin(), picks.end(), [&](std::size_t a, std::size_t b) {
      return std::pair(latency_of(picks_[a]), a) < std::pair(latency_of(picks_[b]), b);
    });
  }

  /// The picks to propose: first the front of all, then what is nearest to it.
  std::vector<std::size_t> proposed() const {
    std::vector<std::size_t> pool;
    for (std::size_t i = 0; i < picks_.size(); ++i)
      if (!input_.measure || !picks_[i].measured.empty()) pool.push_back(i);
    if (pool.empty())
      for (std::size_t i = 0; i < picks_.size(); ++i) pool.push_back(i);
    std::vector<std::size_t> chosen;
    const auto wanted = static_cast<std::size_t>(options_.proposals);
    const auto take = [&](std::size_t i) {
      if (chosen.size() < wanted && std::find(chosen.begin(), chosen.end(), i) == chosen.end())
        chosen.push_back(i);
    };
    // The fastest at the accuracy of each of B0..B3 come first.
    for (const Reference& r : references_) {
      const std::size_t* best = nullptr;
      for (const std::size_t& i : pool)
        if (picks_[i].evaluation.accuracy.top1 >= r.top1 &&
            (!best || latency_of(picks_[i]) < latency_of(picks_[*best])))
          best = &i;
      if (best) take(*best);
    }
    std::vector<std::size_t> rest = pool;
    while (chosen.size() < wanted && !rest.empty()) {
      std::vector<Costs> points;
      for (const std::size_t i : rest)
        points.push_back({latency_of(picks_[i]), -picks_[i].evaluation.accuracy.top1});
      std::vector<std::size_t> layer = front(points);
      for (const std::size_t k : layer) take(rest[k]);
      std::sort(layer.rbegin(), layer.rend());
      for (const std::size_t k : layer) rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(k));
      // Whole layers until there are five: dominated ones only to make up the number.
      if (chosen.size() >= 5) break;
    }
    sort_by_latency(chosen);
    return chosen;
  }

  ResultNetwork assemble(const Pick& p) const {
    ResultNetwork n;
    n.name = p.network.name;
    n.family = p.network.family;
    n.description = describe(p.config);
    n.origin = Origin::proposal;
    n.params = p.evaluation.params;
    n.macs = p.evaluation.macs;
    n.resolution = p.config.resolution;
    n.weight_bytes = p.evaluation.weight_bytes;
    n.peak_activation_bytes = p.evaluation.peak_activation_bytes;
    const AccuracyEstimate& a = p.evaluation.accuracy;
    n.top1 = Top1{{a.top1, a.low, a.high}, true, "accuracy model; training decides"};
    n.predicted_ms = interval(p.evaluation.latency);
    n.measured_ms = measured_of(p);
    n.gmacps = static_cast<double>(n.macs) / latency_of(p) / 1e6;
    n.breakdown =
        input_.break_down ? input_.break_down(p.network) : break_down(p.network, input_.latency);
    const Reference* nearest = &references_.front();
    const auto gap = [&](const Reference& r) {
      const auto measured = measured_of(r);
      return std::abs(std::log((measured ? measured->ms.value : r.predicted_ms) / latency_of(p)));
    };
    for (const Reference& r : references_)
      if (gap(r) < gap(*nearest)) nearest = &r;
    n.nearest = nearest->name;
    n.difference = difference(p.config, nearest->config);
    return n;
  }

  Exploration assemble() {
    Exploration out;
    Result& result = out.result;
    result.seed = static_cast<std::int64_t>(options_.search.seed);
    std::map<std::string, MeasuredLatency> measured;
    for (const KnownLatency& known : input_.measured) measured[known.network] = known.latency;
    // How much slower the machine is now than when the other published networks were measured.
    double log_pace = 0;
    for (const Reference& r : references_) {
      const auto now = measured_of(r);
      if (!now) continue;
      if (const auto known = measured.find(r.name); known != measured.end())
        log_pace += std::log(now->ms.value / known->second.ms.value) /
                    static_cast<double>(references_.size());
      measured[r.name] = *now;
    }
    const double pace = std::exp(log_pace);
    for (const ZooEntry& entry : zoo()) {
      ResultNetwork n = rebuild(entry.name, entry.build(), input_.latency, input_.break_down);
      if (const auto known = measured.find(entry.name); known != measured.end()) {
        n.measured_ms = known->second;
        n.gmacps = static_cast<double>(n.macs) / known->second.ms.value / 1e6;
      }
      result.networks.push_back(std::move(n));
    }
    int number = 0;
    for (const std::size_t i : proposals_) {
      Pick& p = picks_[i];
      p.config.name = p.network.name = fmt::format("proposal-{}", ++number);
      p.config.family = p.network.family = "proposals";
      ResultNetwork n = assemble(p);
      if (n.measured_ms)
        for (const ResultNetwork& other : result.networks) {
          if (other.origin != Origin::published || !other.measured_ms || !other.top1) continue;
          double needed = other.top1->percent.value;
          double low_ms = pace * other.measured_ms->ms.low;
          for (const Reference& r : references_)
            if (r.name == other.name) {
              needed = r.top1;
              low_ms = other.measured_ms->ms.low;
            }
          if (n.measured_ms->ms.high < low_ms && n.top1->percent.value >= needed)
            n.better_than.push_back(other.name);
        }
      result.networks.push_back(std::move(n));
      out.proposals.push_back({p.config, p.network});
    }
    assemble_front(result);
    assemble_search(result);
    result.accuracy_model = input_.accuracy.summary;
    assemble_warnings(result);
    assemble_confirmation(result);
    for (Insight& insight : stage_insights(result)) result.insights.push_back(std::move(insight));
    std::vector<Genome> around;
    for (const Reference& r : references_)
      if (contains(input_.space, r.config)) around.push_back(encode(input_.space, r.config));
    if (!around.empty()) result.studies.push_back(sensitivity_study(*evaluator_, around));
    result.studies.push_back(crossover_study(input_.latency));
    result.studies.push_back(groups_and_kernels_study(input_.latency));
    return out;
  }

  void assemble_front(Result& result) const {
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

  void assemble_search(Result& result) const {
    SearchSummary s;
    s.algorithm = name(options_.search.algorithm);
    s.evaluations = evaluations_;
    s.distinct = distinct_;
    s.hypervolume = hypervolume_;
    result.search = s;
    for (const Found& f : search_.cloud)
      result.candidates.push_back({f.evaluation.latency.ms, f.evaluation.accuracy.top1,
                                   f.evaluation.macs, f.evaluation.params});
  }

  void assemble_warnings(Result& result) const {
    for (const CpuboneConfig& member : cpubone_family())
      if (!contains(input_.space, member))
        result.warnings.push_back({fmt::format("the search space \"{}\" does not contain {}",
                                               input_.space.name, member.name),
                                   "add its choices to the space to start the search from it"});
    if (!input_.measure)
      result.warnings.push_back({"no proposal was measured: all latencies are predictions",
                                 "measure on the device itself"});
    int disturbed = 0;
    for (const ResultNetwork& n : result.networks)
      disturbed += n.measured_ms && n.measured_ms->disturbed;
    if (disturbed > 0)
      result.warnings.push_back(
          {fmt::format("other processes disturbed the measuring of {} networks", disturbed),
           "close other programs and run again"});
    if (cancelled())
      result.warnings.push_back({"the exploration was stopped early", "run it again to the end"});
    int proposals = 0;
    for (const ResultNetwork& n : result.networks) proposals += n.origin == Origin::proposal;
    if (proposals < 5)
      result.warnings.push_back(
          {fmt::format("only {} networks to propose were found, expected at least 5", proposals),
           "loosen the constraints or enlarge the space"});
  }

  /// What the confirmation says: per B-network the gain at its accuracy, and the predictor's error.
  void assemble_confirmation(Result& result) const {
    std::vector<const ResultNetwork*> proposals;
    for (const ResultNetwork& n : result.networks)
      if (n.origin == Origin::proposal) proposals.push_back(&n);
    for (const Reference& r : references_) {
      const ResultNetwork* own = find_network(result, r.name);
      const std::optional<Interval> old = own ? latency_ms(*own) : std::nullopt;
      const ResultNetwork* best = nullptr;
      for (const ResultNetwork* p : proposals)
        if (p->top1->percent.value >= r.top1 &&
            (!best || latency_ms(*p)->value < latency_ms(*best)->value))
          best = p;
      Insight insight;
      insight.title = fmt::format("Faster at the accuracy of {}", r.name);
      if (!best || !old) {
        insight.sentence = fmt::format(
            "No proposal reaches the {:.1f} % of {} within the constraints.", r.top1, r.name);
        insight.holds = false;
      } else {
        const Interval ms = *latency_ms(*best);
        const bool measured = best->measured_ms && own->measured_ms;
        const double gain = 1 - ms.value / old->value;
        insight.sentence = fmt::format(
            "{} takes {:.2f} ms where {} takes {:.2f} ms ({}), {:.1f} % {}, at an estimated top-1 "
            "of {:.1f} % ({:.1f} to {:.1f}) against {:.1f} %; training decides.",
            best->name, ms.value, r.name, old->value, measured ? "measured" : "predicted",
            100 * std::abs(gain), gain >= 0 ? "less" : "more", best->top1->percent.value,
            best->top1->percent.low, best->top1->percent.high, r.top1);
        if (gain < 0.1)
          insight.sentence +=
              fmt::format(" {:.0f} % of {} is in {}.", 100 * largest_share(*best).second,
                          best->name, largest_share(*best).first);
        if (measured) {
          const bool apart = ms.high < old->low || old->high < ms.low;
          if (apart) insight.holds = gain >= 0.1;
        }
      }
      result.insights.push_back(std::move(insight));
    }
    double worst = 0;
    double sum = 0;
    int count = 0;
    for (const ResultNetwork* p : proposals) {
      if (!p->measured_ms || !p->predicted_ms) continue;
      const double error = std::abs(p->predicted_ms->value / p->measured_ms->ms.value - 1);
      worst = std::max(worst, error);
      sum += error;
      ++count;
    }
    if (count > 0)
      result.insights.push_back(
          {"Predicted and measured latency of the proposals",
           fmt::format("{} proposals were predicted, before they were measured, {:.1f} % off on "
                       "average and {:.1f} % at worst, at the pace of B0 to B3 beside them.",
                       count, 100 * sum / count, 100 * worst),
           worst <= 0.05});
  }

  static std::pair<std::string, double> largest_share(const ResultNetwork& n) {
    std::map<std::string, double> parts;
    double total = 0;
    for (const BreakdownRow& row : n.breakdown) {
      parts[row.op_class + " operators of " + row.stage] += row.latency_ms;
      total += row.latency_ms;
    }
    std::pair<std::string, double> largest{"", 0};
    for (const auto& [part, ms] : parts)
      if (ms / total > largest.second) largest = {part, ms / total};
    return largest;
  }

  const ExploreInput& input_;
  const ExploreOptions& options_;
  std::chrono::steady_clock::time_point started_;
  std::optional<Evaluator> evaluator_;
  std::vector<Reference> references_;
  std::vector<Pick> picks_;
  std::vector<std::size_t> proposals_;
  int confirmations_ = 0;  ///< rounds in which candidates were measured
  SearchResult search_;
  std::int64_t evaluations_ = 0;
  std::int64_t distinct_ = 0;
  std::vector<HypervolumePoint> hypervolume_;
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

std::vector<BreakdownRow> break_down(const Network& network, const LatencyModel& latency) {
  std::vector<BreakdownRow> rows;
  LatencyTerms total;
  for (const Node& node : lowered(network).nodes) {
    const LatencyTerms terms = latency.op_terms(node.op);
    total += terms;
    const std::string op = op_class(node.op);
    auto row = std::find_if(rows.begin(), rows.end(), [&](const BreakdownRow& r) {
      return r.stage == node.stage && r.op_class == op;
    });
    if (row == rows.end()) {
      BreakdownRow fresh;
      fresh.stage = node.stage;
      fresh.op_class = op;
      fresh.bound = macs(node.op) > 0 ? Bound::compute : Bound::memory;
      row = rows.insert(rows.end(), fresh);
    }
    row->macs += macs(node.op);
    row->latency_ms += terms.ops_ns / 1e6;
  }
  const double scale = latency.combine(total).ms / (total.ops_ns / 1e6);
  for (BreakdownRow& row : rows) row.latency_ms *= scale;
  return rows;
}

ResultNetwork rebuild(const std::string& zoo_name, const Network& network,
                      const LatencyModel& latency, const BreakDown& breakdown) {
  ResultNetwork n;
  n.name = zoo_name;
  n.family = network.family;
  n.origin = Origin::published;
  n.params = params(network);
  n.macs = macs(network);
  n.resolution = network.inputs[0].shape.h;
  n.weight_bytes = weight_bytes(network);
  n.peak_activation_bytes = peak_activation_bytes(network);
  for (const CpuboneConfig& member : cpubone_family())
    if (member.name == zoo_name) n.description = describe(member);
  n.predicted_ms = interval(latency.combine(latency_terms(network, latency)));
  n.gmacps = static_cast<double>(n.macs) / n.predicted_ms->value / 1e6;
  n.breakdown = breakdown ? breakdown(network) : break_down(network, latency);
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

std::string difference(const CpuboneConfig& config, const CpuboneConfig& from) {
  std::vector<std::string> parts;
  std::vector<std::string> here;
  const auto compare = [&](std::string_view what, const auto& now, const auto& before) {
    if (now != before) here.push_back(fmt::format("{} {} -> {}", what, before, now));
  };
  const auto close = [&](std::string_view where) {
    if (!here.empty()) parts.push_back(fmt::format("{}{}", where, fmt::join(here, ", ")));
    here.clear();
  };
  compare("input", config.resolution, from.resolution);
  close("");
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    const CpuboneStage& a = config.stages[i];
    const CpuboneStage& b = from.stages[i];
    compare("width", a.width, b.width);
    compare("blocks", a.blocks, b.blocks);
    if (i > 0 || (a.blocks > 0 && b.blocks > 0)) compare("groups", a.groups, b.groups);
    if (i > 0) {
      compare("strided expansion", a.down_expansion, b.down_expansion);
      compare("strided kernel", a.down_kernel, b.down_kernel);
      const auto fused = [](bool yes) { return yes ? "fused" : "unfused"; };
      compare("strided block", fused(a.width < config.down_fused_below),
              fused(b.width < from.down_fused_below));
    }
    if (a.blocks > 0 && b.blocks > 0) {
      compare("expansion", a.expansion, b.expansion);
      compare("kernel", a.kernel, b.kernel);
      const auto fused = [](bool yes) { return yes ? "fused" : "unfused"; };
      compare("blocks are", fused(a.width < config.fused_below), fused(b.width < from.fused_below));
      const auto with = [](bool yes) { return yes ? "with" : "without"; };
      compare("attention", with(a.attention), with(b.attention));
      if (a.attention && b.attention) {
        compare("attention kernel", a.attention_kernel, b.attention_kernel);
        compare("attention stride", a.attention_stride, b.attention_stride);
      }
    }
    close(i == 0 ? std::string("stem: ") : fmt::format("stage {}: ", i));
  }
  compare("MLP expansion", config.mlp_expansion, from.mlp_expansion);
  compare("upsampling", name(config.upsampling), name(from.upsampling));
  compare("activation", name(config.activation), name(from.activation));
  compare("MLP activation", name(config.mlp_activation), name(from.mlp_activation));
  compare("head", fmt::format("{}-{}", config.head_channels, config.head_features),
          fmt::format("{}-{}", from.head_channels, from.head_features));
  close("");
  return fmt::format("{}", fmt::join(parts, "; "));
}

}  // namespace cpubone
