#include "profiler/transport.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

namespace cpubone {
namespace {

constexpr std::string_view scheme = "ssh://";

/// `[user@]host[:port]`; what is absent is empty.
struct Address {
  std::string user;
  std::string host;
  std::string port;
};

/// Letters, digits and some `more`, and nothing that a program could take for an option.
bool plain(std::string_view part, std::string_view more) {
  return !part.empty() && part[0] != '-' &&
         std::all_of(part.begin(), part.end(), [&](unsigned char c) {
           return std::isalnum(c) != 0 || more.find(static_cast<char>(c)) != std::string_view::npos;
         });
}

bool is_port(std::string_view port) {
  const bool digits =
      std::all_of(port.begin(), port.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  if (!digits || port.empty() || port.size() > 5) return false;
  const int number = std::stoi(std::string(port));
  return number >= 1 && number <= 65535;
}

Address parse_address(std::string_view url) {
  const auto fail = [&](std::string_view why) {
    throw std::invalid_argument(
        fmt::format("device: got \"{}\", expected ssh://[user@]host[:port]: {}", url, why));
  };
  if (!is_transport(url)) fail("another scheme");
  std::string_view rest = url.substr(scheme.size());
  if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  Address address;
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    address.user = rest.substr(0, at);
    rest.remove_prefix(at + 1);
    if (address.user.find(':') != std::string::npos)  // not repeated in the message
      throw std::invalid_argument(
          "device: passwords are not taken on a command line; use a key (ssh-copy-id)");
    if (!plain(address.user, "._-")) fail("wrong user name");
  }
  std::string_view after;
  if (!rest.empty() && rest[0] == '[') {
    const auto bracket = rest.find(']');
    if (bracket == std::string_view::npos) fail("missing ]");
    address.host = rest.substr(1, bracket - 1);
    after = rest.substr(bracket + 1);
  } else {
    const auto colon = std::min(rest.find(':'), rest.size());
    address.host = rest.substr(0, colon);
    after = rest.substr(colon);
  }
  if (!plain(address.host, "._-:%")) fail("wrong host name");
  if (after.empty()) return address;
  if (after[0] != ':' || !is_port(after.substr(1))) fail("wrong port");
  address.port = after.substr(1);
  return address;
}

}  // namespace

bool is_transport(std::string_view device) {
  return device.rfind(scheme, 0) == 0;
}

Transport parse_transport(std::string_view url) {
  const Address address = parse_address(url);
  Transport transport;
  transport.name = url;
  const char* own = std::getenv("CPUBONE_SSH");
  std::istringstream words(own != nullptr && *own != '\0' ? own : "ssh");
  for (std::string word; words >> word;) transport.command.push_back(word);
  for (const char* option : {"-T", "-oBatchMode=yes", "-oConnectTimeout=15",
                             "-oServerAliveInterval=5", "-oServerAliveCountMax=3"})
    transport.command.emplace_back(option);
  if (!address.port.empty())
    transport.command.insert(transport.command.end(), {"-p", address.port});
  if (!address.user.empty())
    transport.command.insert(transport.command.end(), {"-l", address.user});
  transport.command.insert(transport.command.end(), {"--", address.host});
  return transport;
}

std::string host_part(const Transport& transport) {
  std::string host = transport.name.substr(std::min(transport.name.size(), scheme.size()));
  if (const auto at = host.rfind('@'); at != std::string::npos) host.erase(0, at + 1);
  for (char& c : host)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '_') c = '-';
  return host;
}

}  // namespace cpubone
