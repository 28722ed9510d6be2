#include "predictor/features.hpp"

#include <algorithm>
#include <cmath>

#include "predictor/cost_model.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

const CpuTraits cpu{{.tile = {7, 16, 1}, .vector_channels = 16}, 32 << 10, 1 << 20, 32 << 20};

double feature(const Op& op, std::string_view name, const CpuTraits& of = cpu) {
  const auto names = feature_names();
  const auto found = std::find(names.begin(), names.end(), name);
  REQUIRE(found != names.end());
  return facts(op, of).features.at(static_cast<std::size_t>(found - names.begin()));
}

}  // namespace

TEST_CASE("micro-kernel and caches are read off a device", "[predictor]") {
  Device device;
  device.architecture = "aarch64";
  device.features = {"neon"};
  device.l2_bytes = 512 << 10;
  CpuTraits traits = cpu_traits(device);
  CHECK(traits.tile.rows == 6);
  CHECK(traits.tile.channels == 8);
  CHECK(traits.l2_bytes == 512 << 10);
  CHECK(traits.llc_bytes == 2 << 20);  // not known: the default
  device.architecture = "x86_64";
  device.features = {"avx", "avx512f", "fma"};
  traits = cpu_traits(device);
  CHECK(traits.tile.rows == 7);
  CHECK(traits.tile.channels == 16);
  device.runtime = "XNNPACK 0.0~git20220216.ae108ef-2, Eigen 3.4.0";
  CHECK(cpu_traits(device).tile.channels == 16);
  device.runtime = "XNNPACK 0.0~git20241108.4ea82e5-2, Eigen 3.4.0";
  CHECK(cpu_traits(device).tile.channels == 32);
  device.runtime = "XNNPACK git20260821.75db3c0 (clang 19.1.7), Eigen 3.4.0";
  CHECK(cpu_traits(device).tile.channels == 32);
  device.features = {"avx", "fma"};
  CHECK(cpu_traits(device).tile.rows == 5);
  device.features = {};
  CHECK(cpu_traits(device).tile.rows == 4);
  device.coprocessor = "a GPU";
  CHECK(cpu_traits(device).tile.channels == 8);  // its tiles are not known
  device.tile_channels = 16;
  device.tile_pixels = 2;
  CHECK(cpu_traits(device).tile.channels == 16);
  CHECK(cpu_traits(device).vector_channels == 16);
  CHECK(cpu_traits(device).tile.rows == 2);
}

TEST_CASE("tiles of a transposed convolution with a stride end with each row", "[predictor]") {
  // Four phases of 16 rows of 16 pixels, three tiles of 7 each; 9 tiles of 16 channels.
  const Op op = parse_op("conv_transpose2d 1x16x16x144->1x32x32x136 k4x4 s2 p1,1,1,1 g1 f32");
  const Work w = facts(op, cpu).work;
  CHECK(w.work_items == 4 * 16 * 3 * 9);
  CHECK(w.padded_macs == 4.0 * 16 * 3 * 7 * 9 * 16 * 4 * 144);
}

