#include "graph/onnx/in_int8.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "graph/quantise.hpp"
#include "graph/schema.hpp"
#include "graph/size.hpp"

namespace cpubone::onnx {
namespace {

/// Whether kernels bring numbers of one scale to another: they do so by a factor of fixed point.
bool scales_by(float from, float to, float least) {
  constexpr float most = 0x1p8F;
  const float factor = from / to;
  return factor >= least && factor < most;
}

/// Whether some engine computes that in int8.
bool has_kernel(const Op& op) {
  if (op.activation != Activation::none && op.activation != Activation::relu &&
      op.activation != Activation::relu6 && op.kind != OpKind::activation)
    return false;
  const Quantisation out = quantisation_of(op.outputs[0]);
  if (schema(op.kind).keeps_values) {
    const auto same = [&](const Tensor& tensor) { return quantisation_of(tensor) == out; };
    return std::all_of(op.inputs.begin(), op.inputs.end(), same) &&
           std::all_of(op.outputs.begin(), op.outputs.end(), same);
  }
  const float in = quantisation_of(op.inputs[0]).scale;
  switch (op.kind) {
    case OpKind::conv2d:
    case OpKind::linear:
    case OpKind::activation:
      return true;
    case OpKind::add:
    case OpKind::sub:
      return scales_by(in, out.scale, 0x1p-10F) &&
             scales_by(quantisation_of(op.inputs[1]).scale, out.scale, 0x1p-10F);
    case OpKind::mul:
      return scales_by(in * quantisation_of(op.inputs[1]).scale, out.scale, 0x1p-16F);
    case OpKind::global_avg_pool:
      return scales_by(in, out.scale, 0x1p-8F);
    default:
      return false;
  }
}

class Rewriter {
 public:
  Rewriter(const Model& model, Sources& sources)
      : from_(model), network_(model.network), sources_(sources), readers_(network_.nodes.size()) {
    for (std::size_t i = 0; i < network_.nodes.size(); ++i)
      for (const Edge& edge : network_.nodes[i].inputs)
        if (edge.node != network_input) readers_[z(edge.node)].emplace_back(edge.output, i);
    for (const auto* edges : {&network_.outputs, &network_.features})
      for (const Edge& edge : *edges)
        if (edge.node != network_input) readers_[z(edge.node)].emplace_back(edge.output, nobody);
    result_.network = network_;
    result_.network.nodes.clear();
    forms_.resize(network_.nodes.size());
    for (std::size_t i = 0; i < forms_.size(); ++i)
      forms_[i].resize(network_.nodes[i].op.outputs.size());
  }

  Model run() {
    for (std::size_t i = 0; i < network_.nodes.size(); ++i) add(i);
    for (Edge& edge : result_.network.outputs) edge = as_it_was(edge);
    for (Edge& edge : result_.network.features) edge = as_it_was(edge);
    return std::move(result_);
  }

 private:
  /// Reads it: an output.
  static constexpr std::size_t nobody = std::numeric_limits<std::size_t>::max();

  /// Where a tensor of the old network is in the new one.
  struct Forms {
    std::optional<Edge> int8;
    std::optional<Edge> real;
    std::size_t conversion = nobody;  ///< the old node that makes it real, if it is needed
  };

  Forms& forms(const Edge& edge) { return forms_[z(edge.node)][z(edge.output)]; }

  std::optional<Edge> in_int8(const Edge& edge) {
    return edge.node == network_input ? std::nullopt : forms(edge).int8;
  }

  Edge in_real(const Edge& edge) {
    if (edge.node == network_input) return edge;
    Forms& f = forms(edge);
    if (!f.real) f.real = append(network_.nodes[f.conversion], {*f.int8});
    return *f.real;
  }

  Edge as_it_was(const Edge& edge) {
    const bool bytes = edge.node != network_input && tensor(network_, edge).dtype == DType::qs8;
    return bytes ? *in_int8(edge) : in_real(edge);
  }

  Edge append(Node node, std::vector<Edge> inputs) {
    node.inputs = std::move(inputs);
    const auto parameters = from_.parameters.find(node.name);
    if (parameters != from_.parameters.end()) result_.parameters.insert(*parameters);
    result_.network.nodes.push_back(std::move(node));
    return static_cast<int>(result_.network.nodes.size()) - 1;
  }

  /// The only node that reads a tensor, which quantises it.
  std::optional<std::size_t> quantiser(std::size_t node, std::size_t output) const {
    std::optional<std::size_t> found;
    for (const auto& [of, reader] : readers_[node]) {
      if (z(of) != output) continue;
      if (found || reader == nobody || network_.nodes[reader].op.kind != OpKind::quantise)
        return std::nullopt;
      found = reader;
    }
    return found;
  }

