#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <fstream>
#include <limits>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "runtime/sanitizers.hpp"
#include "runtime/system.hpp"

// Two conditions: where __GLIBC_PREREQ is unknown, one that has it in brackets cannot be parsed.
#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 33)
#define CPUBONE_HAS_MALLINFO2
#endif
#endif

namespace cpubone {
namespace {

// Memory is in use in whole pages: kernels with usual pages of 64 KB have huge ones of 512 MB.
constexpr std::size_t largest_page_bytes = std::size_t{4} << 20;

#ifdef __GLIBC__
constexpr int largest_threshold = 32 << 20;  // that glibc would reach by itself
#endif

}  // namespace

std::size_t huge_page_bytes() {
#ifdef CPUBONE_ADDRESS_SANITIZER
  return 0;  // the sanitizer looks after blocks of the heap
#else
  const std::string folder = "/sys/kernel/mm/transparent_hugepage/";
  std::string enabled;
  std::getline(std::ifstream(folder + "enabled"), enabled);
  if (enabled.empty() || enabled.find("[never]") != std::string::npos) return 0;
  std::size_t bytes = 0;
  std::ifstream(folder + "hpage_pmd_size") >> bytes;
  return bytes <= largest_page_bytes ? bytes : 0;
#endif
}

void* map_huge_pages(std::size_t size, std::size_t page) noexcept {
  void* const mapped = ::mmap(nullptr, size + page, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(mapped);
  const std::size_t before = (page - reinterpret_cast<std::uintptr_t>(begin) % page) % page;
  if (before > 0) ::munmap(begin, before);
  if (before < page) ::munmap(begin + before + size, page - before);
  ::madvise(begin + before, size, MADV_HUGEPAGE);
  return begin + before;
}

void unmap_huge_pages(void* memory, std::size_t size) noexcept {
  ::munmap(memory, size);
}

std::int64_t malloc_bytes() {
#ifdef CPUBONE_HAS_MALLINFO2
  const struct mallinfo2 info = ::mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
#else
  return 0;
#endif
}

void keep_freed_heap([[maybe_unused]] bool keep) {
#ifdef __GLIBC__
  if (keep) {
    ::mallopt(M_MMAP_THRESHOLD, largest_threshold);
    ::mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  } else {
    ::mallopt(M_TRIM_THRESHOLD, 2 * largest_threshold);
    trim_freed_heap();
  }
#endif
}

void trim_freed_heap() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

std::optional<std::vector<int>> thread_cpus() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return std::nullopt;
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) cpus.push_back(cpu);
  return cpus;
}

bool set_thread_cpus(std::span<const int> cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) {
    if (cpu < 0 || cpu >= CPU_SETSIZE) {
      errno = EINVAL;
      return false;
    }
    CPU_SET(static_cast<std::size_t>(cpu), &set);
  }
  return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

bool make_pipe(int (&ends)[2]) {
  return ::pipe2(ends, O_CLOEXEC) == 0;
}

void drop_pending(int signal) {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal);
  constexpr timespec no_time{};
  while (::sigtimedwait(&set, nullptr, &no_time) < 0 && errno == EINTR) {
  }
}

std::int64_t cache_bytes(int level) {
  constexpr int names[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE};
  return level < 1 || level > 3 ? 0 : std::max<std::int64_t>(0, ::sysconf(names[level - 1]));
}

std::vector<std::string> arm_features() {
  std::vector<std::string> features{"asimd"};
#if defined(__aarch64__)
  const unsigned long capabilities = ::getauxval(AT_HWCAP);
  if (capabilities & HWCAP_ASIMDDP) features.emplace_back("asimddp");
  if (capabilities & HWCAP_FPHP) features.emplace_back("fphp");
  if (capabilities & HWCAP_SVE) features.emplace_back("sve");
  // By number what headers of older systems lack.
  constexpr unsigned long sme = 1UL << 23U;
  constexpr unsigned long sme2 = 1UL << 37U;
  const unsigned long more = ::getauxval(AT_HWCAP2);
  if (more & HWCAP2_I8MM) features.emplace_back("i8mm");
  if (more & sme) features.emplace_back("sme");
  if (more & sme2) features.emplace_back("sme2");
#endif
  return features;
}

std::vector<std::filesystem::path> program_files() {
  std::vector<std::filesystem::path> files{std::filesystem::read_symlink("/proc/self/exe")};
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (const auto slash = line.find('/'); slash != std::string::npos)
      if (const std::filesystem::path file = line.substr(slash);
          std::find(files.begin(), files.end(), file) == files.end())
        files.push_back(file);
  return files;
}

}  // namespace cpubone