TEST_CASE("few output channels have a tile of their own", "[predictor]") {
  Device device;
  device.architecture = "x86_64";
  device.features = {"avx", "avx512f", "fma"};
  const auto padded_macs = [&](const char* line) {
    return facts(parse_op(line), cpu_traits(device)).work.padded_macs;
  };
  const char* transposed = "conv_transpose2d 1x8x8x6->1x8x8x10 k3x3 s1 p1,1,1,1 g1 f32";
  const char* convolution = "conv2d 1x8x8x6->1x8x8x10 k3x3 s1 p1,1,1,1 g1 f32";
  // In 2022 convolutions fill up 7 x 16, transposed ones 4 x 2 by 4 input channels.
  CHECK(padded_macs(convolution) == 70 * 16 * 9 * 6);
  CHECK(padded_macs(transposed) == 64 * 10 * 9 * 8);
  CHECK(padded_macs("conv_transpose2d 1x8x8x6->1x8x8x16 k3x3 s1 p1,1,1,1 g1 f32") ==
        70 * 16 * 9 * 6);
  CHECK(padded_macs("conv_transpose2d 1x8x8x6->1x8x8x10 k3x3 s1 p1,1,1,1 g1 f16") ==
        70 * 16 * 9 * 6);
  const auto is_narrow = [&](const char* line) {
    return feature(parse_op(line), "fewer output channels than a tile", cpu_traits(device));
  };
  CHECK(is_narrow(transposed) == 1);
  CHECK(is_narrow(convolution) == 0);
  // Since 2024 all of them half of 7 x 32; products of two matrices are not XNNPACK's.
  device.runtime = "XNNPACK 0.0~git20241108.4ea82e5-2, Eigen 3.4.0";
  CHECK(padded_macs(convolution) == 70 * 16 * 9 * 6);
  CHECK(padded_macs(transposed) == 70 * 16 * 9 * 6);
  CHECK(padded_macs("matmul 1x1x8x6,1x1x6x10->1x1x8x10 f32") == 14 * 32 * 6);
  device.features = {};
  device.architecture = "aarch64";
  CHECK(padded_macs("conv2d 1x8x8x6->1x8x8x5 k1x1 s1 p0,0,0,0 g1 f32") == 64 * 6 * 6);
}

TEST_CASE("operators of one cost model are one class", "[predictor]") {
  const auto of = [](const char* line) { return op_class(parse_op(line)); };
  CHECK(of("linear 1x1x1x64->1x1x1x32 f32") == "linear");
  CHECK(of("linear 1x7x7x64->1x7x7x32 f32") == "pointwise");  // the same kernels
  CHECK(of("conv2d 1x7x7x8->1x7x7x16 k1x1 s1 p0,0,0,0 g1 f32") == "pointwise");
  CHECK(of("conv2d 1x7x7x8->1x7x7x16 k1x1 s1 p0,0,0,0 g2 f32") == "pointwise");
  CHECK(of("conv2d 1x8x8x8->1x4x4x16 k1x1 s2 p0,0,0,0 g1 f32") == "convolution");
  CHECK(of("conv2d 1x7x7x8->1x7x7x16 k3x3 s1 p1,1,1,1 g4 f32") == "convolution");
  CHECK(of("conv2d 1x7x7x8->1x7x7x8 k5x5 s1 p2,2,2,2 g8 f32") == "depthwise");
  CHECK(of("conv2d 1x9x9x8->1x9x9x8 k7x7 s1 p3,3,3,3 g8 f32") == "wide depthwise");
  CHECK(of("conv2d 1x9x9x8->1x9x9x8 k7x7 s1 p3,3,3,3 g8 qs8") == "int8 wide depthwise");
  CHECK(of("conv2d 1x9x9x8->1x9x9x8 k5x5 s1 p2,2,2,2 g8 qs8") == "int8 depthwise of many taps");
  CHECK(of("conv2d 1x9x9x8->1x5x5x8 k5x5 s2 p2,2,2,2 g8 qs8") == "int8 depthwise");
  CHECK(of("conv2d 1x9x9x8->1x9x9x8 k3x3 s1 p1,1,1,1 g8 qs8") == "int8 depthwise");
  CHECK(of("activation 1x7x7x8->1x7x7x8 act=gelu f32") == "gelu");
  CHECK(of("add 1x7x7x8,1x7x7x8->1x7x7x8 f32") == "add");
  CHECK(of("mul 1x7x7x8,1x7x7x8->1x7x7x8 f32") == "add");
  CHECK(of("mul 1x7x7x8,1x1x1x8->1x7x7x8 f32") == "broadcast");
  CHECK(of("add 1x7x7x8,1x1x1x8->1x7x7x8 f32") == "broadcast");
  CHECK(of("activation 1x7x7x8->1x7x7x8 act=relu f32") == "hardswish");
  CHECK(of("activation 1x7x7x8->1x7x7x8 act=relu f16") == "relu");
  CHECK(of("activation 1x7x7x8->1x7x7x8 act=hardswish f16") == "hardswish");
  CHECK(of("slice 1x7x7x8->1x7x7x4 f32") == "slice");
  CHECK(of("concat 1x7x7x8,1x7x7x8->1x7x7x16 f32") == "copy");
  CHECK(of("split 1x7x7x8->1x7x7x4,1x7x7x4 f32") == "copy");
  CHECK(of("transpose 1x7x7x8->1x7x7x8 perm=0,2,1,3 f32") == "transpose of pixels");
  CHECK(of("transpose 1x7x7x8->1x8x7x7 perm=0,3,1,2 f32") == "transpose");
  CHECK(of("rms_norm 1x7x7x8->1x7x7x8 f32") == "layer_norm");
  CHECK(of("conv2d 1x7x7x8->1x7x7x16 k1x1 s1 p0,0,0,0 g1 qs8") == "int8 pointwise");
  CHECK(of("conv2d 1x7x7x8->1x7x7x16 k1x1 s1 p0,0,0,0 g1 f16") == "pointwise");
  CHECK(of("activation 1x7x7x8->1x7x7x8 act=gelu qs8") == "int8 activation");  // all are tables
  CHECK(of("activation 1x7x7x8->1x7x7x8 act=sigmoid qs8") == "int8 activation");
  CHECK(of("quantise 1x7x7x8:f32->1x7x7x8:qs8") == "quantise");
  CHECK(of("linear 1x1x49x192->1x1x49x192 dynamic") == "int8 dynamic linear");
  CHECK(of("linear 1x1x1x192->1x1x1x192 dynamic") == "int8 dynamic linear");
  CHECK(of("dequantise 1x7x7x8:qs8->1x7x7x8:f32") == "dequantise");
}

