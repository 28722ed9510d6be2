// What small models compute, run by the executor, beside what ONNX says that they must.
#include <cmath>
#include <map>
#include <numeric>

#include "graph/size.hpp"
#include "runtime/executor.hpp"
#include "tests/catch.hpp"
#include "tests/graph/onnx/models.hpp"

using namespace cpubone;
using namespace cpubone::test;

namespace {

using Values = std::vector<float>;

struct Computed {
  Values values;
  Ints dims;
  Network network;
  std::map<std::string, std::vector<std::string>> sources;
};

/// What a model gives for an input `x`.
Computed compute(const Ints& dims, const Values& x, const std::function<void(GraphWriter&)>& write,
                 int opset = 20) {
  const OnnxImport import = imported(dims, write, opset);
  for (const UnsupportedNode& node : import.unsupported) FAIL(node.type + ": " + node.reason);
  Executor executor(import.model.network, parameters_of(import.model),
                    std::make_shared<ThreadPool>(1));
  const Values held = as_held(import.inputs[0], x);
  std::copy(held.begin(), held.end(), executor.input(0).begin());
  executor.run();
  return {as_in_model(import.outputs[0], executor.output(0)), import.outputs[0].dims,
          import.model.network, import.sources};
}

/// 1, 2, 3, ...
Values counting(std::size_t n) {
  Values values(n);
  std::iota(values.begin(), values.end(), 1.0F);
  return values;
}

/// Numbers without a pattern.
Values mixed(std::size_t n) {
  Values values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = std::sin(static_cast<float>(7 * i + 1));
  return values;
}

void check_close(const Values& got, const Values& expected) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CHECK(got[i] == Approx(expected[i]).margin(1e-5));
  }
}

/// A layer norm of rows without scale, as exporters take it apart; of any `centre` of the rows.
void write_norm(GraphWriter& g, const std::string& rows, const std::string& output,
                const std::string& centre = "") {
  const std::string axes = g.tensor("axes", Ints{-1});
  g.add("Sub", {rows, centre.empty() ? g.add("ReduceMean", {rows, axes}, "mean") : centre}, "d");
  g.add("Mul", {"d", "d"}, "square");
  g.add("ReduceMean", {"square", axes}, "variance");
  g.add("Add", {"variance", g.tensor("epsilon", {}, {1e-5F})}, "v");
  g.add("Sqrt", {"v"}, "s");
  g.add("Div", {"d", "s"}, output);
}

/// What it computes of one row.
Values normalised(Values row) {
  const auto n = static_cast<float>(row.size());
  const float mean = std::accumulate(row.begin(), row.end(), 0.0F) / n;
  float variance = 0;
  for (const float v : row) variance += (v - mean) * (v - mean) / n;
  for (float& v : row) v = (v - mean) / std::sqrt(variance + 1e-5F);
  return row;
}

auto count_of(const Network& network, OpKind kind) {
  return std::count_if(network.nodes.begin(), network.nodes.end(),
                       [&](const Node& node) { return node.op.kind == kind; });
}
bool has(const Network& network, OpKind kind) {
  return count_of(network, kind) > 0;
}

/// Rows of `columns` times ones: what hides a pattern without changing a value.
std::string untouched(GraphWriter& g, const std::string& rows, int columns) {
  const Values ones(z(columns), 1);
  return g.add("Mul", {rows, g.tensor("ones", {columns}, ones)}, "untouched");
}

const onnx::WrittenAttribute axis1{"axis", std::int64_t{1}};

/// Indices of two dimensions, as a reshape of those of one.
std::string indices(GraphWriter& g, const Ints& dims, const Ints& values) {
  return g.add("Reshape", {g.tensor("flat", values), g.tensor("dims", dims)}, "indices");
}

}  // namespace

TEST_CASE("elements are picked in any order", "[onnx]") {
  const Computed c = compute({1, 5}, counting(5), [](GraphWriter& g) {
    g.add("Gather", {"x", g.tensor("at", Ints{4, 0, 1, 2, 2, -5})}, "y", {axis1});
  });
  CHECK(c.values == Values{5, 1, 2, 3, 3, 1});
}

TEST_CASE("windows that overlap are picked row by row", "[onnx]") {
  const Computed c = compute({1, 5, 2}, counting(10), [](GraphWriter& g) {
    g.add("Gather", {"x", indices(g, {2, 3}, {0, 1, 2, 2, 3, 4})}, "y", {axis1});
  });
  CHECK(c.dims == Ints{1, 2, 3, 2});
  CHECK(c.values == Values{1, 2, 3, 4, 5, 6, 5, 6, 7, 8, 9, 10});
}

TEST_CASE("patches that do not overlap are another view", "[onnx]") {
  const Computed c = compute({1, 6}, counting(6), [](GraphWriter& g) {
    g.add("Gather", {"x", indices(g, {2, 3}, {0, 2, 4, 1, 3, 5})}, "picked", {axis1});
    g.add("Relu", {"picked"}, "y");
  });
  CHECK(c.values == Values{1, 3, 5, 2, 4, 6});
  CHECK_FALSE(has(c.network, OpKind::slice));
  CHECK_FALSE(has(c.network, OpKind::concat));
}

TEST_CASE("every second of an odd number of elements ends with the last", "[onnx]") {
  const Computed c = compute({1, 5}, counting(5), [](GraphWriter& g) {
    g.add("Slice",
          {"x", g.tensor("begin", Ints{0}), g.tensor("end", Ints{99}), g.tensor("axes", Ints{1}),
           g.tensor("steps", Ints{2})},
          "y");
  });
  CHECK(c.values == Values{1, 3, 5});
}

