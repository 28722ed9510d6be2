#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/json_file.hpp"
#include "graph/network.hpp"

namespace cpubone {

/// What may be chosen for a gene: a number, or several that go together.
using Choice = std::vector<double>;

/// A row of a search space's table: one part of a network, and what may be chosen for it. Choices
/// that stand beside each other in the list are neighbours.
struct Gene {
  std::string name;               ///< `resolution`, or `stage3.kernel` where it is of one stage
  std::vector<Choice> choices{};  ///< different; those of one number ascend
  /// Positions of genes without which this one has no effect: one of them must have an effect
  /// itself, and a choice other than 0. Empty: it always has one.
  std::vector<std::size_t> only_with{};

  // What a choice may be.
  double low = 0;  ///< least number
  double high = 0;
  bool whole = true;         ///< numbers are
  bool single = true;        ///< a choice may be one number; else only one of `words`
  std::size_t together = 0;  ///< how many numbers a choice of several has; 0: there are none
  std::vector<std::pair<std::string, double>> words{};  ///< that files have in place of numbers
  bool in_files = true;  ///< files may name choices; else there is only the usual one
};

/// A network of a space: for every gene the index of its choice.
using Genome = std::vector<std::uint8_t>;

struct SearchSpace;

/// A part of a network that many networks of a space have: those with equal keys are equal.
struct UnitUse {
  std::uint64_t key = 0;
  int times = 1;  ///< in a row
};

/// A published network that a space may have.
struct Member {
  std::string name;
  std::optional<Genome> genome;
};

/// Published networks that a space's are like, and are compared with.
struct Peers {
  std::string family;   ///< at whose level accuracies are estimated
  bool is_new = false;  ///< the space's are of no published family, and only like that one
  /// Names in the zoo, fastest first: what proposals are measured and compared with.
  std::vector<std::string> references;
  bool operator==(const Peers&) const = default;
};

/// What a space's genes are parts of: how choices become a network, and which make the same one.
struct Skeleton {
  std::string_view name;
  /// The table, with the choices that a file need not name; empty where it must.
  const std::vector<Gene>& (*genes)();
  /// Throws std::invalid_argument where choices do not go together; `check` has checked each.
  void (*check)(const SearchSpace&);
  /// Replaces choices that do not fit others, or do what another does, by the one that stands for
  /// them. Genes without effect are 0 already.
  void (*reduce)(const SearchSpace&, Genome&);
  /// Of a canonical genome; the network's name is `candidate`.
  Network (*build)(const SearchSpace&, const Genome&);
  /// Of a canonical genome, in few words.
  std::string (*describe)(const SearchSpace&, const Genome&);
  /// The parts of a canonical genome's network, in the order of its nodes. A part reads only the
  /// one before it, and is the nodes whose names agree up to the second dot, e.g. `stage3.1`; of
  /// the stage `head` all.
  void (*units)(const SearchSpace&, const Genome&, std::vector<UnitUse>&);

  Peers peers;  ///< where a space does not say others
  /// Published networks of this kind, with their genomes where the space has them.
  std::vector<Member> (*members)(const SearchSpace&);
  /// What differs in a canonical genome from a published network; empty: nothing can be told.
  std::string (*difference)(const SearchSpace&, const Genome&, std::string_view published);
};

/// A skeleton by name: `cpubone`, `mnasnet` or `staged`. Throws std::invalid_argument listing them.
const Skeleton& find_skeleton(std::string_view name);

/// All networks that a search may choose from: every combination of the choices.
struct SearchSpace {
  std::string name;
  const Skeleton* skeleton = nullptr;
  std::vector<Gene> genes;  ///< the skeleton's, with this space's choices
  Peers peers;

