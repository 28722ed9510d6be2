#pragma once
#include <array>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "explorer/objectives.hpp"
#include "records/result.hpp"
#include "space/cpubone_space.hpp"

namespace cpubone {

/// A trained network: what an accuracy model is fitted on.
struct AccuracyPoint {
  std::string network;
  std::string family;
  bool classic = false;    ///< trained by a recipe from before strong augmentation
  double macs = 0;         ///< credited where the network is known, see Capacity
  double body_params = 0;  ///< the same, without the classification head
  double depth = 0;        ///< residual branches; 0: unknown
  double top1 = 0;         ///< percent
  double params = 0;       ///< with the head, as a table says
  bool weak = false;       ///< second-hand: a weak prior, and not counted in any error
  std::string source;
};

/// Published ImageNet-1k results. CPUBone's members are counted from their networks; of the others,
/// for which only totals are published, a linear classifier of usual size is taken off.
std::vector<AccuracyPoint> published_accuracy_points();

/// A table of trained networks as CSV: columns `network,params_m,macs_m,top1`, optionally
/// `head_params_m`, `family`. Throws cpubone::Error naming path, line and column, got and expected.
std::vector<AccuracyPoint> load_accuracy_points(const std::filesystem::path& path);

/// The accuracy of a network that a user trained.
struct OwnTop1 {
  std::string network;   ///< as the table says
  std::string zoo_name;  ///< empty where the zoo does not have it
  double params = 0;
  double macs = 0;
  double top1 = 0;  ///< percent
};

/// Estimates top-1. Any function will do: the explorer knows only these two members.
struct AccuracyModel {
  std::function<AccuracyEstimate(const Capacity&)> estimate;  ///< called from several threads
  AccuracySummary summary;
  /// What took the place of all that is published, whose scale may be another; empty: nothing did.
  std::vector<OwnTop1> own;
};

/// Fits `log(100 - top1)` linearly on log MACs, log parameters, recipe and family offsets; slopes
/// never reward less capacity. Networks of the nearest family weigh most, and a monotone curve
/// through them corrects the rest. Capacity that the family would spread over more depth or balance
/// differently between parameters and MACs earns little or nothing. Throws std::invalid_argument
/// for fewer than three points of the nearest family, or values out of range.
AccuracyModel fit_accuracy(std::span<const AccuracyPoint> points,
                           std::string_view nearest_family = "CPUBone");

/// The model of `published_accuracy_points()`.
AccuracyModel published_accuracy_model();
/// The model of a table, whose networks are `own`; its first network's family is the nearest one.
AccuracyModel load_accuracy_model(const std::filesystem::path& path);

/// Assumed effect of a choice on top-1 where nothing is published, and the doubt that it adds.
struct ChoicePrior {
  double points = 0;
  double variance = 0;  ///< points squared
};
/// Of choice `index` of a gene; see explorer/accuracy.cpp for the assumptions. None of other
/// skeletons than CPUBone's.
ChoicePrior choice_prior(const SearchSpace& space, std::size_t position, int index);
/// Variance, in points squared, of widths that do not double from stage to stage as all published
/// members' do; 0 for other skeletons than CPUBone's.
double width_novelty(const SearchSpace& space, const Genome& genome);
/// The assumptions in sentences, for reports.
std::string choice_prior_note();

}  // namespace cpubone
