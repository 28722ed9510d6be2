#pragma once
#include <span>
#include <string>
#include <vector>

#include "predictor/features.hpp"
#include "records/bound.hpp"
#include "records/profile.hpp"

namespace cpubone {

/// What the quantities of `Work` cost in a class of operators. Threads share all of it but the
/// reading of weights, as evenly as an operator's work items allow.
struct CostModel {
  double ns_per_mac = 0;  ///< of padded ones
  double ns_per_loop_start = 0;
  double ns_per_weight_byte = 0;
  double ns_per_streamed_byte = 0;
  double ns_per_activation_byte = 0;
  double ns_per_activation_byte_beyond_l2 = 0;  ///< on top
  double ns_per_dispatch = 0;
  double ns_per_activation_byte_beyond_llc = 0;  ///< on top; where a device is calibrated
  // Of operators that several threads share.
  double ns_per_synchronisation = 0;  ///< of the threads
  double ns_per_work_item = 0;        ///< handing it out
  int threads = 1;  ///< that share an operator; 1: costs are those of all threads together
  bool operator==(const CostModel&) const = default;
};

/// The parts of an operator's latency.
struct CostNs {
  double compute = 0;
  double memory = 0;      ///< but for weights, and what is far
  double far_memory = 0;  ///< what caches are too small for, on top
  double weights = 0;     ///< reading them once
  double dispatch = 0;
  double synchronisation = 0;  ///< of threads, and handing out work items
  double total() const {
    return compute + memory + far_memory + weights + dispatch + synchronisation;
  }
};
/// `work_items` may be fewer than those of `work`: an engine may not share an operator.
CostNs cost_ns(const CostModel& cost, const Work& work, double work_items);

/// The largest part, memory with weights, dispatch with synchronisation.
Bound bound_of(const CostNs& ns);

/// Of all work items, those of the busiest of so many threads.
double busiest_share(double work_items, int threads);

/// A measured operator as fits see it.
struct MeasuredOp {
  OpFacts facts;
  std::string engine;
  double ns = 0;
  double relative_error = 0;  ///< standard error of `ns` over `ns`
};
/// Standard error of the median over the median, by its 95 % interval, which is the wider the fewer
/// samples it is of; of many where the timing has none.
double relative_error(const Timing& timing);
MeasuredOp measured_op(const OpRecord& record, const CpuTraits& cpu);

/// Work items that threads share where `engine` runs the operator: Eigen's kernels run on one.
double work_items(const Work& work, std::string_view engine);

/// Costs by least squares of relative errors. `prior` (may be null) is what costs are near to: a
/// class of few operators is not read into its noise, and one without large ones knows from the
/// others what large ones cost.
CostModel fit_cost_model(std::span<const MeasuredOp* const> ops, int threads,
                         const CostModel* prior);

}  // namespace cpubone
