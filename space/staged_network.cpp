#include "space/staged_network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "space/blocks.hpp"
#include "space/mobileone.hpp"

namespace cpubone::staged {

bool matters(Kind kind, StageGene which) {
  switch (which) {
    case expansion:
      return kind != mobileone;
    case groups:
    case attention:
      return kind == cpubone;
    case squeeze:
      return kind == mobileone || kind == inverted || kind == repvit;
    case partial_ratio:
      return kind == partial;
    case start_kernel:
      return kind == universal;
    default:
      return true;
  }
}

int Stage::in_width() const {
  if (index_ > 0) return static_cast<int>(values_[position(index_ - 1, width)]);
  return static_cast<int>(strides() ? values_[stem_width] : at(width));
}

int Stage::squeezed() const {
  if (!matters(kind(), squeeze)) return 0;
  const bool strided_too = strides() && kind() != repvit;
  return static_cast<int>((whole(blocks) + (strided_too ? 1 : 0)) * at(squeeze));
}

namespace {

constexpr int classes = 1000;
constexpr int fused_below = 256;  // channels; CPUBone's rule

MbConv mbconv_of(const Stage& stage, int in, int stride, Activation act, bool squeezes) {
  return {.out_channels = stage.whole(width),
          .hidden_channels = stage.at(expansion) == 1 && stage.kind() == inverted
                                 ? 0
                                 : expanded(in, stage.at(expansion)),
          .kernel = stage.whole(kernel),
          .stride = stride,
          .groups = stage.whole(groups),
          .activation = act,
          .squeeze_channels = squeezes ? std::max(1, in / 4) : 0};
}

int separable(NetworkBuilder& b, int x, const std::string& name, const Stage& stage, int stride,
              Activation act, bool squeezes) {
  const int in = b.shape(x).c;
  const int number = stage.number();
  x = append(
      b, x,
      {number, name + ".depthwise", in, in, stage.whole(kernel), stride, true, squeezes, act});
  return append(b, x,
                {number, name + ".pointwise", in, stage.whole(width), 1, 1, false, squeezes, act});
}

RepvitBlock repvit_of(const Stage& stage, Activation act, bool squeezes) {
  return {stage.at(expansion), stage.whole(kernel), squeezes, act};
}

UniversalBlock universal_of(const Stage& stage, int in, int stride, Activation act) {
  return {stage.whole(width),
          rounded_channels(in * stage.at(expansion)),
          stage.whole(start_kernel),
          stage.whole(kernel),
          stride,
          act};
}

/// The layer that halves the resolution and sets the width.
int strided(NetworkBuilder& b, int x, const Stage& stage, Activation act, bool squeezes) {
  const int in = b.shape(x).c;
  switch (stage.kind()) {
    case cpubone:
      return fused_mbconv(b, x, "0", mbconv_of(stage, in, 2, act, false));
    case partial:
      return b.conv2d(x, "merge",
                      {.out_channels = stage.whole(width),
                       .kernel = 2,
                       .stride = 2,
                       .bias = false,
                       .padding = Padding{},
                       .norm = true});
    case mobileone:
      return separable(b, x, "0", stage, 2, act, squeezes);
    case inverted:
      return mbconv(b, x, "0", mbconv_of(stage, in, 2, act, squeezes));
    case repvit:
      return repvit_downsampling(b, x, "0", stage.whole(width), repvit_of(stage, act, false));
    case universal:
      return universal_block(b, x, "0", universal_of(stage, in, 2, act));
  }
  throw std::logic_error("staged: no such block");
}

int residual(NetworkBuilder& b, int x, const std::string& name, const Stage& stage, Activation act,
             bool squeezes) {
  const int in = b.shape(x).c;
  switch (stage.kind()) {
    case cpubone: {
      std::string local = name;
      if (stage.whole(attention) != 0) {
        Attention attends = attention_of_width(in);
        attends.stride = stage.number() < stages && b.shape(x).h % 2 == 0 ? 2 : 1;
        x = attention_block(b, x, name + ".attention", attends);
        x = mlp_block(b, x, name + ".mlp", 4 * in);
        local += ".local";
      }
      const MbConv conv = mbconv_of(stage, in, 1, act, false);
      return in < fused_below ? fused_mbconv(b, x, local, conv) : mbconv(b, x, local, conv);
    }
    case partial:
      return partial_block(b, x, name,
                           {.ratio = stage.whole(partial_ratio),
                            .expansion = stage.at(expansion),
                            .kernel = stage.whole(kernel),
                            .activation = act});
    case mobileone:
      return separable(b, x, name, stage, 1, act, squeezes);
    case inverted:
      return mbconv(b, x, name, mbconv_of(stage, in, 1, act, squeezes));
    case repvit:
      return repvit_block(b, x, name, repvit_of(stage, act, squeezes));
    case universal:
      return universal_block(b, x, name, universal_of(stage, in, 1, act));
  }
  throw std::logic_error("staged: no such block");
}

int append_stem(NetworkBuilder& b, const Values& v, Activation act) {
  const auto conv = [&](int x, std::string_view name, int channels, int size, Activation applied) {
    const bool patches = size == 4;
    return b.conv2d(x, name,
                    {.out_channels = channels,
                     .kernel = size,
                     .stride = patches ? 4 : 2,
                     .activation = applied,
                     .bias = false,
                     .padding = patches ? Padding{} : block_padding(size, 2),
                     .norm = true});
  };
  const int first = static_cast<int>(v[position(0, width)]);
  if (whole(v, stem) == patch_stem) return conv(network_input, "embed", first, 4, Activation::none);
  if (whole(v, stem) == conv_stem)
    return conv(network_input, "conv", static_cast<int>(v[stem_width]), 3, act);
  const int x = conv(network_input, "conv0", std::max(1, first / 2), 3, act);
  return conv(x, "conv1", first, 3, Activation::none);
}

}  // namespace

Network build(const Values& v) {
  const int pixels = static_cast<int>(v[resolution]);
  const auto act = static_cast<Activation>(static_cast<int>(v[activation]));
  NetworkBuilder b("candidate", "candidate", {1, pixels, pixels, 3});
  int x = append_stem(b, v, act);
  for (int i = 0; i < stages; ++i) {
    const Stage stage(v, i);
    b.stage(i + 1);
    const bool named_0 = stage.strides() && stage.kind() != partial;
    const int all = stage.whole(blocks) + (named_0 ? 1 : 0);
    const auto squeezes = [&](int index) { return index >= all - stage.squeezed(); };
    if (stage.strides()) x = strided(b, x, stage, act, squeezes(0));
    for (int k = named_0 ? 1 : 0; k < all; ++k)
      x = residual(b, x, fmt::format("{}", k), stage, act, squeezes(k));
  }
  b.head();
  const auto pool = [&] { x = b.global_avg_pool(x, "pool"); };
  if (whole(v, head) != conv_pool_head) pool();
  if (whole(v, head) != linear_head)
    x = b.conv2d(x, "conv",
                 {.out_channels = static_cast<int>(v[head_width]),
                  .activation = act,
                  .bias = false,
                  .norm = whole(v, head) == conv_pool_head});
  if (whole(v, head) == conv_pool_head) pool();
  return b.finish(b.linear(x, "classes", classes));
}

}  // namespace cpubone::staged
