// How well accuracies are estimated, and whether what is claimed of them is true, on networks that
// were trained.
// accuracy [<Accel-NASBench as CSV: e0,k0,l0,se0,...,top1>]
#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "benchmarks/rows.hpp"
#include "explorer/pareto.hpp"
#include "explorer/trained_networks.hpp"
#include "predictor/accuracy_model.hpp"
#include "predictor/calibration.hpp"
#include "space/accel_nasbench.hpp"
#include "space/published.hpp"

using namespace cpubone;

namespace {

constexpr int seeds = 20;
constexpr std::size_t proposals = 8;
constexpr double claimed = 0.9;
constexpr int draws = 200;
constexpr double compared_points = 2;

struct Candidate {
  TrainedNetwork trained;
  double log_ms = 0;
};

double kendall_tau(const std::vector<double>& a, const std::vector<double>& b) {
  double score = 0;
  double a_pairs = 0;
  double b_pairs = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t k = 0; k < i; ++k) {
      const int x = (a[i] > a[k]) - (a[i] < a[k]);
      const int y = (b[i] > b[k]) - (b[i] < b[k]);
      score += x * y;
      a_pairs += x != 0;
      b_pairs += y != 0;
    }
  return score / std::sqrt(a_pairs * b_pairs);
}

struct Volume {
  Costs reference;
  double best = 0;
  double of(const std::vector<Costs>& points) const {
    return hypervolume(points, reference) / best;
  }
};

struct Sums {
  double tau = 0, mae = 0, covered = 0, front = 0, eight = 0, claims = 0, true_claims = 0;
};

void judge(const std::vector<Candidate>& all, const Volume& volume, std::size_t known,
           std::uint64_t seed, Sums& sums) {
  std::vector<std::size_t> order(all.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937_64 rng(seed);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng() % i]);
  std::vector<TrainedNetwork> given;
  for (std::size_t i = 0; i < known; ++i) given.push_back(all[order[i]].trained);
  const AccuracyPosterior posterior = AccuracyFit(given, given[0].family).posterior();
  std::vector<double> truth;
  std::vector<double> estimated;
  std::vector<double> value(all.size());
  std::vector<double> assured(all.size());  // as the explorer chooses by it
  double covered = 0;
  double error = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Candidate& c = all[order[i]];
    value[order[i]] = assured[order[i]] = c.trained.top1;
    if (i < known) continue;
    const AccuracyEstimate e = estimate(posterior, c.trained.terms);
    value[order[i]] = e.top1;
    assured[order[i]] = e.assured;
    truth.push_back(c.trained.top1);
    estimated.push_back(e.top1);
    error += std::abs(e.top1 - c.trained.top1);
    covered += e.low <= c.trained.top1 && c.trained.top1 <= e.high;
  }
  const auto unseen = static_cast<double>(truth.size());
  sums.tau += kendall_tau(estimated, truth) / seeds;
  sums.mae += error / unseen / seeds;
  sums.covered += covered / unseen / seeds;

  std::vector<Costs> points;
  for (std::size_t i = 0; i < all.size(); ++i) points.push_back({all[i].log_ms, -value[i]});
  std::vector<Costs> real;
  const std::vector<std::size_t> predicted_front = front(points);
  for (const std::size_t i : predicted_front) real.push_back({all[i].log_ms, -all[i].trained.top1});
  sums.front += volume.of(real) / seeds;

  // Eight that cover the front of what is assured, of those that are not known.
  for (std::size_t i = 0; i < all.size(); ++i) points[i][1] = -assured[i];
  std::vector<std::size_t> chosen;
  std::vector<Costs> taken;
  std::vector<std::size_t> rest;
  {
    std::vector<Costs> p;
    std::vector<std::size_t> ids(order.begin() + static_cast<std::ptrdiff_t>(known), order.end());
    for (const std::size_t i : ids) p.push_back(points[i]);
    for (const std::size_t k : front(p)) rest.push_back(ids[k]);
  }
  while (chosen.size() < proposals && !rest.empty()) {
    double best = -1;
    std::size_t at = 0;
    for (std::size_t k = 0; k < rest.size(); ++k) {
      taken.push_back(points[rest[k]]);
      const double v = volume.of(taken);
      taken.pop_back();
      if (v > best) {
        best = v;
        at = k;
      }
    }
    chosen.push_back(rest[at]);
    taken.push_back(points[rest[at]]);
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(at));
  }
  real.clear();
  for (const std::size_t i : chosen) real.push_back({all[i].log_ms, -all[i].trained.top1});
  sums.eight += volume.of(real) / seeds;

  // Each is claimed to be no less accurate than the best known network of which it is likely. What
  // was compared: all that might be on the front.
  std::vector<std::size_t> by_latency(order.begin() + static_cast<std::ptrdiff_t>(known),
                                      order.end());
  std::sort(by_latency.begin(), by_latency.end(),
            [&](std::size_t a, std::size_t b) { return all[a].log_ms < all[b].log_ms; });
  std::vector<AccuracyTerms> compared;
  std::vector<double> compared_ms;
  double best = 0;
  for (const std::size_t i : by_latency) {
    best = std::max(best, value[i]);
    if (value[i] < best - compared_points) continue;
    compared.push_back(all[i].trained.terms);
    compared_ms.push_back(all[i].log_ms);
  }
  const SelectionEffect effect = selection_effect(posterior, compared, compared_ms, draws, seed);
  for (const std::size_t i : chosen) {
    const double* rival = nullptr;
    for (const TrainedNetwork& g : given)
      if ((!rival || g.top1 > *rival) &&
          probability_of(posterior, all[i].trained.terms, effect, g.top1) >= claimed)
        rival = &g.top1;
    if (!rival) continue;
    sums.claims += 1;
    sums.true_claims += all[i].trained.top1 >= *rival;
  }
}

