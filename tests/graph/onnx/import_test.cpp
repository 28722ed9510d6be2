#include <filesystem>
#include <fstream>
#include <limits>

#include "graph/error.hpp"
#include "graph/onnx/onnx.hpp"
#include "tests/catch.hpp"
#include "tests/graph/onnx/models.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;
using namespace cpubone::test;

TEST_CASE("an image becomes channels last, and so do its convolutions", "[onnx]") {
  const OnnxImport import = imported({1, 2, 4, 4}, [](GraphWriter& g) {
    g.add("Conv", {"x", g.tensor("w", {3, 2, 3, 3}, std::vector<float>(54, 0.5F))}, "c",
          {{"pads", Ints{1, 1, 1, 1}}});
    g.add("Relu", {"c"}, "y");
  });
  CHECK(lines(import.model.network) ==
        "y: conv2d 1x4x4x2->1x4x4x3 k3x3 s1 p1,1,1,1 g1 nobias act=relu f32\n");
  CHECK(import.inputs[0].order == std::vector<int>{0, 2, 3, 1});
  CHECK(import.outputs[0].dims == std::vector<std::int64_t>{1, 3, 4, 4});
}

TEST_CASE("a transpose before and after layers that need it is none", "[onnx]") {
  const OnnxImport import = imported({1, 4, 2, 3}, [](GraphWriter& g) {
    g.add("Transpose", {"x"}, "last", {{"perm", Ints{0, 2, 3, 1}}});
    g.add("MatMul", {"last", g.tensor("w", {4, 5}, std::vector<float>(20, 1))}, "product");
    g.add("Add", {"product", g.tensor("b", {5}, std::vector<float>(5, 2))}, "sum");
    g.add("Transpose", {"sum"}, "y", {{"perm", Ints{0, 3, 1, 2}}});
  });
  CHECK(lines(import.model.network) == "sum: linear 1x2x3x4->1x2x3x5 f32\n");
}

TEST_CASE("a flattened image's layer takes its weights in the order in which it lies", "[onnx]") {
  const OnnxImport import = imported({1, 2, 1, 2}, [](GraphWriter& g) {
    g.add("Flatten", {"x"}, "flat");
    g.add("Gemm", {"flat", g.tensor("w", {1, 4}, {1, 2, 3, 4})}, "y",
          {{"transB", std::int64_t{1}}});
  });
  // Two channels of two pixels: channels last, the weights of each pixel's channels are together.
  CHECK(import.model.parameters.at("y").weight == std::vector<float>{1, 3, 2, 4});
}

TEST_CASE("a batch norm is part of the convolution before it", "[onnx]") {
  const OnnxImport import = imported({1, 1, 2, 2}, [](GraphWriter& g) {
    g.add("Conv", {"x", g.tensor("w", {1, 1, 1, 1}, {3})}, "c");
    g.add("BatchNormalization",
          {"c", g.tensor("scale", {1}, {2}), g.tensor("shift", {1}, {5}),
           g.tensor("mean", {1}, {1}), g.tensor("variance", {1}, {4})},
          "y", {{"epsilon", 0.0F}});
  });
  CHECK(import.model.network.nodes.size() == 1);
  CHECK(import.model.parameters.at("y").weight == std::vector<float>{3});
  CHECK(import.model.parameters.at("y").bias == std::vector<float>{4});
}

