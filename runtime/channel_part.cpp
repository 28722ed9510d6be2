#include "runtime/channel_part.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "graph/size.hpp"

namespace cpubone {

bool is_shared_precision(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16;
}

bool has_channel_parts(const Op& op) {
  return (op.kind == OpKind::conv2d || op.kind == OpKind::linear) && op.outputs.size() == 1 &&
         is_shared_precision(op.dtype()) && !op.dynamic;
}

int channel_step(const Op& op) {
  return op.groups == 1 ? 1 : op.output().c / op.groups;
}

Op channel_part(const Op& op, int begin, int end) {
  if (!has_channel_parts(op))
    throw std::invalid_argument(
        fmt::format("op \"{}\": channels are split of convolutions and linear layers in f32 or f16 "
                    "only, which are not dynamic",
                    text(op)));
  const int step = channel_step(op);
  if (begin < 0 || begin >= end || end > op.output().c || begin % step != 0 || end % step != 0)
    throw std::invalid_argument(
        fmt::format("op \"{}\": output channels {} to {} are no part of it; expected multiples of "
                    "{} within 0..{}",
                    text(op), begin, end, step, op.output().c));
  Op part = op;
  part.outputs[0].shape.c = end - begin;
  if (op.groups > 1) {
    part.groups = (end - begin) / step;
    part.inputs[0].shape.c = op.input().c / op.groups * part.groups;
  }
  return part;
}

ChannelPart channel_part(const Op& op, const Parameters& parameters, int begin, int end) {
  ChannelPart part;
  part.op = channel_part(op, begin, end);
  part.input_begin = op.groups == 1 ? 0 : z(begin / channel_step(op) * (op.input().c / op.groups));
  part.input_stride = z(op.input().c);
  part.output_begin = z(begin);
  part.output_stride = z(op.output().c);
  const auto rows = [&](const std::vector<float>& all) {
    const auto row = static_cast<std::ptrdiff_t>(all.size() / z(op.output().c));
    return std::vector<float>(all.begin() + begin * row, all.begin() + end * row);
  };
  part.parameters.weight = rows(parameters.weight);
  part.parameters.bias = rows(parameters.bias);
  return part;
}

}  // namespace cpubone
