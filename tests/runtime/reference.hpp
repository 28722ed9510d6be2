#pragma once
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "graph/op.hpp"
#include "graph/parameters.hpp"

namespace cpubone::test {

using Values = std::vector<double>;

inline double apply(Activation activation, double x) {
  const double relu6 = std::min(std::max(x + 3, 0.0), 6.0);
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return std::max(x, 0.0);
    case Activation::relu6:
      return std::min(std::max(x, 0.0), 6.0);
    case Activation::hardswish:
      return x * relu6 / 6;
    case Activation::hardsigmoid:
      return relu6 / 6;
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::gelu:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::tanh:
      return std::tanh(x);
    case Activation::elu:
      return x > 0 ? x : std::expm1(x);
    case Activation::softplus:
      return std::log1p(std::exp(x));
    case Activation::mish:
      return x * std::tanh(std::log1p(std::exp(x)));
    case Activation::exp:
      return std::exp(x);
    case Activation::log:
      return std::log(x);
    case Activation::sqrt:
      return std::sqrt(x);
    case Activation::reciprocal:
      return 1 / x;
    case Activation::erf:
      return std::erf(x);
    case Activation::abs:
      return std::abs(x);
    case Activation::neg:
      return -x;
  }
  return x;
}

inline std::size_t at(const Shape& s, int y, int x, int c) {
  return (static_cast<std::size_t>(y) * static_cast<std::size_t>(s.w) +
          static_cast<std::size_t>(x)) *
             static_cast<std::size_t>(s.c) +
         static_cast<std::size_t>(c);
}

