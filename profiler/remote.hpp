#pragma once
#include <filesystem>
#include <functional>
#include <string>

#include "profiler/measure.hpp"
#include "profiler/protocol.hpp"
#include "profiler/transport.hpp"

namespace cpubone {

struct RemoteOptions {
  /// Settings, budget, seed, resume, callbacks as for `measure_ops`. `journal` is kept here, line
  /// by line as they come.
  MeasureOptions measure;
  /// Folder with `cpubone-profile` and its libraries, built for the device; empty: see
  /// `agent_archive`.
  std::filesystem::path agent;
  int retries = 5;           ///< of a lost connection, without progress in between
  double retry_after_s = 1;  ///< doubled each time
  std::function<void(const std::string&)> on_note;  ///< e.g. that the connection was lost
};

/// Measures on the machine behind `transport`: copies the agent into a temporary folder there,
/// which is removed however the run ends; runs the job; goes on after a lost connection. Throws
/// cpubone::Error with one line naming the device.
Profile measure_remotely(const Transport& transport, const RemoteJob& job,
                         const RemoteOptions& options);

}  // namespace cpubone
