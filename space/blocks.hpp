#pragma once
#include <string>
#include <string_view>

#include "graph/builder.hpp"

namespace cpubone {

/// Inverted bottleneck: expand, filter in space, project. A residual joins where the stride is 1
/// and the channels stay.
struct MbConv {
  int out_channels = 0;
  int hidden_channels = 0;  ///< 0: no expansion, the depthwise convolution reads the input
  int kernel = 3;
  int stride = 1;
  int groups = 1;  ///< of the expansion; in a fused block of the spatial convolution
  Activation activation = Activation::hardswish;
  int squeeze_channels = 0;  ///< of the squeeze-excite after the depthwise convolution; 0: none
  Activation squeeze_activation = Activation::relu;
  Activation squeeze_gate = Activation::sigmoid;
  bool inner_norm = true;   ///< train form: batch norms before the projection, which has one itself
  bool inner_bias = false;  ///< train form: biases there
};

/// Channels after an expansion, rounded to the nearest whole number.
int expanded(int channels, double expansion);

/// Nearest multiple of `divisor` that is not below 90 % of `channels` (TensorFlow's rule).
int rounded_channels(double channels, int divisor = 8);

/// Padding of a block's window: `same_padding` at stride 1, else symmetric, so that a resolution
/// which the stride divides is divided by it.
Padding block_padding(int kernel, int stride);

/// Expansion 1x1 (`.expand`), depthwise convolution (`.depthwise`), projection (`.project`).
/// Blocks append to `b` under names that start with `name` and return their last node.
int mbconv(NetworkBuilder& b, int input, const std::string& name, const MbConv& block);

/// Spatial convolution that expands (`.spatial`), projection (`.project`).
int fused_mbconv(NetworkBuilder& b, int input, const std::string& name, const MbConv& block);

/// Multiplies channels by a gate computed from their means: `.pool`, `.reduce`, `.expand`,
/// `.scale`.
int squeeze_excite(NetworkBuilder& b, int input, const std::string& name, int squeeze_channels,
                   Activation activation = Activation::relu, Activation gate = Activation::sigmoid);

/// How attention at a lower resolution returns to that of its input.
enum class Upsampling {
  nearest,     ///< projection 1x1, then repeated pixels
  transposed,  ///< one transposed convolution, 3x3 where there is nothing to enlarge
};

std::string_view name(Upsampling upsampling);
/// Throws std::invalid_argument listing the known ones.
Upsampling parse_upsampling(std::string_view text);

/// Multi-head attention on a feature map that a depthwise projection made smaller.
struct Attention {
  int heads = 1;
  int head_channels = 16;  ///< of each of q, k and v
  int kernel = 2;          ///< of the depthwise projection
  int stride = 1;          ///< of the depthwise projection; the resolution must be a multiple of it
  Upsampling upsampling = Upsampling::nearest;
};

/// Heads that CPUBone and LowFormer give a width: half the channels in heads of about 30.
Attention attention_of_width(int channels);

/// input + attention(norm(input)): `.norm`, `.reduce`, `.qkv`, `.attention`, `.project`,
/// `.upsample`, `.add`.
int attention_block(NetworkBuilder& b, int input, const std::string& name,
                    const Attention& attention);

/// input + mlp(norm(input)): `.norm`, `.expand`, `.project`, `.add`.
int mlp_block(NetworkBuilder& b, int input, const std::string& name, int hidden_channels,
              Activation activation = Activation::gelu);

/// FasterNet's block: input + MLP of a convolution of the first channels (`.partial`, `.expand`,
/// `.project`, `.add`).
struct PartialBlock {
  int ratio = 4;         ///< channels over those that are convolved
  double expansion = 2;  ///< of the MLP
  int kernel = 3;
  Activation activation = Activation::relu;
  PartialForm form = PartialForm::slicing;
};
int partial_block(NetworkBuilder& b, int input, const std::string& name, const PartialBlock& block);

/// MobileNetV4's universal inverted bottleneck: a depthwise convolution before the expansion
/// (`.start`), one after it (`.depthwise`), either or both, then `.project`. A residual joins where
/// shapes allow.
struct UniversalBlock {
  int out_channels = 0;
  int hidden_channels = 0;
  int start_kernel = 0;  ///< 0: none
  int kernel = 0;        ///< 0: none; else this one takes the stride
  int stride = 1;
  Activation activation = Activation::relu;
};
int universal_block(NetworkBuilder& b, int input, const std::string& name,
                    const UniversalBlock& block);

/// RepViT's block in inference form: depthwise convolution (`.depthwise`), squeeze-excite to a
/// quarter, and input + MLP (`.expand`, `.project`, `.add`).
struct RepvitBlock {
  double expansion = 2;
  int kernel = 3;
  bool squeeze_excite = false;
  Activation activation = Activation::gelu;
};
int repvit_block(NetworkBuilder& b, int input, const std::string& name, const RepvitBlock& block);
/// Its downsampling: a strided depthwise convolution, a 1x1 convolution (`.pointwise`), the MLP.
int repvit_downsampling(NetworkBuilder& b, int input, const std::string& name, int out_channels,
                        const RepvitBlock& block);

/// CPUBone's classification head.
struct Head {
  int channels = 1536;  ///< of the 1x1 convolution before pooling
  int features = 1600;  ///< of the first linear layer
  int classes = 1000;
  Activation activation = Activation::hardswish;
};

/// 1x1 convolution, pooling, linear without bias, layer norm, linear: `conv`, `pool`, `features`,
/// `norm`, `classes` of the stage `head`.
int classification_head(NetworkBuilder& b, int input, const Head& head);

}  // namespace cpubone
