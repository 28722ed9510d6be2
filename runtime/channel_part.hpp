#pragma once
#include <cstddef>
#include <vector>

#include "graph/parameters.hpp"

namespace cpubone {

/// Some output channels of an operator, as an operator of its own whose tensors are channels of
/// wider ones.
struct ChannelPart {
  Op op;  ///< with these channels only
  Parameters parameters;
  std::size_t input_begin = 0;   ///< first channel that it reads
  std::size_t input_stride = 0;  ///< channels from a pixel to the next, of the whole tensor
  std::size_t output_begin = 0;
  std::size_t output_stride = 0;
};

/// An operator of which the CPU computes the first so many output channels, a coprocessor the
/// others.
struct LayerSplit {
  Op op;
  int cpu_channels = 0;
};

/// Precisions that CPU and coprocessor share operators in: f32 and f16.
bool is_shared_precision(DType dtype);

/// Whether output channels of the operator can be computed apart: convolutions and linear layers of
/// one output in f32 or f16.
bool has_channel_parts(const Op& op);

/// Parts begin and end at multiples of so many output channels: those of a group.
int channel_step(const Op& op);

/// The operator of the output channels [begin, end), without data. Throws std::invalid_argument
/// naming the operator where they are not a part of it.
Op channel_part(const Op& op, int begin, int end);
ChannelPart channel_part(const Op& op, const Parameters& parameters, int begin, int end);

}  // namespace cpubone
