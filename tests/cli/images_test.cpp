#include "cli/images.hpp"

#include <cstring>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "graph/error.hpp"
#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;
using cli::Normalisation;
using cli::read_images;
namespace fs = std::filesystem;

namespace {

const Shape shape{1, 1, 2, 3};
const Normalisation halves{{0.5F, 0.5F, 0.5F}, {0.5F, 0.5F, 0.5F}};
using Images = std::vector<std::vector<float>>;

/// As numpy.save writes it: the header ends at a multiple of 64 bytes.
std::string array(const std::string& header, const std::string& data) {
  std::string padded = header;
  padded.resize((10 + header.size() + 64) / 64 * 64 - 10, ' ');
  padded.back() = '\n';
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(padded.size()) + '\0' + padded +
         data;
}

std::string header(const std::string& type, const std::string& dims, const char* order = "False") {
  return "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': (" + dims + "), }";
}

std::string bytes_of(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

fs::path file(const std::string& name, const std::string& content) {
  const fs::path path = scratch_path(name);
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

const std::string six_bytes("\x00\x33\x66\x99\xcc\xff", 6);

}  // namespace

TEST_CASE("arrays of floats are images as they are, or normalised", "[images]") {
  const fs::path two = file("two.npy", array(header("<f4", "2, 1, 2, 3"),
                                             bytes_of({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})));
  CHECK(read_images(two, shape, {}) == Images{{1, 2, 3, 4, 5, 6}, {7, 8, 9, 10, 11, 12}});
  CHECK(read_images(two, shape, halves) == Images{{1, 3, 5, 7, 9, 11}, {13, 15, 17, 19, 21, 23}});
}

TEST_CASE("arrays of bytes are pixels, which are normalised", "[images]") {
  const fs::path one = file("one.npy", array(header("|u1", "1, 2, 3"), six_bytes));
  const Images read = read_images(one, shape, halves);
  REQUIRE(read.size() == 1);
  REQUIRE(read[0].size() == 6);
  for (std::size_t i = 0; i < 6; ++i)
    CHECK(read[0][i] == Approx(0.4 * static_cast<double>(i) - 1).margin(1e-6));
  CHECK_THROWS_WITH(read_images(one, shape, {}), ContainsSubstring("got no --mean and --std"));
  CHECK_THROWS_AS(read_images(one, shape, Normalisation{{0}, {1}}), std::invalid_argument);
}

TEST_CASE("a folder's images are read by name, of many as many as asked for", "[images]") {
  const TemporaryFolder folder;
  const auto put = [&](const std::string& name, float value) {
    std::ofstream(folder / name, std::ios::binary)
        << array(header("<f4", "1, 2, 3"), bytes_of(std::vector<float>(6, value)));
  };
  put("c.npy", 3);
  put("a.npy", 1);
  put("d.npy", 4);
  put("b.NPY", 2);
  std::ofstream(folder / "labels.txt") << "none of them";
  const auto firsts = [&](std::size_t most) {
    std::vector<float> values;
    for (const auto& image : read_images(folder.path(), shape, {}, most))
      values.push_back(image[0]);
    return values;
  };
  CHECK(firsts(9) == std::vector<float>{1, 2, 3, 4});
  CHECK(firsts(2) == std::vector<float>{1, 3});
  const TemporaryFolder empty;
  CHECK_THROWS_WITH(read_images(empty.path(), shape, {}), ContainsSubstring("no image in it"));
}

TEST_CASE("what is no array of images is refused by what is wrong with it", "[images]") {
  const auto error = [](const std::string& content) {
    return [path = file("wrong.npy", content)] { read_images(path, shape, halves); };
  };
  const std::string floats = bytes_of({1, 2, 3, 4, 5, 6});
  CHECK_THROWS_WITH(error("PK")(), ContainsSubstring("wrong.npy: not an array of NumPy"));
  CHECK_THROWS_WITH(error(array(header("<f4", "1, 2, 3"), floats).substr(0, 60))(),
                    ContainsSubstring("not an array of NumPy"));
  CHECK_THROWS_WITH(error(array("{'shape': (1, 2, 3)}", floats))(),
                    ContainsSubstring("its header has no 'descr':"));
  CHECK_THROWS_WITH(error(array(header("<f8", "1, 2, 3"), floats))(),
                    ContainsSubstring("type '<f8'; expected uint8 or float32"));
  CHECK_THROWS_WITH(error(array(header("<f4", "1, 2, 3", "True"), floats))(),
                    ContainsSubstring("Fortran's order"));
  CHECK_THROWS_WITH(error(array(header("<f4", "1, x"), floats))(),
                    ContainsSubstring("malformed shape"));
  CHECK_THROWS_WITH(error(array(header("<f4", "3, 1, 2"), floats))(),
                    ContainsSubstring("an array of 3 x 1 x 2; expected n x 1 x 2 x 3"));
  CHECK_THROWS_WITH(error(array(header("<f4", "6,"), floats))(),
                    ContainsSubstring("an array of 6; expected"));
  CHECK_THROWS_WITH(error(array(header("<f4", "2, 1, 2, 3"), floats))(),
                    ContainsSubstring("cut off: it has 1 of its 2 images"));
  CHECK_THROWS_WITH(error(array(header("<f4", "0, 1, 2, 3"), ""))(),
                    ContainsSubstring("no image in it"));
  CHECK_THROWS_WITH(
      error(array(header("<f4", "1, 2, 3"),
                  bytes_of({1, 2, std::numeric_limits<float>::infinity(), 4, 5, 6})))(),
      ContainsSubstring("image 0 has a value that is not a finite number"));
  CHECK_THROWS_WITH(read_images(scratch_path("none.npy"), shape, {}),
                    ContainsSubstring("none.npy: cannot read: No such file"));
  CHECK_THROWS_WITH(read_images(file("a.txt", ""), shape, {}),
                    ContainsSubstring("expected a folder"));
}

#ifdef CPUBONE_STB_IMAGE
TEST_CASE("pictures are scaled to cover the input and cut to its middle", "[images]") {
  // Four by two pixels whose means of two by two are 10, 20, ... beside those; the input takes the
  // middle of the three columns that are left at half the size.
  std::string pixels;
  for (int y = 0; y < 2; ++y)
    for (int x = 0; x < 8; ++x) {
      const int mean = 10 * (x / 2);
      for (int c = 0; c < 3; ++c) pixels += static_cast<char>(mean + c + (x % 2 == y % 2 ? 1 : -1));
    }
  const fs::path picture = file("picture.ppm", "P6 8 2 255\n" + pixels);
  const Images read = read_images(
      picture, shape, Normalisation{{0, 1 / 255.F, 3 / 255.F}, {1 / 255.F, 1 / 255.F, 2 / 255.F}});
  REQUIRE(read.size() == 1);
  const std::vector<double> expected{10, 10, 4.5, 20, 20, 9.5};
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(read[0][i] == Approx(expected[i]));
}

TEST_CASE("a small picture is made larger", "[images]") {
  const fs::path picture = file("small.pgm", std::string("P5 1 1 255\n\x33"));
  const Images read = read_images(picture, {1, 2, 2, 1}, Normalisation{{0}, {1}});
  REQUIRE(read.size() == 1);
  for (const float value : read[0]) CHECK(value == Approx(0.2));
}

TEST_CASE("what is no picture is refused by what is wrong with it", "[images]") {
  CHECK_THROWS_WITH(read_images(file("wrong.png", "text"), shape, halves),
                    ContainsSubstring("wrong.png: cannot be read as a picture: "));
  CHECK_THROWS_WITH(read_images(file("wide.pgm", "P5 1 1 255\n\x33"), {1, 1, 2, 2},
                                Normalisation{{0, 0}, {1, 1}}),
                    ContainsSubstring("pictures have 1 or 3 channels, the network's input 2"));
}
#else
TEST_CASE("a build without stb_image says how to get pictures read", "[images]") {
  CHECK_THROWS_WITH(read_images(file("a.png", ""), shape, halves), ContainsSubstring("libstb-dev"));
}
#endif
