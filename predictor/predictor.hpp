#pragma once
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "graph/network.hpp"
#include "predictor/features.hpp"
#include "predictor/gaussian_process.hpp"
#include "predictor/terms.hpp"
#include "records/bound.hpp"
#include "records/profile.hpp"

namespace cpubone {

class JsonReader;

/// What the quantities of `Work` cost in a class of operators. Threads share all of it but the
/// reading of weights, as evenly as an operator's work items allow.
struct CostModel {
  double ns_per_mac = 0;  ///< of padded ones
  double ns_per_loop_start = 0;
  double ns_per_weight_byte = 0;
  double ns_per_streamed_byte = 0;
  double ns_per_streamed_far_byte = 0;  ///< on top
  double ns_per_activation_byte = 0;
  double ns_per_activation_byte_beyond_l2 = 0;  ///< on top
  double ns_per_dispatch = 0;
  double ns_per_activation_byte_beyond_llc = 0;        ///< on top; where a device is calibrated
  double ns_per_activation_byte_beyond_llc_share = 0;  ///< on top; where it is measured
  // Of operators that several threads share.
  double ns_per_synchronisation = 0;  ///< of the threads
  double ns_per_work_item = 0;        ///< handing it out
  int threads = 1;  ///< that share an operator; 1: costs are those of all threads together
  bool operator==(const CostModel&) const = default;
};

/// What `adapt_predictor` learnt about a class: what parts of the latency on the new device are
/// times those on the old one, the number of threads allowed for.
struct Correction {
  double shared = 1;    ///< what threads share but for weights: arithmetic and activations
  double weights = 1;   ///< reading weights
  double alone = 1;     ///< operators that one thread does alone, but for `run`
  double dispatch = 1;  ///< the cost of a run
  double ns_per_synchronisation = 0;  ///< as in `CostModel`, on the new device
  double ns_per_work_item = 0;
  double spread = 0;  ///< relative standard deviation that it leaves
  bool operator==(const Correction&) const = default;
};

/// A class of operators: latency = its cost model's, times a factor whose logarithm a Gaussian
/// process predicts from the features.
struct ClassModel {
  std::string name;
  std::string engine;  ///< that ran its operators
  CostModel cost;
  GaussianProcess factor;
  Correction correction;
  double network_scale = 1;   ///< latency within networks over that of the operator alone
  int operators = 0;          ///< measured ones that it was fitted on
  double train_mape = 0;      ///< mean absolute percentage error on them; 0.02 means 2 %
  double test_mape = 0;       ///< the same, each operator left out of the fit in turn
  double test_within_10 = 0;  ///< share of left-out operators within 10 %
};

/// What the sum of operators misses: latency = operators (each class by its `network_scale`) +
/// ns_per_node nodes + ns_per_image_byte image bytes + ns_per_far_byte activation bytes beyond L2
/// - saved_share times the reading of weights that a cache of `resident_bytes` holds from the run
/// before.
struct NetworkModel {
  double ns_per_node = 0;
  double ns_per_image_byte = 0;
  double ns_per_far_byte = 0;
  double saved_share = 0;
  double resident_bytes = 1;
  double interval_factor = 2;  ///< 90 % of networks are within so many spreads
  double least_spread = 0.01;  ///< relative
  int networks = 0;            ///< that it was fitted on
  double test_mape = 0;        ///< on them, each left out in turn
};

/// Predicts operators and networks on one device. Plain data: fit it, save it, load it.
struct Predictor {
  Device device;
  MeasureSettings settings;
  std::string tool_version;
  std::string created;        ///< of the profile
  std::string training_hash;  ///< of the operators and latencies that it was fitted on
  std::string evidence;       ///< `measured`, or what else its numbers stand on
  double best_macps = 0;      ///< highest MACs per second that a measured operator reached
  std::vector<ClassModel> classes;
  NetworkModel network;
};

/// Fits a predictor to a profile's operators, and its network model to the profile's `calibration`
/// networks (none: the plain sum). Disturbed records are used only where a class has no other.
/// Throws cpubone::Error where no operator is left.
Predictor fit_predictor(const Profile& profile, std::span<const Network> calibration = {});

/// Refits the network model on measured networks; `records` and `networks` correspond.
void fit_network_model(Predictor& predictor, std::span<const Network> networks,
                       std::span<const double> measured_ns);

/// An operator on its own, as a profile measures it.
struct OpEstimate {
  double ns = 0;
  double spread_ns = 0;          ///< standard deviation
  double memory_share = 0;       ///< of `ns`, weights included
  double overhead_share = 0;     ///< of `ns`
  double weights_share = 0;      ///< of `ns`: reading weights once
  Bound bound = Bound::compute;  ///< the largest of its parts
};
/// Throws cpubone::Error naming the operator's class where the predictor has no model of it.
OpEstimate estimate(const Predictor& predictor, const Op& op);

/// Where a predictor of a profile is unsure: standard deviation of the logarithm of an operator's
/// latency; 1 for a class that it has no model of. For `measure_host_profile` to measure there.
std::function<double(const Op&)> spread_of(const Profile& profile);

/// Terms of one executed operator. Throws cpubone::Error naming the operator's class where the
/// predictor has no model of it.
LatencyTerms terms(const Predictor& predictor, const Op& op);

/// Latency of a network with these terms.
LatencyEstimate combine(const Predictor& predictor, const LatencyTerms& terms);

/// A predictor of another device or number of threads from one's own and few operators measured
/// there (10 to 50): the parts of its cost models scaled, what synchronisations of threads cost
/// added, its network model scaled with them. `expected_error` is the mean absolute percentage
/// error of these operators, each left out in turn. Throws std::invalid_argument for fewer than 4
/// records, cpubone::Error for an operator that `base` has no model of.
Predictor adapt_predictor(const Predictor& base, const Profile& measured,
                          double* expected_error = nullptr);

/// One operator of a prediction.
struct OpPrediction {
  std::string node;
  std::string stage;
  Op op;
  std::string engine;
  double latency_ns = 0;         ///< the operators' latencies sum to the network's
  double spread_ns = 0;          ///< standard deviation
  Bound bound = Bound::compute;  ///< the largest of the terms of its class's cost model
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
