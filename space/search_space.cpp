#include "space/search_space.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>

#include "space/cpubone_space.hpp"
#include "space/mnasnet.hpp"
#include "space/staged.hpp"

namespace cpubone {
namespace {

[[noreturn]] void fail(const SearchSpace& space, const std::string& what) {
  throw std::invalid_argument(fmt::format("search space \"{}\": {}", space.name, what));
}

std::string listed(const Gene& gene) {
  std::vector<std::string> all;
  for (const Choice& choice : gene.choices) all.push_back(text(gene, choice));
  return fmt::format("{}", fmt::join(all, ", "));
}

bool in_order(const Gene& gene) {
  double last = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < gene.choices.size(); ++i) {
    const Choice& choice = gene.choices[i];
    if (gene.single && choice.size() == 1) {
      if (choice[0] <= last) return false;
      last = choice[0];
    }
    if (std::count(gene.choices.begin(), gene.choices.end(), choice) > 1) return false;
  }
  return true;
}

void check_choice(const SearchSpace& space, const Gene& gene, const Choice& choice) {
  const bool is_word =
      choice.size() == 1 && std::any_of(gene.words.begin(), gene.words.end(),
                                        [&](const auto& w) { return w.second == choice[0]; });
  if (is_word) return;
  if (choice.size() == 1 ? !gene.single : choice.size() != gene.together)
    fail(space, fmt::format("{} must be of {} numbers, got {}", gene.name,
                            gene.single ? 1 : gene.together, text(gene, choice)));
  for (const double number : choice)
    if (!(number >= gene.low && number <= gene.high) ||
        (gene.whole && number != std::floor(number)))
      fail(space,
           fmt::format("{} must be in {}..{}{}, got {}", gene.name, gene.low, gene.high,
                       gene.whole && number != std::floor(number) ? " and whole" : "", number));
}

bool has_effect(const SearchSpace& space, const Genome& genome, std::size_t position) {
  const auto& needed = space.genes[position].only_with;
  return needed.empty() || std::any_of(needed.begin(), needed.end(), [&](std::size_t other) {
           return has_effect(space, genome, other) && chosen(space, genome, other) != 0;
         });
}

}  // namespace

const Skeleton& find_skeleton(std::string_view name) {
  for (const Skeleton* skeleton : {&cpubone_skeleton(), &mnasnet_skeleton(), &staged_skeleton()})
    if (skeleton->name == name) return *skeleton;
  throw std::invalid_argument(
      fmt::format("skeleton: got \"{}\", expected cpubone, mnasnet or staged", name));
}

bool operator==(const SearchSpace& a, const SearchSpace& b) {
  return a.name == b.name && a.skeleton == b.skeleton &&
         std::equal(a.genes.begin(), a.genes.end(), b.genes.begin(), b.genes.end(),
                    [](const Gene& x, const Gene& y) { return x.choices == y.choices; }) &&
         a.peers == b.peers;
}

SearchSpace make_space(std::string name, const Skeleton& skeleton) {
  return {std::move(name), &skeleton, skeleton.genes(), skeleton.peers};
}

std::size_t find_gene(const SearchSpace& space, std::string_view name) {
  const auto found = std::find_if(space.genes.begin(), space.genes.end(),
                                  [&](const Gene& gene) { return gene.name == name; });
  if (found == space.genes.end()) fail(space, fmt::format("it has no gene \"{}\"", name));
  return static_cast<std::size_t>(found - space.genes.begin());
}

void set_choices(SearchSpace& space, std::string_view gene, const std::vector<double>& numbers) {
  auto& choices = space.genes[find_gene(space, gene)].choices;
  choices.clear();
  for (const double number : numbers) choices.push_back({number});
}

std::vector<int> choices(const SearchSpace& space) {
  std::vector<int> counts;
  for (const Gene& gene : space.genes) counts.push_back(static_cast<int>(gene.choices.size()));
  return counts;
}

double size(const SearchSpace& space) {
  double product = 1;
  for (const Gene& gene : space.genes) product *= static_cast<double>(gene.choices.size());
  return product;
}

void check(const SearchSpace& space) {
  if (!space.skeleton) fail(space, "it has no skeleton");
  if (space.genes.size() != space.skeleton->genes().size())
    fail(space,
         fmt::format("it must have the {} genes of {}, got {}", space.skeleton->genes().size(),
                     space.skeleton->name, space.genes.size()));
  for (const Gene& gene : space.genes) {
    if (gene.choices.empty())
      fail(space, fmt::format("{} has no choices, expected at least one", gene.name));
    if (gene.choices.size() > 255)
      fail(space,
           fmt::format("{} has {} choices, expected at most 255", gene.name, gene.choices.size()));
    for (const Choice& choice : gene.choices)
      if (gene.in_files) check_choice(space, gene, choice);
    if (!in_order(gene))
      fail(space, fmt::format("choices of {} must be ascending and distinct, got {}", gene.name,
                              listed(gene)));
  }
  space.skeleton->check(space);
}

