#include "predictor/features.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "graph/schema.hpp"
#include "runtime/eigen_backend.hpp"
#include "runtime/eigen_kernels.hpp"

namespace cpubone {
namespace {

constexpr std::array<std::string_view, op_feature_count> names{
    "log2 output pixels",
    "log2 output width",
    "log2 input channels of a group",
    "log2 output channels of a group",
    "log2 groups",
    "log2 kernel taps",
    "kernel width",
    "stride",
    "log2 MACs padded / MACs",
    "log2 weight bytes",
    "log2 input bytes",
    "log2 output bytes",
    "log2 MACs per byte",
    "log2 weight bytes of a group / L2",
    "log2 activation bytes / L1",
    "log2 input bytes of a tile / L1",
    "log2 input bytes of a window's lines / L2",
    "log2 bytes / L2",
    "log2 bytes / LLC",
    "filled share of the last tile's rows",
    "filled share of the last tile's channels",
    "second input is one pixel",
    "fewer output channels than a tile",
    "share of input vectors across cache lines",
    "share of output vectors across cache lines",
    "agreement of a tile's rows in their pages"};

double log2_at_least(double value, double least) {
  return std::log2(std::max(value, least));
}

double log2_at_least_1(double value) {
  return log2_at_least(value, 1.0);
}

double fill_up(double value, double tile) {
  return std::ceil(value / tile) * tile;
}

/// 1 where `value` is a multiple of `tile`, else the used share of the last tile.
double last_tile_share(double value, double tile) {
  const double rest = std::fmod(value, tile);
  return rest == 0 ? 1.0 : rest / tile;
}

/// Of the vectors that begin where a pixel of so many channels does, or whole vectors later, those
/// that lie in two cache lines: they take two reads.
double crossing_share(int channels, double element_bytes, const CpuTraits& cpu) {
  constexpr int line_bytes = 64;
  const int vector_bytes = static_cast<int>(cpu.vector_channels * element_bytes);
  const int grid = std::gcd(static_cast<int>(channels * element_bytes), line_bytes);
  const double misaligned = 1.0 - double(std::min(grid, vector_bytes)) / vector_bytes;
  return misaligned * std::min(1.0, double(vector_bytes) / line_bytes);
}

/// How nearly the rows of a tile begin at the same place of their pages, from 0 to 1: where they
/// do, they are in one another's way in the first cache, and in what predicts where it has them.
double page_agreement(double row_bytes, double rows) {
  constexpr double page_bytes = 4096;
  constexpr double apart_bytes = 512;
  double sum = 0;
  for (double row = 1; row < rows; ++row)
    sum += std::max(0.0, 1 - std::abs(std::remainder(row * row_bytes, page_bytes)) / apart_bytes);
  return rows > 1 ? sum / (rows - 1) : 0;
}

/// Share of a working set that a cache, which replaces what was used least recently, still holds
/// when it is read again: all, or where it is somewhat larger nothing.
double held_share(double read_bytes, double cache_bytes) {
  constexpr double nothing_beyond = 1.25;
  return std::clamp((nothing_beyond - read_bytes / cache_bytes) / (nothing_beyond - 1), 0.0, 1.0);
}

struct Matrix {
  double pixels;
  double group_in;  ///< of one group
  double group_out;
  double groups;
  double taps;
};

/// The matrix product that an operator amounts to.
Matrix matrix(const Op& op) {
  const Shape& in = op.input();
  const Shape& out = op.output();
  const double taps = double{1} * op.kernel_h * op.kernel_w;
  const double pixels = double{1} * out.n * out.h * out.w;
  const double groups = op.groups;
  switch (op.kind) {
    case OpKind::partial_conv2d:
      return {pixels, double(op.conv_channels), double(op.conv_channels), 1, taps};
    case OpKind::conv_transpose2d:
      // Each output pixel sees the taps of one phase only.
      return {pixels, in.c / groups, out.c / groups, groups,
              std::max(1.0, taps / (double{1} * op.stride_h * op.stride_w))};
    case OpKind::attention: {
      const double tokens = double{1} * in.h * in.w / op.windows;
      const double head_dim = in.c / 3.0 / op.heads;
      return {tokens, head_dim, tokens, double{1} * op.windows * op.heads, 2};
    }
    case OpKind::matmul: {
      const double matrices = out.h;
      return {double(out.w), double(in.c), double(out.c), matrices, 1};
    }
    case OpKind::conv2d:
      if (gathers_windows(op)) return {pixels, in.c * taps, double(out.c), 1, 1};
      [[fallthrough]];
    case OpKind::linear:
      return {pixels, in.c / groups, out.c / groups, groups, taps};
    case OpKind::slice:
    case OpKind::concat:
    case OpKind::split: {  // the parts of a pixel are its taps
      const auto parts = static_cast<double>(std::max(op.inputs.size(), op.outputs.size()));
      const double channels = (op.kind == OpKind::split ? in.c : out.c) / parts;
      return {pixels, channels, channels, 1, parts};
    }
    default:
      return {pixels, double(in.c), double(out.c), 1, taps};
  }
}

/// Some of the channels of each pixel, from tensor to tensor.
bool copies_channels(const Op& op) {
  return op.kind == OpKind::slice || op.kind == OpKind::concat || op.kind == OpKind::split;
}

/// A transpose that moves pixels with all their channels.
bool keeps_channels(const Op& op) {
  return op.permutation[3] == 3;
}

/// Second input of one pixel, repeated for all.
bool broadcasts(const Op& op) {
  return op.inputs.size() > 1 && op.input(1).h == 1 && op.input(1).w == 1;
}

/// Without MACs: an inner loop over the channels of each pixel, not one over the whole tensor.
bool runs_by_pixel(const Op& op) {
  if (op.kind == OpKind::activation) return false;
  return !schema(op.kind).elementwise || broadcasts(op);
}

/// Of these: how many inner loops there are. A transpose whose channels do not stay together walks
/// them one by one.
double inner_loops(const Op& op, const Matrix& m) {
  if (op.kind == OpKind::transpose && !keeps_channels(op))
    return static_cast<double>(elements(op.output()));
  const double pixels = double{1} * op.input().n * op.input().h * op.input().w;
  return std::max(m.pixels, pixels) * (copies_channels(op) ? m.taps : 1);
}

/// Values of whole vectors that a loop over so many channels takes. XNNPACK's kernels, and copies,
/// take what is left over as one vector more, Eigen's take it one by one.
double padded_channels(const Op& op, double channels, double vector) {
  if (xnnpack_runs(op) || schema(op.kind).keeps_values) return fill_up(channels, vector);
  const double rest = std::fmod(channels, vector);
  return channels - rest + rest * vector;
}

/// For a single pixel there are kernels of one row.
MatrixTile tile_of(const Op& op, const Matrix& m, const CpuTraits& cpu) {
  MatrixTile tile = matrix_tile(op, m.group_out, cpu);
  if (m.pixels == 1) tile.rows = 1;
  return tile;
}

bool runs_depthwise(const Op& op, const CpuTraits& cpu) {
  return runs_xnnpack_depthwise(op, cpu) || runs_our_depthwise(op, cpu);
}

/// Rows of tiles that cover the pixels. Of a transposed convolution with a stride each row of a
/// phase's pixels is covered anew.
double tile_rows(const Op& op, const Matrix& m, const MatrixTile& tile) {
  if (op.kind != OpKind::conv_transpose2d || op.stride_w == 1)
    return std::ceil(m.pixels / tile.rows);
  const double row = double{1} * op.output().w / op.stride_w;
  return m.pixels / row * std::ceil(row / tile.rows);
}

double tiles(const Op& op, const Matrix& m, const MatrixTile& tile) {
  return tile_rows(op, m, tile) * std::ceil(m.group_out / tile.channels) * m.groups;
}

double work_items(const Op& op, const Matrix& m, const CpuTraits& cpu) {
  switch (op.kind) {
    case OpKind::conv2d:
    case OpKind::linear:
    case OpKind::conv_transpose2d:
    case OpKind::partial_conv2d:
      if (runs_depthwise(op, cpu)) return op.output().h;
      return tiles(op, m, tile_of(op, m, cpu));
    case OpKind::max_pool2d:
      return op.output().h;
    case OpKind::activation:
      return std::ceil(static_cast<double>(output_bytes(op)) / xnnpack_elementwise_block_bytes);
    default:
      // Equal shapes are one long row, which is not split.
      return schema(op.kind).elementwise && broadcasts(op) ? m.pixels : 1;
  }
}

Work work_of(const Op& op, const Matrix& m, const CpuTraits& cpu) {
  Work w;
  if (op.kind == OpKind::reshape) return w;  // nothing moves
  w.macs = static_cast<double>(macs(op));
  w.weight_bytes = static_cast<double>(weight_bytes(op));
  w.activation_bytes = static_cast<double>(
      (op.kind == OpKind::slice ? output_bytes(op) : input_bytes(op)) + output_bytes(op));
  if (gathers_windows(op) || op.dynamic)  // bytes that are written and read
    w.activation_bytes += 2 * m.pixels * m.group_in;
  // What only moves data reads it in the order in which the operator before wrote it, of which L2
  // still has all, or the end of it, which is pushed out before it is reached.
  w.activation_bytes_beyond_l2 =
      w.macs > 0 ? std::max(0.0, w.activation_bytes - cpu.l2_bytes)
                 : w.activation_bytes *
                       (1 - held_share(static_cast<double>(input_bytes(op)), cpu.l2_bytes));
  w.activation_bytes_beyond_llc = std::max(0.0, w.activation_bytes - cpu.llc_bytes);
  w.work_items = work_items(op, m, cpu);
  w.eigen_work_items = static_cast<double>(eigen_work_items(op));
  const double element = bytes_per_element(op.dtype());
  if (runs_our_depthwise(op, cpu)) {
    const Shape& out = op.output();
    const double tiles = out.h * std::ceil(double{1} * out.w / depthwise_tile);
    const double blocks = std::ceil(m.groups / depthwise_block);
    w.padded_macs = tiles * depthwise_tile * blocks * depthwise_block * m.taps;
    w.loop_starts = tiles * blocks * op.kernel_h;
  } else if (runs_xnnpack_depthwise(op, cpu)) {
    const double taps = xnnpack_depthwise_taps(op);
    w.padded_macs = m.pixels * fill_up(m.groups, cpu.vector_channels) * taps;
    // The sum of a pixel's first channels waits for all its taps, one after the other.
    w.loop_starts = m.pixels * taps;
    // Every pixel reads its window and all the weights, which L1 holds for the next one or not.
    const double read_bytes = 2 * m.taps * m.groups * element;
    w.streamed_bytes = m.pixels * read_bytes * (1 - held_share(read_bytes, cpu.l1d_bytes));
  } else if (op.kind == OpKind::attention) {
    // Eigen's kernels take a vector of columns at once: tokens of the scores, then channels.
    const double token_vectors = fill_up(m.pixels, cpu.vector_channels);
    const double channel_vectors = fill_up(m.group_in, cpu.vector_channels);
    w.padded_macs = m.groups * m.pixels * (token_vectors * m.group_in + m.pixels * channel_vectors);
    w.loop_starts = m.groups * m.pixels * token_vectors;  // exponentials
    // The bias of the scores is added as it is read; queries, keys and values are also rearranged.
    for (std::size_t i = 1; i < op.inputs.size(); ++i)
      w.streamed_bytes += static_cast<double>(bytes(op.inputs[i]));
    w.activation_bytes -= w.streamed_bytes;
  } else if (w.macs > 0) {
    const MatrixTile tile = tile_of(op, m, cpu);
    w.loop_starts = tiles(op, m, tile) * m.taps;
    w.padded_macs = w.loop_starts * tile.rows * tile.channels * fill_up(m.group_in, tile.depth);
    const double group_bytes = w.weight_bytes / m.groups;
    const double times = (std::ceil(m.pixels / tile.rows) - 1) * m.groups;
    w.streamed_bytes = times * std::max(0.0, group_bytes - cpu.l2_bytes);
  } else if (runs_by_pixel(op)) {
    w.loop_starts = inner_loops(op, m);
    w.padded_macs = w.loop_starts * padded_channels(op, m.group_in, cpu.vector_channels);
  } else {
    w.padded_macs = static_cast<double>(elements(op.output()));
  }
  return w;
}

std::array<double, op_feature_count> features_of(const Op& op, const Matrix& m, const Work& w,
                                                 const CpuTraits& cpu) {
  const auto in_bytes = static_cast<double>(input_bytes(op));
  const auto out_bytes = static_cast<double>(output_bytes(op));
  const bool depthwise = runs_depthwise(op, cpu);
  const bool attention = op.kind == OpKind::attention;
  const double channels = depthwise ? m.groups : m.group_out;
  const double element = bytes_per_element(op.dtype());
  const double multiplied = multiplies_int8(op) ? 1 : element;
  const MatrixTile tile = tile_of(op, m, cpu);
  const bool narrow = !depthwise && w.macs > 0 && tile.channels < cpu.tile.channels;
  const double window_rows = depthwise ? 1 : tile.rows;
  const double window_bytes =
      window_rows * m.taps * (depthwise ? m.groups : m.group_in) * multiplied;
  const double line_bytes = double{1} * op.kernel_h * op.input().w * op.input().c * element;
  return {log2_at_least_1(m.pixels),
          log2_at_least_1(op.output().w),
          std::log2(m.group_in),
          std::log2(channels),
          depthwise ? 0.0 : std::log2(m.groups),
          std::log2(m.taps),
          double(op.kernel_w),
          double(op.stride_h),
          w.macs > 0 ? std::log2(w.padded_macs / w.macs) : 0.0,
          log2_at_least_1(w.weight_bytes),
          log2_at_least_1(in_bytes),
          log2_at_least_1(out_bytes),
          std::log2(std::max(w.macs, 1.0) / std::max(w.weight_bytes + w.activation_bytes, 1.0)),
          log2_at_least(w.weight_bytes / m.groups / cpu.l2_bytes, 1.0 / 8),
          log2_at_least(w.activation_bytes / cpu.l1d_bytes, 1.0 / 8),
          log2_at_least(window_bytes / cpu.l1d_bytes, 1.0 / 8),
          log2_at_least(line_bytes / cpu.l2_bytes, 1.0 / 8),
          log2_at_least((w.activation_bytes + w.weight_bytes) / cpu.l2_bytes, 1.0 / 8),
          log2_at_least((w.activation_bytes + w.weight_bytes) / cpu.llc_bytes, 1.0 / 8),
          last_tile_share(m.pixels, attention ? cpu.vector_channels : tile.rows),
          last_tile_share(attention ? m.group_in : channels,
                          attention || depthwise ? cpu.vector_channels : tile.channels),
          broadcasts(op) ? 1.0 : 0.0,
          narrow ? 1.0 : 0.0,
          crossing_share(op.input().c, element, cpu),
          crossing_share(op.output().c, element, cpu),
          w.macs > 0 && !depthwise && !attention
              ? page_agreement(op.stride_w * op.input().c * multiplied, tile.rows)
              : 0.0};
}

/// Functions cost what others cost that are made of the same: an exponential, or as little as
/// moving the data.
std::string function_class(Activation activation) {
  switch (activation) {
    case Activation::tanh:
    case Activation::elu:
    case Activation::softplus:
    case Activation::mish:
    case Activation::exp:
    case Activation::log:
    case Activation::erf:
      return std::string(name(Activation::gelu_tanh));
    case Activation::sqrt:
    case Activation::reciprocal:
    case Activation::abs:
    case Activation::neg:
      return std::string(name(Activation::hardsigmoid));
    case Activation::relu:
    case Activation::relu6:
      return std::string(name(Activation::hardswish));
    default:
      return std::string(name(activation));
  }
}

/// But for what depends on the precision, too.
std::string class_of_kind(const Op& op) {
  // In f16 XNNPACK 2022-02 has these alone of all functions, at five times what ours cost.
  const bool clamps = op.activation == Activation::relu || op.activation == Activation::relu6;
  if (op.kind == OpKind::activation && clamps && op.dtype() == DType::f16)
    return std::string(name(Activation::relu));
  if (op.kind == OpKind::activation) return function_class(op.activation);
  // XNNPACK multiplies tokens by the same kernels as pixels.
  if (op.kind == OpKind::linear && op.output().h * op.output().w > 1) return "pointwise";
  // Sums and products take as long as it takes to move their data.
  if (schema(op.kind).elementwise) return broadcasts(op) ? "broadcast" : "add";
  // Both sum each row, then scale it: one reads it once more, from the fastest cache.
  if (op.kind == OpKind::rms_norm) return std::string(name(OpKind::layer_norm));
  // What copies some channels of each pixel, or all of it to another place, by kernels of its own.
  if (op.kind == OpKind::concat || op.kind == OpKind::split) return "copy";
  if (op.kind == OpKind::transpose && keeps_channels(op)) return "transpose of pixels";
  if (op.kind != OpKind::conv2d) return std::string(name(op.kind));
  if (runs_our_depthwise(op, {})) return "wide depthwise";  // on every CPU
  if (our_depthwise_takes(op)) return "depthwise of many taps";
  if (runs_xnnpack_depthwise(op, {})) return "depthwise";
  // XNNPACK multiplies a matrix in place for these, and through an indirection buffer otherwise.
  if (is_pointwise(op) && op.stride_h == 1 && op.padding == Padding{}) return "pointwise";
  return "convolution";
}

}  // namespace

CpuTraits cpu_traits(const Device& device) {
  const auto has = [&](std::string_view feature) { return device.has(feature); };
  CpuTraits cpu{xnnpack_traits(device.architecture, has, device.runtime)};
  cpu.int8 = xnnpack_int8_traits(device.architecture, has);
  if (const double channels = device.tile_channels; channels > 0) {
    cpu.tile = cpu.narrow_tile = {static_cast<double>(device.tile_pixels), channels, 1};
    cpu.vector_channels = channels;
  }
  if (device.l1d_bytes > 0) cpu.l1d_bytes = static_cast<double>(device.l1d_bytes);
  if (device.l2_bytes > 0) cpu.l2_bytes = static_cast<double>(device.l2_bytes);
  if (device.llc_bytes > 0) cpu.llc_bytes = static_cast<double>(device.llc_bytes);
  return cpu;
}

std::string op_class(const Op& op) {
  if (op.dynamic) return std::string(dynamic_class);
  if (op.dtype() != DType::qs8 || op.kind == OpKind::dequantise) return class_of_kind(op);
  if (op.kind == OpKind::activation) return "int8 activation";  // all are tables
  return "int8 " + class_of_kind(op);
}

std::span<const std::string_view, op_feature_count> feature_names() {
  return names;
}

OpFacts facts(const Op& op, const CpuTraits& of_f32) {
  CpuTraits cpu = of_f32;
  if (multiplies_int8(op)) static_cast<XnnpackTraits&>(cpu) = cpu.int8;
  const Matrix m = matrix(op);
  OpFacts f;
  f.op_class = op_class(op);
  f.work = work_of(op, m, cpu);
  f.matrix_product = f.work.macs > 0 && !runs_depthwise(op, cpu) && op.kind != OpKind::attention &&
                     op.kind != OpKind::matmul;
  f.tensor_bytes = static_cast<double>(input_bytes(op) + output_bytes(op));
  f.features = features_of(op, m, f.work, cpu);
  return f;
}

}  // namespace cpubone
