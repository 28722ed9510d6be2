#include "graph/onnx/simplify.hpp"

#include "graph/onnx/editor.hpp"

namespace cpubone::onnx {

Model simplified(Model model, Sources& sources) {
  // Functions first, so that no constant of theirs becomes part of a layer; activations last, as
  // what a layer already applies hides it from the others. One pass makes room for another.
  constexpr bool (*passes[])(Editor&) = {
      recognise_functions,         recognise_attention, fold_affine,     recognise_norms,
      recognise_channel_operators, fold_padding,        fuse_activations};
  constexpr int most_rounds = 8;
  Editor editor(model, sources);
  editor.sweep();
  bool changed = true;
  for (int round = 0; changed && round < most_rounds; ++round) {
    changed = false;
    for (const auto pass : passes)
      if (pass(editor)) {
        editor.sweep();
        changed = true;
      }
  }
  return model;
}

}  // namespace cpubone::onnx
