#pragma once
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <utility>

namespace cpubone {

/// Points of the unit cube that stay evenly spread however many are taken: the additive recurrence
/// of the generalised golden ratio (Roberts 2018), from a random start.
class Points {
 public:
  static constexpr int dimensions = 10;

  explicit Points(std::uint64_t seed) {
    double root = 2;
    for (int i = 0; i < 64; ++i) root = std::pow(1 + root, 1.0 / (dimensions + 1));
    std::mt19937_64 random(seed);
    for (int d = 0; d < dimensions; ++d) {
      step_[static_cast<std::size_t>(d)] = std::fmod(std::pow(1 / root, d + 1), 1.0);
      at_[static_cast<std::size_t>(d)] = static_cast<double>(random() >> 11) * 0x1p-53;
    }
  }

  /// Moves to the next point; its coordinates are then taken one after the other.
  void advance() {
    for (std::size_t d = 0; d < dimensions; ++d) at_[d] = std::fmod(at_[d] + step_[d], 1.0);
    next_ = 0;
  }

  double uniform() { return at_.at(next_++); }
  double logarithmic(double low, double high) { return low * std::pow(high / low, uniform()); }

  /// One of `values` with probabilities proportional to the weights.
  template <typename Value>
  Value weighted(std::initializer_list<std::pair<Value, double>> values) {
    double sum = 0;
    for (const auto& [value, weight] : values) sum += weight;
    double left = uniform() * sum;
    for (const auto& [value, weight] : values)
      if ((left -= weight) < 0) return value;
    return (values.end() - 1)->first;
  }
  template <typename Value>
  Value one_of(std::initializer_list<Value> values) {
    return *(values.begin() +
             static_cast<std::ptrdiff_t>(uniform() * static_cast<double>(values.size())));
  }

 private:
  std::array<double, dimensions> step_{};
  std::array<double, dimensions> at_{};
  std::size_t next_ = 0;
};

}  // namespace cpubone
