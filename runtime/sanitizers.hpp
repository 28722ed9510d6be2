#pragma once

// Whether a sanitizer stands in for the allocator and before the C library: GCC defines macros,
// Clang has features.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CPUBONE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CPUBONE_SANITIZED 1
#endif
#endif
