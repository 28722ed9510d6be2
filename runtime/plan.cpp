#include "runtime/plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <stdexcept>

#include "graph/passes.hpp"
#include "runtime/arena.hpp"
#include "runtime/placement.hpp"

namespace cpubone {
namespace {

constexpr std::size_t slack_bytes = 64;  // XNNPACK reads up to 16 bytes past a tensor

std::size_t with_slack(std::size_t bytes) {
  return (bytes + slack_bytes + Arena::alignment - 1) / Arena::alignment * Arena::alignment;
}

/// Outside of XNNPACK's parts f16 is held as floats.
std::size_t held_bytes(const Tensor& tensor) {
  const std::size_t element = tensor.dtype == DType::qs8 ? 1 : sizeof(float);
  return with_slack(static_cast<std::size_t>(elements(tensor.shape)) * element);
}

const Backend* backend_of(const Op& op, Backends backends) {
  const auto found = std::find_if(backends.begin(), backends.end(),
                                  [&](const Backend* backend) { return backend->supports(op); });
  if (found != backends.end()) return *found;
  throw std::invalid_argument(fmt::format(
      "op \"{}\": no backend of this build runs it{}", text(op),
      op.dynamic ? "; XNNPACK quantises what a dynamic layer reads since 2024-11" : ""));
}

/// Plans in stages: operators and their tensors, steps, lifetimes, places.
class Planner {
 public:
  Planner(const Network& network, Backends backends, const PlanOptions& options)
      : backends_(backends),
        whole_(std::any_of(backends.begin(), backends.end(),
                           [](const Backend* backend) { return backend->takes_networks(); })) {
    if (whole_ && backends.size() > 1)
      throw std::invalid_argument(
          fmt::format("backends: a runtime that takes networks runs all of one, got {} backends",
                      backends.size()));
    plan_.options = options;
    plan_.network = split_activations(network, [&](const Op& op) {
      return std::any_of(backends.begin(), backends.end(),
                         [&](const Backend* backend) { return backend->fuses(op); });
    });
  }

  Plan finish() {
    make_ops();
    cut_into_steps();
    find_lifetimes();
    find_inner_tensors();
    share_memory();
    place_tensors();
    return std::move(plan_);
  }

 private:
  struct Planned {
    PlanOp op;
    const Backend* backend;
  };

  PlanTensor& tensor(int id) { return plan_.tensors[static_cast<std::size_t>(id)]; }

  int add_tensor(Tensor tensor) {
    const std::size_t bytes = held_bytes(tensor);
    plan_.tensors.push_back({std::move(tensor), bytes});
    return static_cast<int>(plan_.tensors.size()) - 1;
  }

  /// Nothing runs it: its values lie there from the beginning.
  int add_constant(std::size_t node, const Op& op) {
    const int id = add_tensor(op.outputs[0]);
    tensor(id).constant = static_cast<int>(node);
    producer_.push_back(-1);
    return id;
  }

  /// Returns the operator's outputs.
  std::vector<int> add_op(std::size_t node, Op op, std::vector<int> inputs) {
    const Backend* backend = backend_of(op, backends_);
    std::vector<int> outputs;
    for (const Tensor& output : op.outputs) {
      outputs.push_back(add_tensor(output));
      producer_.push_back(static_cast<int>(ops_.size()));
    }
    int scratch = -1;
    const MemoryUse use = backend->memory(op);
    const auto threads = static_cast<std::size_t>(plan_.options.threads);
    if (const std::size_t bytes = use.scratch_bytes * threads + use.gathered_bytes; bytes > 0) {
      scratch = static_cast<int>(plan_.tensors.size());
      plan_.tensors.push_back({{}, with_slack(bytes)});
      producer_.push_back(static_cast<int>(ops_.size()));
    }
    ops_.push_back(
        {{static_cast<int>(node), std::move(op), std::move(inputs), outputs, scratch}, backend});
    return outputs;
  }

