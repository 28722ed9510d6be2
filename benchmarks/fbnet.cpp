#include "benchmarks/fbnet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "graph/builder.hpp"
#include "graph/error.hpp"

namespace cpubone {
namespace {

struct Block {
  int kernel;
  int expansion;
  int groups;
};
constexpr std::array<Block, 8> blocks_of_digits{
    {{3, 1, 1}, {3, 1, 2}, {3, 3, 1}, {3, 6, 1}, {5, 1, 1}, {5, 1, 2}, {5, 3, 1}, {5, 6, 1}}};
constexpr int skip = 8;

struct Stage {
  int layers;
  int width;
  int stride;  ///< of its first layer
};
constexpr std::array<Stage, 7> stages{
    {{1, 16, 1}, {4, 24, 1}, {4, 32, 2}, {4, 64, 2}, {4, 112, 1}, {4, 184, 2}, {1, 352, 1}}};
constexpr std::size_t layers = 22;

int append_layer(NetworkBuilder& b, int input, const std::string& name, int digit, int width,
                 int stride) {
  const bool same_shape = b.shape(input).c == width && stride == 1;
  if (digit == skip)
    return same_shape ? input
                      : b.conv2d(input, name + ".skip", {.out_channels = width, .stride = stride});
  const Block block = blocks_of_digits.at(static_cast<std::size_t>(digit));
  const int hidden = b.shape(input).c * block.expansion;
  int node =
      b.conv2d(input, name + ".expand",
               {.out_channels = hidden, .groups = block.groups, .activation = Activation::relu});
  if (block.groups > 1) node = b.channel_shuffle(node, name + ".shuffle", block.groups);
  node = b.depthwise(node, name + ".depthwise",
                     {.kernel = block.kernel, .stride = stride, .activation = Activation::relu});
  node = b.conv2d(node, name + ".project", {.out_channels = width, .groups = block.groups});
  return same_shape ? b.add(input, node, name + ".add") : node;
}

}  // namespace

Network fbnet(std::string_view blocks) {
  if (blocks.size() != layers || blocks.find_first_not_of("012345678") != std::string_view::npos)
    throw std::invalid_argument(
        fmt::format("blocks: got \"{}\", expected {} digits from 0 to {}", blocks, layers, skip));
  NetworkBuilder b(std::string(blocks), "FBNet", {1, 32, 32, 3});
  int node =
      b.conv2d(-1, "stem", {.out_channels = 16, .kernel = 3, .activation = Activation::relu});
  std::size_t layer = 0;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    b.stage(static_cast<int>(s) + 1);
    for (int i = 0; i < stages[s].layers; ++i, ++layer)
      node = append_layer(b, node, fmt::format("layer{}", layer + 1), blocks[layer] - '0',
                          stages[s].width, i == 0 ? stages[s].stride : 1);
  }
  b.head();
  node = b.conv2d(node, "conv", {.out_channels = 1504, .activation = Activation::relu});
  node = b.global_avg_pool(node, "pool");
  return b.finish(b.linear(node, "classifier", 100));
}

FbnetLatencies load_fbnet_latencies(const std::filesystem::path& path) {
  std::ifstream stream(path);
  std::string line;
  const auto cells = [&] {
    if (line.ends_with('\r')) line.pop_back();
    std::vector<std::string> list;
    std::istringstream text(line);
    for (std::string cell; std::getline(text, cell, ',');) list.push_back(cell);
    return list;
  };
  FbnetLatencies all;
  std::getline(stream, line);
  const std::vector<std::string> header = cells();
  const std::string unit = "_ms";
  if (header.size() < 2 || header[0] != "blocks" ||
      !std::all_of(header.begin() + 1, header.end(),
                   [&](const std::string& name) { return name.ends_with(unit); }))
    throw Error(fmt::format("{}:1: expected the columns blocks,<device>_ms,..., got \"{}\"",
                            path.string(), line));
  for (std::size_t i = 1; i < header.size(); ++i)
    all.devices.push_back({header[i].substr(0, header[i].size() - unit.size()), {}});
  for (int number = 2; std::getline(stream, line); ++number) {
    const std::vector<std::string> row = cells();
    const auto fail = [&](const std::string& expected) {
      throw Error(
          fmt::format("{}:{}: expected {}, got \"{}\"", path.string(), number, expected, line));
    };
    if (row.size() != header.size()) fail(fmt::format("{} values", header.size()));
    all.networks.push_back(fbnet(row[0]));
    for (std::size_t i = 1; i < row.size(); ++i) {
      double ms = 0;
      const char* end = row[i].data() + row[i].size();
      if (std::from_chars(row[i].data(), end, ms).ptr != end || !(ms > 0))
        fail("latencies above 0");
      all.devices[i - 1].ms.push_back(ms);
    }
  }
  return all;
}

}  // namespace cpubone
