#pragma once
#include <cstddef>
#include <cstdint>

namespace cpubone {

// Memory that a network reads again in every run: packed weights and activations. A CPU that reads
// them in pages of 4 KB waits for where each of these lies: operators whose weights come from
// memory took 0.4 to 0.5 of the time in pages of 2 MB, and scattered less (Zen 5, a virtual
// machine; docs/questions.md). So they are together in memory that the system is asked to give huge
// pages; where it has none, this is memory as any other.

/// Size of the pages that memory is asked for in: the system's huge ones, or its usual ones where
/// it has no huge ones or gives nobody any.
std::size_t page_bytes();

/// Aligned to 64 bytes, not cleared; null where there is none. Several threads may call these.
void* allocate_in_pages(std::size_t bytes) noexcept;
/// Keeps the content as std::realloc does; `memory` may be null, and is still there where the
/// result is null.
void* reallocate_in_pages(void* memory, std::size_t bytes) noexcept;
void free_in_pages(void* memory) noexcept;

/// Whether freed huge pages are kept for what comes next. They are not at first: the system has
/// them back, and clears pages again whenever it gives some, at a few GB/s on virtual machines.
void keep_freed_pages(bool keep);

/// Bytes given out of huge pages, which the heap does not count, and not got back.
std::int64_t bytes_in_huge_pages();

}  // namespace cpubone
