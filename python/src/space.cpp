#include <pybind11/operators.h>

#include <algorithm>
#include <array>
#include <functional>

#include "graph/network.hpp"
#include "graph/op.hpp"
#include "graph/passes.hpp"
#include "python/src/bindings.hpp"
#include "python/src/weights.hpp"
#include "records/profile.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "space/cpubone.hpp"
#include "space/cpubone_space.hpp"
#include "space/named_network.hpp"
#include "space/published.hpp"
#include "space/random_network.hpp"
#include "space/zoo.hpp"

namespace cpubone::python {
namespace {

using namespace py::literals;

py::tuple to_tuple(const Shape& shape) {
  return py::make_tuple(shape.n, shape.h, shape.w, shape.c);
}

py::tuple to_tuple(const Padding& padding) {
  return py::make_tuple(padding.top, padding.bottom, padding.left, padding.right);
}

/// The index of the node, where it has several outputs with that of the output.
py::list to_list(const std::vector<Edge>& edges) {
  py::list list;
  for (const Edge& edge : edges)
    if (edge.output == 0)
      list.append(edge.node);
    else
      list.append(py::make_tuple(edge.node, edge.output));
  return list;
}

std::vector<Edge> to_edges(const py::handle& list) {
  std::vector<Edge> edges;
  for (const py::handle edge : list)
    if (py::isinstance<py::tuple>(edge)) {
      const auto [node, output] = edge.cast<std::pair<int, int>>();
      edges.emplace_back(node, output);
    } else {
      edges.emplace_back(edge.cast<int>());
    }
  return edges;
}

void register_ops(py::module_& m) {
  py::class_<Op>(
      m, "Op",
      "An operator: the value of its canonical text, e.g. `conv2d 1x56x56x32->1x28x28x128 "
      "k3x3 s2 p1,1,1,1 g2 act=hardswish f32` (shapes NHWC; padding top, bottom, left, "
      "right). Raises ValueError naming the token that is wrong.")
      .def(py::init([](const std::string& text) { return parse_op(text); }), "text"_a)
      .def_property_readonly("kind", [](const Op& op) { return name(op.kind); })
      .def_property_readonly("inputs",
                             [](const Op& op) {
                               py::list shapes;
                               for (const Tensor& input : op.inputs)
                                 shapes.append(to_tuple(input.shape));
                               return py::tuple(shapes);
                             })
      .def_property_readonly("output", [](const Op& op) { return to_tuple(op.output()); })
      .def_property_readonly("kernel",
                             [](const Op& op) { return py::make_tuple(op.kernel_h, op.kernel_w); })
      .def_property_readonly("stride",
                             [](const Op& op) { return py::make_tuple(op.stride_h, op.stride_w); })
      .def_property_readonly(
          "dilation", [](const Op& op) { return py::make_tuple(op.dilation_h, op.dilation_w); })
      .def_property_readonly("padding", [](const Op& op) { return to_tuple(op.padding); })
      .def_readonly("groups", &Op::groups)
      .def_readonly("heads", &Op::heads)
      .def_readonly("windows", &Op::windows)
      .def_readonly("begin", &Op::begin)
      .def_readonly("conv_channels", &Op::conv_channels)
      .def_readonly("dynamic", &Op::dynamic)
      .def_readonly("bias", &Op::bias)
      .def_property_readonly("activation", [](const Op& op) { return name(op.activation); })
      .def_property_readonly("dtype", [](const Op& op) { return name(op.dtype()); })
      .def_property_readonly("macs", [](const Op& op) { return macs(op); })
      .def_property_readonly("params", [](const Op& op) { return params(op); })
      .def_property_readonly("weight_bytes", [](const Op& op) { return weight_bytes(op); })
      .def_property_readonly("input_bytes", [](const Op& op) { return input_bytes(op); })
      .def_property_readonly("output_bytes", [](const Op& op) { return output_bytes(op); })
      .def(py::self == py::self)
      .def("__hash__", [](const Op& op) { return std::hash<std::string>()(text(op)); })
      .def("__str__", [](const Op& op) { return text(op); })
      .def("__repr__", [](const Op& op) { return "cpubone.Op('" + text(op) + "')"; })
      .def(py::pickle(
          [](const Op& op) { return py::make_tuple(text(op)); },
          [](const py::tuple& state) { return parse_op(state[0].cast<std::string>()); }));

  py::class_<Node>(m, "Node",
                   "An operator in a network; `inputs` are indices of earlier nodes, -1 the "
                   "network's input; (index, output) where it is not a node's first output.")
      .def_readonly("name", &Node::name)
      .def_readonly("stage", &Node::stage)
      .def_readonly("op", &Node::op)
      .def_property_readonly("inputs", [](const Node& node) { return to_list(node.inputs); })
      .def(py::pickle(
          [](const Node& node) {
            return py::make_tuple(node.name, node.stage, text(node.op), to_list(node.inputs));
          },
          [](const py::tuple& state) {
            return Node{state[0].cast<std::string>(), state[1].cast<std::string>(),
                        parse_op(state[2].cast<std::string>()), to_edges(state[3])};
          }))
      .def("__repr__",
           [](const Node& node) { return "<" + node.name + ": " + text(node.op) + ">"; });
}

void register_networks(py::module_& m) {
  py::class_<Network>(m, "Network")
      .def_static(
          "from_json",
          [](const std::string& text, const std::string& source) {
            return network_from_json(parse_json(text, source));
          },
          "text"_a, "source"_a)
      .def_static("load", &load_network, "path"_a)
      .def(
          "save",
          [](const Network& n, const std::filesystem::path& path) { save_network(n, path); },
          "path"_a)
      .def("json", &json_text<Network>)
      .def_readonly("name", &Network::name)
      .def_readonly("family", &Network::family)
      .def_property_readonly("input",
                             [](const Network& n) { return to_tuple(n.inputs.at(0).shape); })
      .def_readonly("nodes", &Network::nodes)
      .def_property_readonly("outputs", [](const Network& n) { return to_list(n.outputs); })
      .def_property_readonly("macs", [](const Network& n) { return macs(n); })
      .def_property_readonly("params", [](const Network& n) { return params(n); })
      .def_property_readonly("weight_bytes", [](const Network& n) { return weight_bytes(n); })
      .def_property_readonly("peak_activation_bytes",
                             [](const Network& n) { return peak_activation_bytes(n); })
      .def("executed", py::overload_cast<const Network&>(&lowered))
      .def("features", &feature_network)
      .def("at_resolution", &with_resolution, "height"_a, "width"_a)
      .def(
          "with_dtype",
          [](const Network& n, const std::string& dtype) {
            return with_dtype(n, parse_dtype(dtype));
          },
          "dtype"_a)
      .def(py::self == py::self);

  m.def("zoo", [] {
    py::list rows;
    for (const ZooEntry& entry : zoo())
      rows.append(py::make_tuple(entry.name, entry.family, entry.source));
    return rows;
  });
  m.def(
      "zoo_name", [](const std::string& text) { return zoo_name(text); }, "name"_a);
  m.def(
      "named_network",
      [](const std::string& text, std::map<std::string, std::vector<std::int64_t>> input_shapes) {
        const NamedNetwork named = [&] {
          const py::gil_scoped_release release;
          return named_network(text, {std::move(input_shapes), {}});
        }();
        py::object weights = py::none();
        if (!named.parameters.empty())
          weights = to_weights(named.network,
                               [&](const Node& node) { return named.parameters.at(node.name); });
        std::vector<std::string> unsupported;
        for (const UnsupportedNode& node : named.unsupported)
          unsupported.push_back(cpubone::text(node));
        return py::make_tuple(named.network, weights, unsupported);
      },
      "name_or_file"_a, "input_shapes"_a);
  m.def("random_network", &random_network, "seed"_a);
  m.def("calibration_networks", &calibration_networks);
  m.def(
      "published_accuracy",
      [](const std::string& text) -> py::object {
        const auto row = published_accuracy(text);
        if (!row) return py::none();
        return py::dict("top1"_a = row->top1, "params_m"_a = row->params_m,
                        "macs_m"_a = row->macs_m, "resolution"_a = row->resolution,
                        "source"_a = row->source, "note"_a = row->note,
                        "exclusion_reason"_a = row->exclusion_reason);
      },
      "name"_a);
  m.def(
      "published_latencies",
      [](const std::string& text) {
        py::list rows;
        for (const PublishedLatencyRow& row : published_latencies(text))
          rows.append(py::dict("device"_a = row.device, "runtime"_a = row.runtime,
                               "threads"_a = row.threads, "precision"_a = row.precision,
                               "latency_ms"_a = row.latency_ms, "resolution"_a = row.resolution,
                               "source"_a = row.source, "note"_a = row.note,
                               "exclusion_reason"_a = row.exclusion_reason));
        return rows;
      },
      "name"_a);
}

void register_configs(py::module_& m) {
  py::class_<CpuboneStage>(m, "Stage")
      .def(py::init<>())
      .def_readwrite("width", &CpuboneStage::width)
      .def_readwrite("blocks", &CpuboneStage::blocks)
      .def_readwrite("groups", &CpuboneStage::groups)
      .def_readwrite("down_expansion", &CpuboneStage::down_expansion)
      .def_readwrite("down_kernel", &CpuboneStage::down_kernel)
      .def_readwrite("down_fused", &CpuboneStage::down_fused)
      .def_readwrite("expansion", &CpuboneStage::expansion)
      .def_readwrite("kernel", &CpuboneStage::kernel)
      .def_readwrite("fused", &CpuboneStage::fused)
      .def_readwrite("attention", &CpuboneStage::attention)
      .def_readwrite("attention_kernel", &CpuboneStage::attention_kernel)
      .def_readwrite("attention_stride", &CpuboneStage::attention_stride);
  py::class_<CpuboneConfig>(m, "Config")
      .def(py::init<>())
      .def_readwrite("name", &CpuboneConfig::name)
      .def_readwrite("family", &CpuboneConfig::family)
      .def_readwrite("resolution", &CpuboneConfig::resolution)
      .def_readwrite("stages", &CpuboneConfig::stages)
      .def_readwrite("mlp_expansion", &CpuboneConfig::mlp_expansion)
      .def_property(
          "upsampling", [](const CpuboneConfig& c) { return name(c.upsampling); },
          [](CpuboneConfig& c, const std::string& text) { c.upsampling = parse_upsampling(text); })
      .def_property(
          "activation", [](const CpuboneConfig& c) { return name(c.activation); },
          [](CpuboneConfig& c, const std::string& text) { c.activation = parse_activation(text); })
      .def_property(
          "mlp_activation", [](const CpuboneConfig& c) { return name(c.mlp_activation); },
          [](CpuboneConfig& c, const std::string& text) {
            c.mlp_activation = parse_activation(text);
          })
      .def_readwrite("head_channels", &CpuboneConfig::head_channels)
      .def_readwrite("head_features", &CpuboneConfig::head_features)
      .def_readwrite("classes", &CpuboneConfig::classes)
      .def(
          "fused_below",
          [](CpuboneConfig config, int channels, int down_channels) {
            fuse_below(config, channels, down_channels);
            return config;
          },
          "channels"_a, "down_channels"_a)
      .def("build", [](const CpuboneConfig& config) { return build(config); })
      .def("describe", [](const CpuboneConfig& config) { return describe(config); });
  m.def(
      "cpubone_config", [](const std::string& text) { return cpubone_config(text); }, "name"_a);
  m.def("cpubone_names", [] {
    std::vector<std::string> names;
    for (const CpuboneConfig& config : cpubone_family()) names.push_back(config.name);
    return names;
  });
}

std::vector<int> to_list(const Genome& genome) {
  return {genome.begin(), genome.end()};
}

/// Checks the number of genes and their range.
Genome to_genome(const SearchSpace& space, const std::vector<int>& genes) {
  if (genes.size() != space.genes.size())
    throw std::invalid_argument("genome: got " + std::to_string(genes.size()) +
                                " genes, expected " + std::to_string(space.genes.size()));
  Genome genome;
  for (std::size_t i = 0; i < genes.size(); ++i) {
    const auto count = static_cast<int>(space.genes[i].choices.size());
    if (genes[i] < 0 || genes[i] >= count)
      throw std::invalid_argument("genome: gene \"" + space.genes[i].name + "\" is " +
                                  std::to_string(genes[i]) + ", expected 0 to " +
                                  std::to_string(count - 1));
    genome.push_back(static_cast<std::uint8_t>(genes[i]));
  }
  return genome;
}

void register_search_spaces(py::module_& m) {
  m.def("search_space_names", &search_space_names);
  py::class_<SearchSpace>(m, "SearchSpace")
      .def_static("default", &default_search_space)
      .def_static("named", &named_search_space, "name_or_file"_a)
      .def_static(
          "from_json",
          [](const std::string& text, const std::string& source) {
            return from_text(text, source, read_search_space);
          },
          "text"_a, "source"_a)
      .def_static("load", &load_search_space, "path"_a)
      .def(
          "save",
          [](const SearchSpace& s, const std::filesystem::path& path) {
            save_search_space(s, path);
          },
          "path"_a)
      .def("json", &json_text<SearchSpace>)
      .def_readonly("name", &SearchSpace::name)
      .def_property_readonly("skeleton",
                             [](const SearchSpace& s) { return std::string(s.skeleton->name); })
      .def_property_readonly("size", [](const SearchSpace& s) { return size(s); })
      .def("genes",
           [](const SearchSpace& s) {
             std::vector<std::pair<std::string, std::vector<std::string>>> genes;
             for (const Gene& gene : s.genes) {
               genes.emplace_back(gene.name, std::vector<std::string>{});
               for (const Choice& choice : gene.choices)
                 genes.back().second.push_back(text(gene, choice));
             }
             return genes;
           })
      .def(
          "build",
          [](const SearchSpace& s, const std::vector<int>& genome) {
            return build(s, to_genome(s, genome));
          },
          "genome"_a)
      .def(
          "describe",
          [](const SearchSpace& s, const std::vector<int>& genome) {
            return describe(s, to_genome(s, genome));
          },
          "genome"_a)
      .def(
          "sample",
          [](const SearchSpace& s, int count, std::uint64_t seed) {
            Rng rng(seed);
            std::vector<std::vector<int>> genomes;
            for (int i = 0; i < count; ++i) genomes.push_back(to_list(sample(s, rng)));
            return genomes;
          },
          "count"_a, "seed"_a)
      .def(
          "mutate",
          [](const SearchSpace& s, const std::vector<int>& genome, double rate,
             std::uint64_t seed) {
            if (!(rate > 0 && rate <= 1))
              throw std::invalid_argument("rate: got " + std::to_string(rate) +
                                          ", expected above 0 and at most 1");
            Rng rng(seed);
            return to_list(mutate(s, to_genome(s, genome), rate, rng));
          },
          "genome"_a, "rate"_a, "seed"_a)
      .def(
          "crossover",
          [](const SearchSpace& s, const std::vector<int>& a, const std::vector<int>& b,
             std::uint64_t seed) {
            Rng rng(seed);
            return to_list(crossover(s, to_genome(s, a), to_genome(s, b), rng));
          },
          "a"_a, "b"_a, "seed"_a)
      .def(
          "encode",
          [](const SearchSpace& s, const CpuboneConfig& config) {
            return to_list(encode(s, config));
          },
          "config"_a)
      .def(
          "decode",
          [](const SearchSpace& s, const std::vector<int>& genome) {
            return decode(s, to_genome(s, genome));
          },
          "genome"_a)
      .def("contains", &contains, "config"_a)
      .def(py::self == py::self);
}

void register_profiles(py::module_& m) {
  py::class_<Profile>(m, "Profile")
      .def_static(
          "from_json",
          [](const std::string& text, const std::string& source) {
            return from_text(text, source, profile_from_json);
          },
          "text"_a, "source"_a)
      .def_static("load", &load_profile, "path"_a)
      .def(
          "save",
          [](const Profile& p, const std::filesystem::path& path) { save_profile(p, path); },
          "path"_a)
      .def("json", &json_text<Profile>)
      .def_property_readonly("fingerprint",
                             [](const Profile& p) { return fingerprint(p.device, p.settings); })
      .def(
          "merged",
          [](Profile p, const Profile& other) {
            merge(p, other);
            return p;
          },
          "other"_a)
      .def_readonly("seconds", &Profile::seconds)
      .def(py::self == py::self);
}

}  // namespace

void register_space(py::module_& m) {
  register_ops(m);
  register_networks(m);
  register_configs(m);
  register_search_spaces(m);
  register_profiles(m);
}

}  // namespace cpubone::python
