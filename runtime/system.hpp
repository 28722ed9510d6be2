#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace cpubone {

// What is asked of the operating system beyond POSIX, and by nothing but these functions:
// system_linux.cpp, or system_posix.cpp where there is no Linux or CPUBONE_PLAIN_POSIX is set. With
// the latter all is measured alike, but in usual pages, on the CPUs that the system chooses. Files
// of /proc and /sys are read as files that may be absent (profiler/system_files.hpp).

/// Size of the huge pages that `map_huge_pages` gives; 0 where the system gives nobody any.
std::size_t huge_page_bytes();
/// Memory in huge pages of a size that `size` is a multiple of; null where there is none.
void* map_huge_pages(std::size_t size, std::size_t page) noexcept;
void unmap_huge_pages(void* memory, std::size_t size) noexcept;

/// Bytes that malloc has given out and not got back; 0 where it does not tell.
std::int64_t malloc_bytes();
/// Whether malloc keeps what is freed instead of giving it back to the system.
void keep_freed_heap(bool keep);
/// Gives what was freed back to the system.
void trim_freed_heap();

/// CPUs that the calling thread may run on; nothing where the system does not tell or choose.
std::optional<std::vector<int>> thread_cpus();
/// Whether the calling thread runs on these from now on; else errno says what is wrong.
bool set_thread_cpus(std::span<const int> cpus);

/// A pipe whose ends no program inherits. False: errno says what is wrong.
bool make_pipe(int (&ends)[2]);

/// Takes a signal that the calling thread blocks, where one is pending.
void drop_pending(int signal);

/// Of level 1 (data), 2 and 3 as the C library tells; 0: it does not.
std::int64_t cache_bytes(int level);

/// Arm's instruction sets as the kernel tells, by the names of /proc/cpuinfo.
std::vector<std::string> arm_features();

/// This program's file and those that it has mapped, libraries above all; none where the system
/// does not tell, or where its programs are not Linux's.
std::vector<std::filesystem::path> program_files();

}  // namespace cpubone
