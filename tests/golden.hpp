#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "graph/json_file.hpp"
#include "graph/network.hpp"
#include "graph/passes.hpp"

/// Facts of published networks from running their reference implementations: layers with counts
/// and checksums of a forward pass with closed-form weights (tests/fixtures/golden/README.md).
namespace cpubone::golden {

/// Checksum of a tensor in float64; `first4` in NCHW order, empty where only sums are known.
struct Checksum {
  double sum = 0;
  double l2 = 0;
  std::vector<double> first4;
};

struct Layer {
  std::string kind;         ///< name of an OpKind, or `depthwise`, `pointwise` among the conv2d
  std::vector<int> inputs;  ///< earlier layers; -1: input of the network
  Shape output;
  bool windowed = false;  ///< has the fields of a window
  int kernel_h = 1;
  int kernel_w = 1;
  int stride = 1;
  Padding padding;
  int groups = 1;
  Activation activation = Activation::none;  ///< of an activation, or what alone consumes the layer
  std::int64_t params = 0;
  std::int64_t macs = 0;
  int weight_t = -1;  ///< index of the fill formula; -1: no such tensor
  int bias_t = -1;
  std::optional<Checksum> out;  ///< before the activation
  int heads = 0;                ///< attention
  int begin = 0;                ///< slice
  int conv_channels = 0;        ///< partial_conv2d
};

struct Logits {
  std::vector<double> first16;
  double sum = 0;
  double l2 = 0;
  int argmax = 0;
};

struct Golden {
  std::string name;
  std::string family;
  std::string source;
  Shape input;
  std::int64_t params = 0;
  std::int64_t params_train_form = 0;
  std::int64_t macs = 0;
  double weight_gain = 0;  ///< G of the fill formula
  Logits logits;
  std::vector<Layer> layers;
};

namespace detail {

inline Shape shape(const nlohmann::json& chw) {
  return {1, chw.at(1).get<int>(), chw.at(2).get<int>(), chw.at(0).get<int>()};
}

inline Layer layer(const nlohmann::json& row) {
  Layer l;
  l.kind = row.at(0).get<std::string>();
  l.inputs = row.at(1).get<std::vector<int>>();
  l.output = shape(row.at(2));
  if (const auto& w = row.at(3); !w.is_null()) {
    const auto v = w.get<std::array<int, 8>>();
    l.windowed = true;
    l.kernel_h = v[0];
    l.kernel_w = v[1];
    l.stride = v[2];
    l.padding = {v[3], v[4], v[5], v[6]};
    l.groups = v[7];
  }
  if (!row.at(4).is_null()) l.activation = parse_activation(row.at(4).get<std::string>());
  l.params = row.at(5).get<std::int64_t>();
  l.macs = row.at(6).get<std::int64_t>();
  if (!row.at(7).is_null()) l.weight_t = row.at(7).get<int>();
  if (!row.at(8).is_null()) l.bias_t = row.at(8).get<int>();
  if (const auto& out = row.at(9); !out.is_null()) {
    const auto v = out.get<std::vector<double>>();
    l.out = Checksum{v.at(0), v.at(1), {v.begin() + 2, v.end()}};
  }
  if (row.size() > 10) {
    const auto& more = row.at(10);
    l.heads = more.value("heads", 0);
    l.begin = more.value("begin", 0);
    l.conv_channels = more.value("conv_channels", 0);
    l.groups = more.value("groups", l.groups);
  }
  return l;
}

inline Logits logits(const nlohmann::json& json) {
  return {json.at("first16").get<std::vector<double>>(), json.at("sum").get<double>(),
          json.at("l2").get<double>(), json.at("argmax").get<int>()};
}

}  // namespace detail

inline std::filesystem::path folder() {
  return std::filesystem::path(CPUBONE_FIXTURES) / "golden";
}

/// The facts of a network by its name in the zoo, e.g. `cpubone-b0`.
inline Golden load(const std::string& name) {
  const nlohmann::json json = read_json_file(folder() / (name + ".json"));
  Golden g;
  g.name = json.at("name").get<std::string>();
  g.family = json.at("family").get<std::string>();
  g.source = json.at("source").get<std::string>();
  g.input = detail::shape(json.at("input_chw"));
  g.params = json.at("params").get<std::int64_t>();
  g.params_train_form = json.at("params_train_form").get<std::int64_t>();
  g.macs = json.at("macs").get<std::int64_t>();
  g.weight_gain = json.at("weight_gain").get<double>();
  g.logits = detail::logits(json.at("logits"));
  for (const auto& row : json.at("layers")) g.layers.push_back(detail::layer(row));
  return g;
}

/// A tensor of a reference's state_dict; its place in the list is `t` of the fill formula.
struct Tensor {
  std::string name;
  std::vector<int> shape;
  std::string kind;  ///< weight, bias, gamma, mean, var
};

/// An intermediate result of the train form.
struct Intermediate {
  std::string name;
  std::string type;
  double sum = 0;
  double l2 = 0;
};

/// The network before batch norms were folded, in evaluation mode.
struct TrainForm {
  std::string source;
  double weight_gain = 0;
  Logits logits;
  std::vector<double> all_logits;
  std::vector<Tensor> state_dict;  ///< float tensors only
  std::vector<Intermediate> intermediates;
};

/// The train form of `cpubone-nano`, `cpubone-s0` or `cpubone-b0`.
inline TrainForm load_train_form(const std::string& name) {
  const nlohmann::json json = read_json_file(folder() / "trainform" / (name + ".json"));
  TrainForm form;
  form.source = json.at("source").get<std::string>();
  form.weight_gain = json.at("weight_gain").get<double>();
  form.logits = detail::logits(json.at("logits"));
  form.all_logits = json.at("logits").at("all").get<std::vector<double>>();
  for (const auto& row : json.at("state_dict"))
    form.state_dict.push_back({row.at(0).get<std::string>(), row.at(1).get<std::vector<int>>(),
                               row.at(2).get<std::string>()});
  for (const auto& row : json.at("intermediates"))
    form.intermediates.push_back({row.at(0).get<std::string>(), row.at(1).get<std::string>(),
                                  row.at(2).get<double>(), row.at(3).get<double>()});
  return form;
}

/// Where a node of `lowered(network)` stands in the golden layers.
struct Match {
  int layer = -1;   ///< the operator: parameters and their `t`
  int output = -1;  ///< the layer whose checksum is the node's output, its fused activation applied
};

/// Matches the nodes of a network without separate activations or of one that went through
/// `lowered` with the golden layers, both in execution order. Throws cpubone::Error
/// naming the node where kinds differ or layers are left over.
std::vector<Match> match(const Network& network, const Golden& golden);

/// The golden layer that applies the activation of layer `layer`, or -1.
int activation_of(const Golden& golden, int layer);

/// Golden files' word for the kind of an operator.
std::string kind_of(const Op& op);

}  // namespace cpubone::golden
