#include "space/named_network.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "space/zoo.hpp"

namespace cpubone {

NamedNetwork named_network(const std::string& name_or_file, const OnnxOptions& options) {
  const std::filesystem::path path = name_or_file;
  if (path.extension() == ".onnx") {
    OnnxImport imported = import_onnx(path, options);
    // Exporters call every graph alike; a file's name is its user's.
    imported.model.network.name = path.stem().string();
    return {std::move(imported.model.network), std::move(imported.model.parameters),
            std::move(imported.unsupported), std::move(imported.sources)};
  }
  if (!options.input_shapes.empty())
    throw std::invalid_argument(
        fmt::format("{}: --input-shape is for ONNX models; expected a .onnx file, or --resolution",
                    name_or_file));
  if (path.extension() == ".json" || std::filesystem::is_regular_file(path))
    return {load_network(path), {}, {}, {}};
  return {find_network(name_or_file), {}, {}, {}};
}

std::string text(const UnsupportedNode& node) {
  std::string line = fmt::format("{} \"{}\"", node.type, node.name);
  if (!node.attributes.empty()) line += fmt::format(" ({})", node.attributes);
  line += fmt::format(" is left out: {}; it moves at least {:.3g} MB", node.reason,
                      static_cast<double>(node.bytes) * 1e-6);
  if (node.macs > 0)
    line += fmt::format(" and takes at least {:.3g} M MACs", static_cast<double>(node.macs) * 1e-6);
  return line;
}

}  // namespace cpubone