  void make_ops() {
    for (const Tensor& input : plan_.network.inputs) {
      add_tensor(input);
      producer_.push_back(-1);
    }
    for (std::size_t i = 0; i < plan_.network.nodes.size(); ++i) {
      const Node& node = plan_.network.nodes[i];
      std::vector<int> inputs;
      for (const Edge& edge : node.inputs) inputs.push_back(tensor_of(edge));
      if (whole_) {
        plan_.node_tensors.push_back(add_op(i, node.op, std::move(inputs)));
        continue;
      }
      if (node.op.kind == OpKind::constant) {
        plan_.node_tensors.push_back({add_constant(i, node.op)});
        continue;
      }
      plan_.node_tensors.push_back(node.op.kind == OpKind::partial_conv2d
                                       ? add_partial(i, node.op, inputs[0])
                                       : add_op(i, node.op, std::move(inputs)));
    }
  }

  int tensor_of(const Edge& edge) const {
    if (edge.node == network_input) return edge.output;
    return plan_
        .node_tensors[static_cast<std::size_t>(edge.node)][static_cast<std::size_t>(edge.output)];
  }

  /// Partial convolution as a slice, a convolution of it, and the joining of both: a
  /// partial_conv2d with two inputs.
  std::vector<int> add_partial(std::size_t node, const Op& op, int input) {
    Tensor part = op.outputs[0];
    part.shape.c = op.conv_channels;
    Op slice;
    slice.kind = OpKind::slice;
    slice.inputs = op.inputs;
    slice.outputs = {part};
    const int sliced = add_op(node, std::move(slice), {input})[0];
    Op conv = op;
    conv.kind = OpKind::conv2d;
    conv.inputs = conv.outputs = {part};
    conv.conv_channels = 0;
    conv.partial_form = PartialForm::slicing;
    const int convolved = add_op(node, std::move(conv), {sliced})[0];
    Op join = op;
    join.inputs = {part, op.inputs[0]};
    join.activation = Activation::none;
    return add_op(node, std::move(join), {convolved, input});
  }

  /// Order that keeps the operators of a backend together: as long as one of the running backend is
  /// ready it goes first, and the earliest of them. A step is of one data type unless its backend
  /// takes networks.
  void cut_into_steps() {
    using Key = std::pair<std::size_t, DType>;  // the preferred backend first
    const auto key_of = [&](std::size_t i) {
      const auto backend = std::find(backends_.begin(), backends_.end(), ops_[i].backend);
      return Key{static_cast<std::size_t>(backend - backends_.begin()),
                 whole_ ? DType::f32 : ops_[i].op.op.dtype()};
    };
    std::vector<int> missing(ops_.size());
    std::vector<std::vector<std::size_t>> readers(ops_.size());
    std::map<Key, std::set<std::size_t>> ready;
    for (std::size_t i = 0; i < ops_.size(); ++i) {
      for (const int input : ops_[i].op.inputs)
        if (const int producer = producer_[static_cast<std::size_t>(input)]; producer >= 0) {
          readers[static_cast<std::size_t>(producer)].push_back(i);
          ++missing[i];
        }
      if (missing[i] == 0) ready[key_of(i)].insert(i);
    }
    std::vector<std::size_t> order;
    std::vector<bool> begins;  // a step
    if (plan_.options.one_step_per_op) {
      for (std::size_t i = 0; i < ops_.size(); ++i) {
        order.push_back(i);  // what is known is no step of its own
        begins.push_back(i == 0 || ops_[i - 1].op.op.kind != OpKind::constant);
      }
    }
    while (order.size() < ops_.size()) {
      auto running = ready.begin();
      for (bool first = true; running != ready.end() && !running->second.empty(); first = false) {
        const std::size_t next = *running->second.begin();
        running->second.erase(running->second.begin());
        order.push_back(next);
        begins.push_back(first);
        for (const std::size_t reader : readers[next])
          if (--missing[reader] == 0) ready[key_of(reader)].insert(reader);
      }
      ready.erase(running);
    }
    for (std::size_t t = 0; t < order.size(); ++t) {
      Planned& planned = ops_[order[t]];
      if (begins[t]) plan_.steps.push_back({planned.backend, {}});
      plan_.steps.back().ops.push_back(std::move(planned.op));
    }
  }

