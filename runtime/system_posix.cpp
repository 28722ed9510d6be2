#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "runtime/system.hpp"

namespace cpubone {

std::size_t huge_page_bytes() {
  return 0;
}

void* map_huge_pages(std::size_t, std::size_t) noexcept {
  return nullptr;
}

void unmap_huge_pages(void*, std::size_t) noexcept {}

std::int64_t malloc_bytes() {
  return 0;
}

void keep_freed_heap(bool) {}

void trim_freed_heap() {}

std::optional<std::vector<int>> thread_cpus() {
  return std::nullopt;
}

bool set_thread_cpus(std::span<const int>) {
  errno = ENOTSUP;
  return false;
}

bool make_pipe(int (&ends)[2]) {
  if (::pipe(ends) != 0) return false;
  // A program that another thread starts meanwhile inherits them; POSIX has no way around that.
  for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
  return true;
}

void drop_pending(int signal) {
  sigset_t set;
  ::sigpending(&set);
  if (::sigismember(&set, signal) != 1) return;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal);
  ::sigwait(&set, &signal);
}

std::int64_t cache_bytes(int) {
  return 0;
}

std::vector<std::string> arm_features() {
  return {"asimd"};  // which all 64-bit Arm CPUs have
}

std::vector<std::filesystem::path> program_files() {
  return {};
}

}  // namespace cpubone