TEST_CASE("activations are known however they are written", "[onnx]") {
  const auto activation = [](const std::function<void(GraphWriter&)>& write) {
    return lines(imported({1, 3}, write).model.network);
  };
  const auto scalar = [](GraphWriter& g, const char* name, float value) {
    return g.tensor(name, {}, {value});
  };
  CHECK(activation([&](GraphWriter& g) {
          g.add("Div", {"x", scalar(g, "root", 1.41421356F)}, "a");
          g.add("Erf", {"a"}, "b");
          g.add("Add", {"b", scalar(g, "one", 1)}, "c");
          g.add("Mul", {"x", "c"}, "d");
          g.add("Mul", {"d", scalar(g, "half", 0.5F)}, "y");
        }) == "y: activation 1x1x1x3->1x1x1x3 act=gelu f32\n");
  CHECK(activation([&](GraphWriter& g) {
          g.add("Mul", {"x", scalar(g, "half", 0.5F)}, "a");
          g.add("Pow", {"x", scalar(g, "three", 3)}, "b");
          g.add("Mul", {"b", scalar(g, "cubic", 0.044715F)}, "c");
          g.add("Add", {"x", "c"}, "d");
          g.add("Mul", {"d", scalar(g, "root", 0.7978845608F)}, "e");
          g.add("Tanh", {"e"}, "f");
          g.add("Add", {"f", scalar(g, "one", 1)}, "g");
          g.add("Mul", {"a", "g"}, "y");
        }) == "y: activation 1x1x1x3->1x1x1x3 act=gelu_tanh f32\n");
  CHECK(activation([&](GraphWriter& g) {
          g.add("Add", {"x", scalar(g, "three", 3)}, "a");
          g.add("Clip", {"a", scalar(g, "zero", 0), scalar(g, "six", 6)}, "b");
          g.add("Div", {"b", scalar(g, "sixth", 6)}, "c");
          g.add("Mul", {"c", "x"}, "y");
        }) == "y: activation 1x1x1x3->1x1x1x3 act=hardswish f32\n");
  CHECK(activation([&](GraphWriter& g) {
          g.add("Sigmoid", {"x"}, "s");
          g.add("Mul", {"x", "s"}, "y");
        }) == "y: activation 1x1x1x3->1x1x1x3 act=silu f32\n");
  CHECK(activation([&](GraphWriter& g) {
          g.add("Softplus", {"x"}, "s");
          g.add("Tanh", {"s"}, "t");
          g.add("Mul", {"x", "t"}, "y");
        }) == "y: activation 1x1x1x3->1x1x1x3 act=mish f32\n");
}

TEST_CASE("an operator knows which nodes of the model it does the work of", "[onnx]") {
  const OnnxImport import = imported({1, 1, 2, 2}, [](GraphWriter& g) {
    g.add("Conv", {"x", g.tensor("w", {1, 1, 1, 1}, {3})}, "c");
    g.add("BatchNormalization",
          {"c", g.tensor("scale", {1}, {2}), g.tensor("shift", {1}, {5}),
           g.tensor("mean", {1}, {1}), g.tensor("variance", {1}, {4})},
          "n", {{"epsilon", 0.0F}});
    g.add("Div", {"n", g.tensor("root", {}, {1.41421356F})}, "divided");
    g.add("Erf", {"divided"}, "erf");
    g.add("Add", {"erf", g.tensor("one", {}, {1})}, "sum");
    g.add("Mul", {"n", "sum"}, "product");
    g.add("Mul", {"product", g.tensor("half", {}, {0.5F})}, "gelu");
    g.add("GlobalAveragePool", {"gelu"}, "y");
  });
  using Names = std::vector<std::string>;
  CHECK(import.sources == std::map<std::string, Names>{
                              {"gelu",
                               {"Conv \"c\"", "BatchNormalization \"n\"", "Div \"divided\"",
                                "Erf \"erf\"", "Add \"sum\"", "Mul \"product\"", "Mul \"gelu\""}},
                              {"y", {"GlobalAveragePool \"y\""}}});
}