TEST_CASE("any dimension is padded by any number", "[onnx]") {
  const Computed c = compute({1, 2, 2}, counting(4), [](GraphWriter& g) {
    g.add("Pad", {"x", g.tensor("pads", Ints{0, 1, 0, 0, 0, 1}), g.tensor("seven", {}, {7})}, "y");
  });
  CHECK(c.dims == Ints{1, 3, 3});
  CHECK(c.values == Values{7, 7, 7, 1, 2, 7, 3, 4, 7});
}

TEST_CASE("padding copies what is beside or mirrors it, and cuts where it is negative", "[onnx]") {
  const auto padded = [](const char* mode, const Ints& pads) {
    return compute(
               {1, 4}, counting(4),
               [&](GraphWriter& g) {
                 g.add("Pad", {"x", g.tensor("pads", pads)}, "y", {{"mode", std::string(mode)}});
               })
        .values;
  };
  CHECK(padded("edge", {0, 1, 0, 2}) == Values{1, 1, 2, 3, 4, 4, 4});
  CHECK(padded("reflect", {0, 2, 0, 1}) == Values{3, 2, 1, 2, 3, 4, 3});
  CHECK(padded("wrap", {0, 1, 0, 1}) == Values{4, 1, 2, 3, 4, 1});
  CHECK(padded("constant", {0, -1, 0, 1}) == Values{2, 3, 4, 0});
}

TEST_CASE("a tensor is repeated along its dimensions", "[onnx]") {
  const Computed c = compute({1, 2, 2}, counting(4), [](GraphWriter& g) {
    g.add("Tile", {"x", g.tensor("times", Ints{1, 2, 3})}, "y");
  });
  CHECK(c.dims == Ints{1, 4, 6});
  const Values once{1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4};
  Values twice = once;
  twice.insert(twice.end(), once.begin(), once.end());
  CHECK(c.values == twice);
}

TEST_CASE("a box of a tensor is replaced", "[onnx]") {
  const Computed c = compute({1, 3, 3}, counting(9), [](GraphWriter& g) {
    g.add("Reshape",
          {g.tensor("places", Ints{0, 1, 1, 0, 1, 2, 0, 2, 1, 0, 2, 2}),
           g.tensor("shape", Ints{1, 2, 2, 3})},
          "box");
    g.add("ScatterND", {"x", "box", g.tensor("new", {1, 2, 2}, {-1, -2, -3, -4})}, "y");
  });
  CHECK(c.values == Values{1, 2, 3, 4, -1, -2, 7, -3, -4});
}

TEST_CASE("rows of a known tensor are replaced", "[onnx]") {
  const Computed c = compute({3, 2}, Values(6, 0), [](GraphWriter& g) {
    const std::string rows = indices(g, {2, 1}, {2, 0});
    g.add("ScatterND",
          {g.tensor("data", {3, 2}, {1, 2, 3, 4, 5, 6}), rows,
           g.tensor("updates", {2, 2}, {10, 20, 30, 40})},
          "known");
    g.add("Add", {"x", "known"}, "y");
  });
  CHECK(c.values == Values{30, 40, 3, 4, 10, 20});
}

TEST_CASE("images are resized by any interpolation", "[onnx]") {
  const auto resized = [](const Values& x, float scale, const onnx::WrittenAttributes& how) {
    return compute(
               {1, 1, 1, static_cast<std::int64_t>(x.size())}, x,
               [&](GraphWriter& g) {
                 g.add("Resize", {"x", "", g.tensor("scales", {4}, {1, 1, 1, scale})}, "y", how);
               })
        .values;
  };
  const auto word = [](const char* name, const char* value) {
    return onnx::WrittenAttribute{name, std::string(value)};
  };
  check_close(
      resized({1, 2}, 2,
              {word("mode", "linear"), word("coordinate_transformation_mode", "asymmetric")}),
      {1, 1.5F, 2, 2});
  // The polynomial's weights a quarter of a pixel away: -0.03515625, 0.26171875, 0.87890625 and
  // -0.10546875, edges repeated.
  check_close(resized({0, 0, 1, 0, 0}, 2, {word("mode", "cubic")}),
              {0, -0.03515625F, -0.10546875F, 0.26171875F, 0.87890625F, 0.87890625F, 0.26171875F,
               -0.10546875F, -0.03515625F, 0});
  check_close(resized({1, 2, 3, 4}, 0.5F,
                      {word("mode", "nearest"), word("nearest_mode", "ceil"),
                       word("coordinate_transformation_mode", "half_pixel")}),
              {2, 4});
  check_close(resized({0, 4, 8, 4}, 0.5F, {word("mode", "linear"), {"antialias", std::int64_t{1}}}),
              {(3 * 0 + 3 * 4 + 8) / 7.0F, (4 + 3 * 8 + 3 * 4) / 7.0F});
}

TEST_CASE("a norm of patches that were merged moves them once", "[onnx]") {
  // As Swin halves its resolution: two by two pixels become channels, which are normalised.
  const Values x = mixed(4 * 4 * 3);
  const Computed c = compute({1, 4, 4, 3}, x, [](GraphWriter& g) {
    g.add("Transpose", {"x"}, "image", {{"perm", Ints{0, 1, 2, 3}}});
    g.add("Reshape", {"image", g.tensor("cut", Ints{1, 2, 2, 2, 2, 3})}, "patches");
    g.add("Transpose", {"patches"}, "turned", {{"perm", Ints{0, 1, 3, 4, 2, 5}}});
    g.add("Reshape", {"turned", g.tensor("merged", Ints{1, 2, 2, 12})}, "rows");
    write_norm(g, "rows", "y");
  });
  Values expected;
  for (std::size_t row = 0; row < 2; ++row)
    for (std::size_t column = 0; column < 2; ++column) {
      Values values;
      for (std::size_t right = 0; right < 2; ++right)
        for (std::size_t below = 0; below < 2; ++below)
          for (std::size_t channel = 0; channel < 3; ++channel)
            values.push_back(x[((2 * row + below) * 4 + 2 * column + right) * 3 + channel]);
      for (const float v : normalised(values)) expected.push_back(v);
    }
  check_close(c.values, expected);
  CHECK(has(c.network, OpKind::layer_norm));
  CHECK_FALSE(has(c.network, OpKind::sub));
}

