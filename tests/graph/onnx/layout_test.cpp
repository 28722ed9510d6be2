#include "graph/onnx/layout.hpp"

#include <numeric>

#include "tests/catch.hpp"

using namespace cpubone::onnx;

namespace {

std::vector<float> numbers(std::size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 0.0F);
  return values;
}

}  // namespace

TEST_CASE("dimensions of one are nowhere in memory", "[onnx]") {
  const Layout layout = row_major({1, 3, 1, 2});
  CHECK(layout.factors == Dims{3, 2});
  CHECK(dims_of(layout) == Dims{1, 3, 1, 2});
}

TEST_CASE("values are arranged with channels last", "[onnx]") {
  // Two channels of two pixels.
  CHECK(arranged({1, 2, 10, 20}, stored({1, 2, 1, 2}, {0, 2, 3, 1})) ==
        std::vector<float>{1, 10, 2, 20});
}

TEST_CASE("a flattened image stays where it is", "[onnx]") {
  const Layout image = stored({1, 4, 2, 3}, {0, 2, 3, 1});
  const auto flat = reshaped(image, {1, 24});
  REQUIRE(flat);
  CHECK(flat->factors == Dims{6, 4});
  CHECK(flat->dims[1] == std::vector<int>{1, 0});  // channels first, though they lie innermost
  CHECK(arranged(numbers(24), *flat) == arranged(numbers(24), image));
  CHECK(reshaped(*flat, {1, 4, 2, 3}) == image);
}

TEST_CASE("heads are cut out of channels and turned without moving anything", "[onnx]") {
  const auto heads = reshaped(row_major({1, 5, 12}), {1, 5, 3, 4});
  REQUIRE(heads);
  const Layout turned = permuted(*heads, {0, 2, 1, 3});
  CHECK(dims_of(turned) == Dims{1, 3, 5, 4});
  CHECK(turned.factors == Dims{5, 3, 4});
}

TEST_CASE("dimensions that cut across what lies apart are no view", "[onnx]") {
  const Layout turned = permuted(row_major({4, 6}), {1, 0});
  CHECK(reshaped(turned, {24}));
  CHECK_FALSE(reshaped(row_major({4, 9}), {6, 6}));
}

TEST_CASE("factors are cut as another tensor's are", "[onnx]") {
  const Layout image = *reshaped(row_major({1, 8, 6}), {1, 2, 4, 6});
  const Layout windows = joined({{2, 4, 6}, {{}, {0, 1}, {2}}});
  const auto cut = cut_like(row_major({1, 8, 6}), {{2, 4, 6}, {{}, {0, 1}, {2}}});
  REQUIRE(cut);
  CHECK(cut->factors == Dims{2, 4, 6});
  CHECK(windows == row_major({1, 8, 6}));
  CHECK_FALSE(cut_like(image, {{3}, {{}, {0}, {}, {}}}));
}

TEST_CASE("rearranging says where every factor went", "[onnx]") {
  const Layout layout = row_major({2, 3, 4});
  const Layout moved = rearranged(layout, {2, 0, 1});
  CHECK(moved.factors == Dims{4, 2, 3});
  CHECK(dims_of(moved) == Dims{2, 3, 4});
}
