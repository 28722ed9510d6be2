#include "runtime/arena.hpp"

#include <algorithm>
#include <new>

#include "runtime/huge_pages.hpp"

namespace cpubone {
namespace {

/// What is allocated for so many bytes: at least one line, in whole lines.
std::size_t allocated(std::size_t bytes) {
  return (std::max<std::size_t>(bytes, 1) + Arena::alignment - 1) / Arena::alignment *
         Arena::alignment;
}

std::shared_ptr<std::byte> in_pages(std::size_t bytes) {
  void* const memory = allocate_in_pages(allocated(bytes));
  if (memory == nullptr) throw std::bad_alloc();
  return {static_cast<std::byte*>(memory), free_in_pages};
}

}  // namespace

Arena::Arena(std::size_t bytes) : Arena(in_pages(bytes), bytes) {
  std::fill_n(data_.get() + bytes, allocated(bytes) - bytes, std::byte{0});
}

Arena::Arena(std::shared_ptr<std::byte> memory, std::size_t bytes)
    : data_(std::move(memory)), size_(bytes) {
  std::fill_n(data_.get(), bytes, std::byte{0});
}

}  // namespace cpubone