TEST_CASE("attention is one operator behind a layer of tokens, and its parts behind others",
          "[onnx]") {
  // Two heads of two channels; layers change nothing but the order in which they lie.
  const auto attend = [](bool behind_layer, int width = 12) {
    return compute({1, 36 / width, width}, mixed(36), [&](GraphWriter& g) {
      const auto layer = [&](const std::string& input, int n, const std::string& output) {
        Values identity(z(n * n), 0.0F);
        for (int k = 0; k < n; ++k) identity[z((n + 1) * k)] = 1;
        return g.add("MatMul", {input, g.tensor(output + "-weight", {n, n}, identity)}, output);
      };
      const std::string joined = behind_layer ? layer("x", width, "joined") : "x";
      g.add("Reshape", {joined, g.tensor("heads", Ints{1, 3, 3, 2, 2})}, "apart");
      g.add("Transpose", {"apart"}, "turned", {{"perm", Ints{2, 0, 3, 1, 4}}});
      for (const std::int64_t i : {0, 1, 2})
        g.add("Gather", {"turned", g.tensor(fmt::format("index{}", i), Ints(1, i))},
              fmt::format("part{}", i), {{"axis", std::int64_t{0}}});
      for (const int i : {0, 1, 2})
        g.add("Reshape",
              {fmt::format("part{}", i), g.tensor(fmt::format("dims{}", i), Ints{1, 2, 3, 2})},
              fmt::format("qkv{}", i));
      g.add("Transpose", {"qkv1"}, "k", {{"perm", Ints{0, 1, 3, 2}}});
      g.add("MatMul", {"qkv0", "k"}, "products");
      g.add("Mul", {"products", g.tensor("scale", {}, {std::sqrt(0.5F)})}, "scores");
      g.add("Softmax", {"scores"}, "weights", {{"axis", std::int64_t{-1}}});
      g.add("MatMul", {"weights", "qkv2"}, "mixed");
      g.add("Transpose", {"mixed"}, "tokens", {{"perm", Ints{0, 2, 1, 3}}});
      g.add("Reshape", {"tokens", g.tensor("flat", Ints{1, 3, 4})}, "rows");
      layer("rows", 4, "y");
    });
  };
  const Computed known = attend(true);
  CHECK(has(known.network, OpKind::attention));
  const Computed parts = attend(false);
  CHECK_FALSE(has(parts.network, OpKind::attention));
  CHECK(has(parts.network, OpKind::softmax));
  check_close(known.values, parts.values);
  const Computed of_all_tokens = attend(true, 36);
  CHECK_FALSE(has(of_all_tokens.network, OpKind::attention));
  check_close(of_all_tokens.values, parts.values);
}

TEST_CASE("attention whose q, k and v three layers compute is one layer and one operator",
          "[onnx]") {
  // Two heads of two channels; k has no bias, and q is scaled before or after its product.
  const auto attend = [](const std::string& scaled, bool read_elsewhere) {
    return compute({1, 3, 5}, mixed(15), [&](GraphWriter& g) {
      const auto scale = [&](const std::string& input, const std::string& output) {
        g.add("Mul", {input, g.tensor(output + "-factor", {}, {0.3F})}, output);
      };
      const auto heads = [&](const std::string& name, const Ints& order) {
        Values weight = mixed(20);
        for (float& w : weight) w *= static_cast<float>(name[0] - 'j');
        g.add("MatMul", {"x", g.tensor(name + "-weight", {5, 4}, weight)}, name + "-rows");
        std::string rows = name + "-rows";
        if (name != "k")
          rows =
              g.add("Add", {rows, g.tensor(name + "-bias", {4}, {1, -1, 2, 0.5F})}, name + "-sum");
        if (name == "q" && scaled == "q") {
          scale(rows, "q-scaled");
          rows = "q-scaled";
        }
        g.add("Reshape", {rows, g.tensor(name + "-dims", Ints{1, 3, 2, 2})}, name + "-apart");
        return g.add("Transpose", {name + "-apart"}, name, {{"perm", order}});
      };
      heads("q", {0, 2, 1, 3});
      heads("k", {0, 2, 3, 1});
      heads("v", {0, 2, 1, 3});
      std::string scores = g.add("MatMul", {"q", "k"}, "products");
      if (scaled == "scores") {
        scale(scores, "scores");
        scores = "scores";
      }
      g.add("Softmax", {scores}, "weights", {{"axis", std::int64_t{-1}}});
      g.add("MatMul", {"weights", "v"}, "mixed");
      g.add("Transpose", {"mixed"}, "tokens", {{"perm", Ints{0, 2, 1, 3}}});
      g.add("Reshape", {"tokens", g.tensor("flat", Ints{1, 3, 4})}, "rows");
      const std::string result = read_elsewhere ? "projected" : "y";
      g.add("MatMul", {"rows", g.tensor("projection", {4, 4}, mixed(16))}, result);
      if (!read_elsewhere) return;
      g.add("Relu", {"k-rows"}, "positive");
      g.add("Min", {"positive", g.tensor("zero", {}, {0})}, "nothing");
      g.add("Add", {"projected", "nothing"}, "y");
    });
  };
  const std::string scaled = GENERATE("q", "scores");
  CAPTURE(scaled);
  const Computed joined = attend(scaled, false);
  CHECK(count_of(joined.network, OpKind::attention) == 1);
  CHECK(count_of(joined.network, OpKind::linear) == 2);
  CHECK_FALSE(has(joined.network, OpKind::transpose));
  std::vector<std::string> layers{"MatMul \"q-rows\"", "Add \"q-sum\"", "MatMul \"k-rows\"",
                                  "MatMul \"v-rows\"", "Add \"v-sum\""};
  if (scaled == "q") layers.insert(layers.begin() + 2, "Mul \"q-scaled\"");
  CHECK(joined.sources.at("v-sum") == layers);
  const Computed parts = attend(scaled, true);
  CHECK_FALSE(has(parts.network, OpKind::attention));
  check_close(joined.values, parts.values);
}