void tell_trained(const std::vector<AccelNasbenchRow>& trained, Rows& rows) {
  const Predictor pi5 = device_predictor("pi5");
  std::vector<Candidate> all;
  std::vector<double> sorted;
  for (const AccelNasbenchRow& row : trained) {
    const Network network = build(row.config);
    Candidate c;
    c.trained.network = row.config.name;
    c.trained.family = "Accel-NASBench";
    c.trained.top1 = row.top1;
    c.trained.terms = accuracy_terms(network);
    c.log_ms = std::log(combine(pi5, terms(pi5, network)).ms);
    all.push_back(std::move(c));
    sorted.push_back(row.top1);
  }
  std::sort(sorted.begin(), sorted.end());
  Volume volume;
  volume.reference = {all[0].log_ms, -sorted[sorted.size() / 100]};
  std::vector<Costs> points;
  for (const Candidate& c : all) {
    volume.reference[0] = std::max(volume.reference[0], c.log_ms);
    points.push_back({c.log_ms, -c.trained.top1});
  }
  volume.best = hypervolume(points, volume.reference);
  rows.inform("networks that were trained", static_cast<double>(all.size()), "");
  struct Goals {
    std::size_t known;
    double tau, mae, front;
  };
  for (const Goals& goals : {Goals{50, 0.80, 1.0, 0.97}, Goals{300, 0.88, 0.6, 0.99}}) {
    if (2 * goals.known >= all.size()) continue;
    Sums s;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) judge(all, volume, goals.known, seed, s);
    const std::string of = fmt::format("{} known: ", goals.known);
    const bool few = goals.known == 50;
    rows.add(of + "Kendall's tau on the unseen", s.tau, "", goals.tau, ">=");
    rows.add(of + "mean absolute error on the unseen", s.mae, "points", goals.mae, "<=");
    rows.add(of + "90 % interval covers, at least", 100 * s.covered, "%", 85, ">=");
    rows.add(of + "90 % interval covers, at most", 100 * s.covered, "%", 95, "<=");
    const double share = 100 * s.true_claims / std::max(1.0, s.claims);
    const std::string claims = fmt::format("{} claims", s.claims);
    if (few) {
      rows.add(of + "claims at 90 % that are true, at least", share, "%", 88, ">=", claims);
      rows.add(of + "claims at 90 % that are true, at most", share, "%", 95, "<=", claims);
    } else {
      rows.inform(of + "claims at 90 % that are true", share, "%", claims);
    }
    rows.add(of + "true hypervolume of the predicted front", s.front, "ratio", goals.front, ">=");
    if (few)
      rows.add(of + "the same of eight proposals", s.eight, "ratio", 0.92, ">=");
    else
      rows.inform(of + "the same of eight proposals", s.eight, "ratio");
  }
}

/// Whether it is a published network, not an ablation of one.
bool is_published(const std::string& network) {
  const auto& rows = published_accuracies();
  return std::any_of(rows.begin(), rows.end(), [&](const PublishedAccuracyRow& row) {
    return row.network == network || row.zoo_name == network;
  });
}

void tell_published(Rows& rows) {
  const std::vector<TrainedNetwork>& all = trained_networks();
  const AccuracyFit fit(all, "CPUBone");
  const auto families_left_out = fit.leave_family_out();
  std::vector<double> estimated;
  std::vector<double> truth;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (is_published(all[i].network) && all[i].terms.macs < 2e9 && families_left_out[i]) {
      estimated.push_back(families_left_out[i]->top1);
      truth.push_back(all[i].top1);
    }
  rows.add("published below 2 GMACs, families left out: Kendall's tau",
           kendall_tau(estimated, truth), "", 0.75, ">=", fmt::format("{} networks", truth.size()));
  const auto left_out = fit.leave_one_out();
  for (const char* family : {"CPUBone", "LowFormer"}) {
    double error = 0;
    int count = 0;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (all[i].family == family && is_published(all[i].network)) {
        error += std::abs(left_out[i].top1 - all[i].top1);
        ++count;
      }
    rows.add(fmt::format("{}'s members left out one by one: mean absolute error", family),
             error / count, "points", 0.4, "<=");
  }
}

void run(std::span<const std::string> arguments, Rows& rows) {
  tell_published(rows);
  tell_trained(arguments.empty() ? accel_nasbench() : load_accel_nasbench(arguments[0]), rows);
}

}  // namespace

int main(int argc, char** argv) {
  return run_benchmark("accuracy [CSV]", 1, argc, argv, run);
}
