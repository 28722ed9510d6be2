#include "graph/op.hpp"

#include <string>

#include "graph/schema.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {
const char* const lines[] = {
    "conv2d 1x56x56x32->1x28x28x128 k3x3 s2 p1,1,1,1 g2 act=hardswish f32",
    "conv2d 1x14x14x96->1x14x14x384 k2x2 s1 p1,0,1,0 g1 f32",
    "conv2d 1x7x7x192->1x7x7x192 k2x2 s1 p1,0,1,0 g192 nobias f16",
    "partial_conv2d 1x56x56x40->1x56x56x40 k3x3 s1 p1,1,1,1 conv=10 form=slicing nobias f32",
    "conv_transpose2d 1x7x7x48->1x14x14x48 k4x4 s2 p1,1,1,1 g1 f32",
    "linear 1x1x1x1536->1x1x1x1600 nobias f32",
    "attention 1x7x7x288->1x7x7x96 heads=3 f32",
    "activation 1x14x14x384->1x14x14x384 act=gelu f32",
    "add 1x14x14x96,1x14x14x96->1x14x14x96 act=relu f32",
    "mul 1x14x14x96,1x1x1x96->1x14x14x96 f32",
    "group_norm 1x14x14x96->1x14x14x96 f32",
    "layer_norm 1x1x1x1600->1x1x1x1600 act=hardswish f32",
    "global_avg_pool 1x7x7x1536->1x1x1x1536 f32",
    "max_pool2d 1x112x112x64->1x56x56x64 k3x3 s2 p1,1,1,1 f32",
    "upsample_nearest 1x7x7x96->1x14x14x96 s2 f32",
    "slice 1x28x28x116->1x28x28x58 begin=58 f32",
    "concat 1x28x28x58,1x28x28x58->1x28x28x116 f32",
    "channel_shuffle 1x28x28x116->1x28x28x116 g2 f32",
    "batch_norm 1x28x28x64->1x28x28x64 act=relu f32",
    "attention 1x14x14x288,1x12x49x49->1x14x14x96 heads=3 windows=4 f32",
    "linear 1x1x197x384->1x1x197x1152 dynamic act=relu f32",
    "linear 1x1x197x384->1x1x197x1152 dynamic nobias f32",
};
}  // namespace

TEST_CASE("an operator's text parses back to the same text and value", "[space]") {
  for (const std::string line : lines) {
    CAPTURE(line);
    const Op op = parse_op(line);
    CHECK(text(op) == line);
    CHECK(parse_op(text(op)) == op);
  }
}

TEST_CASE("attributes may come in any order", "[space]") {
  CHECK(parse_op("conv2d 1x8x8x4->1x8x8x4 f32 g2 p1,1,1,1 k3x3 act=relu s1") ==
        parse_op("conv2d 1x8x8x4->1x8x8x4 k3x3 s1 p1,1,1,1 g2 act=relu f32"));
}

TEST_CASE("MACs and parameters of each kind equal hand-worked values", "[space]") {
  const auto count = [](const char* line) {
    const Op op = parse_op(line);
    return std::pair{macs(op), params(op)};
  };
  using Pair = std::pair<std::int64_t, std::int64_t>;
  // 28*28*128 outputs x 16 channels a group x 9 taps; 128*16*9 weights + 128 biases.
  CHECK(count(lines[0]) == Pair{14450688, 18560});
  CHECK(count(lines[2]) == Pair{7 * 7 * 192 * 4, 192 * 4});
  CHECK(count(lines[3]) == Pair{2822400, 900});
  CHECK(count(lines[4]) == Pair{7 * 7 * 48 * 48 * 16, 48 * 48 * 16 + 48});
  CHECK(count(lines[5]) == Pair{2457600, 2457600});
  CHECK(count(lines[6]) == Pair{2 * 49 * 49 * 96, 0});
  CHECK(count(lines[19]) == Pair{4 * 2 * 49 * 49 * 96, 0});
  CHECK(count(lines[10]) == Pair{0, 192});
  CHECK(count(lines[13]) == Pair{0, 0});
  CHECK(count(lines[18]) == Pair{0, 128});
  CHECK(count(lines[20]) == Pair{197 * 384 * 1152, 384 * 1152 + 1152});
  CHECK(count("matmul 1x6x49x32,1x6x49x32->1x6x49x49 transposed") == Pair{6 * 49 * 49 * 32, 0});
  CHECK(count("constant ->1x2x3x4") == Pair{0, 24});
  CHECK(count("rms_norm 1x14x14x96->1x14x14x96") == Pair{0, 96});
}

