#include "profiler/remote.hpp"

#include <algorithm>

#include "profiler/host.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

bool has(const Transport& transport, const std::string& argument) {
  return std::find(transport.command.begin(), transport.command.end(), argument) !=
         transport.command.end();
}

}  // namespace

TEST_CASE("an ssh address becomes the user's own ssh, which never asks", "[profiler]") {
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
}

TEST_CASE("an adb address names the device by its serial number", "[profiler]") {
  const Transport t = parse_transport("adb://0A1B2C");
  CHECK(t.command == std::vector<std::string>{"adb", "-s", "0A1B2C", "shell", "-T"});
  CHECK(is_transport("adb://x"));
  CHECK(!is_transport("host"));
}

TEST_CASE("addresses that could be options or hold passwords are refused", "[profiler]") {
  const std::string form = ", expected ssh://[user@]host[:port] or adb://serial: ";
  CHECK_THROWS_WITH(parse_transport("ssh://-oProxyCommand=x"),
                    "device: got \"ssh://-oProxyCommand=x\"" + form + "wrong host name");
  CHECK_THROWS_WITH(parse_transport("ssh://a b@host"),
                    "device: got \"ssh://a b@host\"" + form + "wrong user name");
  CHECK_THROWS_WITH(parse_transport("ssh://host:99999"),
                    "device: got \"ssh://host:99999\"" + form + "wrong port");
  CHECK_THROWS_WITH(parse_transport("adb://"),
                    "device: got \"adb://\"" + form + "no serial number");
  CHECK_THROWS_WITH(parse_transport("ftp://x"), "device: got \"ftp://x\"" + form + "neither");
  CHECK_THROWS_WITH(parse_transport("ssh://pi:secret@host"),
                    "device: passwords are not taken on a command line; use a key (ssh-copy-id)");
}

TEST_CASE("boards are known by the model that their firmware tells", "[profiler]") {
  Device device;
  device.cpu = "Raspberry Pi 5 Model B Rev 1.0 (Cortex-A76)";
  CHECK(known_board(device) == "pi5");
  device.cpu = "Raspberry Pi 400 Rev 1.0 (Cortex-A72)";
  CHECK(known_board(device) == "pi4");
  device.cpu = "Raspberry Pi 3 Model B (Cortex-A53)";
  CHECK(known_board(device).empty());
}
