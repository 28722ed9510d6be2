#include "runtime/placement.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace cpubone {
namespace {

/// Finds what lives at the same time: a segment tree over the operators tells what is alive at one,
/// lists tell what begins at each.
class Alive {
 public:
  explicit Alive(int operators)
      : size_(static_cast<std::size_t>(operators)), nodes_(2 * size_), begins_(size_) {}

  void insert(std::size_t which, const Lifetime& life) {
    auto low = static_cast<std::size_t>(life.first) + size_;
    auto high = static_cast<std::size_t>(life.last) + size_ + 1;
    for (; low < high; low /= 2, high /= 2) {
      if (low % 2 == 1) nodes_[low++].push_back(which);
      if (high % 2 == 1) nodes_[--high].push_back(which);
    }
    begins_[static_cast<std::size_t>(life.first)].push_back(which);
  }

  template <typename Visit>
  void each(const Lifetime& life, Visit visit) const {
    for (auto node = static_cast<std::size_t>(life.first) + size_; node > 0; node /= 2)
      for (const std::size_t which : nodes_[node]) visit(which);
    for (int at = life.first + 1; at <= life.last; ++at)
      for (const std::size_t which : begins_[static_cast<std::size_t>(at)]) visit(which);
  }

 private:
  std::size_t size_;
  std::vector<std::vector<std::size_t>> nodes_;
  std::vector<std::vector<std::size_t>> begins_;
};

/// The first place from `offset` on where what has this colour may begin.
std::size_t aligned(std::size_t offset, int colour) {
  if (colour < 0) return offset;
  const std::size_t begin = static_cast<std::size_t>(colour) * (aliasing_bytes / colours);
  return offset + (begin + aliasing_bytes - offset % aliasing_bytes) % aliasing_bytes;
}

}  // namespace

Placement place(std::span<const Lifetime> lifetimes) {
  Placement result;
  result.offsets.resize(lifetimes.size());
  int operators = 1;
  for (const Lifetime& life : lifetimes) operators = std::max(operators, life.last + 1);
  Alive placed(operators);
  std::vector<std::size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return lifetimes[a].bytes > lifetimes[b].bytes;
  });
  std::vector<std::pair<std::size_t, std::size_t>> taken;
  for (const std::size_t i : order) {
    const Lifetime& life = lifetimes[i];
    taken.clear();
    placed.each(life, [&](std::size_t other) {
      taken.emplace_back(result.offsets[other], result.offsets[other] + lifetimes[other].bytes);
    });
    result.compared += taken.size();
    std::sort(taken.begin(), taken.end());
    std::size_t offset = aligned(0, life.colour);
    for (const auto& [begin, end] : taken) {
      if (offset + life.bytes <= begin) break;
      offset = aligned(std::max(offset, end), life.colour);
    }
    result.offsets[i] = offset;
    result.bytes = std::max(result.bytes, offset + life.bytes);
    placed.insert(i, life);
  }
  return result;
}

}  // namespace cpubone