TEST_CASE("a dynamic layer reads and writes floats, and multiplies bytes", "[predictor]") {
  const Op dynamic = parse_op("linear 1x1x49x192->1x1x49x64 dynamic");
  const CpuTraits cpu = cpu_traits({});
  const Work work = facts(dynamic, cpu).work;
  CHECK(facts(dynamic, cpu).matrix_product);
  CHECK(work.weight_bytes == 192 * 64 + 8 * 64);
  // As floats, then as bytes, which are written and read.
  CHECK(work.activation_bytes == 49 * (4 * (192 + 64) + 2 * 192));
  CHECK(work.padded_macs ==
        facts(parse_op("linear 1x1x49x192->1x1x49x64 qs8"), cpu).work.padded_macs);
}

TEST_CASE("int8 kernels take several input channels at once, and 9 taps at least", "[predictor]") {
  Device device;
  device.features = {"avx512f"};
  const CpuTraits avx512 = cpu_traits(device);
  // 4 x 16 tiles of 8 input channels with AVX-512: 5 channels cost as 8 do.
  const Op few = parse_op("conv2d 1x8x8x5->1x8x8x16 k3x3 s1 p1,1,1,1 g1 qs8");
  CHECK(facts(few, avx512).work.padded_macs == 16 * 9 * 4 * 16 * 8);
  CHECK(facts(few, avx512).matrix_product);
  // Of an image all 27 values of a window are together, which are written once and read once.
  const Op stem = parse_op("conv2d 1x8x8x3->1x8x8x16 k3x3 s1 p1,1,1,1 g1 qs8");
  CHECK(facts(stem, avx512).work.padded_macs == 16 * 4 * 16 * 32);
  CHECK(facts(stem, avx512).work.loop_starts == 16);
  CHECK(facts(stem, avx512).work.activation_bytes == 8 * 8 * (3 + 16) + 2 * 8 * 8 * 27);
  CHECK(facts(stem, avx512).op_class == "int8 convolution");
  // Windows of 2 x 2 run as 3 x 3; 32 channels are a vector.
  const Op small = parse_op("conv2d 1x8x8x16->1x8x8x16 k2x2 s1 p0,1,1,0 g16 qs8");
  CHECK(facts(small, avx512).work.padded_macs == 8 * 8 * 32 * 9);
  CHECK_FALSE(facts(small, avx512).matrix_product);
  device.features = {"avx2", "fma"};
  CHECK(cpu_traits(device).int8.tile.rows == 3);
  device.features = {};
  CHECK(cpu_traits(device).int8.tile.channels == 4);
  device.architecture = "aarch64";
  CHECK(cpu_traits(device).int8.tile.depth == 4);
}

