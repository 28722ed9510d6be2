#pragma once
#include <cstdint>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace cpubone {

/// Denormals take a hundred times longer than other numbers; off while a network runs, as in
/// XNNPACK's own workers.
class FlushDenormals {
 public:
  FlushDenormals() : saved_(read()) { write(saved_ | bits); }
  ~FlushDenormals() { write(saved_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
#if defined(__SSE2__)
  using Word = unsigned;
  static constexpr Word bits = 0x8040;  // flush to zero, denormals are zero
  static Word read() {
    return _mm_getcsr();
  }
  static void write(Word word) {
    _mm_setcsr(word);
  }
#elif defined(__aarch64__)
  using Word = std::uint64_t;
  static constexpr Word bits = 1U << 24;
  static Word read() {
    Word word = 0;
    asm volatile("mrs %0, fpcr" : "=r"(word));
    return word;
  }
  static void write(Word word) {
    asm volatile("msr fpcr, %0" : : "r"(word));
  }
#else
  using Word = unsigned;
  static constexpr Word bits = 0;
  static Word read() {
    return 0;
  }
  static void write(Word) {}
#endif
  Word saved_;
};

}  // namespace cpubone
