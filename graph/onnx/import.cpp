#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <set>
#include <unordered_map>

#include "graph/error.hpp"
#include "graph/onnx/dynamic.hpp"
#include "graph/onnx/importer.hpp"
#include "graph/onnx/in_int8.hpp"
#include "graph/onnx/metadata.hpp"
#include "graph/onnx/model_file.hpp"
#include "graph/onnx/onnx.hpp"
#include "graph/onnx/simplify.hpp"

namespace cpubone {
namespace onnx {

const Value& NodeContext::input(std::size_t i) const {
  if (!has(i)) throw Unsupported(fmt::format("without input {}", i));
  return *inputs[i];
}

const Array& NodeContext::known(std::size_t i) const {
  const Value& value = input(i);
  if (!value.known()) throw Unsupported(fmt::format("input {} is not known before it runs", i));
  return *value.constant;
}

std::optional<std::vector<std::int64_t>> NodeContext::integers(std::string_view attribute,
                                                               std::size_t at) const {
  if (auto values = attributes.integers(attribute)) return values;
  if (!has(at)) return std::nullopt;
  const Array& array = known(at);
  if (!array.integer && array.size() > 0) throw Unsupported(fmt::format("{} of reals", attribute));
  return array.integers;
}

namespace {
std::array<std::span<const HandlerRow>, 8> handlers() {
  return {elementwise_handlers(), window_handlers(), matrix_handlers(), shape_handlers(),
          reduction_handlers(),   join_handlers(),   resize_handlers(), quantised_handlers()};
}
}  // namespace

Handler find_handler(std::string_view type) {
  for (const auto& table : handlers())
    for (const HandlerRow& row : table)
      if (row.type == type) return row.handler;
  return nullptr;
}

namespace {

using proto::ModelProto;
using proto::NodeProto;
using proto::TensorProto;
using proto::ValueInfoProto;

constexpr int most_nodes = 100'000;
constexpr std::int64_t oldest_opset = 7;
constexpr std::size_t most_rank = 8;

Value known_value(Constant constant) {
  return {std::move(constant), {}, {}};
}

class Importer {
 public:
  Importer(const ModelProto& model, std::string source, std::optional<std::filesystem::path> folder,
           const OnnxOptions& options)
      : model_(model),
        graph_(model.graph()),
        source_(std::move(source)),
        folder_(std::move(folder)),
        options_(options) {}

