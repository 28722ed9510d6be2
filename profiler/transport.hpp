#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace cpubone {

/// How a shell script is run on another machine, its standard streams here.
struct Transport {
  std::string name;                  ///< e.g. `ssh://pi@raspberrypi.local`
  std::vector<std::string> command;  ///< a program and its arguments; the script follows
};

/// Exit status of the transport's program where the connection failed, as ssh has it.
inline constexpr int connection_lost = 255;

/// Whether `device` names a transport.
bool is_transport(std::string_view device);

/// The transport of `ssh://[user@]host[:port]`: the user's own ssh with keys, configuration and
/// known hosts, which never asks ($CPUBONE_SSH replaces the program and may add options). Throws
/// std::invalid_argument for anything else, and for a password in it.
Transport parse_transport(std::string_view url);

/// Its host and port, as a file name may contain them.
std::string host_part(const Transport& transport);

}  // namespace cpubone
