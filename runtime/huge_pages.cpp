#include "runtime/huge_pages.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <new>

#include "runtime/system.hpp"

namespace cpubone {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t chunk_bytes = std::size_t{32} << 20;

std::atomic<std::int64_t> given_out{0};

/// Blocks behind each other, after this, in huge pages. A block that was freed is not used again
/// before all of them are.
struct Chunk {
  std::size_t size;
  std::size_t used = alignment;
  std::size_t blocks = 0;
};

/// Before each block, in a line of its own.
struct Header {
  Chunk* chunk;  ///< null: of the heap
  std::size_t bytes;
};
static_assert(sizeof(Chunk) <= alignment && sizeof(Header) <= alignment);

std::size_t rounded_up(std::size_t bytes, std::size_t to) {
  return (bytes + to - 1) / to * to;
}

Header* header_of(void* memory) {
  return reinterpret_cast<Header*>(static_cast<std::byte*>(memory) - alignment);
}

std::size_t huge() {
  static const std::size_t bytes = huge_page_bytes();
  return bytes;
}

class Pool {
 public:
  std::byte* take(std::size_t bytes, Chunk*& from) {
    const std::lock_guard lock(mutex_);
    if (bytes > chunk_bytes / 2) {
      from = mapped(alignment + bytes);
    } else {
      if (current_ == nullptr || current_->used + bytes > current_->size) {
        Chunk* const next = mapped(chunk_bytes);
        if (next == nullptr) return nullptr;
        if (current_ != nullptr && current_->blocks == 0) release(current_);
        current_ = next;
      }
      from = current_;
    }
    if (from == nullptr) return nullptr;
    std::byte* const block = reinterpret_cast<std::byte*>(from) + from->used;
    from->used += bytes;
    ++from->blocks;
    return block;
  }

  void give_back(Chunk* chunk) {
    const std::lock_guard lock(mutex_);
    if (--chunk->blocks > 0) return;
    chunk->used = alignment;
    if (chunk != current_) release(chunk);
  }

  void keep_freed(bool keep) {
    const std::lock_guard lock(mutex_);
    keeps_ = keep;
    if (keep) return;
    for (const auto& [memory, size] : kept_) unmap_huge_pages(memory, size);
    kept_.clear();
  }

 private:
  Chunk* mapped(std::size_t bytes) {
    const std::size_t size = rounded_up(bytes, huge());
    void* memory = taken_of_kept(size);
    if (memory == nullptr) memory = map_huge_pages(size, huge());
    return memory == nullptr ? nullptr : new (memory) Chunk{size};
  }

  /// The front of the first that is large enough; null where none is.
  std::byte* taken_of_kept(std::size_t size) {
    const auto found = std::find_if(kept_.begin(), kept_.end(),
                                    [&](const auto& range) { return range.second >= size; });
    if (found == kept_.end()) return nullptr;
    const auto [memory, kept_size] = *found;
    kept_.erase(found);
    if (kept_size > size) kept_.emplace(memory + size, kept_size - size);
    return memory;
  }

  void release(Chunk* chunk) {
    auto* const memory = reinterpret_cast<std::byte*>(chunk);
    if (!keeps_) return unmap_huge_pages(memory, chunk->size);
    const auto here = kept_.emplace(memory, chunk->size).first;
    // One with its neighbours, so that larger blocks fit.
    if (const auto next = std::next(here); next != kept_.end() && end_of(*here) == next->first) {
      here->second += next->second;
      kept_.erase(next);
    }
    if (here == kept_.begin()) return;
    if (const auto before = std::prev(here); end_of(*before) == here->first) {
      before->second += here->second;
      kept_.erase(here);
    }
  }

  using Kept = std::map<std::byte*, std::size_t>;  ///< begin and size of what is free
  static std::byte* end_of(const Kept::value_type& range) { return range.first + range.second; }

  std::mutex mutex_;
  Chunk* current_ = nullptr;
  bool keeps_ = false;
  Kept kept_;
};

/// Never destroyed: blocks may be freed at the very end of a process.
Pool& pool() {
  static Pool& pool = *new Pool;
  return pool;
}

}  // namespace

std::size_t page_bytes() {
  return huge() > 0 ? huge() : static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

void* allocate_in_pages(std::size_t bytes) noexcept {
  if (bytes > PTRDIFF_MAX - 2 * alignment) return nullptr;
  const std::size_t needed = alignment + rounded_up(bytes, alignment);
  Chunk* chunk = nullptr;
  std::byte* const block = huge() > 0
                               ? pool().take(needed, chunk)
                               : static_cast<std::byte*>(std::aligned_alloc(alignment, needed));
  if (block == nullptr) return nullptr;
  new (block) Header{chunk, bytes};
  if (chunk != nullptr) given_out += static_cast<std::int64_t>(bytes);
  return block + alignment;
}

void* reallocate_in_pages(void* memory, std::size_t bytes) noexcept {
  if (memory != nullptr && bytes <= header_of(memory)->bytes) return memory;
  void* const moved = allocate_in_pages(bytes);
  if (memory == nullptr || moved == nullptr) return moved;
  std::memcpy(moved, memory, header_of(memory)->bytes);
  free_in_pages(memory);
  return moved;
}

void free_in_pages(void* memory) noexcept {
  if (memory == nullptr) return;
  Header* const header = header_of(memory);
  if (header->chunk == nullptr) return std::free(header);
  given_out -= static_cast<std::int64_t>(header->bytes);
  pool().give_back(header->chunk);
}

void keep_freed_pages(bool keep) {
  pool().keep_freed(keep);
}

std::int64_t bytes_in_huge_pages() {
  return given_out;
}

}  // namespace cpubone