  OnnxImport run() {
    check_limits();
    lower_.model.network.inputs.clear();
    lower_.model.network.name = graph_.name();
    for (const TensorProto& tensor : graph_.initializer()) {
      values_[tensor.name()] = {decode(tensor, folder_), {}, {}};
      half_ = half_ || tensor.data_type() == TensorProto::FLOAT16;
    }
    read_inputs();
    for (const NodeProto& node : graph_.node()) import(node);
    write_outputs();
    for (const auto& entry : model_.metadata_props())
      if (entry.key() == onnx_metadata_key)
        read_metadata(entry.value(), values_, lower_.model.network);
    result_.model = in_int8(simplified(std::move(lower_.model), lower_.sources), lower_.sources);
    result_.sources = std::move(lower_.sources);
    check(result_.model.network);
    return std::move(result_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(fmt::format("{}: {}", source_, what));
  }

  void check_limits() {
    if (!model_.has_graph() || graph_.node_size() == 0) fail("not an ONNX model: it has no nodes");
    if (graph_.node_size() > most_nodes)
      fail(fmt::format("{} nodes, expected at most {}", graph_.node_size(), most_nodes));
    for (const auto& set : model_.opset_import())
      if (set.domain().empty() || set.domain() == "ai.onnx") opset_ = set.version();
    if (opset_ < oldest_opset)
      fail(fmt::format("opset {}, expected {} or later", opset_, oldest_opset));
  }

  /// Dimensions of an input or of a tensor that the model describes; nothing where some are open.
  /// An open number of images, where nothing else is open, is 1.
  static std::optional<Dims> static_dims(const ValueInfoProto& value) {
    if (!value.type().has_tensor_type() || !value.type().tensor_type().has_shape())
      return std::nullopt;
    Dims dims;
    constexpr int image_rank = 4;
    const auto& shape = value.type().tensor_type().shape();
    for (const auto& dim : shape.dim()) {
      const bool is_known = dim.has_dim_value() && dim.dim_value() > 0;
      if (!is_known && !(dims.empty() && shape.dim_size() == image_rank)) return std::nullopt;
      dims.push_back(is_known ? dim.dim_value() : 1);
    }
    return dims;
  }

  static std::string described(const ValueInfoProto& value) {
    std::vector<std::string> words;
    for (const auto& dim : value.type().tensor_type().shape().dim())
      words.push_back(dim.dim_value() > 0       ? fmt::to_string(dim.dim_value())
                      : dim.dim_param().empty() ? "?"
                                                : dim.dim_param());
    return fmt::format("{}", fmt::join(words, "x"));
  }

  void read_inputs() {
    check_given_shapes();
    for (const auto& [name, known] : options_.known_inputs)
      values_[name] = known_value(
          known.integer ? integral(known.dims, {known.values.begin(), known.values.end()})
                        : real(known.dims, known.values));
    for (const ValueInfoProto& input : graph_.input()) {
      if (values_.count(input.name()) != 0) continue;  // an initializer that may be replaced
      auto dims = static_dims(input);
      auto given = options_.input_shapes.find(input.name());
      if (given == options_.input_shapes.end() && result_.inputs.empty())
        given = options_.input_shapes.find("");
      if (given != options_.input_shapes.end()) {
        dims = given->second;
      }
      if (!dims)
        fail(fmt::format(
            "input \"{0}\" is {1}: give its dimensions as --input-shape {0}=1x3x224x224, "
            "or in Python as input_shapes={{\"{0}\": (1, 3, 224, 224)}}",
            input.name(), described(input)));
      if (dims->size() > most_rank)
        fail(fmt::format("input \"{}\": rank {}, expected at most {}", input.name(), dims->size(),
                         most_rank));
      add_input(input.name(), *dims);
    }
    // Shapes of tensors behind operators that are not understood.
    for (const auto& list : {graph_.value_info(), graph_.output()})
      for (const ValueInfoProto& value : list)
        if (auto dims = static_dims(value)) described_[value.name()] = *dims;
  }

  void check_given_shapes() const {
    std::vector<std::string> names;
    for (const ValueInfoProto& input : graph_.input())
      if (values_.count(input.name()) == 0) names.push_back(input.name());
    for (const auto& [name, dims] : options_.input_shapes)
      if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end())
        fail(fmt::format("a shape is given for input \"{}\", expected one of {}", name,
                         fmt::join(names, ", ")));
  }

  /// Whether an image is given with channels last, so that the model begins by turning it.
  bool turned_first(const std::string& name) const {
    const auto reader =
        std::find_if(graph_.node().begin(), graph_.node().end(), [&](const NodeProto& node) {
          return std::find(node.input().begin(), node.input().end(), name) != node.input().end();
        });
    return reader != graph_.node().end() && reader->op_type() == "Transpose" &&
           NodeAttributes(*reader).integers("perm") == Dims{0, 3, 1, 2};
  }

  /// An input of the network: images with channels last, all else as the model has it.
  Value add_input(const std::string& name, const Dims& dims) {
    count(dims);
    std::vector<int> order(dims.size());
    std::iota(order.begin(), order.end(), 0);
    if (dims.size() == 4 && !turned_first(name)) order = {0, 2, 3, 1};
    const Layout layout = stored(dims, order);
    Shape shape = Lowering::shape_of(layout.factors);
    if (dims.size() == 4 && dims[0] == 1)
      shape = {1, to_int(dims[static_cast<std::size_t>(order[1])]),
               to_int(dims[static_cast<std::size_t>(order[2])]),
               to_int(dims[static_cast<std::size_t>(order[3])])};
    Network& network = lower_.model.network;
    const Value value{nullptr, Edge(network_input, static_cast<int>(network.inputs.size())),
                      layout};
    network.inputs.push_back({shape});
    result_.inputs.push_back({name, dims, order});
    values_[name] = value;
    return value;
  }

  NodeContext context(const NodeProto& node) {
    NodeContext c{node, NodeAttributes(node), opset_, {}, 0, half_, lower_};
    for (const std::string& input : node.input()) {
      if (input.empty()) {
        c.inputs.push_back(nullptr);
        continue;
      }
      const auto found = values_.find(input);
      if (found == values_.end()) {
        if (missing_.count(input) != 0)
          throw Unsupported(fmt::format("it reads \"{}\", whose shape is not known", input));
        fail(fmt::format("node \"{}\" reads \"{}\", which no earlier node writes", name_of(node),
                         input));
      }
      c.inputs.push_back(&found->second);
    }
    while (!c.inputs.empty() && c.inputs.back() == nullptr) c.inputs.pop_back();
    for (const std::string& output : node.output())
      if (!output.empty()) ++c.outputs;
    return c;
  }

