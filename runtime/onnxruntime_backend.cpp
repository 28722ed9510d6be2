#include "runtime/onnxruntime_backend.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <stdexcept>

#include "graph/onnx/onnx.hpp"
#include "runtime/onnxruntime_api.hpp"
#include "runtime/thread_pool.hpp"

namespace cpubone {
namespace {

namespace ort = onnxruntime;

/// A tensor that the caller holds, by its name in the model.
struct Binding {
  std::string name;
  Tensor tensor;
  std::size_t external = 0;  ///< its place among the part's
};

/// A part as a network, and what the caller holds of it.
struct PartNetwork {
  Network network;
  std::vector<Binding> inputs;
  std::vector<Binding> outputs;
};

PartNetwork network_of(const Part& part) {
  PartNetwork result;
  Network& network = result.network;
  network.name = "part";
  network.inputs.clear();
  std::map<int, Edge> edges;  // by tensor
  const auto place = [&](int tensor) {
    return static_cast<std::size_t>(std::find(part.external.begin(), part.external.end(), tensor) -
                                    part.external.begin());
  };
  for (const PartOp& op : part.ops) {
    Node node{fmt::format("op{}", network.nodes.size()), "", op.op, {}};
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
      const int index = static_cast<int>(network.inputs.size());
      const auto [edge, is_new] = edges.try_emplace(op.inputs[i], network_input, index);
      if (is_new) {  // named as to_onnx does
        result.inputs.push_back({index == 0 ? "input" : fmt::format("input:{}", index),
                                 op.op.inputs[i], place(op.inputs[i])});
        network.inputs.push_back(op.op.inputs[i]);
      }
      node.inputs.push_back(edge->second);
    }
    for (std::size_t i = 0; i < op.outputs.size(); ++i) {
      const Edge edge(static_cast<int>(network.nodes.size()), static_cast<int>(i));
      edges.insert_or_assign(op.outputs[i], edge);
      const std::size_t external = place(op.outputs[i]);
      if (external == part.external.size()) continue;
      network.outputs.push_back(edge);
      result.outputs.push_back(
          {i == 0 ? node.name : fmt::format("{}:{}", node.name, i), op.op.outputs[i], external});
    }
    network.nodes.push_back(std::move(node));
  }
  return result;
}

class OnnxRuntimeExecutable : public Executable {
 public:
  OnnxRuntimeExecutable(const ort::Library& library, const ort::Env& env, Part part, int threads)
      : library_(library), external_(part.external.size()) {
    PartNetwork whole = network_of(part);
    inputs_ = std::move(whole.inputs);
    outputs_ = std::move(whole.outputs);
    std::map<std::string, Parameters*> parameters;
    for (std::size_t i = 0; i < part.ops.size(); ++i)
      parameters[whole.network.nodes[i].name] = &part.ops[i].parameters;
    const std::string model = to_onnx(
        whole.network, [&](const Node& node) { return std::move(*parameters.at(node.name)); });
    const auto options = library_.make<ort::SessionOptions>(
        "session options", ort::create_session_options, ort::release_session_options);
    library_.require("threads", ort::set_intra_op_num_threads, options.get(), threads);
    library_.require("threads", ort::set_inter_op_num_threads, options.get(), 1);
    // Networks are measured in turns: one's threads must not spin while the next one runs.
    library_.require("threads", ort::add_session_config_entry, options.get(),
                     "session.force_spinning_stop", "1");
    const std::string what = part.ops.size() == 1 ? fmt::format("op \"{}\"", text(part.ops[0].op))
                                                  : std::string("network");
    session_ =
        library_.make<ort::Session>(what, ort::create_session_from_array, ort::release_session,
                                    &env, model.data(), model.size(), options.get());
    memory_ = library_.make<ort::MemoryInfo>("memory", ort::create_cpu_memory_info,
                                             ort::release_memory_info, ort::device_allocator,
                                             ort::default_memory);
    for (const Binding& input : inputs_) input_names_.push_back(input.name.c_str());
    for (const Binding& output : outputs_) output_names_.push_back(output.name.c_str());
  }

