#pragma once
#include <array>
#include <span>
#include <string>
#include <vector>

#include "graph/builder.hpp"

namespace cpubone {

/// A size of MobileOne (arXiv 2206.04040, Table 2 and its appendix).
struct MobileOneSize {
  const char* name;
  std::array<double, 4> widths;  ///< multipliers of 64, 128, 256, 512 channels
  int branches;                  ///< k: convolutions in a sum of the train form (stem: one)
  bool squeeze_excite;           ///< in the second half of stage 3 and in stage 4
};

/// Blocks (depthwise, pointwise) of stages 1 to 4; the first depthwise convolution is strided.
inline constexpr std::array<int, 4> mobileone_blocks{2, 8, 10, 1};
inline constexpr std::array<int, 4> mobileone_channels{64, 128, 256, 512};
/// Channels over squeezed channels.
inline constexpr int mobileone_squeeze = 16;

/// S0 to S4.
std::span<const MobileOneSize> mobileone_sizes();

/// One convolution of the inference form, of which the train form has several branches.
struct MobileOneConv {
  int stage;         ///< 0: the stem
  std::string name;  ///< within its stage, e.g. `0.depthwise`
  int in_channels;
  int out_channels;
  int kernel;  ///< 3 or 1
  int stride;
  bool depthwise;
  bool squeeze_excite;  ///< between the convolution and its activation
  Activation activation = Activation::relu;
};
/// Appends it, in train form as a sum of branches (`build`).
int append(NetworkBuilder& b, int input, const MobileOneConv& conv, int branches = 1);

/// The network. In train form every convolution is a sum of `branches` of them, a 1x1 convolution
/// where it is larger, and its input where shapes allow, each with a batch norm.
Network build(const MobileOneSize& size, Form form = Form::inference);

/// The convolutions of a size in order.
std::vector<MobileOneConv> mobileone_convs(const MobileOneSize& size);

}  // namespace cpubone
