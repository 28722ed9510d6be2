#include "graph/onnx/known.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace cpubone::onnx {
namespace {

constexpr std::int64_t most_elements = std::int64_t{1} << 24;

using Binary = double (*)(double, double);
struct BinaryRow {
  std::string_view type;
  Binary apply;
  bool truth;  ///< gives true or false
};
double divided(double a, double b) {
  return b == 0 ? a / 1.0 / b : a / b;
}
constexpr BinaryRow binaries[] = {
    {"Add", [](double a, double b) { return a + b; }, false},
    {"Sub", [](double a, double b) { return a - b; }, false},
    {"Mul", [](double a, double b) { return a * b; }, false},
    {"Div", divided, false},
    {"Pow", [](double a, double b) { return std::pow(a, b); }, false},
    {"Min", [](double a, double b) { return std::min(a, b); }, false},
    {"Max", [](double a, double b) { return std::max(a, b); }, false},
    {"Mod", [](double a, double b) { return b == 0 ? 0 : a - b * std::floor(a / b); }, false},
    {"Equal", [](double a, double b) { return double(a == b); }, true},
    {"Less", [](double a, double b) { return double(a < b); }, true},
    {"LessOrEqual", [](double a, double b) { return double(a <= b); }, true},
    {"Greater", [](double a, double b) { return double(a > b); }, true},
    {"GreaterOrEqual", [](double a, double b) { return double(a >= b); }, true},
    {"And", [](double a, double b) { return double(a != 0 && b != 0); }, true},
    {"Or", [](double a, double b) { return double(a != 0 || b != 0); }, true},
    {"Xor", [](double a, double b) { return double((a != 0) != (b != 0)); }, true},
};

using Unary = double (*)(double);
struct UnaryRow {
  std::string_view type;
  Unary apply;
};
constexpr UnaryRow unaries[] = {
    {"Neg", [](double x) { return -x; }},
    {"Abs", [](double x) { return std::abs(x); }},
    {"Sqrt", [](double x) { return std::sqrt(x); }},
    {"Exp", [](double x) { return std::exp(x); }},
    {"Log", [](double x) { return std::log(x); }},
    {"Erf", [](double x) { return std::erf(x); }},
    {"Tanh", [](double x) { return std::tanh(x); }},
    {"Sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }},
    {"Relu", [](double x) { return std::max(x, 0.0); }},
    {"Floor", [](double x) { return std::floor(x); }},
    {"Ceil", [](double x) { return std::ceil(x); }},
    {"Round", [](double x) { return std::nearbyint(x); }},
    {"Reciprocal", [](double x) { return 1 / x; }},
    {"Sign", [](double x) { return double((x > 0) - (x < 0)); }},
    {"Sin", [](double x) { return std::sin(x); }},
    {"Cos", [](double x) { return std::cos(x); }},
    {"Not", [](double x) { return double(x == 0); }},
};

/// A tensor that is repeated to other dimensions, which mostly it has or is one number.
class Repeated {
 public:
  Repeated(const Array& array, const Dims& dims) : array_(array), same_(array.dims == dims) {
    if (!same_ && array.size() != 1) at_ = repeated(array, dims);
  }
  double at(std::size_t i) const { return array_.at(same_ ? i : at_.empty() ? 0 : at_[i]); }

 private:
  const Array& array_;
  bool same_;
  std::vector<std::size_t> at_;
};

/// The two bounds are attributes of older opsets and inputs of newer ones.
Constant clipped(const NodeContext& node) {
  const Array& x = node.known(0);
  const auto bound = [&](std::size_t input, const char* name, double otherwise) {
    if (node.attributes.has(name)) return double{node.attributes.real(name, 0)};
    return node.has(input) ? node.known(input).at(0) : otherwise;
  };
  const double low = bound(1, "min", -INFINITY);
  const double high = bound(2, "max", INFINITY);
  Doubles values = doubles(x);
  for (double& value : values) value = std::min(std::max(value, low), high);
  return of_kind(x, x.dims, values);
}

}  // namespace

std::size_t size_of(const Dims& dims) {
  const std::int64_t n = count(dims);
  if (n > most_elements) throw Unsupported(fmt::format("a known tensor of {}", text(dims)));
  return static_cast<std::size_t>(n);
}

Doubles doubles(const Array& array) {
  Doubles values(array.size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = array.at(i);
  return values;
}

Ints strides(const Dims& dims) {
  Ints s(dims.size(), 1);
  for (std::size_t d = dims.size(); d-- > 1;) s[d - 1] = s[d] * dims[d];
  return s;
}

/// For each element of `dims` in order: the sum of its coordinates times `steps`, from `start` on.
std::vector<std::size_t> places(const Dims& dims, const Ints& steps, std::int64_t start) {
  std::vector<std::size_t> result(size_of(dims));
  Ints at(dims.size(), 0);
  std::int64_t from = start;
  for (std::size_t& place : result) {
    place = static_cast<std::size_t>(from);
    for (std::size_t d = dims.size(); d-- > 0;) {
      from += steps[d];
      if (++at[d] < dims[d]) break;
      from -= steps[d] * dims[d];
      at[d] = 0;
    }
  }
  return result;
}

Constant picked(const Array& from, Dims dims, const std::vector<std::size_t>& at) {
  if (from.integer) {
    Ints values(at.size());
    for (std::size_t i = 0; i < at.size(); ++i) values[i] = from.integers[at[i]];
    return integral(std::move(dims), std::move(values));
  }
  std::vector<float> values(at.size());
  for (std::size_t i = 0; i < at.size(); ++i) values[i] = from.reals[at[i]];
  return real(std::move(dims), std::move(values));
}

Dims joint_dims(const std::vector<const Array*>& arrays) {
  std::size_t rank = 0;
  for (const Array* a : arrays) rank = std::max(rank, a->dims.size());
  Dims dims(rank, 1);
  for (const Array* a : arrays)
    for (std::size_t i = 0; i < a->dims.size(); ++i) {
      std::int64_t& d = dims[rank - a->dims.size() + i];
      if (d != 1 && a->dims[i] != 1 && d != a->dims[i])
        throw Unsupported("tensors that are neither equal nor repeated");
      if (d == 1) d = a->dims[i];
    }
  return dims;
}

std::vector<std::size_t> repeated(const Array& a, const Dims& dims) {
  const Ints own = strides(a.dims);
  Ints steps(dims.size(), 0);
  for (std::size_t i = 0; i < a.dims.size(); ++i)
    if (a.dims[i] != 1) steps[dims.size() - a.dims.size() + i] = own[i];
  return places(dims, steps);
}

Constant by_element(const NodeContext& node, std::string_view type) {
  if (type == "Clip") return clipped(node);
  for (const BinaryRow& row : binaries) {
    if (row.type != type) continue;
    Constant result = node.input(0).constant;
    for (std::size_t i = 1; i < node.inputs.size(); ++i) {
      const Array& a = *result;
      const Array& b = node.known(i);
      const Dims dims = joint_dims({&a, &b});
      const Repeated of_a(a, dims);
      const Repeated of_b(b, dims);
      Doubles values(size_of(dims));
      const bool whole = type == "Div" && a.integer;
      for (std::size_t k = 0; k < values.size(); ++k) {
        const double y = of_b.at(k);
        values[k] = whole && y == 0 ? 0 : row.apply(of_a.at(k), y);
        if (whole) values[k] = std::trunc(values[k]);
      }
      const Array truth{{}, {}, {}, true, false};
      result = of_kind(row.truth ? truth : a, dims, values);
    }
    return result;
  }
  for (const UnaryRow& row : unaries) {
    if (row.type != type) continue;
    const Array& x = node.known(0);
    Doubles values = doubles(x);
    for (double& value : values) value = row.apply(value);
    return of_kind(x, x.dims, values);
  }
  return nullptr;
}

}  // namespace cpubone::onnx
