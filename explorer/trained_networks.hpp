#pragma once
#include <vector>

#include "predictor/accuracy_model.hpp"

namespace cpubone {

/// What others trained on ImageNet-1k: published networks for phones and CPUs, ablations of them,
/// and networks of Accel-NASBench, of which only the order counts. Of networks that the zoo does
/// not have only totals are known, less a linear classifier of usual size.
const std::vector<TrainedNetwork>& trained_networks();

}  // namespace cpubone
