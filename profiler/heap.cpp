#include "profiler/heap.hpp"

#include <malloc.h>

#include <limits>

#include "runtime/huge_pages.hpp"

namespace cpubone {

// Two conditions: where __GLIBC_PREREQ is unknown, one that has it in brackets cannot be parsed.
#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 33)
#define CPUBONE_HAS_MALLINFO2
#endif
#endif

std::int64_t heap_bytes() {
#ifdef CPUBONE_HAS_MALLINFO2
  const struct mallinfo2 info = ::mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd) + bytes_in_huge_pages();
#else
  return 0;
#endif
}

#ifdef __GLIBC__
namespace {
constexpr int largest_threshold = 32 << 20;  // that glibc would reach by itself
}

KeepFreedMemory::KeepFreedMemory() {
  keep_freed_pages(true);
  ::mallopt(M_MMAP_THRESHOLD, largest_threshold);
  ::mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
}

KeepFreedMemory::~KeepFreedMemory() {
  keep_freed_pages(false);
  ::mallopt(M_TRIM_THRESHOLD, 2 * largest_threshold);
  ::malloc_trim(0);
}
#else
KeepFreedMemory::KeepFreedMemory() {
  keep_freed_pages(true);
}
KeepFreedMemory::~KeepFreedMemory() {
  keep_freed_pages(false);
}
#endif

}  // namespace cpubone