  void bind(std::span<void* const> tensors) override {
    if (tensors.size() != external_)
      throw std::invalid_argument(
          fmt::format("bind takes {} tensors, got {}", external_, tensors.size()));
    values_.clear();
    input_values_.clear();
    output_values_.clear();
    for (const Binding& input : inputs_)
      input_values_.push_back(value(input, tensors[input.external]));
    for (const Binding& output : outputs_)
      output_values_.push_back(value(output, tensors[output.external]));
  }

  void run() override {
    library_.require("run", ort::run, session_.get(), nullptr, input_names_.data(),
                     input_values_.data(), input_values_.size(), output_names_.data(),
                     output_values_.size(), output_values_.data());
  }

 private:
  ort::Value* value(const Binding& binding, void* data) {
    const Shape& shape = binding.tensor.shape;
    const std::array<std::int64_t, 4> dims{shape.n, shape.c, shape.h, shape.w};
    const bool int8 = binding.tensor.dtype == DType::qs8;
    const std::size_t bytes =
        static_cast<std::size_t>(elements(shape)) * (int8 ? 1 : sizeof(float));
    values_.push_back(library_.make<ort::Value>(
        "tensor", ort::create_tensor_with_data, ort::release_value, memory_.get(), data, bytes,
        dims.data(), dims.size(), int8 ? ort::type_int8 : ort::type_float));
    return values_.back().get();
  }

  const ort::Library& library_;
  std::size_t external_;
  std::vector<Binding> inputs_;
  std::vector<Binding> outputs_;
  std::vector<const char*> input_names_;
  std::vector<const char*> output_names_;
  std::shared_ptr<ort::Session> session_;
  std::shared_ptr<ort::MemoryInfo> memory_;
  std::vector<std::shared_ptr<ort::Value>> values_;
  std::vector<const ort::Value*> input_values_;
  std::vector<ort::Value*> output_values_;
};

class OnnxRuntimeBackend : public Backend {
 public:
  explicit OnnxRuntimeBackend(const std::filesystem::path& path)
      : library_(path),
        env_(library_.make<ort::Env>("environment", ort::create_env, ort::release_env,
                                     ort::log_errors, "cpubone")) {}
  std::string_view name() const override { return "onnxruntime"; }
  std::string identity() const override { return "ONNX Runtime " + library_.version(); }
  std::filesystem::path library() const override { return library_.path(); }
  bool takes_networks() const override { return true; }
  bool supports(const Op& op) const override {
    const auto half = [](const Tensor& tensor) { return tensor.dtype == DType::f16; };
    return std::none_of(op.inputs.begin(), op.inputs.end(), half) &&
           std::none_of(op.outputs.begin(), op.outputs.end(), half);
  }
  bool fuses(const Op&) const override { return true; }
  MemoryUse memory(const Op&) const override { return {.holds_inner = true}; }
  std::unique_ptr<Executable> compile(Part part, const ThreadPool* pool) const override {
    return std::make_unique<OnnxRuntimeExecutable>(library_, *env_, std::move(part),
                                                   pool ? pool->threads() : 1);
  }

 private:
  ort::Library library_;
  std::shared_ptr<ort::Env> env_;
};

/// Backends stay, since plans and profiles refer to them.
struct Loaded {
  explicit Loaded(const std::filesystem::path& path) : backend(path) {}
  OnnxRuntimeBackend backend;
  std::array<const Backend*, 1> alone{&backend};
};

}  // namespace

Backends onnxruntime_backend(const std::filesystem::path& library) {
  static std::mutex mutex;
  static std::map<std::filesystem::path, Loaded> loaded;
  const std::scoped_lock lock(mutex);
  return loaded.try_emplace(library, library).first->second.alone;
}

}  // namespace cpubone