TEST_CASE("a layer norm is known when it is taken apart", "[onnx]") {
  const std::int64_t rows = GENERATE(1, 5);  // of one row, a mean is not that of an image's pixels
  const OnnxImport import = imported({1, rows, 4}, [](GraphWriter& g) {
    const auto scalar = [&](const char* name, float value) { return g.tensor(name, {}, {value}); };
    g.add("ReduceMean", {"x", g.tensor("axes", Ints{-1})}, "mean");
    g.add("Sub", {"x", "mean"}, "d");
    g.add("Pow", {"d", scalar("two", 2)}, "square");
    g.add("ReduceMean", {"square", "axes"}, "variance");
    g.add("Add", {"variance", scalar("epsilon", 1e-6F)}, "v");
    g.add("Sqrt", {"v"}, "s");
    g.add("Div", {"d", "s"}, "n");
    g.add("Mul", {"n", g.tensor("gamma", {4}, {1, 2, 3, 4})}, "m");
    g.add("Add", {"m", g.tensor("beta", {4}, {5, 6, 7, 8})}, "y");
  });
  CHECK(lines(import.model.network) ==
        fmt::format("y: layer_norm 1x1x{0}x4->1x1x{0}x4 eps=1e-06 f32\n", rows));
  CHECK(import.model.parameters.at("y") == Parameters{{1, 2, 3, 4}, {5, 6, 7, 8}, {}, {}});
}

TEST_CASE("an RMS norm is known however it is written", "[onnx]") {
  const std::string form = GENERATE("root", "reciprocal", "quotient", "power", "one operator");
  const bool image = GENERATE(true, false);  // channels first or last
  CAPTURE(form, image);
  const auto write = [&](GraphWriter& g) {
    const auto scalar = [&](const char* name, float value) { return g.tensor(name, {}, {value}); };
    const std::string weight = g.tensor("gamma", image ? Ints{4, 1, 1} : Ints{4}, {1, 2, 3, 4});
    if (form == "one operator") {
      const std::string last =
          image ? g.add("Transpose", {"x"}, "last", {{"perm", Ints{0, 2, 3, 1}}}) : "x";
      g.add("RMSNormalization", {last, g.tensor("scale", {4}, {1, 2, 3, 4})}, "y",
            {{"epsilon", 1e-6F}});
      return;
    }
    g.add("Pow", {"x", scalar("two", 2)}, "square");
    g.add("ReduceMean", {"square", g.tensor("axes", Ints{image ? 1 : -1})}, "mean");
    g.add("Add", {scalar("epsilon", 1e-6F), "mean"}, "sum");
    if (form == "power")
      g.add("Pow", {"sum", scalar("exponent", -0.5F)}, "inverse");
    else
      g.add("Sqrt", {"sum"}, "root");
    if (form == "reciprocal") g.add("Reciprocal", {"root"}, "inverse");
    if (form == "quotient") g.add("Div", {scalar("one", 1), "root"}, "inverse");
    if (form == "root")
      g.add("Div", {"x", "root"}, "n");
    else
      g.add("Mul", {"x", "inverse"}, "n");
    g.add("Mul", {weight, "n"}, "y");
  };
  const OnnxImport import = imported(image ? Ints{1, 4, 2, 3} : Ints{1, 6, 4}, write, 23);
  const char* const shape = image ? "1x2x3x4" : "1x1x6x4";
  CHECK(lines(import.model.network) == fmt::format("y: rms_norm {0}->{0} eps=1e-06 f32\n", shape));
  CHECK(import.model.parameters.at("y") == Parameters{{1, 2, 3, 4}, {}, {}, {}});
}

TEST_CASE("what only resembles an RMS norm stays its parts", "[onnx]") {
  // The root is of other rows, of a sum, or of something other than what is divided.
  const std::string other = GENERATE("axis", "sum", "x");
  const OnnxImport import = imported({1, 4, 4}, [&](GraphWriter& g) {
    const Ints axes{other == "axis" ? 1 : -1};
    g.add("Abs", {"x"}, "positive");
    g.add("Mul", {"x", "x"}, "square");
    g.add(other == "sum" ? "ReduceSum" : "ReduceMean", {"square", g.tensor("axes", axes)}, "mean");
    g.add("Add", {"mean", g.tensor("epsilon", {}, {1e-6F})}, "v");
    g.add("Sqrt", {"v"}, "root");
    g.add("Div", {other == "x" ? "positive" : "x", "root"}, "y");
  });
  CHECK(lines(import.model.network).find("rms_norm") == std::string::npos);
}

