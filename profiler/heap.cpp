#include "profiler/heap.hpp"

#include "runtime/huge_pages.hpp"
#include "runtime/system.hpp"

namespace cpubone {

std::int64_t heap_bytes() {
  const std::int64_t heap = malloc_bytes();
  return heap > 0 ? heap + bytes_in_huge_pages() : 0;
}

KeepFreedMemory::KeepFreedMemory() {
  keep_freed_pages(true);
  keep_freed_heap(true);
}

KeepFreedMemory::~KeepFreedMemory() {
  keep_freed_pages(false);
  keep_freed_heap(false);
}

}  // namespace cpubone
