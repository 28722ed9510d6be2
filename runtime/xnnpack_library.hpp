#pragma once
#include <xnnpack.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "runtime/thread_pool.hpp"
#include "runtime/xnnpack_functions.hpp"
#include "runtime/xnnpack_versions.hpp"

namespace cpubone {

struct XnnpackLibrary {
#define CPUBONE_XNNPACK_MEMBER(name) decltype(&xnn_##name) name = nullptr;
  CPUBONE_XNNPACK_FUNCTIONS(CPUBONE_XNNPACK_MEMBER)
#undef CPUBONE_XNNPACK_MEMBER
  NewerXnnpack newer;
  PoolFunctions pool;  ///< that it runs on
};

/// The one that this is built with.
const XnnpackLibrary& linked_xnnpack();
/// One from a file, which stays loaded until the process ends and keeps apart from the linked one.
/// Throws cpubone::Error where the file cannot be loaded, is no XNNPACK, or one of a version whose
/// functions are not known here.
XnnpackLibrary load_xnnpack(const std::filesystem::path& path);

/// Before anything else of XNNPACK, which allocates in huge pages then; may be repeated. Throws
/// cpubone::Error where XNNPACK refuses the CPU.
void initialise(const XnnpackLibrary& library);
/// The file that the library's functions are in: the program, where it is linked into that.
std::filesystem::path file_of(const XnnpackLibrary& library);

}  // namespace cpubone
