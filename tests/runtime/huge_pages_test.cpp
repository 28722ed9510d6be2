#include "runtime/huge_pages.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "runtime/arena.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

/// `VmFlags` of the mapping that an address is in; empty where the system does not tell.
std::string flags_of(const void* address) {
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  std::ifstream maps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    char dash = 0;
    if (words >> std::hex >> begin >> dash >> end && dash == '-')
      inside = begin <= wanted && wanted < end;
    else if (inside && line.rfind("VmFlags:", 0) == 0)
      return line + ' ';
  }
  return "";
}

}  // namespace

TEST_CASE("memory in pages is apart, aligned and given back") {
  const std::int64_t before = bytes_in_huge_pages();
  struct Block {
    unsigned char* memory;
    std::size_t bytes;
    unsigned char fill;
  };
  std::mt19937 random(1);
  std::vector<Block> blocks;
  const auto check = [](const Block& b) {
    return std::all_of(b.memory, b.memory + b.bytes, [&](auto byte) { return byte == b.fill; });
  };
  for (int i = 0; i < 400; ++i) {
    // Some are larger than what several blocks share.
    const std::size_t bytes = i % 100 == 99 ? 40 << 20 : random() % (1 << 18);
    Block block{static_cast<unsigned char*>(allocate_in_pages(bytes)), bytes,
                static_cast<unsigned char>(i)};
    REQUIRE(block.memory != nullptr);
    CHECK(reinterpret_cast<std::uintptr_t>(block.memory) % Arena::alignment == 0);
    std::memset(block.memory, block.fill, bytes);
    blocks.push_back(block);
    if (i % 3 == 0) {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      CHECK(check(blocks.back()));
      free_in_pages(blocks.back().memory);
      blocks.pop_back();
    }
  }
  for (const Block& block : blocks) {
    CHECK(check(block));
    free_in_pages(block.memory);
  }
  CHECK(bytes_in_huge_pages() == before);
}

TEST_CASE("memory in pages keeps its content when it grows") {
  auto* const small = static_cast<char*>(reallocate_in_pages(nullptr, 10));
  std::strcpy(small, "weights");
  CHECK(reallocate_in_pages(small, 8) == small);
  auto* const large = static_cast<char*>(reallocate_in_pages(small, 1 << 20));
  CHECK(std::string(large) == "weights");
  CHECK(reallocate_in_pages(large, SIZE_MAX) == nullptr);
  CHECK(std::string(large) == "weights");
  free_in_pages(large);
  free_in_pages(nullptr);
  CHECK(allocate_in_pages(SIZE_MAX - 100) == nullptr);
}

TEST_CASE("freed pages are used again while they are kept") {
  if (page_bytes() == static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) return;  // of the heap
  constexpr std::size_t large = std::size_t{40} << 20;
  constexpr std::size_t twice = 2 * large + (std::size_t{4} << 20);
  keep_freed_pages(true);
  auto* const whole = static_cast<char*>(allocate_in_pages(twice));
  std::strcpy(whole, "as it was, not cleared");
  free_in_pages(whole);
  for (const bool front_first : {true, false}) {
    void* const front = allocate_in_pages(large);
    CHECK(std::string(whole) == "as it was, not cleared");
    void* const back = allocate_in_pages(large);
    CHECK(front == whole);
    CHECK(back > front);
    CHECK(back < whole + twice);
    // They are one again, whichever is freed first.
    free_in_pages(front_first ? front : back);
    free_in_pages(front_first ? back : front);
    CHECK(allocate_in_pages(twice) == whole);
    free_in_pages(whole);
  }
  keep_freed_pages(false);
  CHECK(flags_of(whole).empty());  // given back
}

TEST_CASE("several threads take memory in pages") {
  const std::int64_t before = bytes_in_huge_pages();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([] {
      for (int i = 0; i < 2000; ++i) free_in_pages(allocate_in_pages(1 << 16));
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(bytes_in_huge_pages() == before);
}

TEST_CASE("pages are huge where the system has such") {
  CHECK(page_bytes() >= static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
  const Arena arena(1 << 20);
  const std::string flags = flags_of(arena.data());
  if (page_bytes() == static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)))
    CHECK(flags.find(" hg ") == std::string::npos);
  else if (!flags.empty())
    CHECK(flags.find(" hg ") != std::string::npos);
}
