#include "runtime/system.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>

#include "tests/catch.hpp"

using namespace cpubone;

// Of the system at hand and, in the program test_plain_posix, of what is left on another.

TEST_CASE("a pipe takes what is written, and no program inherits it", "[system]") {
  int ends[2];
  REQUIRE(make_pipe(ends));
  for (const int end : ends) CHECK((::fcntl(end, F_GETFD) & FD_CLOEXEC) != 0);
  char got[4] = {};
  CHECK(::write(ends[1], "abc", 3) == 3);
  CHECK(::read(ends[0], got, 3) == 3);
  CHECK(std::string(got) == "abc");
  for (const int end : ends) ::close(end);
}

TEST_CASE("a signal that is pending is dropped, and none is not waited for", "[system]") {
  sigset_t set;
  sigset_t before;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &set, &before);
  drop_pending(SIGPIPE);
  ::pthread_kill(::pthread_self(), SIGPIPE);
  drop_pending(SIGPIPE);
  ::sigpending(&set);
  CHECK(::sigismember(&set, SIGPIPE) == 0);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE("a thread runs on CPUs that it chose, or the system says that it cannot", "[system]") {
  const auto before = thread_cpus();
  if (!before) {
    CHECK(!set_thread_cpus(std::vector{0}));
    CHECK(errno == ENOTSUP);
    return;
  }
  const std::vector<int> last{before->back()};
  REQUIRE(set_thread_cpus(last));
  CHECK(thread_cpus() == last);
  REQUIRE(set_thread_cpus(*before));
  CHECK(!set_thread_cpus(std::vector{-1}));
}

TEST_CASE("huge pages are what they are said to be, or none", "[system]") {
  const std::size_t page = huge_page_bytes();
  if (page == 0) return;
  auto* const memory = static_cast<char*>(map_huge_pages(2 * page, page));
  REQUIRE(memory != nullptr);
  CHECK(reinterpret_cast<std::uintptr_t>(memory) % page == 0);
  std::memset(memory, 1, 2 * page);
  unmap_huge_pages(memory, 2 * page);
}

TEST_CASE("a program's files begin with its own", "[system]") {
  const auto files = program_files();
  if (!files.empty()) CHECK(files.front().filename().string().starts_with("test_"));
}
