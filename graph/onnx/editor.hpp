#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "graph/onnx/simplify.hpp"

namespace cpubone::onnx {

/// Rewrites a model in place: a pass makes the last node of a pattern what the whole computes, and
/// what nobody reads any more is removed at the end.
class Editor {
 public:
  Editor(Model& model, Sources& sources);

  Network& network() { return model_.network; }
  std::size_t size() const { return model_.network.nodes.size(); }
  Node& node(int i) { return model_.network.nodes[static_cast<std::size_t>(i)]; }
  Parameters& parameters(int i) { return model_.parameters[node(i).name]; }
  bool has_parameters(int i) { return model_.parameters.count(node(i).name) != 0; }

  /// The node that writes an edge, if it is of that kind; else null.
  Node* producer(const Edge& edge, OpKind kind);
  /// The same elements in the shape in which they were computed.
  Edge without_views(Edge edge);
  /// Only one node reads it, and it is no output or feature.
  bool is_private(const Edge& edge) const;
  /// Whether all that is computed from it goes through node `through`.
  bool leads_only_through(const Edge& edge, int through) const;
  /// The value of a constant of one element.
  std::optional<float> scalar(const Edge& edge);
  /// Values of a constant that has one for each of `channels`, repeated along all else.
  const std::vector<float>* by_channel(const Edge& edge, int channels);

  /// Node `i` becomes another operator of other inputs, with those parameters.
  void become(int i, Op op, std::vector<Edge> inputs, Parameters parameters = {});
  /// Node `i`, which nobody needs any more, becomes another operator, with its own outputs; its
  /// parameters stay.
  void rewrite(int i, Op op, std::vector<Edge> inputs);
  /// Node `i`, which nobody needs any more, becomes a view of a tensor.
  void view(int i, const Edge& edge, const Shape& shape);
  /// Unless another node has that name.
  void rename(int i, const std::string& name);
  /// Node `by` does from now on what others did, whose work is to be known as its.
  void absorb(int by, std::vector<int> others) { replacements_.push_back({by, std::move(others)}); }
  /// Nodes on the way from those inputs to a node.
  std::vector<int> between(int last, const std::vector<Edge>& inputs) const;
  /// Removes what no output depends on; what it did is done by the nodes that replaced it.
  void sweep();

 private:
  struct Replacement {
    int by = 0;
    std::vector<int> pattern;  ///< nodes that it may replace
  };

  void count_readers();
  void move_sources(const std::vector<bool>& needed);
  Model& model_;
  Sources& sources_;
  std::map<std::pair<int, int>, int> readers_;
  std::vector<Replacement> replacements_;  ///< since the last sweep
};

// Passes, one a file. Each says whether it changed something.
bool recognise_functions(Editor& editor);
bool recognise_norms(Editor& editor);
bool recognise_channel_operators(Editor& editor);
bool recognise_attention(Editor& editor);
bool fold_affine(Editor& editor);
bool fold_padding(Editor& editor);
bool fuse_activations(Editor& editor);

}  // namespace cpubone::onnx
