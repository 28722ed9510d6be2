#include "space/cpubone.hpp"

#include <algorithm>

#include "graph/passes.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

const Node& node(const Network& network, std::string_view name) {
  const auto found = std::find_if(network.nodes.begin(), network.nodes.end(),
                                  [&](const Node& n) { return n.name == name; });
  if (found == network.nodes.end()) throw std::invalid_argument("no node " + std::string(name));
  return *found;
}

std::string line(const Network& network, std::string_view name) {
  return text(node(network, name).op);
}

bool has(const Network& network, std::string_view name) {
  return std::any_of(network.nodes.begin(), network.nodes.end(),
                     [&](const Node& n) { return n.name == name; });
}

}  // namespace

TEST_CASE("the family is found by long and by short name", "[space]") {
  CHECK(cpubone_config("b0") == cpubone_config("cpubone-b0"));
  CHECK(cpubone_config("nano").name == "cpubone-nano");
  CHECK_THROWS_WITH(cpubone_config("b9"),
                    "cpubone network: got \"b9\", expected one of cpubone-nano, cpubone-t0, "
                    "cpubone-s0, cpubone-b0, cpubone-b1, cpubone-b2, cpubone-b3");
}

TEST_CASE("B0 has the blocks that the paper describes", "[space]") {
  const Network b0 = build(cpubone_config("b0"));
  CHECK(line(b0, "stage1.0.spatial") ==
        "conv2d 1x112x112x16->1x56x56x64 k3x3 s2 p1,1,1,1 g2 act=hardswish f32");
  CHECK(line(b0, "stage3.1.local.spatial") ==
        "conv2d 1x14x14x128->1x14x14x512 k2x2 s1 p1,0,1,0 g2 act=hardswish f32");
  CHECK(line(b0, "stage3.1.attention.reduce") ==
        "conv2d 1x14x14x128->1x7x7x128 k2x2 s2 p0,0,0,0 g128 f32");
  CHECK(line(b0, "stage3.1.attention.attention") == "attention 1x7x7x192->1x7x7x64 heads=2 f32");
  CHECK(line(b0, "stage4.1.local.expand") ==
        "conv2d 1x7x7x256->1x7x7x1024 k1x1 s1 p0,0,0,0 g2 act=hardswish f32");
  CHECK(has(b0, "stage4.4.local.depthwise"));
  CHECK_FALSE(has(b0, "stage4.5.local.depthwise"));
}

TEST_CASE("feature maps of B0 are those of strides 4 to 32", "[space]") {
  const Network features = feature_network(build(cpubone_config("b0")));
  std::vector<Shape> shapes;
  for (const Edge& output : features.outputs) shapes.push_back(tensor(features, output).shape);
  CHECK(shapes ==
        std::vector<Shape>{{1, 56, 56, 32}, {1, 28, 28, 64}, {1, 14, 14, 128}, {1, 7, 7, 256}});
}

TEST_CASE("a threshold decides which blocks are fused", "[space]") {
  CpuboneConfig config = cpubone_config("b0");
  fuse_below(config, never_fused, never_fused);
  Network unfused = build(config);
  CHECK(has(unfused, "stage1.0.depthwise"));
  CHECK(has(unfused, "stage3.1.local.depthwise"));
  CHECK_FALSE(has(unfused, "stage3.1.local.spatial"));

  fuse_below(config, always_fused);
  CHECK(has(build(config), "stage4.1.local.spatial"));
}

TEST_CASE("each stage may fuse its blocks or not", "[space]") {
  // CPUBone's ablation (arXiv 2603.26425): strided blocks unfused in stages 1 and 2 only, no
  // groups.
  CpuboneConfig config = cpubone_config("b0");
  for (std::size_t i = 1; i < config.stages.size(); ++i) {
    config.stages[i].groups = 1;
    config.stages[i].down_fused = i >= 3;
  }
  const Network network = build(config);
  for (const char* unfused : {"stage1.0.depthwise", "stage2.0.depthwise"})
    CHECK(has(network, unfused));
  for (const char* fused : {"stage3.0.spatial", "stage4.0.spatial"}) CHECK(has(network, fused));
  CHECK(describe(config) == "w16-32-64-128-256 d0-1-1-3-4 g1 down-fused0-0-1-1");
  config.stages[4].fused = true;
  config.stages[3].fused = false;
  CHECK(has(build(config), "stage4.1.local.spatial"));
  CHECK(describe(config) == "w16-32-64-128-256 d0-1-1-3-4 g1 fused0-0-0-0-1 down-fused0-0-1-1");
}

TEST_CASE("every choice of the search space builds", "[space]") {
  for (const int groups : {1, 2, 4, 8})
    for (const int kernel : {2, 3, 5})
      for (const auto upsampling : {Upsampling::nearest, Upsampling::transposed})
        for (const int resolution : {160, 224, 288}) {
          CpuboneConfig config = cpubone_config("b0");
          config.upsampling = upsampling;
          config.activation = Activation::relu;
          config.resolution = resolution;
          for (std::size_t i = 1; i < config.stages.size(); ++i) {
            CpuboneStage& stage = config.stages[i];
            stage.groups = groups;
            stage.kernel = stage.down_kernel = stage.attention_kernel = kernel;
            stage.blocks = 2;
            stage.attention = true;
            stage.attention_stride = i < 4 ? 16 >> i : 1;
            if (i < 4 && (resolution >> (i + 1)) % stage.attention_stride != 0)
              stage.attention_stride = 1;
            stage.expansion = 3;
          }
          const Network network = build(config);
          CHECK(network.nodes.back().op.output() == Shape{1, 1, 1, 1000});
          CHECK(node(network, "stage4.2.local.project").op.output().h == resolution / 32);
        }
}