TEST_CASE("a shift behind an RMS norm, which has none, stays an operator", "[onnx]") {
  const OnnxImport import = imported(
      {1, 6, 4},
      [](GraphWriter& g) {
        g.add("RMSNormalization", {"x", g.tensor("scale", {1}, {2})}, "n");
        g.add("Add", {"n", g.tensor("beta", {4}, {5, 6, 7, 8})}, "y");
      },
      23);
  CHECK(lines(import.model.network) ==
        "n: rms_norm 1x1x6x4->1x1x6x4 f32\n"
        "y/constant: constant ->1x1x1x4 f32\n"
        "y: add 1x1x6x4,1x1x1x4->1x1x6x4 f32\n");
  CHECK(import.model.parameters.at("n") == Parameters{{2, 2, 2, 2}, {}, {}, {}});
}

TEST_CASE("shapes that are computed are known", "[onnx]") {
  const OnnxImport import = imported({1, 6, 2, 2}, [](GraphWriter& g) {
    g.add("Shape", {"x"}, "shape");
    g.add("Gather", {"shape", g.tensor("first", Ints{0})}, "batch");
    g.add("Concat", {"batch", g.tensor("rest", Ints{-1})}, "flat", {{"axis", std::int64_t{0}}});
    g.add("Relu", {"x"}, "r");
    g.add("Reshape", {"r", "flat"}, "y");
  });
  CHECK(import.outputs[0].dims == std::vector<std::int64_t>{1, 24});
}

TEST_CASE("what is left of a division by zero is nothing", "[onnx]") {
  const OnnxImport import = imported({1, 6}, [](GraphWriter& g) {
    g.add("Mod", {g.tensor("five", Ints{5}), g.tensor("zero", Ints{0})}, "rest");
    g.add("Add", {"rest", g.tensor("three", Ints{3})}, "rows");
    g.add("Concat", {"rows", g.tensor("columns", Ints{-1})}, "shape", {{"axis", std::int64_t{0}}});
    g.add("Relu", {"x"}, "r");
    g.add("Reshape", {"r", "shape"}, "y");
  });
  CHECK(import.outputs[0].dims == std::vector<std::int64_t>{3, 2});
}

TEST_CASE("what is padded with zeros is padding of the convolution", "[onnx]") {
  const OnnxImport import = imported({1, 1, 3, 3}, [](GraphWriter& g) {
    g.add("Pad", {"x", g.tensor("pads", Ints{0, 0, 0, 0, 0, 0, 1, 1})}, "p");
    g.add("Conv", {"p", g.tensor("w", {1, 1, 2, 2}, {1, 1, 1, 1})}, "y");
  });
  CHECK(lines(import.model.network) ==
        "y: conv2d 1x3x3x1->1x3x3x1 k2x2 s1 p0,1,0,1 g1 nobias f32\n");
}

TEST_CASE("an operator that is not understood is named and the rest goes on", "[onnx]") {
  const std::string bytes = model([](GraphWriter& g) {
    g.input("x", {1, 2, 3, 3});
    g.add("Relu", {"x"}, "r");
    g.add("Mystery", {"r"}, "m", {{"strength", std::int64_t{7}}});
    g.add("Sigmoid", {"m"}, "y");
    g.output("m", {1, 2, 3, 3});
    g.output("y", {});
  });
  const OnnxImport import = import_onnx(bytes, "test");
  REQUIRE(import.unsupported.size() == 1);
  CHECK(import.unsupported[0].type == "Mystery");
  CHECK(import.unsupported[0].name == "m");
  CHECK(import.unsupported[0].attributes == "strength=7");
  CHECK(import.unsupported[0].bytes == 2 * 4 * 18);
  CHECK(import.model.network.inputs.size() == 2);
  CHECK(import.model.network.nodes.size() == 3);  // with the view that makes an input an output
}

