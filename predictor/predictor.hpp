#pragma once
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "graph/network.hpp"
#include "predictor/network_model.hpp"
#include "records/evidence.hpp"
#include "records/profile.hpp"

namespace cpubone {

class JsonReader;

/// Predicts operators and networks on one device. Plain data: fit it, save it, load it.
struct Predictor {
  Device device;
  MeasureSettings settings;
  std::string tool_version;
  std::string created;        ///< of the profile
  std::string training_hash;  ///< of the operators and latencies that it was fitted on
  Evidence evidence = Evidence::measured;
  std::string evidence_detail;  ///< e.g. `ONNX Runtime, 4 threads`; may be empty
  double best_macps = 0;        ///< highest MACs per second that a measured operator reached
  Roofline roofline;            ///< of the profile
  std::vector<ClassModel> classes;
  NetworkModel network;
};

/// E.g. `calibrated from published latencies (ONNX Runtime, 4 threads)`.
std::string evidence_text(const Predictor& predictor);

/// Fits a predictor to a profile's operators, and its network model to the profile's `calibration`
/// networks (none: the plain sum). Every record counts, the less the wider its interval is: a busy
/// machine's median is what its users get. Throws cpubone::Error where there is no operator.
Predictor fit_predictor(const Profile& profile, std::span<const Network> calibration = {});

/// Refits the network model on measured networks; the lists correspond. `relative_errors` are
/// standard errors over the latencies; empty where these are exact.
void fit_network_model(Predictor& predictor, std::span<const Network> networks,
                       std::span<const double> measured_ns,
                       std::span<const double> relative_errors = {});

/// Makes intervals as wide as these errors, relative and of networks that were each predicted
/// without being known, ask for: 90 % of latencies are to be inside, were they exact.
/// `relative_errors` as above.
void calibrate_intervals(Predictor& predictor, std::span<const Network> networks,
                         std::span<const double> errors,
                         std::span<const double> relative_errors = {});

/// Whether it was fitted to dynamic layers: where it is not, networks are predicted without such.
bool knows_dynamic(const Predictor& predictor);
/// The network as it is executed where the predictor is of, in its precision.
Network lowered(const Network& network, const Predictor& predictor);

/// The model of an operator's class; of one without MACs in whose class none was measured that of
/// all without MACs. Throws cpubone::Error naming the class where there is none.
const ClassModel& model_of(const Predictor& predictor, const Op& op, const OpFacts& facts);

/// An operator on its own, as a profile measures it.
/// Throws cpubone::Error naming the operator's class where the predictor has no model of it.
OpEstimate estimate(const Predictor& predictor, const Op& op);

/// Where a predictor of a profile is unsure: standard deviation of the logarithm of an operator's
/// latency; 1 for a class that it has no model of. For `measure_host_profile` to measure there.
std::function<double(const Op&)> spread_of(const Profile& profile);

/// Terms of one executed operator. Throws cpubone::Error naming the operator's class where the
/// predictor has no model of it.
LatencyTerms terms(const Predictor& predictor, const Op& op);
/// Their sum over the executed operators of a network.
LatencyTerms terms(const Predictor& predictor, const Network& network);

/// Latency of a network with these terms.
LatencyEstimate combine(const Predictor& predictor, const LatencyTerms& terms);

/// A predictor of another device, runtime or number of threads from one's own and few latencies of
/// it: operators (10 to 50), or those of the networks that it has records of (from 10), or both.
/// `expected_error` is the mean absolute percentage error of these, each left out in turn. Throws
/// std::invalid_argument for fewer than 4 records, cpubone::Error for an operator that `base` has
/// no model of.
Predictor adapt_predictor(const Predictor& base, const Profile& measured,
                          std::span<const Network> networks = {}, double* expected_error = nullptr);

/// One operator of a prediction.
struct OpPrediction {
  std::string node;
  std::string stage;
  Op op;
  std::string engine;
  double latency_ns = 0;         ///< the operators' latencies sum to the network's
  double spread_ns = 0;          ///< standard deviation
  Bound bound = Bound::compute;  ///< the largest of its cost model's terms, or the kernel
  /// Unlike all that were measured: of another kind, or in size as `is_beyond_measured` tells.
  bool beyond_measured = false;
};

struct NetworkPrediction {
  LatencyEstimate latency;
  std::vector<OpPrediction> ops;
  double at_best_macps_ms = 0;  ///< what its MACs would take at the device's best MACpS
};

NetworkPrediction predict(const Predictor& predictor, const Network& network);

nlohmann::json to_json(const Predictor& predictor);
Predictor predictor_from_json(const JsonReader& json);
Predictor load_predictor(const std::filesystem::path& path);
void save_predictor(const Predictor& predictor, const std::filesystem::path& path);

}  // namespace cpubone