TEST_CASE("attention in windows with bias and mask is one operator", "[onnx]") {
  // As Swin: 2 x 2 windows of 2 x 2 pixels, two heads of two channels.
  const auto attend = [](bool masked, bool apart) {
    return compute({1, 16, 5}, mixed(80), [&](GraphWriter& g) {
      const auto view = [&](const std::string& input, const Ints& dims, const std::string& output) {
        return g.add("Reshape", {input, g.tensor(output + "-dims", dims)}, output);
      };
      view("x", {1, 2, 2, 2, 2, 5}, "cut");
      g.add("Transpose", {"cut"}, "windows", {{"perm", Ints{0, 1, 3, 2, 4, 5}}});
      view("windows", {4, 4, 5}, "rows");
      g.add("MatMul", {"rows", g.tensor("weight", {5, 12}, mixed(60))}, "joined");
      view("joined", {4, 4, 3, 2, 2}, "apart");
      g.add("Transpose", {"apart"}, "turned", {{"perm", Ints{2, 0, 3, 1, 4}}});
      for (const std::int64_t i : {0, 1, 2})
        view(g.add("Gather", {"turned", g.tensor(fmt::format("index{}", i), Ints(1, i))},
                   fmt::format("part{}", i), {{"axis", std::int64_t{0}}}),
             {4, 2, 4, 2}, fmt::format("qkv{}", i));
      g.add("Mul", {"qkv0", g.tensor("scale", {}, {std::sqrt(0.5F)})}, "q");
      g.add("Transpose", {"qkv1"}, "k", {{"perm", Ints{0, 1, 3, 2}}});
      g.add("MatMul", {"q", "k"}, "products");
      g.add("Add", {"products", g.tensor("bias", {1, 2, 4, 4}, mixed(32))}, "biased");
      std::string scores = "biased";
      if (masked) {
        view(scores, {1, 4, 2, 4, 4}, "of windows");
        Values mask = mixed(64);
        for (float& m : mask) m = m < 0 ? -100.0F : 0.0F;
        g.add("Add", {"of windows", g.tensor("mask", {1, 4, 1, 4, 4}, mask)}, "masked");
        scores = view("masked", {4, 2, 4, 4}, "scores");
      }
      g.add("Softmax", {scores}, "weights", {{"axis", std::int64_t{-1}}});
      g.add("MatMul", {apart ? untouched(g, "weights", 4) : "weights", "qkv2"}, "mixed");
      g.add("Transpose", {"mixed"}, "tokens", {{"perm", Ints{0, 2, 1, 3}}});
      view("tokens", {4, 4, 4}, "flat");
      g.add("MatMul", {"flat", g.tensor("projection", {4, 4}, mixed(16))}, "projected");
      view("projected", {1, 2, 2, 2, 2, 4}, "windows of image");
      g.add("Transpose", {"windows of image"}, "merged", {{"perm", Ints{0, 1, 3, 2, 4, 5}}});
      view("merged", {1, 4, 4, 4}, "image");
      g.add("Relu", {"image"}, "y");
    });
  };
  const bool masked = GENERATE(false, true);
  CAPTURE(masked);
  const Computed known = attend(masked, false);
  std::string found;
  for (const Node& node : known.network.nodes)
    if (node.op.kind == OpKind::attention) found += text(node.op);
  INFO(lines(known.network));
  CHECK(found == fmt::format("attention 1x1x16x12,1x{}x4x4->1x1x16x4 heads=2 windows=4 f32",
                             masked ? 8 : 2));
  CHECK(count_of(known.network, OpKind::transpose) == 2);
  CHECK(count_of(known.network, OpKind::linear) == 2);
  CHECK_FALSE(has(known.network, OpKind::slice));
  const Computed parts = attend(masked, true);
  CHECK_FALSE(has(parts.network, OpKind::attention));
  check_close(known.values, parts.values);
}

TEST_CASE("attention that mixes columns of V is the same operator", "[onnx]") {
  // As CoAtNet: q, k and v of each head in turn, a bias, and V^T times the weights' transpose.
  const auto attend = [](bool apart) {
    return compute({1, 3, 5}, mixed(15), [&](GraphWriter& g) {
      g.add("MatMul", {"x", g.tensor("weight", {5, 12}, mixed(60))}, "joined");
      g.add("Reshape", {"joined", g.tensor("heads", Ints{1, 3, 2, 6})}, "apart");
      g.add("Split", {"apart", g.tensor("sizes", Ints{2, 2, 2})}, onnx::Names{"a", "b", "c"},
            {{"axis", std::int64_t{3}}});
      g.add("Transpose", {"a"}, "q", {{"perm", Ints{0, 2, 1, 3}}});
      g.add("Transpose", {"b"}, "k", {{"perm", Ints{0, 2, 3, 1}}});
      g.add("Transpose", {"c"}, "v", {{"perm", Ints{0, 2, 3, 1}}});
      g.add("MatMul", {"q", "k"}, "products");
      g.add("Mul", {"products", g.tensor("scale", {}, {std::sqrt(0.5F)})}, "scaled");
      g.add("Add", {"scaled", g.tensor("bias", {1, 2, 3, 3}, mixed(18))}, "scores");
      g.add("Softmax", {"scores"}, "weights", {{"axis", std::int64_t{-1}}});
      g.add("Transpose", {apart ? untouched(g, "weights", 3) : "weights"}, "turned",
            {{"perm", Ints{0, 1, 3, 2}}});
      g.add("MatMul", {"v", "turned"}, "mixed");
      g.add("Reshape", {"mixed", g.tensor("channels", Ints{1, 4, 3})}, "columns");
      g.add("Transpose", {"columns"}, "rows", {{"perm", Ints{0, 2, 1}}});
      g.add("MatMul", {"rows", g.tensor("projection", {4, 4}, mixed(16))}, "y");
    });
  };
  const Computed known = attend(false);
  CHECK(count_of(known.network, OpKind::attention) == 1);
  CHECK_FALSE(has(known.network, OpKind::transpose));
  const Computed parts = attend(true);
  CHECK_FALSE(has(parts.network, OpKind::attention));
  check_close(known.values, parts.values);
}

