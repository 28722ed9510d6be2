#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "predictor/evaluation.hpp"
#include "predictor/predictor.hpp"

namespace cpubone {

/// What was once measured on a machine, to judge predictors without measuring.
struct Recording {
  std::string name;                 ///< of the folder and of the profile, e.g. `zen3-busy/profile`
  Profile profile;                  ///< operators, and networks to calibrate on
  std::vector<Network> networks;    ///< known to no predictor, ...
  std::vector<double> measured_ns;  ///< ... and what each took
};

/// Reads every `*profile.json` in the folders of `folder`, each with the networks of
/// `*networks.json` beside it. Of the networks those are kept that this version builds as they were
/// measured. Throws cpubone::Error where there is none.
std::vector<Recording> load_recordings(const std::filesystem::path& folder);

/// How right predictions of operators are that the predictor was not fitted to.
struct OperatorQuality {
  int count = 0;
  double mape = 0;
  double within_10 = 0;
  double covered = 0;  ///< share in the 90 % interval of their spread
};

struct Judgement {
  Predictor predictor;
  std::vector<Comparison> networks;
  OperatorQuality operators;
};
/// Fits a predictor to a recording without every seventh operator, and compares it with these and
/// with the networks.
Judgement judge(const Recording& recording);

std::vector<Comparison> compare(const Predictor& predictor, const Recording& recording);

}  // namespace cpubone
