#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "predictor/accuracy_model.hpp"
#include "records/result.hpp"
#include "space/search_space.hpp"

namespace cpubone {

/// The accuracy of a network that a user trained.
struct OwnTop1 {
  std::string network;   ///< as the table says
  std::string zoo_name;  ///< empty where the zoo does not have it
  double params = 0;
  double macs = 0;
  double top1 = 0;  ///< percent
};

/// What accuracies are estimated from, and what is known of it.
struct AccuracyModel {
  AccuracyPosterior posterior;
  AccuracySummary summary;
  /// What took the place of all that is published, whose scale may be another; empty: nothing did.
  std::vector<OwnTop1> own;
};

/// Of networks of a published family, or of a new one that is like it, from `trained_networks`.
const AccuracyModel& published_accuracy_model(const std::string& family = "CPUBone",
                                              bool is_new = false);
/// The same at the scale of a user's table (docs/file-formats.md, "accuracy table"), whose networks
/// are `own`: its levels are its own, what choices are worth is learnt from all. Throws
/// cpubone::Error naming path, line and column, got and expected.
AccuracyModel load_accuracy_model(const std::filesystem::path& path,
                                  const std::string& family = "CPUBone");
/// Of a space's networks: the second where there is a table, else the first.
AccuracyModel accuracy_model(const SearchSpace& space, const std::filesystem::path& table = {});

}  // namespace cpubone
