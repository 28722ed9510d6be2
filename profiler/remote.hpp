#pragma once
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "profiler/host_profile.hpp"
#include "profiler/measure.hpp"

namespace cpubone {

/// How a shell script is run on another machine, its standard streams here.
struct Transport {
  std::string name;                  ///< e.g. `ssh://pi@raspberrypi.local`
  std::vector<std::string> command;  ///< a program and its arguments; the script follows
  int lost_status = 255;             ///< of the program where the connection failed
};

/// The transport of `ssh://[user@]host[:port]` or `adb://serial`. ssh is the user's own with keys,
/// configuration and known hosts, and never asks ($CPUBONE_SSH replaces the program and may add
/// options). Throws std::invalid_argument for anything else, and for passwords in it.
Transport parse_transport(std::string_view url);
/// Whether `device` names a transport.
bool is_transport(std::string_view device);
/// Its host or serial alone, as a file name may contain it.
std::string host_part(const Transport& transport);

/// What is measured there: these operators, these networks, or where both are empty the plan of
/// `measure_host_profile`.
struct RemoteJob {
  std::vector<Op> ops;
  std::vector<Network> networks;
};

struct RemoteOptions {
  /// Settings, budget, seed, resume, callbacks as for `measure_ops`. `journal` is kept here, line
  /// by line as they come.
  MeasureOptions measure;
  /// Folder with `cpubone-profile` and its libraries, built for the device; empty: this program,
  /// where the device has this machine's architecture, else `agent-<architecture>` beside it.
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

/// The agent's side: reads a job from file descriptor `in`, measures on this machine and writes
/// lines of JSON to `out`. Ends when `in` does. Returns the exit status.
int serve_remote_job(int in, int out, const MakeSpread& spread_of);

}  // namespace cpubone
