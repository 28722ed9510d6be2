#include "runtime/channel_part.hpp"

#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("a part of a dense convolution reads all channels and writes its own", "[runtime]") {
  const Op op = parse_op("conv2d 1x8x8x6->1x8x8x16 k3x3 s1 p1,1,1,1 g1 act=relu f32");
  CHECK(text(channel_part(op, 4, 16)) ==
        "conv2d 1x8x8x6->1x8x8x12 k3x3 s1 p1,1,1,1 g1 act=relu f32");
  Parameters all;
  for (int i = 0; i < 16 * 6 * 9; ++i) all.weight.push_back(static_cast<float>(i));
  for (int i = 0; i < 16; ++i) all.bias.push_back(static_cast<float>(i));
  const ChannelPart part = channel_part(op, all, 4, 6);
  CHECK(part.parameters.weight.size() == 2 * 6 * 9);
  CHECK(part.parameters.weight[0] == 4 * 6 * 9);
  CHECK(part.parameters.bias == std::vector<float>{4, 5});
  CHECK(part.input_begin == 0);
  CHECK(part.input_stride == 6);
  CHECK(part.output_begin == 4);
  CHECK(part.output_stride == 16);
}

TEST_CASE("a part of a grouped convolution is whole groups, and reads theirs only", "[runtime]") {
  const Op op = parse_op("conv2d 1x8x8x16->1x8x8x32 k2x2 s1 p1,0,1,0 g8 nobias f32");
  CHECK(channel_step(op) == 4);
  CHECK(text(channel_part(op, 8, 32)) ==
        "conv2d 1x8x8x12->1x8x8x24 k2x2 s1 p1,0,1,0 g6 nobias f32");
  const ChannelPart part = channel_part(op, {std::vector<float>(32 * 2 * 4), {}, {}, {}}, 8, 32);
  CHECK(part.input_begin == 4);
  CHECK(part.input_stride == 16);
  CHECK_THROWS_WITH(channel_part(op, 6, 32),
                    "op \"" + text(op) +
                        "\": output channels 6 to 32 are no part of it; expected multiples of 4 "
                        "within 0..32");
}

TEST_CASE("parts of a depthwise convolution may become a single channel", "[runtime]") {
  const Op op = parse_op("conv2d 1x8x8x4->1x8x8x4 k3x3 s1 p1,1,1,1 g4 f32");
  CHECK(text(channel_part(op, 3, 4)) == "conv2d 1x8x8x1->1x8x8x1 k3x3 s1 p1,1,1,1 g1 f32");
}

TEST_CASE("operators without channels of their own have no parts", "[runtime]") {
  CHECK_FALSE(has_channel_parts(parse_op("add 1x5x5x8,1x5x5x8->1x5x5x8 f32")));
  CHECK(has_channel_parts(parse_op("linear 1x1x1x40->1x1x1x30 f16")));
  CHECK_THROWS_WITH(channel_part(parse_op("softmax 1x3x4x10->1x3x4x10 f32"), 0, 4),
                    ContainsSubstring("linear layers in f32 or f16 only"));
}