  void add(std::size_t i) {
    const Node& node = network_.nodes[i];
    const Edge self(static_cast<int>(i));
    if (node.op.kind == OpKind::dequantise && in_int8(node.inputs[0])) {
      forms(self).int8 = in_int8(node.inputs[0]);
      forms(self).conversion = i;
      return;
    }
    if (node.op.kind == OpKind::quantise && forms(self).int8) return;  // done by what it quantises
    if (added_in_int8(i)) return;
    std::vector<Edge> inputs;
    for (const Edge& edge : node.inputs) inputs.push_back(as_it_was(edge));
    const Edge edge = append(node, std::move(inputs));
    for (std::size_t k = 0; k < node.op.outputs.size(); ++k) {
      Forms& f = forms_[i][k];
      const bool bytes = node.op.outputs[k].dtype == DType::qs8;
      (bytes ? f.int8 : f.real) = Edge(edge.node, static_cast<int>(k));
    }
  }

  bool added_in_int8(std::size_t i) {
    Node node = network_.nodes[i];
    if (node.op.dynamic) return false;  // reads and writes floats
    std::vector<Edge> inputs;
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      const auto edge = in_int8(node.inputs[k]);
      if (!edge || node.op.inputs[k].dtype == DType::qs8) return false;
      inputs.push_back(*edge);
      node.op.inputs[k].dtype = DType::qs8;
      node.op.inputs[k].quantisation = tensor(result_.network, *edge).quantisation;
    }
    if (inputs.empty()) return false;
    // Another view of the bytes is one of the numbers, too.
    const bool views = node.op.kind == OpKind::reshape && !quantiser(i, 0);
    std::vector<std::size_t> quantisers;
    for (std::size_t k = 0; k < node.op.outputs.size(); ++k) {
      node.op.outputs[k].dtype = DType::qs8;
      node.op.outputs[k].quantisation = node.op.inputs[0].quantisation;
      if (views) continue;
      const auto reader = quantiser(i, k);
      if (!reader) return false;
      quantisers.push_back(*reader);
      node.op.outputs[k].quantisation = network_.nodes[*reader].op.outputs[0].quantisation;
    }
    if (views && !read_in_int8(i)) return false;
    if (!has_kernel(node.op)) return false;
    take_over(node, i, quantisers);
    const Edge edge = append(node, std::move(inputs));
    for (std::size_t k = 0; k < node.op.outputs.size(); ++k) {
      const Edge output(edge.node, static_cast<int>(k));
      forms_[i][k].int8 = output;
      if (!views) forms(Edge(static_cast<int>(quantisers[k]))).int8 = output;
    }
    return true;
  }

  /// Whether all that reads a view may do so in int8.
  bool read_in_int8(std::size_t i) const {
    return std::all_of(readers_[i].begin(), readers_[i].end(), [&](const auto& reader) {
      if (reader.second == nobody) return false;
      const Op& op = network_.nodes[reader.second].op;
      return op.kind == OpKind::conv2d || op.kind == OpKind::linear;
    });
  }

  /// The operator has the name of the first tensor that it gives, and does the work of all nodes.
  void take_over(Node& node, std::size_t i, const std::vector<std::size_t>& quantisers) {
    const std::string old = node.name;
    std::vector<std::string> all;
    const auto move = [&](const std::string& name) {
      if (const auto found = sources_.find(name); found != sources_.end()) {
        all.insert(all.end(), found->second.begin(), found->second.end());
        sources_.erase(found);
      }
    };
    for (const Edge& edge : network_.nodes[i].inputs)
      if (network_.nodes[z(edge.node)].op.kind == OpKind::dequantise)
        move(network_.nodes[z(edge.node)].name);
    move(old);
    for (const std::size_t q : quantisers) move(network_.nodes[q].name);
    if (!quantisers.empty()) {
      node.name = network_.nodes[quantisers[0]].name;
      node.stage = network_.nodes[quantisers[0]].stage;
    }
    if (const auto found = from_.parameters.find(old); found != from_.parameters.end())
      result_.parameters[node.name] = found->second;
    sources_[node.name] = std::move(all);
  }

  const Model& from_;
  const Network& network_;
  Sources& sources_;
  std::vector<std::vector<std::pair<int, std::size_t>>> readers_;  ///< of each node: output, reader
  std::vector<std::vector<Forms>> forms_;
  Model result_;
};

}  // namespace

Model in_int8(const Model& model, Sources& sources) {
  return is_quantised(model.network) ? Rewriter(model, sources).run() : model;
}

}  // namespace cpubone::onnx
