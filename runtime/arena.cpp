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

std::shared_ptr<std::byte> of_heap(std::size_t bytes) {
  void* const memory = std::aligned_alloc(Arena::alignment, allocated(bytes));
  if (memory == nullptr) throw std::bad_alloc();
  return {static_cast<std::byte*>(memory), std::free};
}

}  // namespace

Arena::Arena(std::size_t bytes) : Arena(of_heap(bytes), bytes) {
  std::fill_n(data_.get() + bytes, allocated(bytes) - bytes, std::byte{0});
}

Arena::Arena(std::shared_ptr<std::byte> memory, std::size_t bytes)
    : data_(std::move(memory)), size_(bytes) {
  std::fill_n(data_.get(), bytes, std::byte{0});
}

}  // namespace cpubone