TEST_CASE("bytes follow the data type", "[space]") {
  const Op f32 = parse_op("conv2d 1x8x8x16->1x8x8x32 k1x1 s1 p0,0,0,0 g1 f32");
  const Op f16 = with_dtype(f32, DType::f16);
  const Op qs8 = with_dtype(f32, DType::qs8);
  CHECK(weight_bytes(f32) == 4 * (16 * 32 + 32));
  CHECK(weight_bytes(f16) == 2 * (16 * 32 + 32));
  CHECK(weight_bytes(qs8) == 16 * 32 + 4 * 32 + 4 * 32);
  CHECK(input_bytes(f16) == 2 * 8 * 8 * 16);
  CHECK(output_bytes(qs8) == 8 * 8 * 32);
}

TEST_CASE("even kernels pad one more on top and left", "[space]") {
  CHECK(same_padding(1) == Padding{0, 0, 0, 0});
  CHECK(same_padding(2) == Padding{1, 0, 1, 0});
  CHECK(same_padding(3) == Padding{1, 1, 1, 1});
  CHECK(same_padding(5) == Padding{2, 2, 2, 2});
}

TEST_CASE("a wrong operator is refused with what, got and expected", "[space]") {
  const auto refuses = [](const char* line, const char* message) {
    CAPTURE(line);
    CHECK_THROWS_WITH(parse_op(line), ContainsSubstring(message));
  };
  refuses("", "operator kind: got \"\", expected one of conv2d");
  refuses("conv3d 1x8x8x4->1x8x8x4", "operator kind: got \"conv3d\"");
  refuses("conv2d 1x8x8x4", "expected INPUT[,INPUT...]->OUTPUT");
  refuses("add ->", "add takes 2 inputs, got 0");
  refuses("conv2d 1x8x8->1x8x8x4", "expected NxHxWxC");
  refuses("conv2d 1x8x8x4->1x8x8x4 k3", "kernel: got \"3\", expected kHxW");
  refuses("conv2d 1x8x8x4->1x8x8x4 k0x0", "kernel height must be in 1..128, got 0");
  refuses("conv2d 1x8x8x-4->1x8x8x4", "input dimensions must be in 1..65536, got 1x8x8x-4");
  refuses("conv2d 1x8x8xnan->1x8x8x4", "a whole number");
  refuses("conv2d 1x8x8x99999999999->1x8x8x4", "a whole number");
  refuses("conv2d 2x8x8x4->2x8x8x4", "input batch must be 1, got 2");
  refuses("conv2d 1x65536x65536x1->1x65536x65536x1", "at most 2147483648 elements");
  refuses("conv2d 1x8x8x6->1x8x8x4 g4", "groups 4 must divide 6 channels");
  refuses("conv2d 1x8x8x4->1x8x8x6 g4", "groups 4 must divide 6 channels");
  refuses("conv2d 1x8x8x4->1x9x8x4", "output must be 1x8x8x4, got 1x9x8x4");
  refuses("conv2d 1x2x2x4->1x1x1x4 k5x5", "kernel 5x5 does not fit the padded input 2x2");
  refuses("conv2d 1x8x8x4->1x8x8x4 act=swoosh", "expected act= one of none, relu");
  refuses("conv2d 1x8x8x4->1x8x8x4 f32 f16", "expected one data type");
  refuses("conv2d 1x8x8x4->1x8x8x4 x", "attribute: got \"x\"");
  refuses("add 1x8x8x4->1x8x8x4", "add takes 2 inputs, got 1");
  refuses("add 1x8x8x4,1x8x4x4->1x8x8x4",
          "inputs of add must be equal or 1 in each dimension, got 1x8x8x4 and 1x8x4x4");
  refuses("concat 1x8x8x4,1x4x8x4->1x8x8x8", "equal resolution");
  refuses("slice 1x8x8x4->1x8x8x3 begin=2", "begin must be in 0..1, got 2");
  refuses("matmul 1x2x4x5,1x3x5x6->1x3x4x6", "equally many matrices or one");
  refuses("matmul 1x2x4x5,1x2x6x5->1x2x4x5", "rows of the first matrix have 5 elements");
  refuses("constant 1x1x1x1->1x1x1x1", "constant takes 0 inputs, got 1");
  refuses("attention 1x7x7x100->1x7x7x33 heads=3", "3 x heads = 9 must divide 100 channels");
  refuses("attention 1x7x7x9->1x7x7x3 heads=1 windows=4", "windows 4 must divide 49 pixels");
  refuses("attention 1x7x7x18,1x3x49x49->1x7x7x6 heads=2",
          "second input must be 1x1x49x49, 1x2x49x49 or 1x2x49x49, got 1x3x49x49");
  refuses("linear 1x1x1x4->1x1x1x4 windows=2", "linear does not take windows");
  refuses("linear 1x1x1x4->1x1x1x4 k3x3", "linear does not take a kernel");
  refuses("activation 1x8x8x4->1x8x8x4", "activation needs act=");
  refuses("linear 1x1x1x4->1x1x1x4 dynamic qs8",
          "a dynamic linear layer reads and writes f32, got qs8");
  refuses("linear 1x1x1x4->1x1x1x4 f16 dynamic", "reads and writes f32, got f16");
  refuses("conv2d 1x8x8x4->1x8x8x4 dynamic", "conv2d does not take dynamic quantisation");
  refuses("partial_conv2d 1x8x8x4->1x8x8x4 k3x3 s1 p0,0,0,0 conv=1", "must keep the resolution");
}