void check(const SearchSpace& space, const Genome& genome) {
  if (genome.size() != space.genes.size())
    fail(space,
         fmt::format("a genome must have {} genes, got {}", space.genes.size(), genome.size()));
  for (std::size_t i = 0; i < genome.size(); ++i)
    if (genome[i] >= space.genes[i].choices.size())
      fail(space, fmt::format("gene {} must be in 0..{}, got {}", space.genes[i].name,
                              space.genes[i].choices.size() - 1, genome[i]));
}

Genome first_genome(const SearchSpace& space) {
  return Genome(space.genes.size(), 0);
}

Genome canonical(const SearchSpace& space, const Genome& genome) {
  Genome g = genome;
  // What decides on an effect is decided by genes of the genome as it came: an index that is set to
  // 0 here is of a gene whose choice no effect hangs on any more.
  for (std::size_t i = 0; i < g.size(); ++i)
    if (g[i] != 0 && !has_effect(space, genome, i)) g[i] = 0;
  space.skeleton->reduce(space, g);
  return g;
}

Network build(const SearchSpace& space, const Genome& genome) {
  check(space, genome);
  return space.skeleton->build(space, canonical(space, genome));
}

std::string describe(const SearchSpace& space, const Genome& genome) {
  check(space, genome);
  return space.skeleton->describe(space, canonical(space, genome));
}

Genome encode(const SearchSpace& space, std::span<const Choice> chosen, std::string_view name) {
  if (chosen.size() != space.genes.size())
    fail(space, fmt::format("\"{}\" must have {} choices, got {}", name, space.genes.size(),
                            chosen.size()));
  const std::function<bool(std::size_t)> matters = [&](std::size_t position) {
    const auto& needed = space.genes[position].only_with;
    return needed.empty() || std::any_of(needed.begin(), needed.end(), [&](std::size_t other) {
             return matters(other) && chosen[other].at(0) != 0;
           });
  };
  Genome g = first_genome(space);
  for (std::size_t i = 0; i < g.size(); ++i) {
    const Gene& gene = space.genes[i];
    if (!gene.in_files || !matters(i)) continue;
    const auto found = std::find(gene.choices.begin(), gene.choices.end(), chosen[i]);
    if (found == gene.choices.end())
      fail(space, fmt::format("{} of \"{}\" must be one of {}, got {}", gene.name, name,
                              listed(gene), text(gene, chosen[i])));
    g[i] = static_cast<std::uint8_t>(found - gene.choices.begin());
  }
  return canonical(space, g);
}

std::string text(const Gene& gene, const Choice& choice) {
  if (choice.size() != 1) return fmt::format("[{}]", fmt::join(choice, ", "));
  for (const auto& [word, number] : gene.words)
    if (number == choice[0]) return word;
  return fmt::format("{}", choice[0]);
}

std::uint64_t uniform_below(Rng& rng, std::uint64_t count) {
  const std::uint64_t limit = Rng::max() - Rng::max() % count;
  std::uint64_t value = rng();
  while (value >= limit) value = rng();
  return value % count;
}

Genome sample(const SearchSpace& space, Rng& rng) {
  Genome genome = first_genome(space);
  for (std::size_t i = 0; i < genome.size(); ++i)
    if (const std::size_t count = space.genes[i].choices.size(); count > 1)
      genome[i] = static_cast<std::uint8_t>(uniform_below(rng, count));
  return canonical(space, genome);
}

Genome mutate(const SearchSpace& space, const Genome& genome, double rate, Rng& rng) {
  if (!(rate >= 0 && rate <= 1))
    throw std::invalid_argument(fmt::format("mutation rate must be in 0..1, got {}", rate));
  std::vector<std::size_t> free;
  for (std::size_t i = 0; i < genome.size(); ++i)
    if (space.genes[i].choices.size() > 1) free.push_back(i);
  if (free.empty()) return canonical(space, genome);
  Genome child = genome;
  const auto change = [&](std::size_t i) {
    const std::uint64_t count = space.genes[i].choices.size();
    const std::uint64_t now = child[i];
    std::uint64_t next = 0;
    if (uniform_below(rng, 2) == 0) {
      const bool up = now == 0 || (now + 1 < count && uniform_below(rng, 2) == 0);
      next = up ? now + 1 : now - 1;
    } else {
      next = uniform_below(rng, count - 1);
      next += next >= now;
    }
    child[i] = static_cast<std::uint8_t>(next);
  };
  const auto threshold = static_cast<std::uint64_t>(rate * 1e9);
  const std::size_t sure = free[uniform_below(rng, free.size())];
  for (const std::size_t i : free)
    if (i == sure || uniform_below(rng, 1'000'000'000) < threshold) change(i);
  return canonical(space, child);
}

Genome crossover(const SearchSpace& space, const Genome& a, const Genome& b, Rng& rng) {
  Genome child = a;
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < child.size(); ++i) {
    if (i % 64 == 0) bits = rng();
    if (bits >> (i % 64) & 1) child[i] = b[i];
  }
  return canonical(space, child);
}

void UnitKey::fail() const {
  cpubone::fail(space_, "it has too many choices for a block to be told apart in 64 bits");
}

}  // namespace cpubone