  /// Calls `visit` with each operator in the order of execution, its number in it and its step.
  template <typename Visit>
  void each_op(Visit visit) {
    int t = 0;
    for (std::size_t s = 0; s < plan_.steps.size(); ++s)
      for (const PlanOp& op : plan_.steps[s].ops) visit(op, t++, static_cast<int>(s));
  }

  bool gathers(const PlanOp& op, int step) const {
    return plan_.steps[static_cast<std::size_t>(step)].backend->memory(op.op).gathered_bytes > 0;
  }

  void find_lifetimes() {
    const int end = static_cast<int>(ops_.size());
    // The caller's inputs survive runs.
    for (std::size_t i = 0; i < plan_.network.inputs.size(); ++i) plan_.tensors[i].last = end;
    for (PlanTensor& t : plan_.tensors)
      if (t.constant >= 0) t.last = end;
    int step_begin = 0;
    int running = 0;
    each_op([&](const PlanOp& op, int t, int step) {
      if (step != running) step_begin = t;
      running = step;
      for (const int output : op.outputs) {
        tensor(output).first = t;
        tensor(output).last = plan_.options.keep_outputs ? end : t;
      }
      if (op.scratch >= 0) {
        tensor(op.scratch).first = gathers(op, step) ? step_begin : t;
        tensor(op.scratch).last = t;
      }
      for (const int input : op.inputs) tensor(input).last = std::max(tensor(input).last, t);
    });
    for (const Edge& output : plan_.network.outputs) tensor(tensor_of(output)).last = end;
  }

  /// XNNPACK would plan memory for each part alone, so tensors are in the arena. Not so in f16,
  /// where XNNPACK converts what is outside of a part.
  void find_inner_tensors() {
    if (plan_.options.keep_outputs) return;
    std::vector<int> step_of(plan_.tensors.size(), -1);
    each_op([&](const PlanOp& op, int, int step) {
      if (!plan_.steps[static_cast<std::size_t>(step)].backend->memory(op.op).holds_inner) return;
      for (const int output : op.outputs) {
        step_of[static_cast<std::size_t>(output)] = step;
        tensor(output).in_arena = false;
      }
    });
    each_op([&](const PlanOp& op, int, int step) {
      for (const int input : op.inputs)
        if (step_of[static_cast<std::size_t>(input)] != step) tensor(input).in_arena = true;
    });
    for (const Edge& output : plan_.network.outputs) tensor(tensor_of(output)).in_arena = true;
  }

  /// Outputs that lie where an input is. What owns memory lives as long as all that share it.
  void share_memory() {
    each_op([&](const PlanOp& op, int t, int step) {
      const Backend& backend = *plan_.steps[static_cast<std::size_t>(step)].backend;
      const MemoryUse::Output use = backend.memory(op.op).output;
      if (use == MemoryUse::Output::apart) return;
      const int input = op.inputs.back();
      const int owner = tensor(input).shares >= 0 ? tensor(input).shares : input;
      const bool free_to_write = tensor(owner).last == t;
      if (tensor(owner).constant >= 0) return;
      if (!tensor(input).in_arena || (use == MemoryUse::Output::in_place && !free_to_write)) return;
      PlanTensor& output = tensor(op.outputs[0]);
      output.shares = owner;
      tensor(owner).last = std::max(tensor(owner).last, output.last);
    });
  }

  /// Of each tensor: another than those of what is read while it is written.
  std::vector<int> chosen_colours() {
    std::vector<int> chosen(plan_.tensors.size(), -1);
    const auto owner = [&](int id) {
      return static_cast<std::size_t>(tensor(id).shares >= 0 ? tensor(id).shares : id);
    };
    int last = 0;
    const auto choose = [&](int id, const PlanOp& writer) {
      if (tensor(id).shares >= 0 || tensor(id).bytes <= aliasing_bytes) return;
      std::array<bool, colours> is_beside{};
      const auto note = [&](const std::vector<int>& ids) {
        for (const int other : ids)
          if (const int colour = chosen[owner(other)]; colour >= 0)
            is_beside.at(static_cast<std::size_t>(colour)) = true;
      };
      note(writer.inputs);
      note(writer.outputs);
      if (writer.scratch >= 0) note({writer.scratch});
      for (int k = 0; k < colours; ++k) {
        last = (last + 1) % colours;
        if (!is_beside.at(static_cast<std::size_t>(last))) break;
      }
      chosen[static_cast<std::size_t>(id)] = last;
    };
    for (std::size_t i = 0; i < plan_.network.inputs.size(); ++i)
      choose(static_cast<int>(i), PlanOp{});
    each_op([&](const PlanOp& op, int, int step) {
      if (op.scratch >= 0 && gathers(op, step)) choose(op.scratch, op);
      for (const int output : op.outputs) choose(output, op);
    });
    return chosen;
  }

