#include "profiler/remote.hpp"

#include <nlohmann/json.hpp>

#include "graph/error.hpp"
#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;
namespace fs = std::filesystem;

namespace {

/// A device whose agent is a shell script, reached without ssh.
class FakeDevice {
 public:
  explicit FakeDevice(const std::string& script) {
    write_bytes(
        folder_ / "agent/cpubone-profile",
        "#!/bin/sh\nif [ \"$1\" = --version ]; then echo " + version() + "; exit; fi\n" + script);
    options_.agent = folder_ / "agent";
    options_.measure.journal = folder_ / "here/p.json.journal";
    fs::create_directories(folder_ / "here");
    options_.retry_after_s = 0;
  }
  Profile measure() { return measure_remotely({"ssh://pi", {"sh", "-c"}}, {}, options_); }
  RemoteOptions& options() { return options_; }
  std::string here(const std::string& file) const { return (folder_ / ("here/" + file)).string(); }
  /// A line of shell that sends a message.
  static std::string send(const nlohmann::json& message) {
    return "cat <<'END'\n" + message.dump() + "\nEND\n";
  }
  static nlohmann::json journal(const std::string& part, int index, const std::string& line) {
    return {{"kind", "journal"}, {"part", part}, {"index", index}, {"line", line}};
  }

 private:
  TemporaryFolder folder_;
  RemoteOptions options_;
};

nlohmann::json profile_message() {
  Profile profile;
  profile.device.cpu = "imagined";
  profile.device.cores = 1;
  return {{"kind", "profile"}, {"profile", to_json(profile)}};
}

}  // namespace

TEST_CASE("a remote device's journal is kept here, and its profile comes back", "[remote]") {
  FakeDevice device("read request\n" + FakeDevice::send(FakeDevice::journal("", 0, "header")) +
                    FakeDevice::send(FakeDevice::journal("", 1, "round")) +
                    FakeDevice::send(profile_message()));
  CHECK(device.measure().device.cpu == "imagined");
  CHECK(read_bytes(device.here("p.json.journal")) == "header\nround\n");
}

TEST_CASE("a remote device cannot choose which files are written here", "[remote]") {
  FakeDevice device(FakeDevice::send(FakeDevice::journal("/../../elsewhere", 0, "x")));
  fs::create_directories(device.here("p.json.journal"));
  CHECK_THROWS_WITH(device.measure(),
                    ContainsSubstring("ssh://pi: its message#/part: expected one of"));
  CHECK_FALSE(fs::exists(device.here("elsewhere")));
}

TEST_CASE("lines of a remote journal come one after the other", "[remote]") {
  FakeDevice device(FakeDevice::send(FakeDevice::journal("", 7, "x")));
  CHECK_THROWS_WITH(device.measure(), "ssh://pi: sent line 7 of a journal after line 0");
}

TEST_CASE("what a remote agent says is wrong is told in one line", "[remote]") {
  FakeDevice device(FakeDevice::send({{"kind", "error"}, {"what", "no memory"}}));
  CHECK_THROWS_WITH(device.measure(), "ssh://pi: no memory");
  FakeDevice other("echo gone >&2; exit 3");
  CHECK_THROWS_WITH(other.measure(), "ssh://pi: the agent ended: gone");
}

TEST_CASE("a lost connection is taken up again with what is known", "[remote]") {
  // The request's journals tell the agent whether it runs for the first time.
  FakeDevice device("read request\ncase $request in *header*) ;; *)\n" +
                    FakeDevice::send(FakeDevice::journal("", 0, "header")) +
                    "echo cut >&2; exit 255;; esac\n" + FakeDevice::send(profile_message()));
  std::vector<std::string> notes;
  device.options().on_note = [&](const std::string& note) { notes.push_back(note); };
  CHECK(device.measure().device.cpu == "imagined");
  CHECK(notes == std::vector<std::string>{"ssh://pi: connection lost (cut), trying again in 0 s"});
}

TEST_CASE("a connection that is lost again and again is given up", "[remote]") {
  FakeDevice device("exit 255");
  device.options().retries = 2;
  CHECK_THROWS_WITH(device.measure(), "ssh://pi: connection lost: exit status 255");
}
