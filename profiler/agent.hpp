#pragma once
#include "profiler/host_profile.hpp"

namespace cpubone {

/// The agent's side of `measure_remotely`: reads a request from file descriptor `in`, measures on
/// this machine and writes messages to `out`. Ends when `in` does. Returns the exit status.
int serve_remote_job(int in, int out, const MakeSpread& spread_of);

}  // namespace cpubone
