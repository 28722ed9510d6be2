#include "explorer/evaluator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "graph/passes.hpp"
#include "graph/schema.hpp"

namespace cpubone {
namespace {

/// What a unit adds to a network.
struct Unit {
  LatencyTerms terms;
  std::vector<LatencyTerms> elsewhere;
  PartTerms accuracy;
  std::int64_t macs = 0;
  std::int64_t params = 0;
  std::int64_t weight_bytes = 0;
  std::int64_t peak_bytes = 0;
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

/// Name of the unit that a node belongs to, e.g. `stem.conv`, `stage3.1`, `head`.
std::string unit_of(const Node& node, bool in_backbone) {
  if (!in_backbone) return "head";
  const auto dot = node.name.find('.', node.stage.size() + 1);
  return node.name.substr(0, dot);
}

/// Where each unit's nodes begin, and the end of the last.
std::vector<std::size_t> unit_begins(const Network& network, const std::vector<bool>& in_backbone) {
  std::vector<std::size_t> begins;
  std::string last;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    std::string unit = unit_of(network.nodes[i], in_backbone[i]);
    if (i == 0 || unit != last) begins.push_back(i);
    last = std::move(unit);
  }
  begins.push_back(network.nodes.size());
  return begins;
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

/// What is executed of a network, by its units. Conversions belong to the unit of the next node,
/// which needs them, so that a unit costs the same in every network; the last one to the head.
/// Those of a backbone's features are left out: which unit they follow is no unit's own.
class ExecutedUnits {
 public:
  /// `begins` are of `whole`, of which `network` may be the backbone.
  ExecutedUnits(const Network& whole, std::span<const std::size_t> begins, const Network& network,
                const LatencyModel& model)
      : executed_(lowered(network, model)), units_(begins.size() - 1) {
    std::unordered_map<std::string_view, std::size_t> unit_of_name;
    for (std::size_t unit = 0; unit + 1 < begins.size(); ++unit)
      for (std::size_t i = begins[unit]; i < begins[unit + 1]; ++i)
        unit_of_name[whole.nodes[i].name] = unit;
    std::vector<std::size_t> unit_of_node(executed_.nodes.size());
    std::vector<std::size_t> conversions;  // that wait for the next node
    for (std::size_t i = 0; i < executed_.nodes.size(); ++i) {
      const Node& node = executed_.nodes[i];
      if (schema(node.op.kind).converts) {
        conversions.push_back(i);
        continue;
      }
      const auto known = unit_of_name.find(node.name);
      // An activation that became a node of its own follows its operator.
      unit_of_node[i] = known != unit_of_name.end() ? known->second : unit_of_node[i - 1];
      for (const std::size_t k : conversions) unit_of_node[k] = unit_of_node[i];
      conversions.clear();
    }
    const bool is_whole = network.nodes.size() == whole.nodes.size();
    for (const std::size_t i : conversions) unit_of_node[i] = units_.size() - 1;
    const std::size_t end =
        is_whole ? executed_.nodes.size() : executed_.nodes.size() - conversions.size();
    for (std::size_t i = 0; i < end; ++i) units_[unit_of_node[i]].push_back(i);
  }

  LatencyTerms terms(std::size_t unit, const LatencyModel& model) const {
    LatencyTerms total;
    for (const std::size_t i : units_[unit]) total += model.op_terms(executed_.nodes[i].op);
    return total;
  }
  std::int64_t weight_bytes(std::size_t unit) const {
    std::int64_t total = 0;
    for (const std::size_t i : units_[unit]) total += cpubone::weight_bytes(executed_.nodes[i].op);
    return total;
  }

