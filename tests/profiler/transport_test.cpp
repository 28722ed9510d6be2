#include "profiler/transport.hpp"

#include <algorithm>

#include "tests/catch.hpp"

using namespace cpubone;

namespace {

bool has(const Transport& transport, const std::string& argument) {
  return std::find(transport.command.begin(), transport.command.end(), argument) !=
         transport.command.end();
}

}  // namespace

TEST_CASE("an ssh address becomes the user's own ssh, which never asks", "[transport]") {
  const Transport t = parse_transport("ssh://pi@raspberrypi.local:2222");
  CHECK(t.command.front() == "ssh");
  CHECK(has(t, "-oBatchMode=yes"));
  CHECK(has(t, "2222"));
  CHECK(has(t, "pi"));
  CHECK(t.command.back() == "raspberrypi.local");
  CHECK(t.command[t.command.size() - 2] == "--");
  for (const std::string& argument : t.command)
    CHECK(argument.find("StrictHostKeyChecking") == std::string::npos);
  CHECK(host_part(t) == "raspberrypi.local-2222");
  CHECK(parse_transport("ssh://[::1]:22").command.back() == "::1");
  CHECK(parse_transport("ssh://pi5").command.back() == "pi5");
  CHECK(parse_transport("ssh://pi5/").command.back() == "pi5");
}

TEST_CASE("only ssh addresses are transports", "[transport]") {
  CHECK(is_transport("ssh://x"));
  CHECK_FALSE(is_transport("host"));
  CHECK_FALSE(is_transport("adb://x"));
}

TEST_CASE("addresses that could be options or hold passwords are refused", "[transport]") {
  const auto refused = [](const std::string& url, const std::string& why) {
    CHECK_THROWS_WITH(parse_transport(url),
                      "device: got \"" + url + "\", expected ssh://[user@]host[:port]: " + why);
  };
  refused("ssh://-oProxyCommand=x", "wrong host name");
  refused("ssh://", "wrong host name");
  refused("ssh://a b@host", "wrong user name");
  refused("ssh://host:99999", "wrong port");
  refused("ssh://host:0", "wrong port");
  refused("ssh://host:", "wrong port");
  refused("ssh://[::1]22", "wrong port");
  refused("ssh://[::1", "missing ]");
  refused("ftp://x", "another scheme");
  CHECK_THROWS_WITH(parse_transport("ssh://pi:secret@host"),
                    "device: passwords are not taken on a command line; use a key (ssh-copy-id)");
}
