#include "explorer/evaluator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <utility>
#include "graph/passes.hpp"

namespace cpubone {
namespace {

/// What a unit adds to a network.
struct Unit {
  LatencyTerms terms;
  Capacity capacity;
  std::int64_t macs = 0;
  std::int64_t params = 0;
  std::int64_t weight_bytes = 0;
  std::int64_t peak_bytes = 0;
};

// Slots of a network: stem, residual blocks of stages 0..4, strided blocks of stages 1..4, head.
constexpr std::size_t residual_slot = 1;
constexpr std::size_t down_slot = 5;  // + stage, which starts at 1
constexpr std::size_t head_slot = 10;
constexpr std::size_t slot_count = 11;

/// Which digits of a genome decide what is in a slot: key = sum of gene x multiplier.
struct Slot {
  std::vector<std::pair<std::size_t, std::uint64_t>> digits;
  std::vector<std::pair<std::size_t, std::uint64_t>> attention_digits;  ///< only where it attends
  std::uint64_t fused_multiplier = 0;
};

/// Open addressing, linear probing; keys are never 0.
class UnitTable {
 public:
  UnitTable() : keys_(1024), units_(1024) {}

  const Unit* find(std::uint64_t key) const {
    for (std::size_t i = hash(key) & (keys_.size() - 1);; i = (i + 1) & (keys_.size() - 1)) {
      if (keys_[i] == key) return &units_[i];
      if (keys_[i] == 0) return nullptr;
    }
  }

  void insert(std::uint64_t key, const Unit& unit) {
    if (find(key)) return;
    if (2 * (count_ + 1) > keys_.size()) grow();
    place(key, unit);
    ++count_;
  }

  std::size_t size() const { return count_; }

 private:
  static std::size_t hash(std::uint64_t key) {
    key ^= key >> 32;
    key *= 0x9E3779B97F4A7C15ull;
    return static_cast<std::size_t>(key ^ key >> 29);
  }
  void place(std::uint64_t key, const Unit& unit) {
    std::size_t i = hash(key) & (keys_.size() - 1);
    while (keys_[i] != 0) i = (i + 1) & (keys_.size() - 1);
    keys_[i] = key;
    units_[i] = unit;
  }
  void grow() {
    std::vector<std::uint64_t> keys(2 * keys_.size());
    std::vector<Unit> units(keys.size());
    keys.swap(keys_);
    units.swap(units_);
    for (std::size_t i = 0; i < keys.size(); ++i)
      if (keys[i] != 0) place(keys[i], units[i]);
  }

  std::vector<std::uint64_t> keys_;
  std::vector<Unit> units_;
  std::size_t count_ = 0;
};

void add(LatencyTerms& total, const LatencyTerms& one, double times) {
  total.ops_ns += times * one.ops_ns;
  total.independent_ns2 += times * one.independent_ns2;
  total.shared_ns += times * one.shared_ns;
  total.nodes += times * one.nodes;
  total.macs += times * one.macs;
  total.weight_bytes += times * one.weight_bytes;
  total.activation_bytes += times * one.activation_bytes;
}

/// Name of the unit that a node belongs to, e.g. `stem.conv`, `stage3.1`, `head`.
std::string unit_of(const Node& node, bool in_backbone) {
  if (!in_backbone) return "head";
  const auto dot = node.name.find('.', node.stage.size() + 1);
  return node.name.substr(0, dot);
}

/// The nodes of a unit as a network of their own, whose input is the unit before.
Network part(const Network& network, std::size_t begin, std::size_t end) {
  Network unit;
  unit.name = network.name;
  unit.family = network.family;
  unit.inputs = begin == 0 ? network.inputs : network.nodes[begin - 1].op.outputs;
  for (std::size_t i = begin; i < end; ++i) {
    Node node = network.nodes[i];
    for (Edge& input : node.inputs)
      input = input.node < static_cast<int>(begin) ? Edge()
                                                   : Edge(input.node - static_cast<int>(begin));
    unit.nodes.push_back(std::move(node));
  }
  unit.outputs = {static_cast<int>(unit.nodes.size()) - 1};
  return unit;
}

Unit count(const Network& network, const LatencyModel& latency) {
  Unit unit;
  unit.terms = latency_terms(network, latency);
  unit.capacity = capacity(network);
  unit.macs = macs(network);
  unit.params = params(network);
  unit.weight_bytes = weight_bytes(network);
  unit.peak_bytes = peak_activation_bytes(network);
  return unit;
}

}  // namespace

LatencyTerms latency_terms(const Network& network, const LatencyModel& model) {
  LatencyTerms total;
  for (const Node& node : split_activations(network).nodes) total += model.op_terms(node.op);
  return total;
}

struct Evaluator::Impl {
  std::array<Slot, slot_count> slots;
  std::array<std::vector<ChoicePrior>, gene::count> priors;
  std::vector<std::size_t> prior_genes;  ///< those of which some choice has a prior
  mutable std::shared_mutex mutex;
  UnitTable units;