TEST_CASE("a norm is known whose parts see an image in different shapes", "[onnx]") {
  // As rows that a sum flattens: its mean is of pixels, what is left of it of one row each.
  const Computed c = compute({1, 3, 2, 2}, mixed(12), [](GraphWriter& g) {
    g.add("Transpose", {"x"}, "pixels", {{"perm", Ints{0, 2, 3, 1}}});
    g.add("Relu", {"pixels"}, "r");
    g.add("Reshape", {"r", g.tensor("rows", Ints{1, 4, 3})}, "flat");
    g.add("Add", {"flat", g.tensor("shift", {1, 4, 1}, {1, 2, 3, 4})}, "shifted");
    write_norm(g, "flat", "norm");
    g.add("Add", {"norm", "shifted"}, "y");
  });
  CHECK(count_of(c.network, OpKind::layer_norm) == 1);
  CHECK_FALSE(has(c.network, OpKind::sub));
}

TEST_CASE("an RMS norm computes what its parts do", "[onnx]") {
  const Values x = mixed(24);
  const Computed c = compute(
      {1, 6, 4}, x,
      [](GraphWriter& g) {
        g.add("RMSNormalization", {"x", g.tensor("scale", {4}, {1, 2, 3, 4})}, "y",
              {{"epsilon", 1e-3F}});
      },
      23);
  Values expected;
  for (std::size_t row = 0; row < 6; ++row) {
    float mean_square = 0;
    for (std::size_t k = 0; k < 4; ++k) mean_square += x[4 * row + k] * x[4 * row + k] / 4;
    for (std::size_t k = 0; k < 4; ++k)
      expected.push_back(x[4 * row + k] / std::sqrt(mean_square + 1e-3F) *
                         static_cast<float>(k + 1));
  }
  check_close(c.values, expected);
  CHECK(has(c.network, OpKind::rms_norm));
}

TEST_CASE("rows less something other than their mean make no layer norm", "[onnx]") {
  const std::string centre = GENERATE("largest", "mean of others");
  const Values x = mixed(24);
  const Computed c = compute({1, 6, 4}, x, [&](GraphWriter& g) {
    const std::string rows = g.tensor("rows", Ints{-1});
    g.add("ReduceMax", {"x", rows}, "largest");
    g.add("ReduceMean", {g.add("Abs", {"x"}, "others"), rows}, "mean of others");
    write_norm(g, "x", "y", centre);
  });
  Values expected;
  for (std::size_t row = 0; row < 6; ++row) {
    Values d(x.begin() + static_cast<std::ptrdiff_t>(4 * row),
             x.begin() + static_cast<std::ptrdiff_t>(4 * row + 4));
    float of_others = 0;
    for (const float v : d) of_others += std::abs(v) / 4;
    const float less = centre == "largest" ? *std::max_element(d.begin(), d.end()) : of_others;
    float mean_square = 0;
    for (float& v : d) {
      v -= less;
      mean_square += v * v / 4;
    }
    for (const float v : d) expected.push_back(v / std::sqrt(mean_square + 1e-5F));
  }
  check_close(c.values, expected);
  CHECK_FALSE(has(c.network, OpKind::layer_norm));
}

TEST_CASE("columns less the means of rows make no layer norm", "[onnx]") {
  const Values x = mixed(4);
  const Computed c = compute({1, 2, 2}, x, [&](GraphWriter& g) {
    g.add("ReduceMean", {"x", g.tensor("rows", Ints{-1})}, "mean");
    g.add("Reshape", {"mean", g.tensor("as a row", Ints{1, 1, 2})}, "means");
    write_norm(g, "x", "y", "means");
  });
  Values expected;
  for (std::size_t row = 0; row < 2; ++row) {
    const float left = x[2 * row] - (x[0] + x[1]) / 2;
    const float right = x[2 * row + 1] - (x[2] + x[3]) / 2;
    const float root = std::sqrt((left * left + right * right) / 2 + 1e-5F);
    expected.insert(expected.end(), {left / root, right / root});
  }
  check_close(c.values, expected);
}

