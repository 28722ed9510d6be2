// What `import_onnx` accepts is a network that can be planned; all else is refused.
#include "graph/onnx/onnx.hpp"

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include "graph/error.hpp"
#include "runtime/xnnpack_traits.hpp"

using namespace cpubone;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const OnnxImport imported =
        import_onnx(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz");
    check(lowered(imported.model.network));
    for (const Node& node : imported.model.network.nodes)
      if (params(node.op) > 0) check(node, imported.model.parameters.at(node.name));
  } catch (const Error&) {
    // Refused.
  }
  return 0;
}