  /// Keys of the slots that a canonical genome fills, and how often; returns their number.
  int keys(const SearchSpace& space, const Genome& g, std::array<std::uint64_t, slot_count>& key,
           std::array<int, slot_count>& times, std::array<std::uint8_t, slot_count>& slot) const {
    int n = 0;
    const auto push = [&](std::size_t which, int repeat, bool fused, bool attends) {
      const Slot& s = slots[which];
      std::uint64_t k = 0;
      for (const auto& [position, multiplier] : s.digits) k += g[position] * multiplier;
      if (attends)
        for (const auto& [position, multiplier] : s.attention_digits) k += g[position] * multiplier;
      if (fused) k += s.fused_multiplier;
      const auto at = static_cast<std::size_t>(n);
      key[at] = k * 16 + which + 1;
      times[at] = repeat;
      slot[at] = static_cast<std::uint8_t>(which);
      ++n;
    };
    const int fused_below = space.fused_below[g[gene::fused_below]];
    const int down_fused_below = space.down_fused_below[g[gene::down_fused_below]];
    push(0, 1, false, false);
    for (int i = 0; i < 5; ++i) {
      const StageChoices& stage = space.stages[static_cast<std::size_t>(i)];
      const int width = stage.widths[g[gene::of(i, gene::width)]];
      if (i > 0) push(down_slot + static_cast<std::size_t>(i), 1, width < down_fused_below, false);
      const int blocks = stage.blocks[g[gene::of(i, gene::blocks)]];
      if (blocks > 0)
        push(residual_slot + static_cast<std::size_t>(i), blocks, width < fused_below,
             stage.attention[g[gene::of(i, gene::attention)]] != 0);
    }
    push(head_slot, 1, false, false);
    return n;
  }
};

Evaluator::~Evaluator() = default;

Evaluator::Evaluator(SearchSpace space, LatencyModel latency, AccuracyModel accuracy)
    : space_(std::move(space)),
      latency_(std::move(latency)),
      accuracy_(std::move(accuracy)),
      impl_(std::make_unique<Impl>()) {
  check(space_);
  if (!latency_.op_terms || !latency_.combine)
    throw std::invalid_argument("evaluator: the latency model has no functions");
  if (!accuracy_.estimate)
    throw std::invalid_argument("evaluator: the accuracy model has no function");

  const auto counts = choices(space_);
  const auto define = [&](std::size_t slot, const std::vector<std::size_t>& positions,
                          const std::vector<std::size_t>& attention_positions) {
    std::uint64_t radix = 1;
    const auto take = [&](std::uint64_t count) {
      const std::uint64_t multiplier = radix;
      if (radix > (std::uint64_t{1} << 56) / count)
        throw std::invalid_argument(fmt::format(
            "search space \"{}\" has too many choices for a block to be told apart in 56 bits",
            space_.name));
      radix *= count;
      return multiplier;
    };
    Slot& s = impl_->slots[slot];
    for (const std::size_t p : positions)
      s.digits.emplace_back(p, take(static_cast<std::uint64_t>(counts[p])));
    for (const std::size_t p : attention_positions)
      s.attention_digits.emplace_back(p, take(static_cast<std::uint64_t>(counts[p])));
    s.fused_multiplier = take(2);
    const auto constant = [&](const auto& digit) { return counts[digit.first] == 1; };
    std::erase_if(s.digits, constant);
    std::erase_if(s.attention_digits, constant);
  };
  define(0, {gene::resolution, gene::activation, gene::of(0, gene::width)}, {});
  define(head_slot, {gene::resolution, gene::activation, gene::head, gene::of(4, gene::width)}, {});
  for (int i = 0; i < 5; ++i) {
    define(residual_slot + static_cast<std::size_t>(i),
           {gene::resolution, gene::activation, gene::of(i, gene::width), gene::of(i, gene::groups),
            gene::of(i, gene::expansion), gene::of(i, gene::kernel), gene::of(i, gene::attention)},
           {gene::mlp_expansion, gene::upsampling, gene::mlp_activation,
            gene::of(i, gene::attention_kernel), gene::of(i, gene::attention_stride)});
    if (i > 0)
      define(down_slot + static_cast<std::size_t>(i),
             {gene::resolution, gene::activation, gene::of(i - 1, gene::width),
              gene::of(i, gene::width), gene::of(i, gene::groups),
              gene::of(i, gene::down_expansion), gene::of(i, gene::down_kernel)},
             {});
  }
  for (std::size_t p = 0; p < gene::count; ++p) {
    bool any = false;
    for (int k = 0; k < counts[p]; ++k) {
      impl_->priors[p].push_back(choice_prior(space_, p, k));
      any |= impl_->priors[p].back().points != 0 || impl_->priors[p].back().variance != 0;
    }
    if (any) impl_->prior_genes.push_back(p);
  }
}

std::size_t Evaluator::units() const {
  const std::shared_lock lock(impl_->mutex);
  return impl_->units.size();
}

void Evaluator::set_combine(std::function<LatencyEstimate(const LatencyTerms&)> combine) {
  if (!combine) throw std::invalid_argument("evaluator: the latency model has no functions");
  latency_.combine = std::move(combine);
}

Evaluation Evaluator::evaluate(const Genome& genome) const {
  Evaluation result;
  evaluate(std::span(&genome, 1), std::span(&result, 1));
  return result;
}

void Evaluator::evaluate(std::span<const Genome> genomes, std::span<Evaluation> results) const {
  if (genomes.size() != results.size())
    throw std::invalid_argument(
        fmt::format("evaluator: got {} results for {} genomes", results.size(), genomes.size()));
  std::array<std::uint64_t, slot_count> keys;
  std::array<int, slot_count> times;
  std::array<std::uint8_t, slot_count> slots;
  std::shared_lock lock(impl_->mutex);
  for (std::size_t i = 0; i < genomes.size(); ++i) {
    const Genome g = canonical(space_, genomes[i]);
    const int n = impl_->keys(space_, g, keys, times, slots);
    std::array<const Unit*, slot_count> units;
    const auto look_up = [&] {
      for (int k = 0; k < n; ++k) {
        const auto at = static_cast<std::size_t>(k);
        units[at] = impl_->units.find(keys[at]);
        if (!units[at]) return false;
      }
      return true;
    };
    if (!look_up()) {
      std::array<bool, slot_count> missing{};
      for (int k = 0; k < n; ++k)
        missing[static_cast<std::size_t>(k)] =
            !impl_->units.find(keys[static_cast<std::size_t>(k)]);
      lock.unlock();
      // Build the network once with at most one block of every run, and cut it into its units.
      CpuboneConfig config = decode(space_, g);
      for (CpuboneStage& stage : config.stages) stage.blocks = std::min(stage.blocks, 1);
      const Network network = build(config);
      const std::vector<bool> in_backbone = backbone(network);
      std::vector<std::pair<std::uint64_t, Unit>> made;
      std::size_t begin = 0;
      for (std::size_t k = 0; begin < network.nodes.size(); ++k) {
        const std::string name = unit_of(network.nodes[begin], in_backbone[begin]);
        std::size_t end = begin + 1;
        while (end < network.nodes.size() && unit_of(network.nodes[end], in_backbone[end]) == name)
          ++end;
        // Units come in the order of the graph, keys too: stem, then strided, residual by stage.
        if (missing.at(k)) {
          made.emplace_back(keys[k], count(part(network, begin, end), latency_));
          if (!in_backbone[begin]) made.back().second.capacity.body_params = 0;
        }
        begin = end;
      }
      {
        const std::unique_lock writing(impl_->mutex);
        for (const auto& [key, unit] : made) impl_->units.insert(key, unit);
      }
      lock.lock();
      if (!look_up())
        throw std::logic_error("evaluator: a built network does not fill the slots of its genome");
    }
    Evaluation& e = results[i];
    e = {};
    LatencyTerms terms;
    Capacity total;
    for (int k = 0; k < n; ++k) {
      const auto at = static_cast<std::size_t>(k);
      const Unit& unit = *units[at];
      const int repeat = times[at];
      add(terms, unit.terms, repeat);
      total.body_params += repeat * unit.capacity.body_params;
      total.macs += repeat * unit.capacity.macs;
      total.depth += repeat * unit.capacity.depth;
      e.macs += repeat * unit.macs;
      e.params += repeat * unit.params;
      e.weight_bytes += repeat * unit.weight_bytes;
      e.peak_activation_bytes = std::max(e.peak_activation_bytes, unit.peak_bytes);
    }
    total.resolution = space_.resolutions[g[gene::resolution]];
    for (const std::size_t p : impl_->prior_genes) {
      const ChoicePrior& prior = impl_->priors[p][g[p]];
      total.prior_points += prior.points;
      total.novelty += prior.variance;
    }
    std::array<int, 5> widths;
    for (int k = 0; k < 5; ++k) {
      const auto at = static_cast<std::size_t>(k);
      widths[at] = space_.stages[at].widths[g[gene::of(k, gene::width)]];
    }
    total.novelty += width_novelty(widths);
    e.latency = latency_.combine(terms);
    e.accuracy = accuracy_.estimate(total);
  }
}

}  // namespace cpubone