TEST_CASE("whose kernel runs a depthwise convolution is asked of the device", "[predictor]") {
  Device device;
  device.architecture = "x86_64";
  device.features = {"avx512f"};
  const Op five = parse_op("conv2d 1x7x7x24->1x7x7x24 k5x5 s1 p2,2,2,2 g24 qs8");
  // Ours: 2 blocks of 16 channels, tiles of 8 pixels, a start for each row of the window.
  CHECK(facts(five, cpu_traits(device)).work.padded_macs == 7 * 8 * 2 * 16 * 25);
  CHECK(facts(five, cpu_traits(device)).work.loop_starts == 7 * 2 * 5);
  // XNNPACK's: pixels one by one, 16 channels at once, a start for each tap.
  device.architecture = "aarch64";
  device.features = {"asimd"};
  CHECK(facts(five, cpu_traits(device)).work.padded_macs == 7 * 7 * 2 * 16 * 25);
  CHECK(facts(five, cpu_traits(device)).work.loop_starts == 7 * 7 * 25);
  // Ours on both.
  const Op seven = parse_op("conv2d 1x7x7x24->1x7x7x24 k7x7 s1 p3,3,3,3 g24 qs8");
  CHECK(facts(seven, cpu_traits(device)).work.loop_starts == 7 * 2 * 7);
}

TEST_CASE("the work of a grouped convolution is as worked by hand", "[predictor]") {
  // 14 x 14 pixels in 28 blocks of 7 rows; 24 channels of a group in 2 tiles of 16; 2 groups, 9
  // taps, 10 input channels of a group.
  const Op op = parse_op("conv2d 1x28x28x20->1x14x14x48 k3x3 s2 p1,1,1,1 g2 f32");
  const Work w = facts(op, cpu).work;
  CHECK(w.macs == 14 * 14 * 48 * 10 * 9);
  CHECK(w.loop_starts == 28 * 2 * 2 * 9);
  CHECK(w.padded_macs == 28 * 2 * 2 * 9 * 7 * 16 * 10);
  CHECK(w.weight_bytes == 4 * (48 * 10 * 9 + 48));
  CHECK(w.activation_bytes == 4 * (28 * 28 * 20 + 14 * 14 * 48));
  CHECK(w.activation_bytes_beyond_l2 == 0);
  CHECK(w.streamed_bytes == 0);
  CHECK(feature(op, "log2 MACs padded / MACs") == Approx(std::log2(32.0 / 24)));
  CHECK(feature(op, "filled share of the last tile's channels") == 0.5);
  CHECK(feature(op, "filled share of the last tile's rows") == 1);
  CHECK(feature(op, "log2 groups") == 1);
}

TEST_CASE("what an operator reads and writes is told against each cache", "[predictor]") {
  const Op op = parse_op("conv2d 1x112x112x128->1x112x112x128 k3x3 s1 p1,1,1,1 g1 f32");
  const double weights = 4 * (128 * 128 * 9 + 128);
  const double moved = 2 * 4 * 112 * 112 * 128;
  const double of_macs = 112.0 * 112 * 128 * 128 * 9;
  const auto log2_of = [](double value) { return Approx(std::log2(value)); };
  CHECK(feature(op, "log2 weight bytes") == log2_of(weights));
  CHECK(feature(op, "log2 input bytes") == log2_of(moved / 2));
  CHECK(feature(op, "log2 output bytes") == log2_of(moved / 2));
  CHECK(feature(op, "log2 MACs per byte") == log2_of(of_macs / (weights + moved)));
  CHECK(feature(op, "log2 activation bytes / L1") == log2_of(moved / cpu.l1d_bytes));
  CHECK(feature(op, "log2 input bytes of a tile / L1") ==
        log2_of(7.0 * 9 * 128 * 4 / cpu.l1d_bytes));
  CHECK(feature(op, "log2 input bytes of a window's lines / L2") ==
        log2_of(3.0 * 112 * 128 * 4 / cpu.l2_bytes));
  CHECK(feature(op, "log2 bytes / L2") == log2_of((weights + moved) / cpu.l2_bytes));
  CHECK(feature(op, "log2 bytes / LLC") == log2_of((weights + moved) / cpu.llc_bytes));
}