TEST_CASE("a convolution of what is no image is named", "[onnx]") {
  const auto import = [] {
    imported({3, 4}, [](GraphWriter& g) {
      g.add("Conv", {"x", g.tensor("w", {2, 3}, std::vector<float>(6, 1))}, "y");
    });
  };
  CHECK_THROWS_WITH(import(), ContainsSubstring("an image of rank 2, expected 3 or 4"));
}

TEST_CASE("a model that asks for memory without end is refused", "[onnx]") {
  const auto padded = [](const char* mode) {
    imported({1, 2, 64, 64}, [&](GraphWriter& g) {
      g.add("Pad", {"x", g.tensor("pads", Ints{30000, 0, 0, 0, 0, 0, 0, 0})}, "y",
            {{"mode", mode}});
    });
  };
  CHECK_THROWS_WITH(padded("constant"), ContainsSubstring("padding of 245760000 values"));
  CHECK_THROWS_WITH(padded("edge"), ContainsSubstring("padding by 30000 copies"));
}

TEST_CASE("a known matrix of no elements may say any size", "[onnx]") {
  const auto import = [] {
    imported({1, 4}, [](GraphWriter& g) {
      constexpr std::int64_t large = std::int64_t{1} << 40;
      g.add("MatMul", {g.tensor("w", {large, large, 0, 4}, {}), "x"}, "y");
    });
  };
  CHECK_THROWS_AS(import(), Error);
}

TEST_CASE("a slice may begin and end as far away as a file can say", "[onnx]") {
  constexpr auto far = std::numeric_limits<std::int64_t>::max();
  const OnnxImport import = imported({1, 2, 4, 4}, [](GraphWriter& g) {
    g.add("Slice",
          {"x", g.tensor("begin", Ints{-far - 1}), g.tensor("end", Ints{far}),
           g.tensor("axis", Ints{1})},
          "channels");
    g.add("Concat", {g.tensor("right", Ints{far}), g.tensor("below", Ints{far})}, "ends",
          {{"axis", std::int64_t{0}}});
    g.add("Slice",
          {"channels", g.tensor("begins", Ints{0, 0}), "ends", g.tensor("axes", Ints{2, 3})},
          "all");
    g.add("Relu", {"all"}, "y");
  });
  CHECK(import.outputs[0].dims == Ints{1, 2, 4, 4});
}

TEST_CASE("an input whose shape is open asks for it", "[onnx]") {
  const std::string bytes = model([](GraphWriter& g) {
    g.input("image", {1, 3, -1, 4});
    g.add("Relu", {"image"}, "y");
    g.output("y", {});
  });
  CHECK_THROWS_WITH(import_onnx(bytes, "net.onnx"),
                    ContainsSubstring("net.onnx: input \"image\"") &&
                        ContainsSubstring("--input-shape image=1x3x224x224"));
  OnnxOptions options;
  options.input_shapes["image"] = {1, 3, 8, 8};
  CHECK(import_onnx(bytes, "net.onnx", options).model.network.inputs[0].shape == Shape{1, 8, 8, 3});
  options.input_shapes = {{"picture", {1, 3, 8, 8}}};
  CHECK_THROWS_WITH(import_onnx(bytes, "net.onnx", options),
                    ContainsSubstring("for input \"picture\", expected one of image"));
}

TEST_CASE("an open number of images is one", "[onnx]") {
  const auto of_shape = [](const std::vector<std::int64_t>& dims) {
    return import_onnx(model([&](GraphWriter& g) {
                         g.input("image", dims);
                         g.add("Relu", {"image"}, "y");
                         g.output("y", {});
                       }),
                       "net.onnx");
  };
  CHECK(of_shape({-1, 3, 4, 5}).model.network.inputs[0].shape == Shape{1, 4, 5, 3});
  CHECK_THROWS_WITH(of_shape({-1, 3}), ContainsSubstring("input \"image\" is ?x3"));
}

