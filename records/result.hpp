#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/json_file.hpp"
#include "graph/warning.hpp"
#include "records/bound.hpp"
#include "records/evidence.hpp"
#include "records/finding.hpp"
#include "records/interval.hpp"

namespace cpubone {

/// Where a network comes from.
enum class Origin { published, proposal };
std::string_view name(Origin origin);

/// A labelled line of text, e.g. `governor`: `performance`.
struct Labelled {
  std::string label;
  std::string text;
  bool operator==(const Labelled&) const = default;
};

/// Whose latencies a result tells, and how they were taken.
struct ResultDevice {
  std::string name;   ///< e.g. `pi5`
  std::string model;  ///< e.g. `Raspberry Pi 5, Cortex-A76`
  Evidence evidence = Evidence::measured;
  std::string runtime;  ///< e.g. `XNNPACK 0.0~git20220131`
  int threads = 1;
  std::string precision;  ///< e.g. `f32`
  std::vector<Labelled> conditions;
  bool emulated = false;  ///< it calculates in f32 and only stores in the precision, f16
  bool operator==(const ResultDevice&) const = default;
};

/// A network that the search saw: predicted latency and estimated accuracy.
struct Candidate {
  double latency_ms = 0;
  double top1 = 0;  ///< percent
  std::int64_t macs = 0;
  std::int64_t params = 0;
  bool operator==(const Candidate&) const = default;
};

/// ImageNet-1k top-1 in percent.
struct Top1 {
  Interval percent;
  bool estimated = false;  ///< by the accuracy model; else published
  std::string source;
  bool operator==(const Top1&) const = default;
};

/// The probability at which an accuracy is claimed.
inline constexpr double claim_probability = 0.9;
/// Probability that a top-1 is `percent` or more: of an estimate as its 90 % interval tells, the
/// logarithm of the error being normal; of any other 0 or 1.
double probability_of(const Top1& top1, double percent);
/// The percent that it reaches with `claim_probability`.
double assured(const Top1& top1);
/// Standard deviation of the logarithm of the error, `100 - percent`; 0 where it is not estimated.
double log_error_sd(const Top1& top1);

/// Median latency of a network with its 95 % interval, in milliseconds.
struct MeasuredLatency {
  Interval ms;
  int samples = 0;
  bool disturbed = false;  ///< other processes were noticed while it was measured
  bool operator==(const MeasuredLatency&) const = default;
};

/// A latency as somebody published it.
struct PublishedLatency {
  std::string device;
  std::string runtime;
  std::string threads;  ///< e.g. `4`; empty where not told
  double latency_ms = 0;
  std::string source;
  bool operator==(const PublishedLatency&) const = default;
};

/// What the authors of a network published.
struct PublishedFacts {
  std::optional<double> params_m;  ///< millions
  std::optional<double> macs_m;    ///< millions
  std::optional<double> top1;      ///< percent
  std::vector<PublishedLatency> latency;
  bool operator==(const PublishedFacts&) const = default;
};

/// Part of a network: the operators of a class in a stage.
struct BreakdownRow {
  std::string stage;
  std::string op_class;  ///< e.g. `depthwise`
  std::int64_t macs = 0;
  double latency_ms = 0;
  Bound bound = Bound::compute;
  bool operator==(const BreakdownRow&) const = default;
};

/// A network with all that is known of it on the device.
struct ResultNetwork {
  std::string name;
  std::string family;
  std::string description;  ///< e.g. `w16-32-64-128-256 d0-1-1-3-4 g2`
  Origin origin = Origin::published;
  std::int64_t params = 0;
  std::int64_t macs = 0;
  int resolution = 224;
  std::int64_t weight_bytes = 0;
  std::int64_t peak_activation_bytes = 0;
  std::optional<Top1> top1;
  std::optional<Interval> predicted_ms;  ///< 90 % interval
  std::optional<MeasuredLatency> measured_ms;
  std::optional<double> gmacps;  ///< of the measured latency where there is one, else the predicted
  std::optional<PublishedFacts> published;
  std::vector<BreakdownRow> breakdown;
  std::string nearest;                   ///< proposals: the B-network nearest in latency
  std::string difference;                ///< proposals: what differs from `nearest`
  std::vector<std::string> better_than;  ///< published networks that are slower and, with
                                         ///< `claim_probability`, no more accurate
  bool operator==(const ResultNetwork&) const = default;
};

/// Measured latency where there is one, else the predicted; nothing where there is neither.
std::optional<Interval> latency_ms(const ResultNetwork& network);

/// Whether it was measured as docs/measuring.md asks: undisturbed, with samples enough (5) for an
/// interval. Other measured latencies are shown as disturbed, and nothing is claimed from them.
bool is_measured(const MeasuredLatency& latency);
bool is_measured(const ResultNetwork& network);

/// Standard deviation of the logarithm of the latency, as its interval tells; nothing where there
/// is no latency, or one that was measured otherwise than `is_measured` asks.
std::optional<double> log_latency_sd(const ResultNetwork& network);

/// A network that is worth training next.
struct NextNetwork {
  std::string name;
  std::string description;
  Interval predicted_ms;  ///< 90 % interval
  Top1 top1;
  double improvement = 0;  ///< expected growth of the front's hypervolume, a fraction
  bool operator==(const NextNetwork&) const = default;
};

/// Hypervolume of the front after so many evaluations.
struct HypervolumePoint {
  std::int64_t evaluations = 0;
  double value = 0;
  bool operator==(const HypervolumePoint&) const = default;
};

/// A bound that the search kept to: at most, of top-1 at least.
struct SearchLimit {
  std::string objective;  ///< e.g. `latency`
  double limit = 0;
  std::string unit;  ///< e.g. `ms`
  bool operator==(const SearchLimit&) const = default;
};

/// How the candidates were found.
struct SearchSummary {
  std::string algorithm;
  std::vector<SearchLimit> limits;
  std::int64_t evaluations = 0;
  std::int64_t distinct = 0;
  std::vector<HypervolumePoint> hypervolume;
  bool operator==(const SearchSummary&) const = default;
};

/// How well a class of operators is predicted; errors are fractions (0.02 means 2 %).
struct ClassError {
  std::string op_class;
  int operators = 0;
  std::optional<double> train_mape;
  std::optional<double> test_mape;
  bool operator==(const ClassError&) const = default;
};

/// How well networks are predicted that were never used to fit; all are fractions.
struct NetworkError {
  int count = 0;
  double mape = 0;
  double rmspe = 0;
  double within_5 = 0;   ///< share that is predicted within 5 %
  double within_10 = 0;  ///< share that is predicted within 10 %
  bool operator==(const NetworkError&) const = default;
};

/// What the predictor rests on.
struct PredictorSummary {
  int operators_measured = 0;
  double profile_seconds = 0;
  std::optional<double> peak_gmacps;  ///< of the CPU's arithmetic in f32, measured with them
  std::vector<ClassError> classes;
  std::optional<NetworkError> networks;
  bool operator==(const PredictorSummary&) const = default;
};

/// What estimated accuracies rest on; errors in points of top-1.
struct AccuracySummary {
  std::string description;
  int points = 0;
  std::optional<double> loo_mae;     ///< leaving one network out
  std::optional<double> family_mae;  ///< leaving one family out
  std::string note;
  bool operator==(const AccuracySummary&) const = default;
};

/// A network whose layers CPU and coprocessor share, as predicted.
struct SharedNetwork {
  std::string name;
  Interval predicted_ms;  ///< 90 % interval
  Interval cpu_alone_ms;  ///< of the CPU without the coprocessor, the same
  int shared_layers = 0;  ///< of which both compute channels
  int coprocessor_layers = 0;
  int cpu_layers = 0;
  bool operator==(const SharedNetwork&) const = default;
};

/// Latencies of a result whose layers are shared with a coprocessor, split as planned.
struct CoExecutionSummary {
  std::string coprocessor;  ///< device and driver
  double synchronisation_us = 0;
  double unhidden_share = 0;  ///< of the shorter part's time what the longer does not hide
  int layers_measured = 0;    ///< that were shared, to learn what synchronisation takes
  double shared_mape = 0;     ///< mean error on them, each left out, a fraction
  std::string published;  ///< where nothing was measured: what was published, and what is assumed
  std::vector<SharedNetwork> networks;
  bool operator==(const CoExecutionSummary&) const = default;
};

/// All that an exploration found out (`cpubone/result/2`, docs/file-formats.md).
struct Result {
  std::string tool_version;
  std::string created;  ///< ISO 8601, UTC, e.g. `2026-01-31T12:00:00Z`
  std::string command;
  std::int64_t seed = 0;
  ResultDevice device;
  std::vector<Warning> warnings;
  std::vector<ResultNetwork> networks;  ///< names are unique
  std::vector<Candidate> candidates;
  std::vector<std::string> front;  ///< names of networks, fastest first
  std::optional<SearchSummary> search;
  std::optional<PredictorSummary> predictor;
  std::optional<AccuracySummary> accuracy_model;
  std::optional<CoExecutionSummary> co_execution;  ///< all latencies are with a coprocessor then
  std::vector<Finding> findings;
  std::vector<Study> studies;
  std::vector<NextNetwork> next;  ///< the first first
  bool operator==(const Result&) const = default;
};

/// Throws cpubone::Error naming the JSON pointer, what was got and what is expected.
Result read_result(const JsonReader& json);
nlohmann::json to_json(const Result& result);
/// Tables of the file's fields in Markdown, for docs/file-formats.md.
std::string describe_result_file();
Result load_result(const std::filesystem::path& path);
void save_result(const Result& result, const std::filesystem::path& path);

/// The network of that name, or null.
const ResultNetwork* find_network(const Result& result, std::string_view name);

}  // namespace cpubone
