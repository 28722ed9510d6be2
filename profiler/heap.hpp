#pragma once
#include <cstdint>

namespace cpubone {

/// Bytes that malloc, and the memory in huge pages, have given out and not got back; 0 where the C
/// library does not tell.
std::int64_t heap_bytes();

/// Lets malloc (glibc's) and the memory in huge pages keep what is freed for what comes next, as
/// long as it lives. Measuring makes, packs and frees weights by the gigabyte: preparing then takes
/// less than half as long. Of the whole process, so it is for programs, not for libraries.
class KeepFreedMemory {
 public:
  KeepFreedMemory();
  ~KeepFreedMemory();
  KeepFreedMemory(const KeepFreedMemory&) = delete;
  KeepFreedMemory& operator=(const KeepFreedMemory&) = delete;
};

}  // namespace cpubone