TEST_CASE("tensors of different types stand with their types", "[graph]") {
  for (const std::string line :
       {"cast 1x7x7x8->1x7x7x8:f16", "cast 1x7x7x8:f16->1x7x7x8",
        "quantise 1x7x7x8->1x7x7x8:qs8/0.05/-3", "quantise 1x7x7x8->1x7x7x8:qs8",
        "dequantise 1x7x7x8:qs8/0.05/-3->1x7x7x8:f16",
        "conv2d 1x7x7x8:qs8/0.05/-3->1x7x7x4:qs8/0.1/7 k1x1 s1 p0,0,0,0 g1"}) {
    CAPTURE(line);
    CHECK(text(parse_op(line)) == line);
  }
  const Op quantise = parse_op("quantise 1x7x7x8->1x7x7x8:qs8/0.05/-3");
  CHECK(quantise.outputs[0] == Tensor{{1, 7, 7, 8}, DType::qs8, Quantisation{0.05F, -3}});
  CHECK(input_bytes(quantise) == 4 * output_bytes(quantise));
}

TEST_CASE("operators of real networks are values with text", "[graph]") {
  for (const std::string line : {"conv2d 1x64x8x4->1x32x4x4 k3x3 s2 p2,2,2,2 d2 g4 f32",
                                 "conv2d 1x64x8x4->1x32x8x4 k3x1 s2x1 p1,1,0,0 g1 f32",
                                 "conv2d 1x9x9x4->1x5x9x4 k3x3 s1 p0,0,1,1 d2x1 g1 f32",
                                 "avg_pool2d 1x8x8x4->1x4x4x4 k3x3 s2 p1,1,1,1 f32",
                                 "softmax 1x8x8x4->1x8x8x4 f32",
                                 "layer_norm 1x1x1x16->1x1x1x16 eps=1e-06 f32",
                                 "rms_norm 1x8x8x16->1x8x8x16 eps=1e-06 act=relu f32",
                                 "split 1x8x8x6->1x8x8x4,1x8x8x2 f32",
                                 "reshape 1x8x8x6->1x1x64x6 f32",
                                 "transpose 1x8x4x6->1x4x8x6 perm=0,2,1,3 f32",
                                 "add 1x8x8x6,1x1x8x1->1x8x8x6 f32",
                                 "mul 1x1x1x6,1x8x8x1->1x8x8x6 f32",
                                 "constant ->1x1x1x5 f32",
                                 "matmul 1x6x49x32,1x6x49x32->1x6x49x49 transposed f32",
                                 "sub 1x8x8x6,1x1x8x1->1x8x8x6 f32",
                                 "div 1x8x8x6,1x8x8x6->1x8x8x6 act=relu f32",
                                 "maximum 1x8x8x6,1x1x1x1->1x8x8x6 f32",
                                 "minimum 1x8x8x6,1x1x1x1->1x8x8x6 f32",
                                 "reduce 1x8x8x6->1x8x8x1 of=max f32",
                                 "resize 1x8x8x6->1x12x9x6 mode=nearest f32",
                                 "pad 1x8x8x6->1x9x10x6 p0,1,1,1 f32",
                                 "reshape 1x8x8x6->4x2x8x6 f32",
                                 "transpose 4x8x6x2->4x6x8x2 perm=0,2,1,3 f32",
                                 "upsample_nearest 1x7x7x8->1x14x7x8 s2x1 f32"}) {
    CAPTURE(line);
    CHECK(text(parse_op(line)) == line);
  }
}

