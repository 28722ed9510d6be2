#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "graph/names.hpp"
#include "graph/schema.hpp"

namespace cpubone {
namespace {

using Word = std::string_view;
using Read = std::optional<std::string>;

const std::string fine;

std::string wrong_word(Word what, Word got, Word expected) {
  return fmt::format("{}: got \"{}\", expected {}", what, got, expected);
}

/// What follows the prefix of a word, e.g. `3x3` of `k3x3`; nothing where it has another.
std::optional<Word> after(Word word, Word prefix) {
  const bool keyed = prefix.ends_with('=');
  if (!word.starts_with(prefix) || (!keyed && word.find('=') != Word::npos)) return std::nullopt;
  return word.substr(prefix.size());
}

template <typename Number>
bool parse(Word word, Number& value) {
  const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), value);
  return !word.empty() && code == std::errc{} && end == word.data() + word.size();
}

template <std::size_t size>
bool parse(Word word, char separator, std::array<int, size>& values) {
  for (std::size_t i = 0; i < size; ++i) {
    const auto end = word.find(separator);
    if ((end == Word::npos) != (i + 1 == size) || !parse(word.substr(0, end), values[i]))
      return false;
    if (i + 1 < size) word.remove_prefix(end + 1);
  }
  return true;
}

/// Reads `prefixN`.
Read read_number(Word word, Word prefix, Word what, int& value) {
  const auto digits = after(word, prefix);
  if (!digits) return std::nullopt;
  return parse(*digits, value) ? fine : wrong_word(what, *digits, "a whole number");
}

/// Reads `prefixHxW`, or `prefixN` for both.
Read read_pair(Word word, Word prefix, Word what, Word expected, bool one_will_do, int& h, int& w) {
  const auto digits = after(word, prefix);
  if (!digits) return std::nullopt;
  std::array<int, 2> values{};
  if (one_will_do && parse(*digits, values[0])) {
    values[1] = values[0];
  } else if (!parse(*digits, 'x', values)) {
    return wrong_word(what, *digits, expected);
  }
  h = values[0];
  w = values[1];
  return fine;
}

std::string pair_text(Word prefix, int h, int w) {
  return h == w ? fmt::format("{}{}", prefix, h) : fmt::format("{}{}x{}", prefix, h, w);
}

template <typename Enum, std::size_t size>
Read read_name(Word word, Word prefix, Word what, const std::array<Word, size>& names,
               Enum& value) {
  const auto wanted = after(word, prefix);
  if (!wanted) return std::nullopt;
  const auto found = find_name<Enum>(names, *wanted);
  if (!found) return wrong_word(what, word, fmt::format("{} one of {}", prefix, joined(names)));
  value = *found;
  return fine;
}

std::string outside(Word what, int got, int low, int high) {
  if (got >= low && got <= high) return {};
  return fmt::format("{} must be in {}..{}, got {}", what, low, high, got);
}

std::string first_of(std::initializer_list<std::string> problems) {
  for (const std::string& problem : problems)
    if (!problem.empty()) return problem;
  return {};
}

constexpr std::array<Word, 20> activations{
    "none", "relu",      "relu6",      "hardswish", "hardsigmoid", "sigmoid", "silu",
    "gelu", "gelu_tanh", "tanh",       "elu",       "softplus",    "mish",    "exp",
    "log",  "sqrt",      "reciprocal", "erf",       "abs",         "neg"};
constexpr std::array<Word, 4> reduction_names{"mean", "sum", "max", "min"};
constexpr std::array<Word, 3> resize_names{"bilinear", "bilinear_corners", "nearest"};
constexpr std::array<Word, 2> partial_names{"slicing", "split_concat"};
constexpr std::array<int, 4> same_order{0, 1, 2, 3};