TEST_CASE("a depthwise convolution pays for unrolled taps and whole vectors", "[predictor]") {
  // 2 x 2 runs on the kernel of 4 taps, 3 x 3 on that of 9; 24 channels are two vectors of 16.
  const Op small = parse_op("conv2d 1x7x7x24->1x7x7x24 k2x2 s1 p1,0,1,0 g24 f32");
  CHECK(facts(small, cpu).work.loop_starts == 49 * 4);
  CHECK(facts(small, cpu).work.padded_macs == 49 * 2 * 16 * 4);
  const Op three = parse_op("conv2d 1x7x7x24->1x7x7x24 k3x3 s1 p1,1,1,1 g24 f32");
  CHECK(facts(three, cpu).work.padded_macs == 49 * 2 * 16 * 9);
  // 7 x 7 has no such kernel; ours takes 8 pixels of a row and 16 channels at once.
  const Op seven = parse_op("conv2d 1x7x7x24->1x7x7x24 k7x7 s1 p3,3,3,3 g24 f32");
  CHECK(facts(seven, cpu).work.padded_macs == 7 * 8 * 2 * 16 * 49);
  CHECK(facts(seven, cpu).work.loop_starts == 7 * 2 * 7);
  CHECK(facts(seven, cpu).work.work_items == 7);  // rows of the output
}

TEST_CASE("a depthwise convolution reads again what L1 does not hold", "[predictor]") {
  // Window and weights: 2 * 9 * 4 bytes a channel; 32 KiB hold those of 455 channels.
  const Op fits = parse_op("conv2d 1x7x7x448->1x7x7x448 k3x3 s1 p1,1,1,1 g448 f32");
  CHECK(facts(fits, cpu).work.streamed_bytes == 0);
  // The cache replaces what was used least recently: where an eighth more is read, half is lost.
  const Op edge = parse_op("conv2d 1x7x7x512->1x7x7x512 k3x3 s1 p1,1,1,1 g512 f32");
  CHECK(facts(edge, cpu).work.streamed_bytes == Approx(49.0 * 0.5 * 2 * 9 * 512 * 4));
  // 8192 channels are 18 times as much: nothing is left of them.
  const Op beyond = parse_op("conv2d 1x7x7x8192->1x7x7x8192 k3x3 s1 p1,1,1,1 g8192 f32");
  CHECK(facts(beyond, cpu).work.streamed_bytes == Approx(49.0 * 2 * 9 * 8192 * 4).epsilon(1e-6));
}

TEST_CASE("a single pixel needs no block of rows", "[predictor]") {
  const Op op = parse_op("linear 1x1x1x100->1x1x1x32 f32");
  CHECK(facts(op, cpu).work.padded_macs == 3200);
  CHECK(feature(op, "filled share of the last tile's rows") == 1);
}

TEST_CASE("weights that no cache holds are read again for every block of rows", "[predictor]") {
  // 49 pixels in 7 blocks; 20 MiB of weights, of which L2 keeps one.
  const Op op = parse_op("conv2d 1x7x7x2048->1x7x7x2560 k1x1 s1 p0,0,0,0 g1 nobias f32");
  CHECK(facts(op, cpu).work.streamed_bytes == 6.0 * (19 << 20));
  CHECK(feature(op, "log2 weight bytes of a group / L2") == Approx(std::log2(20)));
}