TEST_CASE("windows of an image come together with its channels last", "[onnx]") {
  // As in Swin and MaxViT: products of the pixels of each 2 x 3 window, beside a shortcut of the
  // image or of windows, a norm, and a grid whose columns cut across the windows.
  const bool of_windows = GENERATE(false, true);
  constexpr std::size_t width = 6;
  constexpr std::size_t channels = 3;
  const auto at = [](std::size_t row, std::size_t column, std::size_t channel) {
    return (row * width + column) * channels + channel;
  };
  const Values x = mixed(4 * width * channels);
  Values planes;  // as a model has an image
  for (std::size_t i = 0; i < channels; ++i)
    for (std::size_t pixel = 0; pixel < 4 * width; ++pixel)
      planes.push_back(x[pixel * channels + i]);
  const Computed c = compute({1, 3, 4, 6}, planes, [&](GraphWriter& g) {
    g.add("Transpose", {"x"}, "pixels", {{"perm", Ints{0, 2, 3, 1}}});
    g.add("Reshape", {"pixels", g.tensor("cut", Ints{1, 2, 2, 2, 3, 3})}, "windows");
    g.add("Transpose", {"windows"}, "apart", {{"perm", Ints{0, 1, 3, 2, 4, 5}}});
    g.add("Reshape", {"apart", g.tensor("rows", Ints{4, 6, 3})}, "w");
    g.add("Transpose", {"w"}, "turned", {{"perm", Ints{0, 2, 1}}});
    g.add("MatMul", {"w", "turned"}, "products");
    g.add("MatMul", {"products", "w"}, "mixed");
    g.add("Reshape", {"mixed", g.tensor("back", Ints{1, 2, 2, 2, 3, 3})}, "parts");
    g.add("Transpose", {"parts"}, "beside", {{"perm", Ints{0, 1, 3, 2, 4, 5}}});
    g.add("Reshape", {"beside", g.tensor("image", Ints{1, 4, 6, 3})}, "whole");
    g.add("Add", {"whole", of_windows ? "whole" : "pixels"}, "sum");
    write_norm(g, "sum", "norm");
    g.add("Reshape", {"norm", g.tensor("grid", Ints{1, 4, 3, 2, 3})}, "columns");
    g.add("Transpose", {"columns"}, "crossed", {{"perm", Ints{0, 1, 3, 2, 4}}});
    g.add("Reshape", {"crossed", "image"}, "y");
  });
  Values sum = of_windows ? Values(x.size(), 0.0F) : x;
  const float times = of_windows ? 2 : 1;
  for (std::size_t row = 0; row < 4; ++row)
    for (std::size_t column = 0; column < width; ++column)
      for (std::size_t r = row / 2 * 2; r < row / 2 * 2 + 2; ++r)  // the pixels of its window
        for (std::size_t k = column / 3 * 3; k < column / 3 * 3 + 3; ++k) {
          float product = 0;
          for (std::size_t i = 0; i < channels; ++i)
            product += x[at(row, column, i)] * x[at(r, k, i)];
          for (std::size_t i = 0; i < channels; ++i)
            sum[at(row, column, i)] += times * product * x[at(r, k, i)];
        }
  Values expected;
  for (std::size_t row = 0; row < 4; ++row)
    for (const std::size_t column : {0U, 2U, 4U, 1U, 3U, 5U}) {
      const auto begin = sum.begin() + static_cast<std::ptrdiff_t>(at(row, column, 0));
      for (const float v : normalised({begin, begin + channels})) expected.push_back(v);
    }
  check_close(c.values, expected);
  CHECK(has(c.network, OpKind::layer_norm));
  CHECK_FALSE(has(c.network, OpKind::sub));
  CHECK(count_of(c.network, OpKind::transpose) == 3);
}

TEST_CASE("images of a batch are convolved and pooled each for itself", "[onnx]") {
  const Values x = mixed(2 * 2 * 3 * 3);
  const auto at = [&](std::size_t n, std::size_t c, std::size_t h, std::size_t w) {
    return x[((n * 2 + c) * 3 + h) * 3 + w];
  };
  const Values weight = mixed(3 * 2 * 2 * 2);
  const Computed dense = compute({2, 2, 3, 3}, x, [&](GraphWriter& g) {
    g.add("Conv", {"x", g.tensor("w", {3, 2, 2, 2}, weight), g.tensor("b", {3}, {1, 2, 3})}, "y");
  });
  Values expected;
  for (std::size_t n = 0; n < 2; ++n)
    for (std::size_t o = 0; o < 3; ++o)
      for (std::size_t h = 0; h < 2; ++h)
        for (std::size_t w = 0; w < 2; ++w) {
          expected.push_back(static_cast<float>(o + 1));
          for (std::size_t i = 0; i < 8; ++i)
            expected.back() += weight[o * 8 + i] * at(n, i / 4, h + i / 2 % 2, w + i % 2);
        }
  CHECK(dense.dims == Ints{2, 3, 2, 2});
  check_close(dense.values, expected);

  const Computed pixels = compute({2, 2, 1, 9}, x, [&](GraphWriter& g) {
    g.add("Conv", {"x", g.tensor("w", {1, 2, 1, 1}, {2, 3})}, "y");
  });
  CHECK(pixels.dims == Ints{2, 1, 1, 9});
  expected.clear();
  for (std::size_t n = 0; n < 2; ++n)
    for (std::size_t i = 0; i < 9; ++i)
      expected.push_back(2 * at(n, 0, i / 3, i % 3) + 3 * at(n, 1, i / 3, i % 3));
  check_close(pixels.values, expected);
  CHECK(has(pixels.network, OpKind::conv2d));

  const Computed pooled = compute({2, 2, 3, 3}, x, [&](GraphWriter& g) {
    g.add("MaxPool", {"x"}, "y", {{"kernel_shape", Ints{3, 3}}});
  });
  expected.clear();
  for (std::size_t n = 0; n < 4; ++n)
    expected.push_back(*std::max_element(x.begin() + static_cast<std::ptrdiff_t>(9 * n),
                                         x.begin() + static_cast<std::ptrdiff_t>(9 * n + 9)));
  check_close(pooled.values, expected);
}

TEST_CASE("a layer may have more rows than one dimension holds", "[onnx]") {
  const Computed c = compute({3, 32768, 1}, Values(98304, 2), [](GraphWriter& g) {
    g.add("MatMul", {"x", g.tensor("w", {1, 1}, {3})}, "y");
  });
  CHECK(c.values == Values(98304, 6));
}

