#include "explorer/trained_networks.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "graph/passes.hpp"
#include "space/accel_nasbench.hpp"
#include "space/cpubone.hpp"
#include "space/published.hpp"
#include "space/zoo.hpp"

namespace cpubone {
namespace {

/// What is known of a family of networks for phones and CPUs; others are not learnt from.
struct FamilyFacts {
  std::string_view name;
  bool classic = false;  ///< trained by recipes from before strong augmentation and long schedules
  /// Whether blocks of those that the zoo does not have squeeze and excite, or attend.
  bool squeeze = false;
  bool attention = false;
};
constexpr std::array<FamilyFacts, 20> families{{{"CPUBone"},
                                                {"LowFormer"},
                                                {"EdgeNeXt", false, false, true},
                                                {"EfficientMod", false, false, true},
                                                {"EfficientNet", true},
                                                {"FasterNet"},
                                                {"FastViT"},
                                                {"GhostNet", true},
                                                {"MNASNet", true},
                                                {"MixNet", true, true},
                                                {"MobileFormer", true, false, true},
                                                {"MobileNeXt", true},
                                                {"MobileNetV1", true},
                                                {"MobileNetV2", true},
                                                {"MobileNetV3", true},
                                                {"MobileNetV4"},
                                                {"MobileOne"},
                                                {"MobileViT", false, false, true},
                                                {"RepViT"},
                                                {"ShuffleNetV2", true}}};

const FamilyFacts* facts_of(std::string_view family) {
  const auto found = std::find_if(families.begin(), families.end(),
                                  [&](const FamilyFacts& f) { return f.name == family; });
  return found == families.end() ? nullptr : &*found;
}

/// Parameters of the linear layer that most published networks end in: 1280 x 1000.
constexpr double usual_classifier_m = 1.28;

constexpr double second_hand = 0.25;  // precision of what was not read at its source

TrainedNetwork of_totals(double params_m, double macs_m) {
  TrainedNetwork n;
  n.totals_only = true;
  n.terms.macs = macs_m * 1e6;
  n.terms.body_params = (params_m - std::min(usual_classifier_m, params_m / 3)) * 1e6;
  return n;
}

TrainedNetwork published(const PublishedAccuracyRow& row) {
  TrainedNetwork n;
  if (row.zoo_name.empty()) {
    n = of_totals(row.params_m, row.macs_m);
    n.terms.pixels = row.resolution;
  } else {
    n.terms =
        accuracy_terms(with_resolution(find_network(row.zoo_name), row.resolution, row.resolution));
  }
  n.network = row.zoo_name.empty() ? row.network : row.zoo_name;
  n.family = row.family;
  n.top1 = row.top1;
  return n;
}

TrainedNetwork published(const PublishedAblation& row) {
  TrainedNetwork n;
  if (row.zoo_name.empty()) {
    n = of_totals(row.params_m.value(), row.macs_m.value());
    n.terms.pixels = row.resolution;
  } else if (row.groups) {
    CpuboneConfig config = cpubone_config(row.zoo_name);
    for (CpuboneStage& stage : config.stages) stage.groups = *row.groups;
    n.terms = accuracy_terms(build(config));
  } else {
    n.terms =
        accuracy_terms(with_resolution(find_network(row.zoo_name), row.resolution, row.resolution));
  }
  n.network = row.network;
  n.family = row.family;
  n.top1 = row.top1;
  if (row.note == "second-hand") n.precision = second_hand;
  return n;
}

}  // namespace

const std::vector<TrainedNetwork>& trained_networks() {
  static const std::vector<TrainedNetwork> all = [] {
    std::vector<TrainedNetwork> networks;
    for (const PublishedAccuracyRow& row : published_accuracies())
      if (row.exclusion_reason.empty() && facts_of(row.family)) networks.push_back(published(row));
    for (const PublishedAblation& row : published_ablations()) networks.push_back(published(row));
    for (TrainedNetwork& n : networks) {
      const FamilyFacts& facts = *facts_of(n.family);
      n.classic = facts.classic;
      if (!n.totals_only) continue;
      PlaceTerms& somewhere = n.terms.places.back();
      somewhere.squeeze = facts.squeeze;
      somewhere.attention = facts.attention;
    }
    for (const AccelNasbenchRow& row : accel_nasbench()) {
      TrainedNetwork n;
      n.network = row.config.name;
      n.family = "Accel-NASBench";
      n.classic = true;
      n.proxy = true;
      n.top1 = row.top1;
      n.terms = accuracy_terms(build(row.config));
      networks.push_back(std::move(n));
    }
    return networks;
  }();
  return all;
}

}  // namespace cpubone