constexpr AttributeSchema attribute_table[] = {
    {Attribute::dynamic, "dynamic", "dynamic quantisation", false,
     [](const Op& op) { return std::string(op.dynamic ? "dynamic" : ""); },
     [](Word word, Op& op) -> Read {
       if (word != "dynamic") return std::nullopt;
       op.dynamic = true;
       return fine;
     },
     [](const Op& op) { return !op.dynamic; }, [](const Op&) { return std::string(); }},
    {Attribute::kernel, "kHxW", "a kernel", true,
     [](const Op& op) { return fmt::format("k{}x{}", op.kernel_h, op.kernel_w); },
     [](Word word, Op& op) {
       return read_pair(word, "k", "kernel", "kHxW, e.g. k3x3", false, op.kernel_h, op.kernel_w);
     },
     [](const Op& op) { return op.kernel_h == 1 && op.kernel_w == 1; },
     [](const Op& op) {
       return first_of({outside("kernel height", op.kernel_h, 1, max_window),
                        outside("kernel width", op.kernel_w, 1, max_window)});
     }},
    {Attribute::stride, "sN or sHxW", "a stride", true,
     [](const Op& op) { return pair_text("s", op.stride_h, op.stride_w); },
     [](Word word, Op& op) {
       return read_pair(word, "s", "stride", "sN or sHxW, e.g. s2", true, op.stride_h, op.stride_w);
     },
     [](const Op& op) { return op.stride_h == 1 && op.stride_w == 1; },
     [](const Op& op) {
       return first_of({outside("stride", op.stride_h, 1, max_window),
                        outside("stride", op.stride_w, 1, max_window)});
     }},
    {Attribute::padding, "pTOP,BOTTOM,LEFT,RIGHT", "padding", true,
     [](const Op& op) {
       const Padding& p = op.padding;
       return fmt::format("p{},{},{},{}", p.top, p.bottom, p.left, p.right);
     },
     [](Word word, Op& op) -> Read {
       const auto digits = after(word, "p");
       if (!digits) return std::nullopt;
       std::array<int, 4> p{};
       if (!parse(*digits, ',', p))
         return wrong_word("padding", *digits, "pTOP,BOTTOM,LEFT,RIGHT, e.g. p1,1,1,1");
       op.padding = {p[0], p[1], p[2], p[3]};
       return fine;
     },
     [](const Op& op) { return op.padding == Padding{}; },
     [](const Op& op) {
       const Padding& p = op.padding;
       return first_of({outside("padding", p.top, 0, max_window - 1),
                        outside("padding", p.bottom, 0, max_window - 1),
                        outside("padding", p.left, 0, max_window - 1),
                        outside("padding", p.right, 0, max_window - 1)});
     }},
    {Attribute::dilation, "dN or dHxW", "dilation", false,
     [](const Op& op) { return pair_text("d", op.dilation_h, op.dilation_w); },
     [](Word word, Op& op) {
       return read_pair(word, "d", "dilation", "dN or dHxW, e.g. d2", true, op.dilation_h,
                        op.dilation_w);
     },
     [](const Op& op) { return op.dilation_h == 1 && op.dilation_w == 1; },
     [](const Op& op) {
       return first_of({outside("dilation", op.dilation_h, 1, max_window),
                        outside("dilation", op.dilation_w, 1, max_window)});
     }},
    {Attribute::groups, "gN", "groups", true,
     [](const Op& op) { return fmt::format("g{}", op.groups); },
     [](Word word, Op& op) { return read_number(word, "g", "groups", op.groups); },
     [](const Op& op) { return op.groups == 1; },
     [](const Op& op) { return outside("groups", op.groups, 1, max_dimension); }},
    {Attribute::heads, "heads=N", "heads", true,
     [](const Op& op) { return fmt::format("heads={}", op.heads); },
     [](Word word, Op& op) { return read_number(word, "heads=", "heads", op.heads); },
     [](const Op& op) { return op.heads == 0; },
     [](const Op& op) { return outside("heads", op.heads, 1, max_dimension); }},
    {Attribute::windows, "windows=N", "windows", false,
     [](const Op& op) { return fmt::format("windows={}", op.windows); },
     [](Word word, Op& op) { return read_number(word, "windows=", "windows", op.windows); },
     [](const Op& op) { return op.windows == 1; },
     [](const Op& op) { return outside("windows", op.windows, 1, max_dimension); }},
    {Attribute::begin, "begin=N", "begin", false,
     [](const Op& op) { return fmt::format("begin={}", op.begin); },
     [](Word word, Op& op) { return read_number(word, "begin=", "begin", op.begin); },
     [](const Op& op) { return op.begin == 0; },
     [](const Op& op) { return outside("begin", op.begin, 0, max_moved_dimension); }},
    {Attribute::conv_channels, "conv=N", "conv", true,
     [](const Op& op) { return fmt::format("conv={}", op.conv_channels); },
     [](Word word, Op& op) { return read_number(word, "conv=", "conv", op.conv_channels); },
     [](const Op& op) { return op.conv_channels == 0; },
     [](const Op& op) { return outside("conv", op.conv_channels, 1, max_dimension); }},
    {Attribute::partial_form, "form=slicing or split_concat", "form", true,
     [](const Op& op) { return fmt::format("form={}", name(op.partial_form)); },
     [](Word word, Op& op) {
       return read_name(word, "form=", "partial form", partial_names, op.partial_form);
     },
     [](const Op& op) { return op.partial_form == PartialForm::slicing; },
     [](const Op&) { return std::string(); }},
    {Attribute::reduction, "of=mean, sum, max or min", "a reduction", true,
     [](const Op& op) { return fmt::format("of={}", name(op.reduction)); },
     [](Word word, Op& op) {
       return read_name(word, "of=", "reduction", reduction_names, op.reduction);
     },
     [](const Op& op) { return op.reduction == Reduction::mean; },
     [](const Op&) { return std::string(); }},
    {Attribute::resize_mode, "mode=bilinear, bilinear_corners or nearest", "a mode", true,
     [](const Op& op) { return fmt::format("mode={}", name(op.resize_mode)); },
     [](Word word, Op& op) {
       return read_name(word, "mode=", "mode", resize_names, op.resize_mode);
     },
     [](const Op& op) { return op.resize_mode == ResizeMode::bilinear; },
     [](const Op&) { return std::string(); }},
    {Attribute::transposed, "transposed", "a transposed matrix", false,
     [](const Op& op) { return std::string(op.transposed ? "transposed" : ""); },
     [](Word word, Op& op) -> Read {
       if (word != "transposed") return std::nullopt;
       op.transposed = true;
       return fine;
     },
     [](const Op& op) { return !op.transposed; }, [](const Op&) { return std::string(); }},
    {Attribute::permutation, "perm=N,I,J,K", "a permutation", true,
     [](const Op& op) { return fmt::format("perm={}", fmt::join(op.permutation, ",")); },
     [](Word word, Op& op) -> Read {
       const auto digits = after(word, "perm=");
       if (!digits) return std::nullopt;
       return parse(*digits, ',', op.permutation)
                  ? fine
                  : wrong_word("permutation", *digits, "four dimensions, e.g. perm=0,2,1,3");
     },
     [](const Op& op) { return op.permutation == same_order; },
     [](const Op& op) -> std::string {
       std::array<int, 4> sorted = op.permutation;
       std::sort(sorted.begin(), sorted.end());
       if (sorted == same_order) return {};
       return fmt::format("permutation must be 0, 1, 2, 3 in any order, got {}",
                          fmt::join(op.permutation, ","));
     }},
    {Attribute::epsilon, "eps=X", "epsilon", false,
     [](const Op& op) { return fmt::format("eps={}", op.epsilon); },
     [](Word word, Op& op) -> Read {
       const auto digits = after(word, "eps=");
       if (!digits) return std::nullopt;
       return parse(*digits, op.epsilon) ? fine
                                         : wrong_word("epsilon", *digits, "a number, e.g. 1e-06");
     },
     [](const Op& op) { return op.epsilon == Op().epsilon; },
     [](const Op& op) -> std::string {
       if (op.epsilon >= 0 && op.epsilon <= 1) return {};
       return fmt::format("epsilon must be in 0..1, got {}", op.epsilon);
     }},
    // Written where there is none: most convolutions and linear layers have one.
    {Attribute::bias, "nobias", "a bias", true,
     [](const Op& op) { return std::string(op.bias ? "" : "nobias"); },
     [](Word word, Op& op) -> Read {
       if (word != "nobias") return std::nullopt;
       op.bias = false;
       return fine;
     },
     [](const Op& op) { return !op.bias; }, [](const Op&) { return std::string(); }},
    {Attribute::activation, "act=NAME", "an activation", false,
     [](const Op& op) { return fmt::format("act={}", name(op.activation)); },
     [](Word word, Op& op) {
       return read_name(word, "act=", "activation", activations, op.activation);
     },
     [](const Op& op) { return op.activation == Activation::none; },
     [](const Op&) { return std::string(); }},
};

}  // namespace

std::span<const AttributeSchema> attributes() {
  return attribute_table;
}

std::span<const std::string_view> activation_names() {
  return activations;
}

std::string_view name(Activation activation) {
  return activations[static_cast<std::size_t>(activation)];
}

std::string_view name(Reduction reduction) {
  return reduction_names[static_cast<std::size_t>(reduction)];
}

std::string_view name(ResizeMode mode) {
  return resize_names[static_cast<std::size_t>(mode)];
}

std::string_view name(PartialForm form) {
  return partial_names[static_cast<std::size_t>(form)];
}

Activation parse_activation(std::string_view word) {
  if (const auto activation = find_name<Activation>(activations, word)) return *activation;
  throw std::invalid_argument(wrong_word("activation", word, "one of " + joined(activations)));
}

}  // namespace cpubone