TEST_CASE("what real operators may not be is said", "[graph]") {
  const auto refuses = [](const char* line, const char* message) {
    CAPTURE(line);
    CHECK_THROWS_WITH(parse_op(line), ContainsSubstring(message));
  };
  refuses("conv2d 1x8x8x4->1x8x8x4 s0", "stride must be in 1..128, got 0");
  refuses("conv2d 1x8x8x4->1x8x8x4 d200", "dilation must be in 1..128, got 200");
  refuses("conv2d 1x8x8x4->1x1x1x4 k3x3 d5", "kernel 11x11 does not fit the padded input 8x8");
  refuses("layer_norm 1x1x1x4->1x1x1x4 eps=2", "epsilon must be in 0..1, got 2");
  refuses("layer_norm 1x1x1x4->1x1x1x4 eps=nan", "epsilon must be in 0..1, got nan");
  refuses("add 1x8x8x4,1x8x8x4->1x8x8x4 eps=1e-06", "add does not take epsilon");
  refuses("split 1x8x8x6->1x8x8x4,1x8x8x4 f32", "channels of the outputs must sum to 6, got 8");
  refuses("add 1x8x8x4,1x8x8x4->1x8x8x4,1x8x8x4", "add has 1 outputs, got 2");
  refuses("reshape 1x8x8x6->1x8x8x5", "output must have 384 elements, got 320");
  refuses("transpose 1x8x4x6->1x4x8x6 perm=0,1,1,3", "permutation must be 0, 1, 2, 3 in any order");
  refuses("transpose 1x8x4x6->1x8x4x6 perm=0,2,1,3", "output must be 1x4x8x6, got 1x8x4x6");
  refuses("slice 1x8x8x6->1x8x8x3 act=relu", "slice does not take an activation");
  refuses("cast 1x7x7x8->1x7x7x8:qs8/1/0", "cast is between f32 and f16");
  refuses("quantise 1x7x7x8->1x7x7x8:f16", "output must be qs8, input f32 or f16");
  refuses("dequantise 1x7x7x8->1x7x7x8", "input must be qs8, output f32 or f16");
  refuses("quantise 1x7x7x8->1x7x7x8:qs8/0/0", "scale must be above 0");
  refuses("quantise 1x7x7x8->1x7x7x8:qs8/1/200", "zero point in -128..127");
  refuses("quantise 1x7x7x8->1x7x7x8:qs8/1", "expected SHAPE:qs8/SCALE/ZERO_POINT");
  refuses("conv2d 1x7x7x8->1x7x7x8:f16", "all tensors must have one data type, got f32 and f16");
  refuses("cast 1x7x7x8->1x7x7x8:f16 f16", "one at the end, or one after each shape");
}

TEST_CASE("outputs are inferred only from attributes that are in range", "[graph]") {
  Op op = parse_op("conv2d 1x8x8x4->1x8x8x4 k1x1 s1 p0,0,0,0 g1 f32");
  op.stride_h = 0;
  CHECK_THROWS_WITH(infer_outputs(op), ContainsSubstring("stride must be in 1..128, got 0"));
}

TEST_CASE("every kind of operator has one row, in order", "[graph]") {
  int expected = 0;
  for (const OpSchema& row : schemas()) CHECK(static_cast<int>(row.kind) == expected++);
  CHECK(schemas().back().kind == OpKind::rms_norm);
  int attribute = 0;
  for (const AttributeSchema& row : attributes())
    CHECK(static_cast<int>(row.attribute) == attribute++);
}