TEST_CASE("weights that are standardised in the model are known", "[onnx]") {
  const Computed c = compute({1, 1, 1, 3}, {1, 2, 4}, [](GraphWriter& g) {
    // One output channel of weights -1, 0 and 1 times a gain of 2; their variance is 2/3.
    g.add("BatchNormalization",
          {g.tensor("w", {1, 1, 3}, {0, 1, 2}), g.tensor("gain", {1}, {2}),
           g.tensor("shift", {1}, {0}), g.tensor("mean", {1}, {9}), g.tensor("variance", {1}, {9})},
          "normed", {{"training_mode", std::int64_t{1}}, {"epsilon", 0.0F}});
    g.add("Reshape", {"normed", g.tensor("shape", Ints{1, 1, 1, 3})}, "weight");
    g.add("Conv", {"x", "weight"}, "y");
  });
  check_close(c.values, {2 * (4 - 1) / std::sqrt(2.0F / 3)});
}

TEST_CASE("what positions and gates are made of is known before it runs", "[onnx]") {
  const Computed c = compute({1, 3}, {1, 1, 1}, [](GraphWriter& g) {
    g.add("CumSum", {g.tensor("ones", {1, 3}, {1, 1, 1}), g.tensor("axis", Ints{1})}, "places");
    g.add("Clip", {"places", "", g.tensor("two", {}, {2})}, "bounded");
    g.add("Softmax", {g.tensor("equal", {1, 3}, {5, 5, 5})}, "thirds");
    g.add("EyeLike", {g.tensor("square", {3, 3}, Values(9, 0))}, "one");
    g.add("MatMul", {"bounded", "one"}, "turned");
    g.add("GatherND", {"turned", indices(g, {1, 3, 2}, {0, 0, 0, 1, 0, 2})}, "same");
    g.add("Add", {"same", "thirds"}, "sum");
    g.add("Mul", {"x", "sum"}, "y");
  });
  check_close(c.values, {1 + 1.0F / 3, 2 + 1.0F / 3, 2 + 1.0F / 3});
  CHECK(c.network.nodes.size() <= 2);
}

namespace {

/// Steps of int8 that stand for values a quarter as large.
std::string quarters(GraphWriter& g, const char* name, const Ints& dims,
                     const std::vector<std::int8_t>& steps) {
  return g.add(
      "DequantizeLinear",
      {g.int8_tensor(name + std::string("/steps"), dims, steps), g.tensor("quarter", {}, {0.25F})},
      name);
}

std::vector<DType> types(const Network& network) {
  std::vector<DType> all;
  for (const Node& node : network.nodes) all.push_back(node.op.dtype());
  return all;
}

}  // namespace

TEST_CASE("a convolution between conversions computes in int8", "[onnx][int8]") {
  // Steps of a half without a zero point are those of uint8.
  const Computed c = compute({1, 1, 1, 2}, {1.1F, 3.9F}, [](GraphWriter& g) {
    const std::string half = g.tensor("half", {}, {0.5F});
    g.add("QuantizeLinear", {"x", half}, "bytes");
    g.add("DequantizeLinear", {"bytes", half}, "real");
    g.add("Conv", {"real", quarters(g, "w", {2, 1, 1, 1}, {4, -8})}, "product");
    g.add("Relu", {"product"}, "positive");
    g.add("QuantizeLinear", {"positive", half}, "steps");
    g.add("DequantizeLinear", {"steps", half}, "y");
  });
  CHECK(c.values == Values{1, 4, 0, 0});
  CHECK(lines(c.network) ==
        "bytes: quantise 1x1x2x1->1x1x2x1:qs8/0.5/-128\n"
        "steps: conv2d 1x1x2x1:qs8/0.5/-128->1x1x2x2:qs8/0.5/-128 k1x1 s1 p0,0,0,0 g1 nobias "
        "act=relu\n"
        "y: dequantise 1x1x2x2:qs8/0.5/-128->1x1x2x2\n");
}

TEST_CASE("operators of bytes are those between conversions", "[onnx][int8]") {
  const Computed c = compute({1, 1, 2, 2}, {1, 2, 3, 4}, [](GraphWriter& g) {
    const std::string one = g.tensor("one", {}, {1});
    const std::string zero = g.int8_tensor("zero", {}, {0});
    g.add("QuantizeLinear", {"x", one, zero}, "bytes");
    g.add("MaxPool", {"bytes"}, "largest", {{"kernel_shape", Ints{1, 2}}});
    g.add("QLinearConv",
          {"largest", one, zero, g.int8_tensor("w", {2, 1, 2, 1}, {1, 2, 3, 1}),
           g.tensor("scales", {2}, {1, 0.5F}), g.int8_tensor("zeros", {2}, {0, 1}), one, zero,
           g.int32_tensor("b", {2}, {5, 6})},
          "steps");
    g.add("DequantizeLinear", {"steps", one, zero}, "y");
  });
  CHECK(c.values == Values{2 + 2 * 4 + 5, 2 + 3});
  CHECK(types(c.network) == std::vector<DType>{DType::f32, DType::qs8, DType::qs8, DType::qs8});
}

TEST_CASE("what has no int8 kernel stays between its conversions", "[onnx][int8]") {
  const Computed c = compute({1, 2}, {1, 3}, [](GraphWriter& g) {
    const std::string one = g.tensor("one", {}, {1});
    g.add("QuantizeLinear", {"x", one}, "bytes");
    g.add("DequantizeLinear", {"bytes", one}, "real");
    g.add("Softmax", {"real"}, "shares");
    const std::string scale = g.tensor("scale", {}, {1.0F / 255});
    g.add("QuantizeLinear", {"shares", scale}, "steps");
    g.add("DequantizeLinear", {"steps", scale}, "y");
  });
  check_close(c.values, {30.0F / 255, 225.0F / 255});
  CHECK(types(c.network) ==
        std::vector<DType>{DType::f32, DType::qs8, DType::f32, DType::f32, DType::qs8});
}

