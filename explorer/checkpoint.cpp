#include "explorer/checkpoint.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "explorer/genome_text.hpp"
#include "graph/json_file.hpp"

namespace cpubone {
namespace {

constexpr std::size_t id_bytes = 8;
constexpr std::int64_t most_networks = std::int64_t{1} << 40;

std::filesystem::path networks_path(const std::filesystem::path& checkpoint) {
  return checkpoint.string() + ".networks";
}

/// What a search is, apart from how long it goes on.
std::string identity(const SearchSpace& space, const SearchOptions& options) {
  nlohmann::json constraints = nlohmann::json::array();
  for (const Constraint& c : options.constraints)
    constraints.push_back({name(c.objective), c.limit});
  nlohmann::json objectives = nlohmann::json::array();
  for (const Objective o : options.objectives) objectives.push_back(name(o));
  std::string start;
  for (const Genome& g : options.start) start += genome_text(g);
  return nlohmann::json{{"algorithm", name(options.algorithm)},
                        {"objectives", objectives},
                        {"constraints", constraints},
                        {"islands", options.islands},
                        {"population", options.population},
                        {"generations", options.generations},
                        {"seed", options.seed},
                        {"start", start},
                        {"space", to_json(space)}}
      .dump();
}

/// Appends to a file that is `size` bytes long, or starts it, and syncs it.
void append(const std::filesystem::path& path, std::size_t size, std::string_view bytes) {
  const auto fail = [&] {
    throw Error(fmt::format("{}: cannot write: {}", path.string(), std::strerror(errno)));
  };
  struct File {
    int descriptor;
    ~File() {
      if (descriptor >= 0) ::close(descriptor);
    }
  } file{::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666)};
  if (file.descriptor < 0 || ::ftruncate(file.descriptor, static_cast<off_t>(size)) != 0 ||
      ::lseek(file.descriptor, 0, SEEK_END) < 0)
    fail();
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail();
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(file.descriptor) != 0) fail();
}

std::vector<std::uint64_t> load_networks(const std::filesystem::path& path, std::size_t count) {
  std::ifstream stream(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  if (bytes.size() < id_bytes * count)
    throw Error(fmt::format("{}: expected {} bytes, got {}", path.string(), id_bytes * count,
                            bytes.size()));
  std::vector<std::uint64_t> networks(count);
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t b = 0; b < id_bytes; ++b)
      networks[i] |= std::uint64_t{static_cast<unsigned char>(bytes[id_bytes * i + b])} << 8 * b;
  return networks;
}

SearchState read_state(const JsonReader& json, const Evaluator& evaluator,
                       const SearchOptions& options) {
  json.expect_schema("search");
  json.expect_keys({"schema", "search", "epoch", "evaluations", "distinct", "reference",
                    "hypervolume", "islands", "front", "nearest", "cloud"});
  const SearchSpace& space = evaluator.space();
  if (json.at("search").string() != identity(space, options))
    json.at("search").fail_because(
        "this checkpoint is of a search with other options or another "
        "space");
  const auto genomes = [&](const JsonReader& list) {
    std::vector<Genome> result;
    list.each([&](const JsonReader& item) { result.push_back(read_genome(item, space)); });
    return result;
  };
  const auto found = [&](const JsonReader& list) {
    const std::vector<Genome> all = genomes(list);
    std::vector<Evaluation> evaluations(all.size());
    evaluator.evaluate(all, evaluations);
    std::vector<Found> result;
    for (std::size_t i = 0; i < all.size(); ++i) result.push_back({all[i], evaluations[i]});
    return result;
  };
  SearchState state;
  json.at("islands").each(
      [&](const JsonReader& item) { state.populations.push_back(genomes(item)); });
  const bool sizes =
      std::all_of(state.populations.begin(), state.populations.end(), [&](const auto& population) {
        return population.size() == static_cast<std::size_t>(options.population);
      });
  if (state.populations.size() != static_cast<std::size_t>(options.islands) || !sizes)
    json.at("islands").fail(
        fmt::format("{} populations of {}", options.islands, options.population));
  state.epoch = json.at("epoch").integer(0, most_networks);
  state.evaluations = json.at("evaluations").integer(0, std::int64_t{1} << 50);
  json.at("reference").each([&](const JsonReader& item) {
    state.reference.push_back(item.number());
  });
  if (!state.reference.empty() && state.reference.size() != options.objectives.size())
    json.at("reference").fail(fmt::format("{} costs", options.objectives.size()));
  json.at("hypervolume").each([&](const JsonReader& item) {
    if (item.size() != 2) item.fail("[evaluations, hypervolume]");
    HypervolumePoint point;
    std::size_t i = 0;
    item.each([&](const JsonReader& number) {
      if (i++ == 0)
        point.evaluations = number.integer(0, most_networks);
      else
        point.value = number.number();
    });
    state.hypervolume.push_back(point);
  });
  state.front = found(json.at("front"));
  state.nearest = found(json.at("nearest"));
  state.cloud = found(json.at("cloud"));
  state.networks =
      load_networks(networks_path(options.checkpoint),
                    static_cast<std::size_t>(json.at("distinct").integer(0, most_networks)));
  return state;
}

}  // namespace

void CheckpointWriter::write(const SearchState& state) {
  std::string bytes;
  for (std::size_t i = written_; i < state.networks.size(); ++i)
    for (std::size_t b = 0; b < id_bytes; ++b)
      bytes.push_back(static_cast<char>(state.networks[i] >> 8 * b & 0xFF));
  // The networks first: a state counts only those that are there already.
  append(networks_path(options_.checkpoint), id_bytes * written_, bytes);
  written_ = state.networks.size();

  const auto genomes = [](const std::vector<Found>& found) {
    nlohmann::json list = nlohmann::json::array();
    for (const Found& f : found) list.push_back(genome_text(f.genome));
    return list;
  };
  nlohmann::json islands = nlohmann::json::array();
  for (const std::vector<Genome>& island : state.populations) {
    nlohmann::json population = nlohmann::json::array();
    for (const Genome& g : island) population.push_back(genome_text(g));
    islands.push_back(population);
  }
  nlohmann::json curve = nlohmann::json::array();
  for (const HypervolumePoint& p : state.hypervolume) curve.push_back({p.evaluations, p.value});
  write_json_file({{"schema", "cpubone/search/1"},
                   {"search", identity(space_, options_)},
                   {"epoch", state.epoch},
                   {"evaluations", state.evaluations},
                   {"distinct", state.networks.size()},
                   {"reference", state.reference},
                   {"hypervolume", curve},
                   {"islands", islands},
                   {"front", genomes(state.front)},
                   {"nearest", genomes(state.nearest)},
                   {"cloud", genomes(state.cloud)}},
                  options_.checkpoint, -1);
}

SearchState load_checkpoint(const Evaluator& evaluator, const SearchOptions& options) {
  try {
    return load(options.checkpoint,
                [&](const JsonReader& json) { return read_state(json, evaluator, options); });
  } catch (const Error& e) {
    throw Error(
        fmt::format("cannot resume the search: {}; remove the file or search without "
                    "resuming",
                    e.what()));
  }
}

void remove_checkpoint(const std::filesystem::path& checkpoint) {
  std::filesystem::remove(checkpoint);
  std::filesystem::remove(networks_path(checkpoint));
}

}  // namespace cpubone