  void place_tensors() {
    const std::vector<int> colour_of = chosen_colours();
    std::vector<std::size_t> owners;
    std::vector<Lifetime> lifetimes;
    for (std::size_t i = 0; i < plan_.tensors.size(); ++i) {
      const PlanTensor& t = plan_.tensors[i];
      if (!t.in_arena || t.constant >= 0 || t.shares >= 0) continue;
      owners.push_back(i);
      lifetimes.push_back({t.bytes, t.first, t.last, colour_of[i]});
    }
    if (plan_.options.keep_outputs) {  // nothing dies: one after the other
      for (const std::size_t i : owners) {
        plan_.tensors[i].offset = plan_.arena_bytes;
        plan_.arena_bytes += plan_.tensors[i].bytes;
      }
    } else {
      const Placement placement = place(lifetimes);
      for (std::size_t k = 0; k < owners.size(); ++k)
        plan_.tensors[owners[k]].offset = placement.offsets[k];
      plan_.arena_bytes = placement.bytes;
    }
    for (PlanTensor& t : plan_.tensors)
      if (t.shares >= 0) t.offset = tensor(t.shares).offset;
  }

  Backends backends_;
  bool whole_;  ///< its backend takes networks
  Plan plan_;
  std::vector<Planned> ops_;
  std::vector<int> producer_;  ///< of each tensor: an index of `ops_`, -1 for inputs
};

}  // namespace

Plan plan(const Network& network, Backends backends, const PlanOptions& options) {
  check(network);
  return Planner(network, backends, options).finish();
}

std::string text(const Plan& plan) {
  std::string lines = fmt::format("plan of {}: {} steps, {} bytes of activations\n",
                                  plan.network.name, plan.steps.size(), plan.arena_bytes);
  int at = 0;
  for (std::size_t s = 0; s < plan.steps.size(); ++s) {
    lines += fmt::format("step {}: {}\n", s, plan.steps[s].backend->name());
    for (const PlanOp& op : plan.steps[s].ops)
      lines += fmt::format("  {}: {} {} -> {}: {}\n", at++,
                           plan.network.nodes[static_cast<std::size_t>(op.node)].name,
                           fmt::join(op.inputs, ","), fmt::join(op.outputs, ","), text(op.op));
  }
  for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
    const PlanTensor& t = plan.tensors[i];
    lines += fmt::format("tensor {}: {} ", i, text(t.tensor));
    if (t.constant >= 0)
      lines += "constant";
    else
      lines += t.in_arena ? fmt::format("at {}, {} bytes", t.offset, t.bytes)
                          : std::string("within its backend");
    if (t.shares >= 0) lines += fmt::format(", shared with {}", t.shares);
    lines += fmt::format(", operators {} to {}\n", t.first, t.last);
  }
  return lines;
}

std::string engine_of(const Op& op, Backends backends) {
  Network network;
  network.name = "op";
  network.inputs = op.inputs;
  network.nodes = {{"op", "", op, {}}};
  for (std::size_t i = 0; i < op.inputs.size(); ++i)
    network.nodes[0].inputs.emplace_back(network_input, static_cast<int>(i));
  network.outputs = {0};
  const Plan planned = plan(network, backends);
  std::string engines;
  for (const Backend* backend : backends)
    if (std::any_of(planned.steps.begin(), planned.steps.end(),
                    [&](const PlanStep& step) { return step.backend == backend; }))
      engines += fmt::format("{}{}", engines.empty() ? "" : "+", backend->name());
  return engines;
}

}  // namespace cpubone
