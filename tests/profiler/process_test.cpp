#include "profiler/process.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>

#include "graph/error.hpp"
#include "tests/catch.hpp"

using namespace cpubone;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> shell(const std::string& script) {
  return {"sh", "-c", script};
}

bool go_on(const std::string&) {
  return false;
}

void handler(int) {}

}  // namespace

TEST_CASE("a process gets its input and gives lines, errors and its status", "[process]") {
  std::vector<std::string> lines;
  const ProcessEnd end = converse(shell("read a; read b; echo $b$a; echo why >&2; exit 3"),
                                  {.input = "one\ntwo\n", .on_line = [&](const std::string& line) {
                                     lines.push_back(line);
                                     return false;
                                   }});
  CHECK(lines == std::vector<std::string>{"twoone"});
  CHECK(end.errors == "why\n");
  CHECK(end.status == 3);
}

TEST_CASE("a process whose lines are enough has its input closed", "[process]") {
  const ProcessEnd end =
      converse(shell("echo first; cat; exit 4"),
               {.input = {}, .on_line = [](const std::string&) { return true; }});
  CHECK(end.status == 4);
}

TEST_CASE("a program that is not there is told by name", "[process]") {
  const ProcessEnd end = converse({"/nonexistent/ssh"}, {.input = {}, .on_line = go_on});
  CHECK(end.status == 127);
  CHECK(end.errors == "/nonexistent/ssh: cannot be run: No such file or directory");
}

TEST_CASE("a cancelled process that does not end is ended", "[process]") {
  const auto cancelled = [] { return true; };
  const ProcessEnd asked =
      converse(shell("exec sleep 1000"),
               {.input = {}, .on_line = go_on, .cancelled = cancelled, .patience = 1ms});
  CHECK(asked.status == 128 + SIGTERM);
  bool ready = false;
  const ProcessEnd killed = converse(shell("trap '' TERM; echo; while :; do sleep 1000; done"),
                                     {.input = {},
                                      .on_line =
                                          [&](const std::string&) {
                                            ready = true;
                                            return false;
                                          },
                                      .cancelled = [&] { return ready; },
                                      .patience = 1ms});
  CHECK(killed.status == 128 + SIGKILL);
}

TEST_CASE("a process that closes its streams and stays is ended", "[process]") {
  const ProcessEnd end =
      converse(shell("exec sleep 1000 <&- >&- 2>&-"),
               {.input = {}, .on_line = go_on, .cancelled = {}, .patience = 1ms});
  CHECK(end.status == 128 + SIGTERM);
}

TEST_CASE("streams that a child of the process holds open are not waited for", "[process]") {
  CHECK(converse(shell("setsid sleep 5 & exit 5"), {.input = {}, .on_line = go_on}).status == 5);
}

TEST_CASE("what a line's reader throws ends the process", "[process]") {
  CHECK_THROWS_WITH(
      converse(shell("echo; exec sleep 1000"),
               {.input = {}, .on_line = [](const std::string&) -> bool { throw Error("no"); }}),
      "no");
}

TEST_CASE("of endless errors the end is kept", "[process]") {
  const ProcessEnd end =
      converse(shell("head -c 1000000 /dev/zero | tr '\\0' x >&2; echo last >&2"),
               {.input = {}, .on_line = go_on});
  CHECK(end.errors.size() <= 64 << 10);
  CHECK(last_line(end.errors.substr(end.errors.size() - 5)) == "last");
}

TEST_CASE("a line without end is refused", "[process]") {
  CHECK_THROWS_WITH(converse(shell("exec cat /dev/zero"), {.input = {}, .on_line = go_on}),
                    "sent a line of more than 64 MiB");
}

TEST_CASE("input that a process does not read raises no signal", "[process]") {
  std::signal(SIGPIPE, SIG_DFL);
  const std::string much(1 << 20, 'x');
  const ProcessEnd end = converse(shell("exec <&-; exit 6"), {.input = much, .on_line = go_on});
  CHECK(end.status == 6);
}

TEST_CASE("writing where nobody reads fails and leaves SIGPIPE to the program", "[process]") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  ::close(ends[0]);
  std::signal(SIGPIPE, handler);
  CHECK_FALSE(write_all(ends[1], "x"));
  CHECK(std::signal(SIGPIPE, SIG_DFL) == handler);
  sigset_t signals;
  ::sigpending(&signals);
  CHECK(::sigismember(&signals, SIGPIPE) == 0);
  ::pthread_sigmask(SIG_BLOCK, nullptr, &signals);
  CHECK(::sigismember(&signals, SIGPIPE) == 0);
  ::close(ends[1]);
}

TEST_CASE("the last line is the last that is not blank", "[process]") {
  CHECK(last_line("a\nb \r\n\n") == "b");
  CHECK(last_line("a") == "a");
  CHECK(last_line(" \n").empty());
}
