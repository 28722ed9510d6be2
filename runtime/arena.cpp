#include "runtime/arena.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace cpubone {
namespace {

/// What is allocated for so many bytes: at least one line, in whole lines.
std::size_t allocated(std::size_t bytes) {
  return (std::max<std::size_t>(bytes, 1) + Arena::alignment - 1) / Arena::alignment *
         Arena::alignment;
}

}  // namespace

Arena::Arena(std::size_t bytes)
    : data_(static_cast<std::byte*>(std::aligned_alloc(alignment, allocated(bytes))), std::free),
      size_(bytes) {
  if (!data_) throw std::bad_alloc();
  std::fill_n(data_.get(), allocated(bytes), std::byte{0});
}

}  // namespace cpubone
