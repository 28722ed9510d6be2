#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/onnx/importer.hpp"
#include "graph/size.hpp"

// Images in another height and width: by an operator where there is one, else as products with
// matrices of what each pixel counts, as every interpolation is linear.
namespace cpubone::onnx {
namespace {

/// One of the two dimensions of pixels.
struct Axis {
  std::int64_t in;
  std::int64_t out;
  double scale;  ///< that coordinates go by: out / in, or as it was given
};

struct Axes {
  Axis height;
  Axis width;
};

/// What a Resize or Upsample asks for.
Axes wanted(const NodeContext& node, const Image& in) {
  const bool upsample = node.proto.op_type() == "Upsample";
  std::vector<double> scales;
  if (const auto attribute = node.attributes.reals("scales"))
    scales.assign(attribute->begin(), attribute->end());
  const std::size_t scales_input = upsample || node.opset < 11 ? 1 : 2;
  if (scales.empty() && node.has(scales_input) && node.known(scales_input).size() > 0)
    for (std::size_t i = 0; i < node.known(scales_input).size(); ++i)
      scales.push_back(node.known(scales_input).at(i));
  if (node.attributes.has("axes")) throw Unsupported("axes");
  if (!scales.empty()) {
    if (scales.size() != 4 || scales[0] != 1 || scales[1] != 1)
      throw Unsupported("scales of other dimensions than height and width");
    const auto axis = [&](std::int64_t pixels, double scale) {
      // Quotients of whole numbers were rounded to float.
      const double all = double(pixels) * scale;
      const double whole = std::abs(all - std::round(all)) < 1e-3 ? std::round(all) : all;
      if (!(whole >= 1 && whole < 65536)) throw Unsupported(fmt::format("{} pixels", whole));
      return Axis{pixels, static_cast<std::int64_t>(whole), scale};
    };
    return {axis(in.dims[2], scales[2]), axis(in.dims[3], scales[3])};
  }
  const Array& sizes = node.known(3);
  if (sizes.size() != 4 || sizes.integers.empty() || sizes.integers[0] != in.dims[0] ||
      sizes.integers[1] != in.dims[1])
    throw Unsupported("sizes of other dimensions than height and width");
  if (node.attributes.word("keep_aspect_ratio_policy", "stretch") != "stretch")
    throw Unsupported("keeping the aspect ratio");
  const auto axis = [](std::int64_t pixels, std::int64_t out) {
    if (out < 1 || out > 65536) throw Unsupported(fmt::format("{} pixels", out));
    return Axis{pixels, out, double(out) / double(pixels)};
  };
  return {axis(in.dims[2], sizes.integers[2]), axis(in.dims[3], sizes.integers[3])};
}

/// How pixels are found and weighed.
struct Interpolation {
  std::string mode;
  std::string transform;
  std::string nearest;
  double cubic;  ///< the coefficient of the cubic polynomial
  bool antialias;
  bool excludes_outside;
};

Interpolation interpolation(const NodeContext& node) {
  const bool old = node.proto.op_type() == "Upsample" || node.opset < 11;
  const NodeAttributes& a = node.attributes;
  return {a.word("mode", "nearest"),
          a.word("coordinate_transformation_mode", old ? "asymmetric" : "half_pixel"),
          a.word("nearest_mode", old ? "floor" : "round_prefer_floor"),
          a.real("cubic_coeff_a", -0.75F),
          a.integer("antialias", 0) != 0,
          a.integer("exclude_outside", 0) != 0};
}

/// Where an output's pixel lies among the input's.
double coordinate(const Interpolation& how, const Axis& axis, std::int64_t i) {
  const double at = double(i);
  const double centred = (at + 0.5) / axis.scale - 0.5;
  if (how.transform == "half_pixel") return centred;
  if (how.transform == "pytorch_half_pixel") return axis.out > 1 ? centred : 0;
  if (how.transform == "asymmetric") return at / axis.scale;
  if (how.transform == "align_corners") {
    // ONNX Runtime takes the corners of whole pixels, ONNX itself those of their fractions.
    if (std::abs(axis.scale * double(axis.in) - double(axis.out)) > 1e-3)
      throw Unsupported("corners of fractions of pixels");
    return axis.out > 1 ? at * double(axis.in - 1) / double(axis.out - 1) : 0;
  }
  throw Unsupported(fmt::format("{} by {}", how.mode, how.transform));
}

std::int64_t nearest(const Interpolation& how, double x) {
  if (how.nearest == "floor") return static_cast<std::int64_t>(std::floor(x));
  if (how.nearest == "ceil") return static_cast<std::int64_t>(std::ceil(x));
  if (how.nearest == "round_prefer_floor") return static_cast<std::int64_t>(std::ceil(x - 0.5));
  if (how.nearest == "round_prefer_ceil") return static_cast<std::int64_t>(std::floor(x + 0.5));
  throw Unsupported(fmt::format("nearest by {}", how.nearest));
}

/// What a pixel at that distance counts.
double kernel(const Interpolation& how, double distance) {
  const double d = std::abs(distance);
  if (how.mode == "linear") return std::max(0.0, 1 - d);
  const double a = how.cubic;
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  return 0;
}

/// What each input pixel counts in each output pixel: out rows of in numbers.
std::vector<float> matrix(const Interpolation& how, const Axis& axis) {
  constexpr std::int64_t most = 1 << 24;
  if (axis.in * axis.out > most) throw Unsupported("an image that is too large");
  std::vector<float> all(static_cast<std::size_t>(axis.in * axis.out), 0.0F);
  for (std::int64_t i = 0; i < axis.out; ++i) {
    float* row = all.data() + i * axis.in;
    const auto inside = [&](std::int64_t k) { return std::clamp<std::int64_t>(k, 0, axis.in - 1); };
    const double x = coordinate(how, axis, i);
    if (how.mode == "nearest") {
      row[inside(nearest(how, x))] = 1;
      continue;
    }
    const double shrink = how.antialias ? std::min(1.0, axis.scale) : 1.0;
    const double reach = (how.mode == "linear" ? 1 : 2) / shrink;
    const bool only_inside = how.excludes_outside || how.antialias;
    double sum = 0;
    std::vector<double> weights(static_cast<std::size_t>(axis.in), 0.0);
    for (auto k = static_cast<std::int64_t>(std::floor(x - reach)); double(k) <= x + reach; ++k) {
      if (only_inside && inside(k) != k) continue;
      const double weight = kernel(how, (double(k) - x) * shrink);
      weights[static_cast<std::size_t>(inside(k))] += weight;
      sum += weight;
    }
    for (std::int64_t k = 0; k < axis.in; ++k)
      row[k] = static_cast<float>(weights[static_cast<std::size_t>(k)] / sum);
  }
  return all;
}

/// The operator that does it; nothing where there is none.
std::optional<Op> one_operator(const Interpolation& how, const Axes& to) {
  const auto whole = [](const Axis& axis) { return axis.out % axis.in == 0; };
  const auto plain = [](const Axis& axis) {
    return std::abs(axis.scale * double(axis.in) - double(axis.out)) < 1e-3;
  };
  if (how.antialias || !plain(to.height) || !plain(to.width)) return std::nullopt;
  const bool is_whole = whole(to.height) && whole(to.width);
  Op op;
  op.kind = OpKind::resize;
  if (how.mode == "nearest") {
    // A pixel's copies have their centres within it, whatever is rounded.
    const bool below = how.transform == "asymmetric" && how.nearest == "floor";
    const bool centred =
        is_whole && how.transform == "half_pixel" &&
        (how.nearest == "round_prefer_floor" || how.nearest == "round_prefer_ceil");
    if (!below && !centred) return std::nullopt;
    if (!is_whole) {
      op.resize_mode = ResizeMode::nearest;
      return op;
    }
    op.kind = OpKind::upsample_nearest;
    op.stride_h = to_int(to.height.out / to.height.in);
    op.stride_w = to_int(to.width.out / to.width.in);
    return op;
  }
  if (how.mode != "linear") return std::nullopt;
  if (how.transform == "align_corners") {
    op.resize_mode = ResizeMode::bilinear_corners;
    return op;
  }
  const bool several = to.height.out > 1 && to.width.out > 1;
  if (how.transform == "half_pixel" || (how.transform == "pytorch_half_pixel" && several))
    return op;
  return std::nullopt;
}

/// The image with its rows, or the pixels of each row, multiplied by a matrix.
Edge multiplied(Lowering& lower, const Edge& image, const Interpolation& how, const Axis& axis,
                bool rows) {
  if (axis.in == axis.out && axis.scale == 1) return image;
  const Shape s = lower.shape(image);
  const Dims dims{axis.out, axis.in};
  const std::string name = rows ? "rows" : "columns";
  const Edge known = lower.constant(*real(dims, matrix(how, axis)), row_major(dims),
                                    {1, 1, to_int(axis.out), to_int(axis.in)}, name + "/weights");
  const Shape as_rows{1, 1, s.h, to_int(std::int64_t{s.w} * s.c)};
  Op op;
  op.kind = OpKind::matmul;
  const Edge product =
      lower.append(std::move(op), {known, rows ? lower.view(image, as_rows) : image}, name);
  return rows ? lower.view(product, {1, to_int(axis.out), s.w, s.c}) : product;
}

std::vector<Value> resize(const NodeContext& node) {
  Lowering& lower = node.lower;
  const Image in = image_of(lower, lower.tensor_of(node.input(0), "known"));
  if (in.flat) throw Unsupported("other than two dimensions");
  const Axes to = wanted(node, in);
  const Interpolation how = interpolation(node);
  if (how.mode != "nearest" && how.mode != "linear" && how.mode != "cubic")
    throw Unsupported(fmt::format("mode {}", how.mode));
  if (auto op = one_operator(how, to)) {
    op->outputs[0].shape = {1, to_int(to.height.out), to_int(to.width.out), lower.shape(in.edge).c};
    return {image_value(lower, lower.append(std::move(*op), {in.edge}), in)};
  }
  const Edge rows = multiplied(lower, in.edge, how, to.height, true);
  return {image_value(lower, multiplied(lower, rows, how, to.width, false), in)};
}

constexpr HandlerRow resize_rows[] = {
    {"Resize", resize},
    {"Upsample", resize},
};

}  // namespace

std::span<const HandlerRow> resize_handlers() {
  return resize_rows;
}

}  // namespace cpubone::onnx