/// Slow and obvious: what an operator means, NHWC in double, weights in PyTorch's layout. Numbers
/// of 16 and 8 bits are the real ones that they stand for.
inline Values reference(const Op& op, const std::vector<Values>& inputs, const Parameters& p,
                        std::size_t which_output = 0) {
  const Shape in = op.inputs.empty() ? Shape{} : op.input();
  const Shape& out = op.output(which_output);
  const Values x = inputs.empty() ? Values{} : inputs[0];
  Values y(static_cast<std::size_t>(elements(out)), 0.0);
  const auto bias = [&](int c) {
    return p.bias.empty() ? 0.0 : double{p.bias[static_cast<std::size_t>(c)]};
  };
  const auto each = [&](auto value) {
    for (int i = 0; i < out.h; ++i)
      for (int j = 0; j < out.w; ++j)
        for (int c = 0; c < out.c; ++c) y[at(out, i, j, c)] = value(i, j, c);
  };
  const auto convolve = [&](int groups, int in_channels, int out_channels) {
    const int gi = in_channels / groups;
    const int go = out_channels / groups;
    return [&, gi, go](int i, int j, int c) {
      double sum = bias(c);
      for (int ky = 0; ky < op.kernel_h; ++ky)
        for (int kx = 0; kx < op.kernel_w; ++kx) {
          const int yy = i * op.stride_h + ky * op.dilation_h - op.padding.top;
          const int xx = j * op.stride_w + kx * op.dilation_w - op.padding.left;
          if (yy < 0 || yy >= in.h || xx < 0 || xx >= in.w) continue;
          for (int k = 0; k < gi; ++k)
            sum += x[at(in, yy, xx, c / go * gi + k)] *
                   double{p.weight[static_cast<std::size_t>(
                       ((c * gi + k) * op.kernel_h + ky) * op.kernel_w + kx)]};
        }
      return sum;
    };
  };
  switch (op.kind) {
    case OpKind::conv2d:
      each(convolve(op.groups, in.c, out.c));
      break;
    case OpKind::partial_conv2d: {
      const auto conv = convolve(1, op.conv_channels, op.conv_channels);
      each([&](int i, int j, int c) {
        return c < op.conv_channels ? conv(i, j, c) : x[at(in, i, j, c)];
      });
      break;
    }
    case OpKind::conv_transpose2d: {
      const int gi = in.c / op.groups;
      const int go = out.c / op.groups;
      each([&](int, int, int c) { return bias(c); });
      for (int i = 0; i < in.h; ++i)
        for (int j = 0; j < in.w; ++j)
          for (int c = 0; c < in.c; ++c)
            for (int o = 0; o < go; ++o)
              for (int ky = 0; ky < op.kernel_h; ++ky)
                for (int kx = 0; kx < op.kernel_w; ++kx) {
                  const int yy = i * op.stride_h + ky * op.dilation_h - op.padding.top;
                  const int xx = j * op.stride_w + kx * op.dilation_w - op.padding.left;
                  if (yy < 0 || yy >= out.h || xx < 0 || xx >= out.w) continue;
                  y[at(out, yy, xx, c / gi * go + o)] +=
                      x[at(in, i, j, c)] *
                      double{p.weight[static_cast<std::size_t>(
                          ((c * go + o) * op.kernel_h + ky) * op.kernel_w + kx)]};
                }
      break;
    }
    case OpKind::linear:
      each([&](int i, int j, int c) {
        double sum = bias(c);
        for (int k = 0; k < in.c; ++k)
          sum += x[at(in, i, j, k)] * double{p.weight[static_cast<std::size_t>(c * in.c + k)]};
        return sum;
      });
      break;
    case OpKind::attention: {
      const int d = in.c / 3 / op.heads;
      const int tokens = in.h * in.w / op.windows;
      const auto qkv = [&](int token, int head, int which, int k) {
        return x[static_cast<std::size_t>(token * in.c + (head * 3 + which) * d + k)];
      };
      const auto added = [&](int window, int head, int from, int to) {
        if (inputs.size() < 2) return 0.0;
        const Shape& s = op.input(1);
        return inputs[1][at(s, (window * op.heads + head) % s.h, from, to)];
      };
      for (int h = 0; h < op.heads; ++h)
        for (int a = 0; a < in.h * in.w; ++a) {
          const int window = a / tokens;
          const int first = window * tokens;
          Values weight(static_cast<std::size_t>(tokens));
          for (int b = 0; b < tokens; ++b) {
            double dot = 0;
            for (int k = 0; k < d; ++k) dot += qkv(a, h, 0, k) * qkv(first + b, h, 1, k);
            weight[static_cast<std::size_t>(b)] =
                std::exp(dot / std::sqrt(d) + added(window, h, a - first, b));
          }
          const double total = std::accumulate(weight.begin(), weight.end(), 0.0);
          for (int k = 0; k < d; ++k) {
            double sum = 0;
            for (int b = 0; b < tokens; ++b)
              sum += weight[static_cast<std::size_t>(b)] / total * qkv(first + b, h, 2, k);
            y[static_cast<std::size_t>(a * out.c + h * d + k)] = sum;
          }
        }
      break;
    }
    case OpKind::add:
    case OpKind::mul:
    case OpKind::sub:
    case OpKind::div:
    case OpKind::maximum:
    case OpKind::minimum: {
      // A dimension of 1 is repeated.
      const auto value = [&](std::size_t k, int i, int j, int c) {
        const Shape& s = op.input(k);
        return inputs[k][at(s, std::min(i, s.h - 1), std::min(j, s.w - 1), std::min(c, s.c - 1))];
      };
      each([&](int i, int j, int c) {
        const double a = value(0, i, j, c);
        const double b = value(1, i, j, c);
        switch (op.kind) {
          case OpKind::add:
            return a + b;
          case OpKind::mul:
            return a * b;
          case OpKind::sub:
            return a - b;
          case OpKind::div:
            return a / b;
          case OpKind::maximum:
            return std::max(a, b);
          default:
            return std::min(a, b);
        }
      });
      break;
    }
    case OpKind::group_norm:
    case OpKind::layer_norm: {
      const std::size_t channels = static_cast<std::size_t>(in.c);
      const std::size_t width = op.kind == OpKind::group_norm ? x.size() : channels;
      for (std::size_t begin = 0; begin < x.size(); begin += width) {
        double mean = 0;
        double variance = 0;
        for (std::size_t i = 0; i < width; ++i) mean += x[begin + i] / static_cast<double>(width);
        for (std::size_t i = 0; i < width; ++i)
          variance += (x[begin + i] - mean) * (x[begin + i] - mean) / static_cast<double>(width);
        for (std::size_t i = 0; i < width; ++i)
          y[begin + i] = (x[begin + i] - mean) / std::sqrt(variance + op.epsilon) *
                             double{p.weight[i % channels]} +
                         double{p.bias[i % channels]};
      }
      break;
    }
    case OpKind::rms_norm:
      each([&](int i, int j, int c) {
        double mean_square = 0;
        for (int k = 0; k < in.c; ++k) mean_square += std::pow(x[at(in, i, j, k)], 2) / in.c;
        return x[at(in, i, j, c)] / std::sqrt(mean_square + op.epsilon) *
               double{p.weight[static_cast<std::size_t>(c)]};
      });
      break;
    case OpKind::batch_norm:
      each([&](int i, int j, int c) {
        const auto k = static_cast<std::size_t>(c);
        return (x[at(in, i, j, c)] - double{p.mean[k]}) /
                   std::sqrt(double{p.variance[k]} + op.epsilon) * double{p.weight[k]} +
               double{p.bias[k]};
      });
      break;
    case OpKind::global_avg_pool:
      each([&](int, int, int c) {
        double sum = 0;
        for (int i = 0; i < in.h; ++i)
          for (int j = 0; j < in.w; ++j) sum += x[at(in, i, j, c)];
        return sum / (in.h * in.w);
      });
      break;
    case OpKind::max_pool2d:
      each([&](int i, int j, int c) {
        double largest = -1e300;
        for (int ky = 0; ky < op.kernel_h; ++ky)
          for (int kx = 0; kx < op.kernel_w; ++kx) {
            const int yy = i * op.stride_h + ky * op.dilation_h - op.padding.top;
            const int xx = j * op.stride_w + kx * op.dilation_w - op.padding.left;
            if (yy >= 0 && yy < in.h && xx >= 0 && xx < in.w)
              largest = std::max(largest, x[at(in, yy, xx, c)]);
          }
        return largest;
      });
      break;
    case OpKind::upsample_nearest:
      each([&](int i, int j, int c) { return x[at(in, i / op.stride_h, j / op.stride_w, c)]; });
      break;
    case OpKind::slice:
      each([&](int i, int j, int c) { return x[at(in, i, j, c + op.begin)]; });
      break;
    case OpKind::concat:
      each([&](int i, int j, int c) {
        std::size_t part = 0;
        while (c >= op.input(part).c) c -= op.input(part++).c;
        return inputs[part][at(op.input(part), i, j, c)];
      });
      break;
    case OpKind::channel_shuffle:
      each([&](int i, int j, int c) {
        return x[at(in, i, j, c % op.groups * (in.c / op.groups) + c / op.groups)];
      });
      break;
    case OpKind::avg_pool2d:
      each([&](int i, int j, int c) {
        double sum = 0;
        int inside = 0;
        for (int ky = 0; ky < op.kernel_h; ++ky)
          for (int kx = 0; kx < op.kernel_w; ++kx) {
            const int yy = i * op.stride_h + ky - op.padding.top;
            const int xx = j * op.stride_w + kx - op.padding.left;
            if (yy < 0 || yy >= in.h || xx < 0 || xx >= in.w) continue;
            sum += x[at(in, yy, xx, c)];
            ++inside;
          }
        return sum / inside;
      });
      break;
    case OpKind::softmax:
      each([&](int i, int j, int c) {
        double total = 0;
        for (int k = 0; k < in.c; ++k) total += std::exp(x[at(in, i, j, k)]);
        return std::exp(x[at(in, i, j, c)]) / total;
      });
      break;
    case OpKind::transpose:
      for (int n = 0; n < out.n; ++n)
        for (int i = 0; i < out.h; ++i)
          for (int j = 0; j < out.w; ++j)
            for (int c = 0; c < out.c; ++c) {
              const int to[] = {n, i, j, c};
              int from[4];
              for (std::size_t d = 0; d < 4; ++d) from[op.permutation[d]] = to[d];
              y[at(out, n * out.h + i, j, c)] =
                  x[at(in, from[0] * in.h + from[1], from[2], from[3])];
            }
      break;
    case OpKind::constant:
      y.assign(p.weight.begin(), p.weight.end());
      break;
    case OpKind::matmul:
      each([&](int i, int j, int c) {
        const Shape& right = op.input(1);
        double sum = 0;
        for (int k = 0; k < in.c; ++k) {
          const int h = std::min(i, right.h - 1);
          sum += x[at(in, std::min(i, in.h - 1), j, k)] *
                 inputs[1][op.transposed ? at(right, h, c, k) : at(right, h, k, c)];
        }
        return sum;
      });
      break;
    case OpKind::reduce:
      each([&](int i, int j, int) {
        const auto first = x.begin() + static_cast<std::ptrdiff_t>(at(in, i, j, 0));
        const auto last = first + in.c;
        switch (op.reduction) {
          case Reduction::mean:
            return std::accumulate(first, last, 0.0) / in.c;
          case Reduction::sum:
            return std::accumulate(first, last, 0.0);
          case Reduction::max:
            return *std::max_element(first, last);
          default:
            return *std::min_element(first, last);
        }
      });
      break;
    case OpKind::resize: {
      const auto place = [&](int at_out, int in_size, int out_size) {
        const double scale = double(in_size) / out_size;
        double from = (at_out + 0.5) * scale - 0.5;
        if (op.resize_mode == ResizeMode::bilinear_corners)
          from = out_size > 1 ? double(at_out) * (in_size - 1) / (out_size - 1) : 0.0;
        if (op.resize_mode == ResizeMode::nearest) from = std::floor(at_out * scale);
        return std::clamp(from, 0.0, double(in_size - 1));
      };
      each([&](int i, int j, int c) {
        const double row = place(i, in.h, out.h);
        const double column = place(j, in.w, out.w);
        double sum = 0;
        for (int a = 0; a < in.h; ++a)
          for (int b = 0; b < in.w; ++b)
            sum += std::max(0.0, 1 - std::abs(row - a)) * std::max(0.0, 1 - std::abs(column - b)) *
                   x[at(in, a, b, c)];
        return sum;
      });
      break;
    }
    case OpKind::pad:
      each([&](int i, int j, int c) {
        const int a = i - op.padding.top;
        const int b = j - op.padding.left;
        return a < 0 || b < 0 || a >= in.h || b >= in.w ? 0.0 : x[at(in, a, b, c)];
      });
      break;
    case OpKind::activation:
    case OpKind::reshape:
    case OpKind::dequantise:
      y = x;
      break;
    case OpKind::split: {
      int begin = 0;
      for (std::size_t k = 0; k < which_output; ++k) begin += op.output(k).c;
      each([&](int i, int j, int c) { return x[at(in, i, j, c + begin)]; });
      break;
    }
    case OpKind::cast:
      each([&](int i, int j, int c) {
        const double value = x[at(in, i, j, c)];
        if (op.outputs[0].dtype != DType::f16) return value;
        const double unit = std::exp2(std::max(-14, std::ilogb(value)) - 10);  // of 11 bits
        return std::nearbyint(value / unit) * unit;
      });
      break;
    case OpKind::quantise: {
      const Quantisation& q = *op.outputs[0].quantisation;
      each([&](int i, int j, int c) {
        const double steps = std::nearbyint(x[at(in, i, j, c)] / double{q.scale}) + q.zero_point;
        return (std::clamp(steps, -128.0, 127.0) - q.zero_point) * double{q.scale};
      });
      break;
    }
  }
  for (double& value : y) value = apply(op.activation, value);
  return y;
}

}  // namespace cpubone::test