TEST_CASE("attention counts tokens of both products", "[predictor]") {
  // 4 heads of 20 channels: 49 tokens fill 4 vectors, 20 channels 2.
  const Op op = parse_op("attention 1x7x7x240->1x7x7x80 heads=4 f32");
  CHECK(facts(op, cpu).work.macs == 2 * 4 * 49 * 49 * 20);
  CHECK(facts(op, cpu).work.padded_macs == 4 * 49 * (64 * 20 + 49 * 32));
  CHECK(facts(op, cpu).work.loop_starts == 4 * 49 * 64);
  CHECK(feature(op, "filled share of the last tile's rows") == 1.0 / 16);
  CHECK(feature(op, "filled share of the last tile's channels") == 4.0 / 16);
  // Each of 4 windows as much.
  const Op windows = parse_op("attention 1x14x14x240,1x4x49x49->1x14x14x80 heads=4 windows=4 f32");
  CHECK(facts(windows, cpu).work.macs == 4 * facts(op, cpu).work.macs);
  CHECK(facts(windows, cpu).work.padded_macs == 4 * facts(op, cpu).work.padded_macs);
  CHECK(facts(windows, cpu).work.loop_starts == 4 * facts(op, cpu).work.loop_starts);
  CHECK(facts(windows, cpu).work.streamed_bytes == 4 * 49 * 49 * 4);
  CHECK(facts(windows, cpu).work.activation_bytes == 14 * 14 * (240 + 80) * 4);
  CHECK(facts(op, cpu).work.streamed_bytes == 0);
}

TEST_CASE("vectors that begin inside of a cache line lie in two", "[predictor]") {
  const auto shares = [&](const char* text) {
    const Op op = parse_op(text);
    return std::pair(feature(op, "share of input vectors across cache lines"),
                     feature(op, "share of output vectors across cache lines"));
  };
  // Vectors and lines of 16 floats; every second pixel of 24 channels begins in the middle of one.
  CHECK(shares("slice 1x7x7x32->1x7x7x24 f32") == std::pair(0.0, 0.5));
  CHECK(shares("slice 1x7x7x25->1x7x7x16 f32") == std::pair(15.0 / 16, 0.0));
}

TEST_CASE("rows of a tile may begin at the same place of their pages", "[predictor]") {
  const auto agreement = [&](const char* text) {
    return feature(parse_op(text), "agreement of a tile's rows in their pages");
  };
  // Seven rows of 4096, 2048 and 1984 bytes: six of them next to the first.
  CHECK(agreement("conv2d 1x7x7x1024->1x7x7x64 k1x1 s1 p0,0,0,0 g1 f32") == 1);
  CHECK(agreement("conv2d 1x7x7x512->1x7x7x64 k1x1 s1 p0,0,0,0 g1 f32") == Approx(0.5));
  CHECK(agreement("conv2d 1x7x7x496->1x7x7x64 k1x1 s1 p0,0,0,0 g1 f32") == Approx(1.5 / 6));
  CHECK(agreement("conv2d 1x7x7x256->1x4x4x64 k1x1 s2 p0,0,0,0 g1 f32") == Approx(0.5));
  CHECK(agreement("conv2d 1x7x7x128->1x7x7x64 k1x1 s1 p0,0,0,0 g1 f32") == 0);
  CHECK(agreement("linear 1x1x1x1024->1x1x1x64 f32") == 0);
  CHECK(agreement("activation 1x7x7x1024->1x7x7x1024 act=relu f32") == 0);
}

TEST_CASE("activations beyond a core's share of the last-level cache are told", "[predictor]") {
  // An eighth of 32 MiB; 2 x 3 MiB are moved.
  const Work w = facts(parse_op("activation 1x64x64x192->1x64x64x192 act=relu f32"), cpu).work;
  CHECK(w.activation_bytes_beyond_llc == 0);
}

TEST_CASE("what only moves data finds its inputs in L2, or none of them", "[predictor]") {
  const auto far = [](const char* line) {
    return facts(parse_op(line), cpu).work.activation_bytes_beyond_l2;
  };
  // 1 MiB is read where L2 has as much, then 1.25 times that.
  CHECK(far("activation 1x64x64x64->1x64x64x64 act=relu f32") == 0);
  CHECK(far("activation 1x64x64x80->1x64x64x80 act=relu f32") == 2 * 4 * 64 * 64 * 80);
}

