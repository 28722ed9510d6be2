#include "graph/affine.hpp"

#include <cmath>

#include "graph/size.hpp"

namespace cpubone {

Affine affine(const Parameters& norm, double epsilon) {
  Affine a;
  for (std::size_t c = 0; c < norm.weight.size(); ++c) {
    a.scale.push_back(double{norm.weight[c]} / std::sqrt(double{norm.variance[c]} + epsilon));
    a.shift.push_back(double{norm.bias[c]} - double{norm.mean[c]} * a.scale[c]);
  }
  return a;
}

void apply(const Affine& a, const Op& op, Parameters& p) {
  if (p.bias.empty()) p.bias.resize(a.shift.size());
  for (std::size_t c = 0; c < a.shift.size(); ++c)
    p.bias[c] = static_cast<float>(double{p.bias[c]} * a.scale[c] + a.shift[c]);
  const std::size_t outputs = z(op.output().c);
  if (op.kind == OpKind::conv_transpose2d) {
    // in x out/groups x window: the output channel is the middle extent within a group.
    const std::size_t window = z(op.kernel_h * op.kernel_w);
    const std::size_t group_out = outputs / z(op.groups);
    const std::size_t group_in = z(op.input().c / op.groups);
    for (std::size_t i = 0; i < p.weight.size(); ++i) {
      const std::size_t row = i / window;
      const std::size_t channel = row / group_out / group_in * group_out + row % group_out;
      p.weight[i] = static_cast<float>(double{p.weight[i]} * a.scale[channel]);
    }
  } else {
    const std::size_t fan_in = p.weight.size() / outputs;
    for (std::size_t i = 0; i < p.weight.size(); ++i)
      p.weight[i] = static_cast<float>(double{p.weight[i]} * a.scale[i / fan_in]);
  }
}

}  // namespace cpubone