  static std::string name_of(const NodeProto& node) {
    if (!node.name().empty()) return node.name();
    return node.output_size() > 0 ? node.output(0) : node.op_type();
  }

  void import(const NodeProto& node) {
    lower_.begin_node(name_of(node), fmt::format("{} \"{}\"", node.op_type(), name_of(node)));
    try {
      store(node, results(context(node)));
    } catch (const Unsupported& e) {
      refuse(node, e.what());
    } catch (const std::invalid_argument& e) {
      refuse(node, e.what());
    }
  }

  std::vector<Value> results(const NodeContext& node) {
    const std::string& type = node.proto.op_type();
    const std::string& domain = node.proto.domain();
    const bool quantised = type == "QGemm" || type.rfind("QLinear", 0) == 0;
    const bool ours = domain == functions_domain && type == dynamic_product;
    if (!domain.empty() && domain != "ai.onnx" && !(domain == "com.microsoft" && quantised) &&
        !ours)
      throw Unsupported(fmt::format("of domain {}", domain));
    if (type == "Constant") return {known_value(constant(node))};
    if (type == "Shape") return {known_value(shape(node))};
    if (type == "Size") return {known_value(integral({}, {count(node.input(0).dims())}))};
    const bool all_known = std::all_of(node.inputs.begin(), node.inputs.end(),
                                       [](const Value* v) { return v == nullptr || v->known(); });
    if (all_known)
      if (auto constants = evaluate(node)) {
        std::vector<Value> values;
        for (Constant& c : *constants) values.push_back(known_value(std::move(c)));
        return values;
      }
    const Handler handler = find_handler(type);
    if (handler == nullptr) throw Unsupported("an operator that is not understood");
    for (const Value* value : node.inputs)
      if (value != nullptr && !value->known() && count(value->dims()) == 0)
        throw Unsupported("a tensor without elements");
    return on_reals(handler, node);
  }

  Constant constant(const NodeContext& node) const {
    if (const auto* tensor = node.attributes.tensor("value")) return decode(*tensor, folder_);
    if (node.attributes.has("value_float"))
      return real({}, {node.attributes.real("value_float", 0)});
    if (node.attributes.has("value_int"))
      return integral({}, {node.attributes.integer("value_int", 0)});
    if (auto values = node.attributes.reals("value_floats")) {
      const auto n = static_cast<std::int64_t>(values->size());
      return real({n}, std::move(*values));
    }
    if (auto values = node.attributes.integers("value_ints")) {
      const auto n = static_cast<std::int64_t>(values->size());
      return integral({n}, std::move(*values));
    }
    throw Unsupported("a value that is not a number");
  }

  static Constant shape(const NodeContext& node) {
    const Dims dims = node.input(0).dims();
    const auto rank = static_cast<std::int64_t>(dims.size());
    const auto within = [&](std::int64_t at) {
      return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank);
    };
    const std::int64_t begin = within(node.attributes.integer("start", 0));
    const std::int64_t end = std::max(begin, within(node.attributes.integer("end", rank)));
    return integral({end - begin}, Dims(dims.begin() + begin, dims.begin() + end));
  }

  void store(const NodeProto& node, std::vector<Value> results) {
    for (int i = 0; i < node.output_size(); ++i) {
      if (static_cast<std::size_t>(i) < results.size())
        values_[node.output(i)] = std::move(results[static_cast<std::size_t>(i)]);
      else
        missing_.insert(node.output(i));
    }
  }

  /// The network goes on from what the operator writes as from another input.
  void refuse(const NodeProto& node, const std::string& why) {
    Network& network = lower_.model.network;
    UnsupportedNode refused{name_of(node), node.op_type(), NodeAttributes(node).text(), why, 0, 0};
    for (const std::string& input : node.input()) {
      const auto found = values_.find(input);
      if (found == values_.end()) continue;
      const Value& value = found->second;
      refused.bytes += 4 * count(value.dims());
      if (!value.known() && value.edge.node != network_input) network.outputs.push_back(value.edge);
    }
    std::int64_t written = 0;
    for (const std::string& output : node.output()) {
      if (output.empty()) continue;
      const auto known = described_.find(output);
      if (known == described_.end() || known->second.size() > most_rank) {
        missing_.insert(output);
        continue;
      }
      written += count(known->second);
      add_input(output, known->second);
    }
    refused.bytes += 4 * written;
    refused.macs = least_macs(node, written);
    result_.unsupported.push_back(std::move(refused));
  }

