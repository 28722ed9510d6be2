#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/network.hpp"
#include "records/result.hpp"

namespace cpubone {

/// Latencies of networks in milliseconds with their intervals, measured interleaved on this many
/// threads or predicted; in order.
using StudyLatencies = std::function<std::vector<Interval>(std::span<const Network>, int threads)>;

/// What a study runs on.
struct StudyContext {
  bool predicted = false;  ///< latencies are predictions
  int threads = 1;         ///< most that the device offers
  StudyLatencies latencies;
  /// Predicted latency in ms where a predictor exists, to compare with measured ones.
  std::function<double(const Network&)> predict_ms;
};

/// One thing that a study times.
struct StudySubject {
  std::vector<nlohmann::json> labels;  ///< text or numbers, one a label column
  Network network;
  int baseline = -1;  ///< the subject that changes are told against
  std::vector<std::optional<double>> references =
      {};  ///< published or predicted, one a reference column
  int threads = 1;
};

/// A subject with its latency.
struct StudyRow {
  const StudySubject* subject = nullptr;
  std::int64_t macs = 0;
  Interval ms;
  double gmacps = 0;
};

/// A study as data: what is timed, what was published, and what follows.
struct StudyPlan {
  std::string name;
  std::vector<StudyColumn> label_columns;
  std::vector<StudyColumn> reference_columns = {};
  std::vector<StudySubject> subjects = {};
  /// Sets the study's `numbers` and `holds`.
  std::function<void(std::span<const StudyRow>, Study&)> conclude = {};
};

/// Whether a quotient lies on one side of 1 beyond noise; none within noise.
std::optional<bool> below_one(const Interval& quotient);

/// Geometric mean of quotients, its interval from their scatter and their own intervals.
Interval mean_ratio(std::span<const Interval> quotients);

/// Two-sided p-value of Spearman's `rho` of so many pairs, by Student's t approximation. Throws
/// std::invalid_argument for fewer than 3.
double spearman_p(double rho, std::size_t count);

/// Names of the studies, in the order that a report shows them.
std::span<const std::string_view> study_names();

/// Throws std::invalid_argument listing the names where there is no study of that one.
void check_study_name(std::string_view name);

/// The study of that name. Throws std::invalid_argument listing the names.
StudyPlan study_plan(std::string_view name, const StudyContext& context);

/// Times the subjects and draws the conclusions.
Study run_study(const StudyPlan& plan, const StudyContext& context);

}  // namespace cpubone