 private:
  Network executed_;
  std::vector<std::vector<std::size_t>> units_;  ///< nodes of each
};

}  // namespace

LatencyTerms latency_terms(const Network& network, const LatencyModel& model) {
  LatencyTerms total;
  for (const Node& node : lowered(network, model).nodes) total += model.op_terms(node.op);
  return total;
}

struct Evaluator::Impl {
  std::optional<std::size_t> resolution;  ///< the gene
  mutable std::shared_mutex mutex;
  UnitTable units;
};

Evaluator::~Evaluator() = default;

Evaluator::Evaluator(SearchSpace space, LatencyModel latency, AccuracyModel accuracy,
                     const NetworkForm& form, std::vector<LatencyModel> elsewhere)
    : space_(std::move(space)),
      latency_(std::move(latency)),
      elsewhere_(std::move(elsewhere)),
      accuracy_(std::move(accuracy)),
      form_(form),
      impl_(std::make_unique<Impl>()) {
  check(space_);
  if (elsewhere_.size() >= most_devices)
    throw std::invalid_argument(fmt::format("evaluator: got {} devices, expected at most {}",
                                            elsewhere_.size() + 1, most_devices));
  const auto check_model = [](const LatencyModel& model) {
    if (!model.op_terms || !model.combine)
      throw std::invalid_argument("evaluator: the latency model has no functions");
  };
  check_model(latency_);
  std::for_each(elsewhere_.begin(), elsewhere_.end(), check_model);
  if (accuracy_.posterior.mean.size() == 0)
    throw std::invalid_argument("evaluator: the accuracy model was not fitted");

  std::vector<UnitUse> uses;
  space_.skeleton->units(space_, canonical(space_, first_genome(space_)), uses);  // keys fit
  for (std::size_t p = 0; p < space_.genes.size(); ++p)
    if (space_.genes[p].name == "resolution") impl_->resolution = p;
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
  std::vector<UnitUse> uses;
  std::vector<const Unit*> units;
  std::shared_lock lock(impl_->mutex);
  for (std::size_t i = 0; i < genomes.size(); ++i) {
    const Genome g = canonical(space_, genomes[i]);
    space_.skeleton->units(space_, g, uses);
    units.assign(uses.size(), nullptr);
    const auto look_up = [&] {
      bool all = true;
      for (std::size_t k = 0; k < uses.size(); ++k) {
        units[k] = impl_->units.find(uses[k].key);
        all &= units[k] != nullptr;
      }
      return all;
    };
    if (!look_up()) {
      lock.unlock();
      const Network network = space_.skeleton->build(space_, g);
      const Network sized = in_form(network, {form_.height, form_.width});
      const std::vector<bool> in_backbone = backbone(network);
      const std::vector<std::size_t> begins = unit_begins(network, in_backbone);
      const Network timed = form_.features ? feature_network(sized) : sized;
      const ExecutedUnits executed(network, begins, timed, latency_);
      std::vector<ExecutedUnits> executed_elsewhere;
      for (const LatencyModel& model : elsewhere_)
        executed_elsewhere.emplace_back(network, begins, timed, model);
      std::vector<std::pair<std::uint64_t, Unit>> made;
      std::size_t at = 0;
      for (std::size_t k = 0; k < uses.size(); at += static_cast<std::size_t>(uses[k++].times)) {
        if (units[k]) continue;
        const std::size_t begin = begins.at(at);
        const std::size_t end = begins.at(at + 1);
        Unit unit;
        if (in_backbone[begin] || !form_.features) {
          const Network counted = part(sized, begin, end);
          unit.macs = macs(counted);
          unit.params = params(counted);
          unit.weight_bytes = executed.weight_bytes(at);
          unit.peak_bytes = peak_activation_bytes(with_dtype(counted, latency_.precision));
          unit.terms = executed.terms(at, latency_);
          for (std::size_t d = 0; d < elsewhere_.size(); ++d)
            unit.elsewhere.push_back(executed_elsewhere[d].terms(at, elsewhere_[d]));
        }
        unit.elsewhere.resize(elsewhere_.size());
        unit.accuracy = part_terms(network, begin, end);
        made.emplace_back(uses[k].key, unit);
      }
      if (at + 1 != begins.size())
        throw std::logic_error(
            fmt::format("evaluator: a network of skeleton {} has {} units, expected {}",
                        space_.skeleton->name, begins.size() - 1, at));
      {
        const std::unique_lock writing(impl_->mutex);
        for (const auto& [key, unit] : made) impl_->units.insert(key, unit);
      }
      lock.lock();
      look_up();
    }
    Evaluation& e = results[i];
    e = {};
    LatencyTerms terms;
    std::array<LatencyTerms, most_devices - 1> terms_elsewhere;
    AccuracyTerms accuracy;
    for (std::size_t k = 0; k < uses.size(); ++k) {
      const Unit& unit = *units[k];
      const int repeat = uses[k].times;
      terms.add(unit.terms, repeat);
      for (std::size_t d = 0; d < elsewhere_.size(); ++d)
        terms_elsewhere[d].add(unit.elsewhere[d], repeat);
      accuracy.add(repeat, unit.accuracy);
      e.macs += repeat * unit.macs;
      e.params += repeat * unit.params;
      e.weight_bytes += repeat * unit.weight_bytes;
      e.peak_activation_bytes = std::max(e.peak_activation_bytes, unit.peak_bytes);
    }
    if (impl_->resolution) accuracy.pixels = chosen(space_, g, *impl_->resolution);
    e.latency = latency_.combine(terms);
    for (std::size_t d = 0; d < elsewhere_.size(); ++d)
      e.elsewhere[d] = elsewhere_[d].combine(terms_elsewhere[d]);
    e.accuracy = estimate(accuracy_.posterior, accuracy);
  }
}

}  // namespace cpubone
