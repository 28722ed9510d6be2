#include "space/mobileone.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "space/families.hpp"

namespace cpubone {
namespace {

constexpr std::array sizes{MobileOneSize{"mobileone-s0", {0.75, 1, 1, 2}, 4, false},
                           MobileOneSize{"mobileone-s1", {1.5, 1.5, 2, 2.5}, 1, false},
                           MobileOneSize{"mobileone-s2", {1.5, 2, 2.5, 4}, 1, false},
                           MobileOneSize{"mobileone-s3", {2, 2.5, 3, 4}, 1, false},
                           MobileOneSize{"mobileone-s4", {3, 3.5, 3.5, 4}, 1, true}};

/// The branches of a convolution in train form.
int append_branches(NetworkBuilder& b, int input, const MobileOneConv& conv, int branches,
                    Activation activation) {
  std::vector<int> terms;
  const auto add_conv = [&](const std::string& name, int kernel) {
    const Conv attributes{.out_channels = conv.out_channels,
                          .kernel = kernel,
                          .stride = conv.stride,
                          .bias = false,
                          .padding = block_padding(kernel, conv.stride),
                          .norm = true};
    terms.push_back(conv.depthwise ? b.depthwise(input, conv.name + name, attributes)
                                   : b.conv2d(input, conv.name + name, attributes));
  };
  for (int i = 0; i < branches; ++i) add_conv(fmt::format(".conv{}", i), conv.kernel);
  if (conv.kernel > 1) add_conv(".scale", 1);
  if (conv.stride == 1 && conv.in_channels == conv.out_channels)
    terms.push_back(b.batch_norm(input, conv.name + ".skip"));
  // The last sum has the name of the one convolution that the branches become.
  int x = terms[0];
  for (std::size_t i = 1; i < terms.size(); ++i) {
    const bool last = i + 1 == terms.size();
    x = b.add(x, terms[i], last ? conv.name : fmt::format("{}.sum{}", conv.name, i),
              last ? activation : Activation::none);
  }
  return x;
}

bool has_branches(const MobileOneConv& conv, int branches) {
  return branches > 1 || conv.kernel > 1 ||
         (conv.stride == 1 && conv.in_channels == conv.out_channels);
}

}  // namespace

int append(NetworkBuilder& b, int x, const MobileOneConv& conv, int branches) {
  const Activation activation = conv.squeeze_excite ? Activation::none : conv.activation;
  if (b.form() == Form::train && has_branches(conv, branches)) {
    x = append_branches(b, x, conv, branches, activation);
  } else {
    const Conv attributes{.out_channels = conv.out_channels,
                          .kernel = conv.kernel,
                          .stride = conv.stride,
                          .activation = activation,
                          .bias = false,
                          .padding = block_padding(conv.kernel, conv.stride),
                          .norm = true};
    x = conv.depthwise ? b.depthwise(x, conv.name, attributes) : b.conv2d(x, conv.name, attributes);
  }
  if (!conv.squeeze_excite) return x;
  x = squeeze_excite(b, x, conv.name + ".squeeze", conv.out_channels / mobileone_squeeze);
  return b.activation(x, conv.name + ".relu", conv.activation);
}

Network build(const MobileOneSize& size, Form form) {
  NetworkBuilder b(size.name, "MobileOne", {1, 224, 224, 3}, form);
  int x = network_input;
  for (const MobileOneConv& conv : mobileone_convs(size)) {
    b.stage(conv.stage);
    x = append(b, x, conv, conv.stage == 0 ? 1 : size.branches);
  }
  b.head();
  x = b.global_avg_pool(x, "pool");
  return b.finish(b.linear(x, "classes", 1000));
}

std::span<const MobileOneSize> mobileone_sizes() {
  return sizes;
}

std::vector<MobileOneConv> mobileone_convs(const MobileOneSize& size) {
  int channels = std::min(64, static_cast<int>(64 * size.widths[0]));
  std::vector<MobileOneConv> convs{{0, "conv", 3, channels, 3, 2, false, false}};
  for (std::size_t stage = 0; stage < mobileone_blocks.size(); ++stage) {
    const int number = static_cast<int>(stage) + 1;
    const int out = static_cast<int>(mobileone_channels[stage] * size.widths[stage]);
    const int blocks = mobileone_blocks[stage];
    const int first_squeezed = stage == 3 ? 0 : stage == 2 ? blocks - blocks / 2 : blocks;
    for (int i = 0; i < blocks; ++i) {
      const bool squeezed = size.squeeze_excite && i >= first_squeezed;
      convs.push_back({number, fmt::format("{}.depthwise", i), channels, channels, 3,
                       i == 0 ? 2 : 1, true, squeezed});
      convs.push_back(
          {number, fmt::format("{}.pointwise", i), channels, out, 1, 1, false, squeezed});
      channels = out;
    }
  }
  return convs;
}

std::vector<ZooEntry> mobileone_family() {
  std::vector<ZooEntry> entries;
  for (const MobileOneSize& size : sizes)
    entries.push_back({size.name, "MobileOne", "MobileOne, arXiv 2206.04040",
                       [&size] { return build(size); },
                       [&size] { return build(size, Form::train); }});
  return entries;
}

}  // namespace cpubone
