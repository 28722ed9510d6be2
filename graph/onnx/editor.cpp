#include "graph/onnx/editor.hpp"

#include <algorithm>
#include <optional>

namespace cpubone::onnx {

Editor::Editor(Model& model, Sources& sources) : model_(model), sources_(sources) {
  count_readers();
}

void Editor::count_readers() {
  readers_.clear();
  const auto note = [&](const Edge& edge) { ++readers_[{edge.node, edge.output}]; };
  for (const Node& node : model_.network.nodes)
    for (const Edge& edge : node.inputs) note(edge);
  for (const auto* edges : {&model_.network.outputs, &model_.network.features})
    for (const Edge& edge : *edges) {
      note(edge);
      note(edge);  // never private
    }
}

Node* Editor::producer(const Edge& edge, OpKind kind) {
  if (edge.node == network_input || node(edge.node).op.kind != kind) return nullptr;
  return &node(edge.node);
}

Edge Editor::without_views(Edge edge) {
  while (const Node* view = producer(edge, OpKind::reshape)) edge = view->inputs[0];
  return edge;
}

bool Editor::is_private(const Edge& edge) const {
  const auto found = readers_.find({edge.node, edge.output});
  return edge.node != network_input && found != readers_.end() && found->second == 1;
}

std::optional<float> Editor::scalar(const Edge& edge) {
  const Node* known = producer(edge, OpKind::constant);
  if (known == nullptr || elements(known->op.output()) != 1) return std::nullopt;
  return parameters(edge.node).weight[0];
}

const std::vector<float>* Editor::by_channel(const Edge& edge, int channels) {
  const Node* known = producer(edge, OpKind::constant);
  if (known == nullptr || elements(known->op.output()) != channels ||
      known->op.output().c != channels)
    return nullptr;
  return &parameters(edge.node).weight;
}

std::vector<int> Editor::between(int last, const std::vector<Edge>& inputs) const {
  constexpr std::size_t most = 64;  // of no pattern that a pass knows
  std::vector<int> found{last};
  for (std::size_t k = 0; k < found.size() && found.size() < most; ++k)
    for (const Edge& edge : model_.network.nodes[static_cast<std::size_t>(found[k])].inputs)
      if (edge.node != network_input &&
          std::find(inputs.begin(), inputs.end(), edge) == inputs.end() &&
          std::find(found.begin(), found.end(), edge.node) == found.end())
        found.push_back(edge.node);
  found.erase(found.begin());
  std::sort(found.begin(), found.end());
  return found;
}

void Editor::become(int i, Op op, std::vector<Edge> inputs, Parameters values) {
  replacements_.push_back({i, between(i, inputs)});
  Node& changed = node(i);
  for (const Edge& edge : changed.inputs) --readers_[{edge.node, edge.output}];
  op.inputs.clear();
  for (const Edge& edge : inputs) {
    op.inputs.push_back(tensor(network(), edge));
    ++readers_[{edge.node, edge.output}];
  }
  op.outputs = changed.op.outputs;
  check(op);
  changed.op = std::move(op);
  changed.inputs = std::move(inputs);
  model_.parameters.erase(changed.name);
  if (params(changed.op) > 0) model_.parameters[changed.name] = std::move(values);
}

void Editor::rewrite(int i, Op op, std::vector<Edge> inputs) {
  op.inputs.clear();
  for (const Edge& edge : inputs) op.inputs.push_back(tensor(network(), edge));
  check(op);
  node(i).op = std::move(op);
  node(i).inputs = std::move(inputs);
}

void Editor::view(int i, const Edge& edge, const Shape& shape) {
  Op op;
  op.kind = OpKind::reshape;
  op.outputs = {tensor(network(), edge)};
  op.outputs[0].shape = shape;
  rewrite(i, std::move(op), {edge});
}

void Editor::rename(int i, const std::string& name) {
  const std::string old = node(i).name;
  for (const Node& other : network().nodes)
    if (other.name == name) return;
  node(i).name = name;
  if (auto values = model_.parameters.extract(old)) {
    values.key() = name;
    model_.parameters.insert(std::move(values));
  }
  if (auto of_node = sources_.extract(old)) {
    of_node.key() = name;
    sources_.insert(std::move(of_node));
  }
}

bool Editor::leads_only_through(const Edge& edge, int through) const {
  const Network& net = model_.network;
  std::vector<bool> reached(net.nodes.size(), false);
  for (std::size_t i = 0; i < net.nodes.size(); ++i)
    for (const Edge& input : net.nodes[i].inputs)
      if (static_cast<int>(i) != through &&
          (input == edge ||
           (input.node != network_input && reached[static_cast<std::size_t>(input.node)])))
        reached[i] = true;
  for (const auto* edges : {&net.outputs, &net.features})
    for (const Edge& output : *edges)
      if (output == edge || reached[static_cast<std::size_t>(output.node)]) return false;
  return true;
}

void Editor::move_sources(const std::vector<bool>& needed) {
  for (const Replacement& replacement : replacements_) {
    std::vector<std::string> all;
    for (const int i : replacement.pattern) {
      if (needed[static_cast<std::size_t>(i)]) continue;
      if (const auto found = sources_.find(node(i).name); found != sources_.end()) {
        all.insert(all.end(), found->second.begin(), found->second.end());
        sources_.erase(found);
      }
    }
    std::vector<std::string>& own = sources_[node(replacement.by).name];
    own.insert(own.begin(), all.begin(), all.end());
  }
  replacements_.clear();
}

void Editor::sweep() {
  Network& net = network();
  std::vector<bool> needed(net.nodes.size(), false);
  for (const auto* edges : {&net.outputs, &net.features})
    for (const Edge& edge : *edges) needed[static_cast<std::size_t>(edge.node)] = true;
  for (std::size_t i = net.nodes.size(); i-- > 0;)
    if (needed[i])
      for (const Edge& edge : net.nodes[i].inputs)
        if (edge.node != network_input) needed[static_cast<std::size_t>(edge.node)] = true;
  move_sources(needed);
  std::vector<int> moved(net.nodes.size(), network_input);
  std::vector<Node> kept;
  const auto move = [&](std::vector<Edge>& edges) {
    for (Edge& edge : edges)
      if (edge.node != network_input) edge.node = moved[static_cast<std::size_t>(edge.node)];
  };
  for (std::size_t i = 0; i < net.nodes.size(); ++i) {
    if (!needed[i]) {
      model_.parameters.erase(net.nodes[i].name);
      sources_.erase(net.nodes[i].name);
      continue;
    }
    moved[i] = static_cast<int>(kept.size());
    kept.push_back(std::move(net.nodes[i]));
    move(kept.back().inputs);
  }
  net.nodes = std::move(kept);
  move(net.outputs);
  move(net.features);
  count_readers();
}

}  // namespace cpubone::onnx
