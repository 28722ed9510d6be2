#pragma once

// Which sanitizer watches: GCC defines macros, Clang has features.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CPUBONE_ADDRESS_SANITIZER
#endif
#if __has_feature(thread_sanitizer)
#define CPUBONE_THREAD_SANITIZER
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define CPUBONE_ADDRESS_SANITIZER
#endif
#ifdef __SANITIZE_THREAD__
#define CPUBONE_THREAD_SANITIZER
#endif
