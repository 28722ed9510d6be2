#include "explorer/known_accuracies.hpp"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <mutex>
#include <stdexcept>

#include "explorer/accuracy_table.hpp"
#include "explorer/trained_networks.hpp"
#include "graph/error.hpp"

namespace cpubone {
namespace {

/// Mean error in points of networks that a fit did not see.
struct MeanError {
  double sum = 0;
  int count = 0;
  void add(double estimated, double top1) {
    sum += std::abs(estimated - top1);
    ++count;
  }
  double mean() const { return sum / count; }
};

AccuracyModel fit(std::span<const TrainedNetwork> networks, const std::string& family,
                  const std::string& like) {
  const AccuracyFit fitted(networks, family, like);
  const auto left_out = fitted.leave_one_out();
  const auto families = fitted.leave_family_out();
  MeanError all;
  MeanError own;
  MeanError unseen;
  for (std::size_t i = 0; i < networks.size(); ++i) {
    const TrainedNetwork& n = networks[i];
    if (n.precision < 1) continue;
    if (n.family == family) own.add(left_out[i].top1, n.top1);
    if (n.proxy) continue;
    all.add(left_out[i].top1, n.top1);
    if (families[i]) unseen.add(families[i]->top1, n.top1);
  }
  AccuracyModel model;
  model.posterior = fitted.posterior();
  model.summary.description =
      "Bayesian linear regression of log(100 - top1) on MACs and parameters and, by stride, on "
      "depth, expansion, kernel, groups, squeeze-excite, attention and share of the MACs";
  model.summary.points = static_cast<int>(networks.size());
  if (all.count > 0) model.summary.loo_mae = all.mean();
  if (unseen.count > 0) model.summary.family_mae = unseen.mean();
  const std::string evidence =
      own.count > 0 ? fmt::format("Networks of {} left out one by one: {:.2f} points mean error.",
                                  family, own.mean())
                    : fmt::format(
                          "No network of this kind was trained: its level is as uncertain as those "
                          "of families are, what choices are worth is as in {} and may differ.",
                          like);
  model.summary.note =
      fmt::format("An estimate, no result: training decides. {} {}", evidence, assumptions());
  return model;
}

}  // namespace

const AccuracyModel& published_accuracy_model(const std::string& family, bool is_new) {
  static std::mutex mutex;
  static std::map<std::string, AccuracyModel> models;
  const std::lock_guard lock(mutex);
  const std::string name = is_new ? "new, like " + family : family;
  const auto known = models.find(name);
  if (known != models.end()) return known->second;
  return models.emplace(name, fit(trained_networks(), name, family)).first->second;
}

AccuracyModel accuracy_model(const SearchSpace& space, const std::filesystem::path& table) {
  const Peers& peers = space.peers;
  return table.empty() ? published_accuracy_model(peers.family, peers.is_new)
                       : load_accuracy_model(table, peers.family);
}

AccuracyModel load_accuracy_model(const std::filesystem::path& path, const std::string& family) {
  const std::vector<AccuracyTableRow> rows = load_accuracy_table(path);
  std::vector<TrainedNetwork> networks = trained_networks();
  for (const AccuracyTableRow& row : rows) networks.push_back(row.trained);
  try {
    AccuracyModel model = fit(networks, rows.front().trained.family, family);
    for (const AccuracyTableRow& row : rows) model.own.push_back(row.own);
    return model;
  } catch (const std::invalid_argument& e) {
    throw Error(fmt::format("{}: {}", path.string(), e.what()));
  }
}

}  // namespace cpubone
