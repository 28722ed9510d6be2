#pragma once
#include <functional>
#include <string_view>

#include "graph/network.hpp"

namespace cpubone {

// What is known of XNNPACK without the library, for predictions of devices that are elsewhere too.

/// Whether XNNPACK (2022-02) runs this operator, with its activation applied while it writes, on a
/// CPU as this is built for. In int8 it does so where tensors' scales do not differ too much.
bool xnnpack_runs(const Op& op);
/// Whether XNNPACK, or our kernel of depthwise convolutions in int8, applies the operator's
/// own activation while it writes: ReLU and ReLU6, after operators that take a range of outputs.
bool xnnpack_fuses(const Op& op);
/// The same of the Eigen kernels: after batch norm.
bool eigen_fuses(const Op& op);
/// The network as it is executed: `split_activations` of what neither fuses.
Network lowered(const Network& network);

/// What an operator that applies ReLU or ReLU6 while it writes limits its outputs to; else
/// anything.
struct OutputRange {
  float low;
  float high;
};
OutputRange output_range(Activation activation);

/// What a matrix micro-kernel computes at once.
struct MatrixTile {
  double rows = 4;      ///< output pixels
  double channels = 8;  ///< output channels
  double depth = 1;     ///< input channels
};

/// Micro-kernels that XNNPACK chooses for a CPU, and what it is not given there.
struct XnnpackTraits {
  MatrixTile tile;
  /// In f32, of groups that have fewer output channels than `tile`.
  MatrixTile narrow_tile{4, 2, 1};
  bool narrow_convolutions = false;  ///< of all convolutions; else of transposed ones only
  double vector_channels = 8;        ///< channels that a depthwise micro-kernel takes at once
  int stride_1_taps = 25;  ///< most of a depthwise convolution by stride 1; ours takes more
};
/// Whether a CPU has an instruction set, as Linux names it.
using HasFeature = std::function<bool(std::string_view)>;
/// 7x16 with AVX-512, 7x32 since 2024; 5x16 with AVX or FMA, 6x8 on 64-bit Arm, else 4x8. SME's,
/// squares of twice its vector's length, are not known here: no profile tells that. Narrow ones are
/// 4x2, on x86-64 by 4 input channels with SSE alone, but half of the others' channels since 2024.
/// `runtime` is a text with XNNPACK's version.
XnnpackTraits xnnpack_traits(std::string_view architecture, const HasFeature& has,
                             std::string_view runtime);
/// Of int8: 4x16 with AVX-512, 3x8 with AVX2, 4x16 on 64-bit Arm, else 3x4. On x86-64 our kernel
/// takes 0.36 to 0.54 of the time of XNNPACK 2022-02 for more than 9 taps by stride 1, 0.72 to 0.93
/// of August 2026's (Zen 4); elsewhere XNNPACK's multiply whole numbers.
XnnpackTraits xnnpack_int8_traits(std::string_view architecture, const HasFeature& has);

/// The tile that computes so many output channels of a group of the operator.
MatrixTile matrix_tile(const Op& op, double group_out, const XnnpackTraits& traits);

/// Whether our kernel runs the operator on a CPU with these traits, of its data type: it is a
/// depthwise convolution in f32 or int8 of more than 25 taps, which XNNPACK would run as matrix
/// products of one output channel a group, at a twentieth of the pace, in int8 at a hundredth; or
/// of stride 1 and more taps than the traits give XNNPACK.
bool runs_our_depthwise(const Op& op, const XnnpackTraits& traits);
/// Whether it is a depthwise convolution that a depthwise micro-kernel of XNNPACK runs there.
bool runs_xnnpack_depthwise(const Op& op, const XnnpackTraits& traits);
/// Whether our kernel runs the operator on some CPU.
bool our_depthwise_takes(const Op& op);
/// Whether XNNPACK is given windows that were copied beside each other, to multiply them as pixels,
/// instead of pointers to their pixels: of int8 convolutions of so few channels that pointers take
/// more memory than what they point at, and that kernels, which take several channels of a tap at
/// once, multiply zeros most of the time.
bool gathers_windows(const Op& op);

/// Taps that the depthwise micro-kernel of such an operator is unrolled for, at least the window's.
int xnnpack_depthwise_taps(const Op& op);
/// Bytes of an elementwise operator that a thread takes at once.
inline constexpr double xnnpack_elementwise_block_bytes = 4096;

}  // namespace cpubone