TEST_CASE("what is no model is refused", "[onnx]") {
  CHECK_THROWS_WITH(import_onnx("hello", "a.onnx"), ContainsSubstring("a.onnx: not an ONNX model"));
  CHECK_THROWS_WITH(import_onnx("", "a.onnx"), ContainsSubstring("not an ONNX model"));
  CHECK_THROWS_WITH(import_onnx(std::filesystem::path("none.onnx")),
                    ContainsSubstring("none.onnx: No such file"));
  CHECK_THROWS_WITH(import_onnx(model([](GraphWriter& g) { g.add("Relu", {"x"}, "y"); }, 6), "a"),
                    ContainsSubstring("opset 6, expected 7 or later"));
  CHECK_THROWS_WITH(import_onnx(model([](GraphWriter& g) { g.add("Relu", {"x"}, "y"); }), "a"),
                    ContainsSubstring("reads \"x\", which no earlier node writes"));
}

TEST_CASE("data in other files is read from below the model's folder alone", "[onnx]") {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "data.bin", std::ios::binary)
      .write("\0\0\0\0\0\0\x80\x3f", 8);  // 0 and 1
  const auto with_data = [&](const std::string& location, const std::string& offset) {
    onnx::proto::ModelProto proto;
    proto.ParseFromString(model([](GraphWriter& g) {
      g.input("x", {1, 1});
      g.add("Mul", {"x", "w"}, "y");
      g.output("y", {});
    }));
    onnx::proto::TensorProto& w = *proto.mutable_graph()->add_initializer();
    w.set_name("w");
    w.set_data_type(onnx::proto::TensorProto::FLOAT);
    w.set_data_location(onnx::proto::TensorProto::EXTERNAL);
    for (const auto& [key, value] :
         {std::pair{std::string("location"), location}, std::pair{std::string("offset"), offset}}) {
      auto& entry = *w.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    }
    const std::filesystem::path path = folder.path() / "model.onnx";
    std::ofstream(path, std::ios::binary) << proto.SerializeAsString();
    return import_onnx(path);
  };
  CHECK(with_data("data.bin", "4").model.parameters.begin()->second.weight ==
        std::vector<float>{1});
  CHECK_THROWS_WITH(with_data("data.bin", "6"), ContainsSubstring("must have 4 bytes from 6 on"));
  CHECK_THROWS_WITH(with_data("../data.bin", "0"),
                    ContainsSubstring("must be below the model's folder"));
  CHECK_THROWS_WITH(with_data("/etc/passwd", "0"),
                    ContainsSubstring("must be below the model's folder"));
  std::filesystem::create_symlink("/etc/passwd", folder.path() / "link");
  CHECK_THROWS_WITH(with_data("link", "0"), ContainsSubstring("must be below the model's folder"));
}

TEST_CASE("weights of a dynamic product must fit its rows", "[onnx][int8]") {
  const auto reason = [](const Ints& dims, const std::vector<std::int8_t>& steps,
                         const std::vector<float>& scales) {
    const OnnxImport import = import_onnx(
        model([&](GraphWriter& g) {
          g.input("x", {1, 2, 3});
          g.add("DynamicMatMul",
                {"x", g.int8_tensor("w", dims, steps), g.tensor("s", {std::ssize(scales)}, scales)},
                "y");
          g.set_domain("cpubone");
          g.add("Relu", {"x"}, "z");
          g.output("z", {1, 2, 3});
        }),
        "test");
    return import.unsupported.empty() ? "" : import.unsupported[0].reason;
  };
  const std::string expected =
      "weights that are not a scale and as many steps as a row for each output";
  CHECK(reason({2, 3}, {1, 2, 3, 4, 5, 6}, {1, 1}) == "");
  CHECK(reason({3, 2}, {1, 2, 3, 4, 5, 6}, {1, 1, 1}) == expected);
  CHECK(reason({2, 3}, {1, 2, 3, 4, 5, 6}, {1}) == expected);
  CHECK(reason({6}, {1, 2, 3, 4, 5, 6}, {1}) == expected);
  CHECK(reason({0, 3}, {}, {}) == expected);
}