TEST_CASE("what moves data costs by pixel only where channels are walked by pixel", "[predictor]") {
  CHECK(facts(parse_op("mul 1x7x7x8,1x1x1x8->1x7x7x8 f32"), cpu).work.loop_starts == 49);
  CHECK(facts(parse_op("mul 1x7x7x8,1x7x7x8->1x7x7x8 f32"), cpu).work.loop_starts == 0);
  CHECK(facts(parse_op("activation 1x7x7x8->1x7x7x8 act=relu f32"), cpu).work.loop_starts == 0);
  // Values of whole vectors, by pixel or of the whole tensor.
  CHECK(facts(parse_op("mul 1x7x7x8,1x1x1x8->1x7x7x8 f32"), cpu).work.padded_macs == 49 * 16);
  CHECK(facts(parse_op("activation 1x7x7x8->1x7x7x8 act=relu f32"), cpu).work.padded_macs ==
        49 * 8);
  // Each part of a pixel is copied by itself; two times 12 channels as 16.
  const Work copied = facts(parse_op("split 1x7x7x24->1x7x7x12,1x7x7x12 f32"), cpu).work;
  CHECK(copied.loop_starts == 49 * 2);
  CHECK(copied.padded_macs == 49 * 2 * 16);
  // Eigen's kernels: a vector of 16 channels, and 3 one by one.
  CHECK(facts(parse_op("batch_norm 1x7x7x19->1x7x7x19 f32"), cpu).work.padded_macs == 49 * 4 * 16);
  // The mean over channels is of what is read.
  CHECK(facts(parse_op("reduce 1x7x7x32->1x7x7x1 of=mean f32"), cpu).work.padded_macs == 49 * 32);
  // Channels that do not stay together are walked one by one.
  CHECK(facts(parse_op("transpose 1x7x7x8->1x8x7x7 perm=0,3,1,2 f32"), cpu).work.loop_starts ==
        49 * 8);
  CHECK(facts(parse_op("transpose 1x7x6x8->1x6x7x8 perm=0,2,1,3 f32"), cpu).work.loop_starts == 42);
  // A slice does not read the channels that it leaves out.
  CHECK(facts(parse_op("slice 1x7x7x32->1x7x7x8 begin=8 f32"), cpu).work.activation_bytes ==
        2 * 4 * 49 * 8);
}

TEST_CASE("threads share tiles, rows, pixels or blocks of an operator", "[predictor]") {
  const auto work_items = [](const char* op) { return facts(parse_op(op), cpu).work.work_items; };
  // 7 blocks of rows, 3 of channels in each of 2 groups.
  CHECK(work_items("conv2d 1x7x7x64->1x7x7x96 k1x1 s1 p0,0,0,0 g2 f32") == 7 * 3 * 2);
  CHECK(work_items("conv2d 1x8x8x32->1x8x8x32 k3x3 s1 p1,1,1,1 g32 f32") == 8);
  CHECK(work_items("linear 1x1x1x2032->1x1x1x16 f32") == 1);
  CHECK(work_items("max_pool2d 1x9x9x16->1x4x4x16 k3x3 s2 p0,0,0,0 f32") == 4);
  CHECK(work_items("activation 1x8x8x20->1x8x8x20 act=hardswish f32") == 2);  // 5 KiB
  CHECK(work_items("mul 1x7x7x8,1x1x1x8->1x7x7x8 f32") == 49);
  // One long row, one image.
  CHECK(work_items("add 1x7x7x8,1x7x7x8->1x7x7x8 f32") == 1);
  CHECK(work_items("global_avg_pool 1x7x7x8->1x1x1x8 f32") == 1);
  const Work gelu = facts(parse_op("activation 1x28x28x64->1x28x28x64 act=gelu f32"), cpu).work;
  CHECK(cpubone::work_items(gelu, "eigen") == 784);  // of 64 values
}

TEST_CASE("features of every operator of every network are finite", "[predictor]") {
  std::vector<Network> networks;
  for (const ZooEntry& entry : zoo()) networks.push_back(lowered(entry.build()));
  for (const Op& op : distinct_ops(networks)) {
    const auto values = facts(op, cpu).features;
    REQUIRE(values.size() == feature_names().size());
    INFO(text(op));
    CHECK(std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); }));
  }
}