TEST_CASE("transposed upsampling replaces the projection", "[space]") {
  CpuboneConfig config = cpubone_config("b0");
  config.upsampling = Upsampling::transposed;
  const Network network = build(config);
  CHECK(line(network, "stage3.1.attention.upsample") ==
        "conv_transpose2d 1x7x7x64->1x14x14x128 k4x4 s2 p1,1,1,1 g1 f32");
  CHECK_FALSE(has(network, "stage3.1.attention.project"));
  CHECK(line(network, "stage4.1.attention.upsample") ==
        "conv_transpose2d 1x7x7x128->1x7x7x256 k3x3 s1 p1,1,1,1 g1 f32");
}

TEST_CASE("attention returns to its resolution from any stride that divides it", "[space]") {
  for (const auto upsampling : {Upsampling::nearest, Upsampling::transposed})
    for (const int stride : {1, 2, 3, 4, 6, 12})
      for (const int kernel : {1, 2, 3, 4, 5, 7}) {
        NetworkBuilder b("block", "test", {1, 12, 12, 64});
        Attention attention = attention_of_width(64);
        attention.kernel = kernel;
        attention.stride = stride;
        attention.upsampling = upsampling;
        const int out = attention_block(b, network_input, "attention", attention);
        CHECK(b.shape(out) == Shape{1, 12, 12, 64});
      }
}

TEST_CASE("a configuration that cannot be built is refused by field", "[space]") {
  CpuboneConfig config = cpubone_config("b0");
  config.stages[3].groups = 3;
  CHECK_THROWS_WITH(check(config),
                    "cpubone configuration \"cpubone-b0\": groups of a fused block 3 must divide "
                    "the 64 input channels of stage3 down_expansion");
  config = cpubone_config("b0");
  config.resolution = 100;
  CHECK_THROWS_WITH(build(config),
                    "cpubone configuration \"cpubone-b0\": resolution: 32 must divide the 100 "
                    "pixels");
  config = cpubone_config("b0");
  config.stages[2].width = -4;
  CHECK_THROWS_WITH(
      check(config),
      "cpubone configuration \"cpubone-b0\": stage2 width must be in 1..8192, got -4");
  config = cpubone_config("b0");
  config.stages[3].attention_stride = 4;
  CHECK_THROWS_WITH(check(config),
                    "cpubone configuration \"cpubone-b0\": stage3 attention_stride 4 must divide "
                    "the 14 pixels of its stage");
  config = cpubone_config("b0");
  config.stages[1].down_expansion = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(
      check(config),
      "cpubone configuration \"cpubone-b0\": stage1 down_expansion must be in 0..16, got nan");
}

TEST_CASE("descriptions use the papers' notation and name what differs from B0", "[space]") {
  CHECK(describe(cpubone_config("b0")) == "w16-32-64-128-256 d0-1-1-3-4 g2");
  CHECK(describe(cpubone_config("b2")) == "w20-40-80-160-320 d0-1-1-6-6 g2 de6 head2304-2560");
  CpuboneConfig config = cpubone_config("b0");
  config.stages[4].groups = 4;
  fuse_below(config, 128);
  config.resolution = 192;
  config.stages[1].kernel = 2;
  CHECK(describe(config) == "w16-32-64-128-256 d0-1-1-3-4 g2-2-2-4 k2-3-2-2 unfused @192");
  config.stages[2].blocks = 1;
  CHECK(describe(config) == "w16-32-64-128-256 d0-1-2-3-4 g2-2-2-4 k2-3-2-2 fused<128 @192");
  fuse_below(config, always_fused, 256);
  CHECK(describe(config) ==
        "w16-32-64-128-256 d0-1-2-3-4 g2-2-2-4 k2-3-2-2 fused<512 down-fused<256 @192");
}

TEST_CASE("attention takes half the channels in heads of about 30", "[space]") {
  CHECK(attention_of_width(96).heads == 1);
  CHECK(attention_of_width(96).head_channels == 48);
  CHECK(attention_of_width(119).heads == 1);
  CHECK(attention_of_width(120).heads == 2);
  CHECK(attention_of_width(320).heads == 5);
  CHECK(attention_of_width(320).head_channels == 32);
  CHECK(attention_of_width(1).head_channels == 1);
}

TEST_CASE("even kernels pad top and left at stride 1 and evenly at stride 2", "[space]") {
  CHECK(block_padding(2, 1) == Padding{1, 0, 1, 0});
  CHECK(block_padding(2, 2) == Padding{0, 0, 0, 0});
  CHECK(block_padding(5, 2) == Padding{2, 2, 2, 2});
}
