#include "graph/op.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>
#include <stdexcept>

namespace cpubone {
namespace {

// Together these keep every count (elements x channels x window) within 64 bits.
constexpr int max_dimension = 1 << 16;
constexpr int max_kernel = 128;
constexpr std::int64_t max_elements = std::int64_t{1} << 31;

constexpr std::array<std::string_view, 17> kind_names{"conv2d",
                                                      "partial_conv2d",
                                                      "conv_transpose2d",
                                                      "linear",
                                                      "attention",
                                                      "activation",
                                                      "add",
                                                      "mul",
                                                      "group_norm",
                                                      "layer_norm",
                                                      "global_avg_pool",
                                                      "max_pool2d",
                                                      "upsample_nearest",
                                                      "slice",
                                                      "concat",
                                                      "channel_shuffle",
                                                      "batch_norm"};
constexpr std::array<std::string_view, 9> activation_names{
    "none", "relu", "relu6", "hardswish", "hardsigmoid", "sigmoid", "silu", "gelu", "gelu_tanh"};
constexpr std::array<std::string_view, 3> dtype_names{"f32", "f16", "qs8"};
constexpr std::array<std::string_view, 2> partial_names{"slicing", "split_concat"};

template <typename Enum, std::size_t size>
std::optional<Enum> find_name(const std::array<std::string_view, size>& names,
                              std::string_view wanted) {
  for (std::size_t i = 0; i < size; ++i)
    if (names[i] == wanted) return static_cast<Enum>(i);
  return std::nullopt;
}

template <std::size_t size>
std::string join(const std::array<std::string_view, size>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

[[noreturn]] void fail(const Op& op, const std::string& what) {
  throw std::invalid_argument(fmt::format("op \"{}\": {}", text(op), what));
}

bool has_window(OpKind kind) {
  return kind == OpKind::conv2d || kind == OpKind::partial_conv2d ||
         kind == OpKind::conv_transpose2d || kind == OpKind::max_pool2d;
}

bool has_weights(OpKind kind) {
  return kind == OpKind::conv2d || kind == OpKind::partial_conv2d ||
         kind == OpKind::conv_transpose2d || kind == OpKind::linear;
}

bool has_groups(OpKind kind) {
  return kind == OpKind::conv2d || kind == OpKind::conv_transpose2d ||
         kind == OpKind::channel_shuffle;
}

std::string text(const Shape& s) {
  return fmt::format("{}x{}x{}x{}", s.n, s.h, s.w, s.c);
}

/// Splits one line into words and turns each into a field.
class Parser {
 public:
  explicit Parser(std::string_view line) : line_(line) {}

  Op parse() {
    std::string_view rest = line_;
    const std::string_view kind_word = next_word(rest);
    const auto kind = find_name<OpKind>(kind_names, kind_word);
    if (!kind) fail("operator kind", kind_word, "one of " + join(kind_names));
    Op op;
    op.kind = *kind;
    op.bias = has_weights(op.kind);
    parse_shapes(next_word(rest), op);
    bool dtype_seen = false;
    for (std::string_view word = next_word(rest); !word.empty(); word = next_word(rest))
      parse_attribute(word, op, dtype_seen);
    return op;
  }

 private:
  [[noreturn]] void fail(std::string_view what, std::string_view got,
                         std::string_view expected) const {
    throw std::invalid_argument(
        fmt::format("op \"{}\": {}: got \"{}\", expected {}", line_, what, got, expected));
  }

  static std::string_view next_word(std::string_view& rest) {
    const auto begin = rest.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) {
      rest = {};
      return {};
    }
    rest.remove_prefix(begin);
    const auto word = rest.substr(0, rest.find_first_of(" \t\r"));
    rest.remove_prefix(word.size());
    return word;
  }

  int number(std::string_view what, std::string_view word) const {
    int value = 0;
    const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (word.empty() || code != std::errc{} || end != word.data() + word.size())
      fail(what, word, "a whole number");
    return value;
  }

  template <std::size_t size>
  std::array<int, size> numbers(std::string_view what, std::string_view word, char separator,
                                std::string_view expected) const {
    std::array<int, size> values{};
    std::string_view rest = word;
    for (std::size_t i = 0; i < size; ++i) {
      const auto end = rest.find(separator);
      if ((end == std::string_view::npos) != (i + 1 == size)) fail(what, word, expected);
      values[i] = number(what, rest.substr(0, end));
      if (i + 1 < size) rest.remove_prefix(end + 1);
    }
    return values;
  }

  Shape shape(std::string_view word) const {
    const auto d = numbers<4>("shape", word, 'x', "NxHxWxC, e.g. 1x56x56x32");
    return {d[0], d[1], d[2], d[3]};
  }

  void parse_shapes(std::string_view word, Op& op) const {
    const auto arrow = word.find("->");
    if (arrow == std::string_view::npos)
      fail("shapes", word, "INPUT[,INPUT...]->OUTPUT, e.g. 1x56x56x32->1x28x28x64");
    op.output = shape(word.substr(arrow + 2));
    std::string_view rest = word.substr(0, arrow);
    while (true) {
      const auto comma = rest.find(',');
      op.inputs.push_back(shape(rest.substr(0, comma)));
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }

  void parse_attribute(std::string_view word, Op& op, bool& dtype_seen) const {
    const auto starts = [&](std::string_view prefix) {
      return word.substr(0, prefix.size()) == prefix;
    };
    const auto value = [&](std::string_view prefix) { return word.substr(prefix.size()); };
    if (const auto dtype = find_name<DType>(dtype_names, word)) {
      if (dtype_seen) fail("data type", word, "one data type");
      op.dtype = *dtype;
      dtype_seen = true;
    } else if (word == "nobias") {
      op.bias = false;
    } else if (starts("act=")) {
      const auto activation = find_name<Activation>(activation_names, value("act="));
      if (!activation) fail("activation", word, "act= one of " + join(activation_names));
      op.activation = *activation;
    } else if (starts("form=")) {
      const auto form = find_name<PartialForm>(partial_names, value("form="));
      if (!form) fail("partial form", word, "form= one of " + join(partial_names));
      op.partial_form = *form;
    } else if (starts("heads=")) {
      op.heads = number("heads", value("heads="));
    } else if (starts("begin=")) {
      op.begin = number("begin", value("begin="));
    } else if (starts("conv=")) {
      op.conv_channels = number("conv", value("conv="));
    } else if (starts("k")) {
      const auto k = numbers<2>("kernel", value("k"), 'x', "kHxW, e.g. k3x3");
      op.kernel_h = k[0];
      op.kernel_w = k[1];
    } else if (starts("s")) {
      op.stride = number("stride", value("s"));
    } else if (starts("p")) {
      const auto p =
          numbers<4>("padding", value("p"), ',', "pTOP,BOTTOM,LEFT,RIGHT, e.g. p1,1,1,1");
      op.padding = {p[0], p[1], p[2], p[3]};
    } else if (starts("g")) {
      op.groups = number("groups", value("g"));
    } else {
      fail("attribute", word,
           "kHxW, sN, pT,B,L,R, gN, nobias, act=, heads=, begin=, conv=, form= or a data type");
    }
  }

  std::string_view line_;
};

void check_shape(const Op& op, std::string_view what, const Shape& s) {
  for (const int d : {s.n, s.h, s.w, s.c})
    if (d < 1 || d > max_dimension)
      fail(op, fmt::format("{} dimensions must be in 1..{}, got {}", what, max_dimension, text(s)));
  if (s.n != 1) fail(op, fmt::format("{} batch must be 1, got {}", what, s.n));
  if (elements(s) > max_elements)
    fail(op,
         fmt::format("{} must have at most {} elements, got {}", what, max_elements, elements(s)));
}

void check_range(const Op& op, std::string_view what, int got, int low, int high) {
  if (got < low || got > high)
    fail(op, fmt::format("{} must be in {}..{}, got {}", what, low, high, got));
}

void check_unused(const Op& op, bool used, bool is_default, std::string_view what) {
  if (!used && !is_default) fail(op, fmt::format("{} does not take {}", name(op.kind), what));
}

void check_inputs(const Op& op, std::size_t low, std::size_t high) {
  if (op.inputs.size() < low || op.inputs.size() > high)
    fail(op, fmt::format("{} takes {} inputs, got {}", name(op.kind),
                         low == high ? fmt::format("{}", low) : fmt::format("{} or more", low),
                         op.inputs.size()));
}

void check_divides(const Op& op, std::string_view what, int divisor, int value) {
  if (value % divisor != 0)
    fail(op, fmt::format("{} {} must divide {} channels", what, divisor, value));
}

int window_output(int in, int kernel, int stride, int pad) {
  return (in + pad - kernel) / stride + 1;
}

}  // namespace

std::int64_t elements(const Shape& s) {
  return std::int64_t{s.n} * s.h * s.w * s.c;
}

std::string_view name(OpKind kind) {
  return kind_names[static_cast<std::size_t>(kind)];
}
std::string_view name(Activation activation) {
  return activation_names[static_cast<std::size_t>(activation)];
}
std::string_view name(DType dtype) {
  return dtype_names[static_cast<std::size_t>(dtype)];
}
std::string_view name(PartialForm form) {
  return partial_names[static_cast<std::size_t>(form)];
}

Activation parse_activation(std::string_view word) {
  if (const auto activation = find_name<Activation>(activation_names, word)) return *activation;
  throw std::invalid_argument(
      fmt::format("activation: got \"{}\", expected one of {}", word, join(activation_names)));
}

DType parse_dtype(std::string_view word) {
  if (const auto dtype = find_name<DType>(dtype_names, word)) return *dtype;
  throw std::invalid_argument(
      fmt::format("data type: got \"{}\", expected one of {}", word, join(dtype_names)));
}

std::string text(const Op& op) {
  std::string line{name(op.kind)};
  line += ' ';
  for (const Shape& input : op.inputs) {
    if (line.back() != ' ') line += ',';
    line += text(input);
  }
  line += "->";
  line += text(op.output);
  const auto out = std::back_inserter(line);
  if (has_window(op.kind)) {
    fmt::format_to(out, " k{}x{} s{} p{},{},{},{}", op.kernel_h, op.kernel_w, op.stride,
                   op.padding.top, op.padding.bottom, op.padding.left, op.padding.right);
  } else if (op.stride != 1) {
    fmt::format_to(out, " s{}", op.stride);
  }
  if (has_groups(op.kind)) fmt::format_to(out, " g{}", op.groups);
  if (op.heads) fmt::format_to(out, " heads={}", op.heads);
  if (op.begin) fmt::format_to(out, " begin={}", op.begin);
  if (op.kind == OpKind::partial_conv2d)
    fmt::format_to(out, " conv={} form={}", op.conv_channels, name(op.partial_form));
  if (has_weights(op.kind) && !op.bias) line += " nobias";
  if (op.activation != Activation::none) fmt::format_to(out, " act={}", name(op.activation));
  fmt::format_to(out, " {}", name(op.dtype));
  return line;
}

Op parse_op(std::string_view line) {
  Op op = Parser(line).parse();
  check(op);
  return op;
}

Shape infer_output(const Op& op) {
  const Shape& in = op.inputs.at(0);
  Shape out = in;
  switch (op.kind) {
    case OpKind::conv2d:
    case OpKind::max_pool2d:
      out.h = window_output(in.h, op.kernel_h, op.stride, op.padding.top + op.padding.bottom);
      out.w = window_output(in.w, op.kernel_w, op.stride, op.padding.left + op.padding.right);
      if (op.kind == OpKind::conv2d) out.c = op.output.c;
      break;
    case OpKind::conv_transpose2d:
      out.h = (in.h - 1) * op.stride + op.kernel_h - op.padding.top - op.padding.bottom;
      out.w = (in.w - 1) * op.stride + op.kernel_w - op.padding.left - op.padding.right;
      out.c = op.output.c;
      break;
    case OpKind::linear:
    case OpKind::slice:
      out.c = op.output.c;
      break;
    case OpKind::attention:
      out.c = in.c / 3;
      break;
    case OpKind::global_avg_pool:
      out.h = out.w = 1;
      break;
    case OpKind::upsample_nearest:
      out.h *= op.stride;
      out.w *= op.stride;
      break;
    case OpKind::concat:
      out.c = 0;
      for (const Shape& input : op.inputs) out.c += input.c;
      break;
    case OpKind::add:
    case OpKind::mul:
    case OpKind::partial_conv2d:
    case OpKind::activation:
    case OpKind::group_norm:
    case OpKind::layer_norm:
    case OpKind::channel_shuffle:
    case OpKind::batch_norm:
      break;
  }
  return out;
}

void check(const Op& op) {
  const auto kind = op.kind;
  const auto is = [&](OpKind k) { return kind == k; };
  const bool binary = is(OpKind::add) || is(OpKind::mul);
  if (is(OpKind::concat)) {
    check_inputs(op, 2, 1024);
  } else {
    check_inputs(op, binary ? 2 : 1, binary ? 2 : 1);
  }
  for (const Shape& input : op.inputs) check_shape(op, "input", input);
  check_shape(op, "output", op.output);

  check_unused(op, has_window(kind), op.kernel_h == 1 && op.kernel_w == 1, "a kernel");
  check_unused(op, has_window(kind), op.padding == Padding{}, "padding");
  check_unused(op, has_window(kind) || is(OpKind::upsample_nearest), op.stride == 1, "a stride");
  check_unused(op, has_groups(kind), op.groups == 1, "groups");
  check_unused(op, is(OpKind::attention), op.heads == 0, "heads");
  check_unused(op, is(OpKind::slice), op.begin == 0, "begin");
  check_unused(op, is(OpKind::partial_conv2d), op.conv_channels == 0, "conv");
  check_unused(op, is(OpKind::partial_conv2d), op.partial_form == PartialForm::slicing, "form");
  check_unused(op, has_weights(kind), !op.bias, "a bias");

  const Shape& in = op.inputs[0];
  check_range(op, "kernel height", op.kernel_h, 1, max_kernel);
  check_range(op, "kernel width", op.kernel_w, 1, max_kernel);
  check_range(op, "stride", op.stride, 1, max_kernel);
  for (const int pad : {op.padding.top, op.padding.bottom, op.padding.left, op.padding.right})
    check_range(op, "padding", pad, 0, max_kernel - 1);
  check_range(op, "groups", op.groups, 1, max_dimension);
  check_divides(op, "groups", op.groups, in.c);
  if (has_groups(kind)) check_divides(op, "groups", op.groups, op.output.c);
  if (is(OpKind::conv2d) || is(OpKind::max_pool2d) || is(OpKind::partial_conv2d)) {
    if (in.h + op.padding.top + op.padding.bottom < op.kernel_h ||
        in.w + op.padding.left + op.padding.right < op.kernel_w)
      fail(op, fmt::format("kernel {}x{} does not fit the padded input {}x{}", op.kernel_h,
                           op.kernel_w, in.h + op.padding.top + op.padding.bottom,
                           in.w + op.padding.left + op.padding.right));
  }
  if (is(OpKind::partial_conv2d)) {
    check_range(op, "conv", op.conv_channels, 1, in.c);
    if (op.stride != 1 ||
        window_output(in.h, op.kernel_h, 1, op.padding.top + op.padding.bottom) != in.h ||
        window_output(in.w, op.kernel_w, 1, op.padding.left + op.padding.right) != in.w)
      fail(op,
           "partial_conv2d must keep the resolution: stride 1 and padding that sums to kernel - 1");
  }
  if (is(OpKind::attention)) {
    check_range(op, "heads", op.heads, 1, max_dimension);
    check_divides(op, "3 x heads =", 3 * op.heads, in.c);
  }
  if (is(OpKind::slice)) check_range(op, "begin", op.begin, 0, in.c - op.output.c);
  if (binary) {
    const Shape& second = op.inputs[1];
    const bool broadcast = second.h == 1 && second.w == 1;
    if (second.c != in.c || (!broadcast && second != in))
      fail(op, fmt::format("second input must be {} or 1x1x1x{}, got {}", text(in), in.c,
                           text(second)));
  }
  if (is(OpKind::concat))
    for (const Shape& input : op.inputs)
      if (input.h != in.h || input.w != in.w)
        fail(op, fmt::format("inputs of concat must have equal resolution, got {} and {}", text(in),
                             text(input)));
  if (is(OpKind::activation) && op.activation == Activation::none)
    fail(op, "activation needs act= one of " + join(activation_names) + " but none");
  const Shape expected = infer_output(op);
  if (op.output != expected)
    fail(op, fmt::format("output must be {}, got {}", text(expected), text(op.output)));
}

bool is_norm(OpKind kind) {
  return kind == OpKind::group_norm || kind == OpKind::layer_norm || kind == OpKind::batch_norm;
}

bool clamps_while_writing(OpKind kind) {
  switch (kind) {
    case OpKind::conv2d:
    case OpKind::conv_transpose2d:
    case OpKind::linear:
    case OpKind::add:
    case OpKind::mul:
    case OpKind::global_avg_pool:
    case OpKind::max_pool2d:
      return true;
    default:
      return false;
  }
}

bool is_depthwise(const Op& op) {
  return op.kind == OpKind::conv2d && op.groups > 1 && op.groups == op.inputs[0].c &&
         op.groups == op.output.c;
}

bool is_pointwise(const Op& op) {
  return op.kind == OpKind::conv2d && op.kernel_h == 1 && op.kernel_w == 1;
}

std::int64_t macs(const Op& op) {
  const Shape& in = op.inputs.at(0);
  const std::int64_t window = std::int64_t{op.kernel_h} * op.kernel_w;
  switch (op.kind) {
    case OpKind::conv2d:
      return elements(op.output) * (in.c / op.groups) * window;
    case OpKind::partial_conv2d:
      return std::int64_t{in.h} * in.w * op.conv_channels * op.conv_channels * window;
    case OpKind::conv_transpose2d:
      return elements(in) * (op.output.c / op.groups) * window;
    case OpKind::linear:
      return elements(in) * op.output.c;
    case OpKind::attention: {
      const std::int64_t tokens = std::int64_t{in.h} * in.w;
      return 2 * tokens * tokens * op.output.c;
    }
    default:
      return 0;
  }
}

std::int64_t params(const Op& op) {
  const Shape& in = op.inputs.at(0);
  const std::int64_t window = std::int64_t{op.kernel_h} * op.kernel_w;
  const std::int64_t bias = op.bias ? op.output.c : 0;
  switch (op.kind) {
    case OpKind::conv2d:
    case OpKind::conv_transpose2d:
      return std::int64_t{in.c} / op.groups * op.output.c * window + bias;
    case OpKind::partial_conv2d:
      return std::int64_t{op.conv_channels} * op.conv_channels * window +
             (op.bias ? op.conv_channels : 0);
    case OpKind::linear:
      return std::int64_t{in.c} * op.output.c + bias;
    case OpKind::group_norm:
    case OpKind::layer_norm:
    case OpKind::batch_norm:
      return 2 * std::int64_t{in.c};
    default:
      return 0;
  }
}

int bytes_per_element(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return 4;
    case DType::f16:
      return 2;
    case DType::qs8:
      return 1;
  }
  return 4;
}

std::int64_t weight_bytes(const Op& op) {
  if (op.dtype != DType::qs8 || !has_weights(op.kind))
    return params(op) * bytes_per_element(op.dtype);
  const std::int64_t channels = op.kind == OpKind::partial_conv2d ? op.conv_channels : op.output.c;
  const std::int64_t biases = op.bias ? channels : 0;
  return (params(op) - biases) + 4 * biases + 4 * channels;
}

std::int64_t input_bytes(const Op& op) {
  std::int64_t total = 0;
  for (const Shape& input : op.inputs) total += elements(input);
  return total * bytes_per_element(op.dtype);
}

std::int64_t output_bytes(const Op& op) {
  return elements(op.output) * bytes_per_element(op.dtype);
}

Padding same_padding(int kernel) {
  const int before = kernel / 2;
  const int after = (kernel - 1) / 2;
  return {before, after, before, after};
}

}  // namespace cpubone
