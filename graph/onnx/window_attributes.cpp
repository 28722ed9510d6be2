#include "graph/onnx/window_attributes.hpp"

namespace cpubone::onnx {

WrittenAttributes window(const Op& op, bool groups) {
  WrittenAttributes all{
      {"kernel_shape", Ints{op.kernel_h, op.kernel_w}},
      {"strides", Ints{op.stride_h, op.stride_w}},
      {"pads", Ints{op.padding.top, op.padding.left, op.padding.bottom, op.padding.right}}};
  if (op.dilation_h != 1 || op.dilation_w != 1)
    all.push_back({"dilations", Ints{op.dilation_h, op.dilation_w}});
  if (groups) all.push_back({"group", std::int64_t{op.groups}});
  return all;
}

}  // namespace cpubone::onnx
