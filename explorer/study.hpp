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
  std::string device;      ///< name, for sentences
  bool predicted = false;  ///< latencies are predictions; sentences say so
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

struct Finding {
  std::string sentence;
  std::optional<bool> holds;  ///< none: within noise, or nothing to hold
};

/// A study as data: what is timed, what was published, and what follows.
struct StudyPlan {
  std::string name;
  std::string title;
  std::string source;  ///< of the published finding
  std::vector<std::string> label_columns;
  std::vector<std::string> reference_columns;
  std::vector<StudySubject> subjects;
  std::function<Finding(std::span<const StudyRow>, const StudyContext&)> conclude;
  nlohmann::json chart;  ///< Vega-Lite specification over the table's columns, without data
};

/// Quotient of two latencies with the interval that their intervals give it.
Interval ratio(const Interval& a, const Interval& b);

/// Spearman's rank correlation of two lists of equal length (0 where one is constant), and the
/// two-sided p-value of Student's t approximation. Throws std::invalid_argument for fewer than 3.
struct RankCorrelation {
  double rho = 0;
  double p = 1;
};
RankCorrelation rank_correlation(std::span<const double> a, std::span<const double> b);

/// Names of the studies, in the order that a report shows them.
std::span<const std::string_view> study_names();

/// The study of that name. Throws std::invalid_argument listing the names.
StudyPlan study_plan(std::string_view name, const StudyContext& context);

/// Times the subjects, makes table, sentence and chart.
Study run_study(const StudyPlan& plan, const StudyContext& context);

}  // namespace cpubone