  /// Of a convolution or product that is refused: one use of its weights an output.
  std::int64_t least_macs(const NodeProto& node, std::int64_t written) const {
    if (node.op_type() != "Conv" || node.input_size() < 2) return 0;
    const auto weights = values_.find(node.input(1));
    if (weights == values_.end() || weights->second.dims().empty()) return 0;
    const Dims dims = weights->second.dims();
    const std::int64_t outputs = std::max<std::int64_t>(1, dims[0]);
    return written * (count(dims) / outputs);
  }

  void write_outputs() {
    std::size_t place = 0;
    for (const ValueInfoProto& output : graph_.output()) {
      ++place;
      const auto found = values_.find(output.name());
      if (found == values_.end()) {
        if (missing_.count(output.name()) != 0) continue;
        fail(fmt::format("output \"{}\" is written by no node", output.name()));
      }
      if (found->second.known()) continue;  // takes no time
      Value value = found->second;
      lower_.begin_node(output.name() + "/output", "the order of an output's dimensions");
      if (tensor(lower_.model.network, value.edge).dtype == DType::qs8)
        value = dequantised(lower_, value, "real");
      // Each dimension in one piece, so that an order of dimensions tells how it lies.
      if (std::any_of(value.layout.dims.begin(), value.layout.dims.end(),
                      [](const auto& dim) { return dim.size() > 1; }))
        value = lower_.row_major(value);
      if (value.edge.node == network_input) {
        // Another view of an input: an output is a node.
        Op view;
        view.kind = OpKind::reshape;
        view.outputs[0].shape = lower_.shape(value.edge);
        value.edge = lower_.append(std::move(view), {value.edge});
      }
      std::vector<int> order;
      for (int f = -1; f < static_cast<int>(value.layout.factors.size()); ++f)
        for (std::size_t d = 0; d < value.layout.dims.size(); ++d)
          if (f < 0 ? value.layout.dims[d].empty() : value.layout.dims[d] == std::vector<int>{f})
            order.push_back(static_cast<int>(d));
      result_.outputs.push_back({output.name(), value.dims(), order, place - 1});
      outputs_.push_back(value.edge);
    }
    // The model's own first.
    std::vector<Edge>& outputs = lower_.model.network.outputs;
    outputs_.insert(outputs_.end(), outputs.begin(), outputs.end());
    outputs.clear();
    for (const Edge& edge : outputs_)
      if (std::find(outputs.begin(), outputs.end(), edge) == outputs.end() ||
          outputs.size() < result_.outputs.size())
        outputs.push_back(edge);
    if (outputs.empty()) fail("nothing of it can be run: " + reasons());
  }

  std::string reasons() const {
    std::vector<std::string> words;
    for (const UnsupportedNode& node : result_.unsupported) {
      if (words.size() == 5) break;
      words.push_back(fmt::format("{} \"{}\": {}", node.type, node.name, node.reason));
    }
    return words.empty() ? "its outputs are known or inputs"
                         : fmt::format("{}", fmt::join(words, "; "));
  }

  const ModelProto& model_;
  const proto::GraphProto& graph_;
  std::string source_;
  std::optional<std::filesystem::path> folder_;
  const OnnxOptions& options_;
  std::int64_t opset_ = 1;
  bool half_ = false;
  Lowering lower_;
  std::unordered_map<std::string, Value> values_;
  std::unordered_map<std::string, Dims> described_;
  std::set<std::string> missing_;  ///< written, but of no known shape
  std::vector<Edge> outputs_;
  OnnxImport result_{};
};

}  // namespace
}  // namespace onnx

std::set<std::string_view> onnx_operators() {
  std::set<std::string_view> types{"Constant", "Shape", "Size"};
  for (const auto& table : onnx::handlers())
    for (const onnx::HandlerRow& row : table) types.insert(row.type);
  return types;
}

OnnxImport import_onnx(std::string_view bytes, std::string_view source,
                       const OnnxOptions& options) {
  onnx::ModelProto model;
  if (bytes.size() >= onnx::most_bytes ||
      !model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    throw Error(fmt::format("{}: not an ONNX model", source));
  return onnx::Importer(model, std::string(source), std::nullopt, options).run();
}

OnnxImport import_onnx(const std::filesystem::path& path, const OnnxOptions& options) {
  const onnx::proto::ModelProto model = onnx::load_model(path);
  OnnxImport result = onnx::Importer(model, path.string(), path.parent_path() / ".", options).run();
  if (result.model.network.name.empty()) result.model.network.name = path.stem().string();
  return result;
}

}  // namespace cpubone
