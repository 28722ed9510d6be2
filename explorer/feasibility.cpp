#include "explorer/feasibility.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "explorer/island.hpp"
#include "graph/passes.hpp"

namespace cpubone {
namespace {

constexpr int random_starts = 8;
constexpr int most_mutants = 20'000;  // several constraints can trap a descent by single genes

class Descent {
 public:
  Descent(const Evaluator& evaluator, const SearchOptions& options)
      : evaluator_(evaluator), options_(options), counts_(choices(evaluator.space())) {}

  bool found() const { return least_ == 0; }
  const Genome& best() const { return best_; }
  const Evaluation& best_evaluation() const { return best_evaluation_; }

  double consider(const Genome& genome) {
    if (options_.cancel && options_.cancel->load()) throw Cancelled{};
    const Evaluation e = evaluator_.evaluate(genome);
    const double v = violation(e, options_.constraints);
    if (v < least_) {
      least_ = v;
      best_ = genome;
      best_evaluation_ = e;
    }
    return v;
  }

  void descend(Genome now) {
    double here = consider(now);
    for (bool better = true; better && !found();) {
      better = false;
      for (std::size_t gene = 0; gene < now.size() && !found(); ++gene)
        for (int v = 0; counts_[gene] > 1 && v < counts_[gene]; ++v) {
          Genome next = now;
          next[gene] = static_cast<std::uint8_t>(v);
          const double there = consider(next);
          if (there < here) {
            here = there;
            now = next;
            better = true;
          }
        }
    }
  }

 private:
  const Evaluator& evaluator_;
  const SearchOptions& options_;
  std::vector<int> counts_;
  Genome best_;
  Evaluation best_evaluation_;
  double least_ = std::numeric_limits<double>::infinity();
};

/// That a network's head is what exceeds a limit on parameters; empty where it is not.
std::string head_text(const Evaluator& evaluator, const SearchOptions& options,
                      const Genome& genome) {
  const Network network = build(evaluator.space(), genome);
  const std::vector<bool> in_backbone = backbone(network);
  std::int64_t body_params = 0;
  for (std::size_t i = 0; i < network.nodes.size(); ++i)
    if (in_backbone[i]) body_params += params(network.nodes[i].op);
  const auto of_head = static_cast<double>(params(network) - body_params) * 1e-6;
  const bool exceeds =
      std::any_of(options.constraints.begin(), options.constraints.end(), [&](const Constraint& c) {
        return c.objective == Objective::params &&
               value(evaluator.evaluate(genome), c.objective) > c.limit;
      });
  if (!exceeds || evaluator.form().features) return {};
  return fmt::format(
      "; {:.1f} M of its parameters are the head's: let the space choose a smaller "
      "\"head\", or search for backbones without one",
      of_head);
}

/// What an objective is of; where there are several devices, latencies say on which.
std::string quantity_text(const Evaluator& evaluator, Objective objective) {
  const std::size_t device = device_of(objective);
  if (evaluator.elsewhere().empty() || objective != latency_objective(device))
    return std::string(name(objective));
  return fmt::format("latency on {}", device == 0 ? evaluator.latency().device
                                                  : evaluator.elsewhere()[device - 1].device);
}

}  // namespace

void check_feasible(const Evaluator& evaluator, const SearchOptions& options) {
  if (options.constraints.empty()) return;
  const SearchSpace& space = evaluator.space();
  Rng rng(mix(options.seed));
  std::vector<Genome> starts{first_genome(space)};
  for (const Genome& g : options.start) starts.push_back(g);
  for (int i = 0; i < random_starts; ++i) starts.push_back(sample(space, rng));
  Descent descent(evaluator, options);
  for (const Genome& start : starts) {
    descent.descend(start);
    if (descent.found()) return;
  }
  if (options.constraints.size() > 1)
    for (int i = 0; i < most_mutants; ++i)
      if (descent.consider(mutate(space, descent.best(), 0.05, rng)) == 0) return;
  std::string wanted;
  std::string got;
  for (const Constraint& c : options.constraints) {
    const char* separator = wanted.empty() ? "" : " and ";
    const std::string quantity = quantity_text(evaluator, c.objective);
    fmt::format_to(std::back_inserter(wanted), "{}{} {} {:g} {}", separator, quantity,
                   c.objective == Objective::top1 ? ">=" : "<=", c.limit, unit(c.objective));
    fmt::format_to(std::back_inserter(got), "{}{} {:.4g} {}", separator, quantity,
                   value(descent.best_evaluation(), c.objective), unit(c.objective));
  }
  throw Infeasible(fmt::format("no network of the space \"{}\" meets {}; the nearest has {}: {}{}",
                               space.name, wanted, got, describe(space, descent.best()),
                               head_text(evaluator, options, descent.best())));
}

}  // namespace cpubone