TEST_CASE("tensors of bytes are joined as such where all have one scale", "[onnx][int8]") {
  const bool equal = GENERATE(true, false);
  const Computed c = compute({1, 2}, {2, 4}, [&](GraphWriter& g) {
    const std::string one = g.tensor("one", {}, {1});
    const std::string other = g.tensor("other", {}, {equal ? 1.0F : 2.0F});
    g.add("QuantizeLinear", {"x", one}, "a");
    g.add("QuantizeLinear", {"x", other}, "b");
    g.add("DequantizeLinear", {"a", one}, "first");
    g.add("DequantizeLinear", {"b", other}, "second");
    g.add("Concat", {"first", "second"}, "all", {axis1});
    g.add("QuantizeLinear", {"all", one}, "bytes");
    g.add("DequantizeLinear", {"bytes", one}, "y");
  });
  CHECK(c.values == Values{2, 4, 2, 4});
  for (const Node& node : c.network.nodes)
    if (node.op.kind == OpKind::concat) CHECK(node.op.dtype() == (equal ? DType::qs8 : DType::f32));
  CHECK(has(c.network, OpKind::concat));
}

TEST_CASE("bytes are added as such where both scales are near the sum's", "[onnx][int8]") {
  const auto type_of_sum = [](float first, float second) {
    const Computed c = compute({1, 2}, {0, 0}, [&](GraphWriter& g) {
      const std::string one = g.tensor("one", {}, {1});
      const std::string a = g.tensor("scale of a", {}, {first});
      const std::string b = g.tensor("scale of b", {}, {second});
      g.add("QuantizeLinear", {"x", a}, "a");
      g.add("QuantizeLinear", {"x", b}, "b");
      g.add("DequantizeLinear", {"a", a}, "first");
      g.add("DequantizeLinear", {"b", b}, "second");
      g.add("Add", {"first", "second"}, "sum");
      g.add("QuantizeLinear", {"sum", one}, "bytes");
      g.add("DequantizeLinear", {"bytes", one}, "y");
    });
    const auto sum = std::find_if(c.network.nodes.begin(), c.network.nodes.end(),
                                  [](const Node& node) { return node.op.kind == OpKind::add; });
    REQUIRE(sum != c.network.nodes.end());
    return sum->op.dtype();
  };
  const float least = 0x1p-10F;
  CHECK(type_of_sum(least, 1) == DType::qs8);
  CHECK(type_of_sum(least / 2, 1) == DType::f32);
  CHECK(type_of_sum(1, least / 2) == DType::f32);
  CHECK(type_of_sum(256, 1) == DType::f32);
}

TEST_CASE("a tensor of bytes with another scale than it has is refused", "[onnx][int8]") {
  const OnnxImport import = imported({1, 2}, [](GraphWriter& g) {
    g.add("QuantizeLinear", {"x", g.tensor("one", {}, {1})}, "bytes");
    g.add("Identity", {"bytes"}, "same");
    g.add("DequantizeLinear", {"same", g.tensor("two", {}, {2})}, "real");
    g.add("Relu", {"bytes"}, "y");
  });
  REQUIRE(import.unsupported.size() == 2);
  CHECK(import.unsupported[0].reason == "another scale than it was quantised by");
  CHECK(import.unsupported[1].reason == "a tensor of int8");
}

TEST_CASE("operators of ONNX Runtime's int8 are those between conversions", "[onnx][int8]") {
  const Computed c = compute({1, 2}, {3, -2}, [](GraphWriter& g) {
    const std::string one = g.tensor("one", {}, {1});
    const std::string half = g.tensor("half", {}, {0.5F});
    const std::string zero = g.int8_tensor("zero", {}, {0});
    g.add("QuantizeLinear", {"x", one, zero}, "a");
    g.add("QLinearAdd", {"a", one, zero, "a", one, zero, half, zero}, "sum");
    g.add("QLinearMul", {"sum", half, zero, "a", one, zero, one, zero}, "product");
    g.add("QLinearConcat", {one, zero, "sum", half, zero, "product", one, zero}, "all", {axis1});
    g.add("QGemm",
          {"all", one, zero, g.int8_tensor("w", {4, 1}, {1, 1, 2, 2}), half, zero,
           g.int32_tensor("b", {1}, {-8}), one, zero},
          "steps");
    g.add("DequantizeLinear", {"steps", one, zero}, "y");
  });
  // Sums 6 and -4, products 18 and 8; half of 6 - 4 + 2 x 26, less 4.
  CHECK(c.values == Values{23});
  CHECK(has(c.network, OpKind::linear));
}

TEST_CASE("operators of others than ONNX are those of ONNX Runtime's int8 alone", "[onnx][int8]") {
  onnx::proto::ModelProto proto;
  REQUIRE(proto.ParseFromString(model([](GraphWriter& g) {
    g.input("x", {1, 2});
    const std::string one = g.tensor("one", {}, {1});
    g.add("QuantizeLinear", {"x", one}, "a");
    g.add("QLinearSigmoid", {"a", one, "", one}, "s");
    g.add("DequantizeLinear", {"s", one}, "r");
    g.add("Relu", {"r"}, "y");
    g.output("y", {1, 2});
  })));
  for (const int i : {1, 3}) proto.mutable_graph()->mutable_node(i)->set_domain("com.microsoft");
  const OnnxImport import = import_onnx(proto.SerializeAsString(), "test");
  REQUIRE(import.unsupported.size() == 1);
  CHECK(import.unsupported[0].reason == "of domain com.microsoft");
  CHECK(import.unsupported[0].type == "Relu");
}
