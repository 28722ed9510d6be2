#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "predictor/devices.hpp"
#include "predictor/predictor.hpp"

namespace cpubone {

/// A published latency beside predictions of it that did not know it.
struct LeftOut {
  std::string network;
  std::string family;
  double published_ms = 0;
  double without_network_ms = 0;  ///< the network's rows left out of the calibration
  double without_family_ms = 0;   ///< all rows of its family left out
};

/// Predicts each published latency of a device from the others; empty where there is none.
std::vector<LeftOut> leave_one_out(const DeviceDescription& device);

/// What an operator costs on a device: peak by kind of operator, memory traffic and dispatch, each
/// expected from the hardware description and moved by the published latencies as far as they say.
/// Needs no measurement. Networks' intervals follow from the predictions of left-out families;
/// where there are too few families or no latencies, from how far off that is on other devices.
Predictor calibrate(const DeviceDescription& device);

/// `calibrate` of a device in devices/. Throws std::invalid_argument listing the names.
Predictor device_predictor(std::string_view name);

/// One line of a list of devices.
struct DeviceSummary {
  std::string name;
  std::string title;
  std::string hardware;
  std::string evidence;       ///< of its predictions, as in `evidence_text`
  int latencies = 0;          ///< published ones
  double expected_error = 0;  ///< mean absolute percentage error to expect; 0.05 means 5 %
};
DeviceSummary summarise(const DeviceDescription& device);
std::vector<DeviceSummary> device_summaries();

}  // namespace cpubone