  /// Of name, skeleton, choices and peers.
  friend bool operator==(const SearchSpace& a, const SearchSpace& b);
};

/// A space of the skeleton with its usual choices.
SearchSpace make_space(std::string name, const Skeleton& skeleton);
/// Choices of one number each. Throws std::invalid_argument for a gene that the space does not
/// have.
void set_choices(SearchSpace& space, std::string_view gene, const std::vector<double>& numbers);
/// Position of a gene. Throws std::invalid_argument where the space does not have it.
std::size_t find_gene(const SearchSpace& space, std::string_view name);

/// Number of choices of every gene.
std::vector<int> choices(const SearchSpace& space);
/// Number of genomes, of which several may mean the same network.
double size(const SearchSpace& space);
/// The number chosen for a gene; of several the first.
inline double chosen(const SearchSpace& space, const Genome& genome, std::size_t position) {
  return space.genes[position].choices[genome[position]][0];
}

/// Throws std::invalid_argument naming the choice, what was got and expected: empty, unsorted, out
/// of range, more than 255 choices, or a combination that the skeleton refuses.
void check(const SearchSpace& space);
/// Throws std::invalid_argument naming the gene that is out of range.
void check(const SearchSpace& space, const Genome& genome);

/// The genome of first choices, not canonical.
Genome first_genome(const SearchSpace& space);
/// The genome that stands for all those of the same network: genes without effect are 0, and what
/// does not fit or does the same is as the skeleton reduces it.
Genome canonical(const SearchSpace& space, const Genome& genome);
/// The network that a genome means.
Network build(const SearchSpace& space, const Genome& genome);
/// Short description of it.
std::string describe(const SearchSpace& space, const Genome& genome);
/// The canonical genome of choices, one a gene; those of genes without effect need not be in the
/// space. Throws std::invalid_argument naming the gene whose choice the space does not have, and
/// its choices; `name` is the network's in that message.
Genome encode(const SearchSpace& space, std::span<const Choice> chosen, std::string_view name);
/// A choice as files and messages show it, e.g. `hardswish`, `4`, `[1536, 1600]`.
std::string text(const Gene& gene, const Choice& choice);

using Rng = std::mt19937_64;
/// Uniform in 0..count - 1, the same on every platform.
std::uint64_t uniform_below(Rng& rng, std::uint64_t count);
/// A canonical genome, every gene uniform.
Genome sample(const SearchSpace& space, Rng& rng);
/// Changes every gene with probability `rate`, at least one; half of the changes are to a
/// neighbouring choice. Canonical; may be the same network where the changes have no effect.
Genome mutate(const SearchSpace& space, const Genome& genome, double rate, Rng& rng);
/// Each gene from one of the two. Canonical.
Genome crossover(const SearchSpace& space, const Genome& a, const Genome& b, Rng& rng);

/// Puts indices of choices together to the key of a unit: two units of a skeleton differ in their
/// number, up to 62, or in some index. What is added is the same for all units of a number.
class UnitKey {
 public:
  UnitKey(const SearchSpace& space, const Genome& genome, std::uint64_t unit)
      : space_(space), genome_(genome), unit_(unit) {}
  /// The index chosen for a gene.
  void add(std::size_t position) { add(genome_[position], space_.genes[position].choices.size()); }
  /// The same where `applies`, else 0.
  void add_if(bool applies, std::size_t position) {
    add(applies ? genome_[position] : 0, space_.genes[position].choices.size());
  }
  /// Throws std::invalid_argument where the digits do not fit into 64 bits.
  void add(std::uint64_t digit, std::uint64_t count) {
    if (__builtin_mul_overflow(radix_, count, &radix_)) fail();
    key_ = key_ * count + digit;
  }
  /// Never 0. The number stands last, as what is before it is of another length for other units.
  std::uint64_t key() const { return key_ * most_units + unit_ + 1; }

 private:
  [[noreturn]] void fail() const;

  const SearchSpace& space_;
  const Genome& genome_;
  static constexpr std::uint64_t most_units = 64;
  std::uint64_t unit_;
  std::uint64_t key_ = 0;
  std::uint64_t radix_ = most_units;
};

/// Names of the spaces that come with the toolkit: `default`, `mnasnet`, `fasternet`, ...
std::vector<std::string> search_space_names();
/// What a user means: one of these names or a file (.json). Throws std::invalid_argument for a
/// name that is not known, cpubone::Error for a file that is wrong.
SearchSpace named_search_space(const std::string& name_or_file);

/// Search space JSON (`cpubone/space/1`, docs/file-formats.md).
nlohmann::json to_json(const SearchSpace& space);
/// Throws cpubone::Error with the JSON pointer, what was got and what is expected.
SearchSpace read_search_space(const JsonReader& json);
SearchSpace load_search_space(const std::filesystem::path& path);
void save_search_space(const SearchSpace& space, const std::filesystem::path& path);

}  // namespace cpubone
