#include "space/mnasnet.hpp"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "space/cpubone_space.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

/// The rows of tests/fixtures/accel_nasbench.csv: networks that others trained, and their counts.
struct Trained {
  MnasnetConfig config;
  double params_m = 0;  ///< as published, to four decimals
  double macs_m = 0;    ///< by another tool, with normalisations and activations
};

std::vector<Trained> trained_networks() {
  std::ifstream file(std::string(CPUBONE_FIXTURES) + "/accel_nasbench.csv");
  std::string line;
  std::getline(file, line);  // source
  std::getline(file, line);  // header
  std::vector<Trained> networks;
  while (std::getline(file, line)) {
    std::vector<std::string> cells;
    std::istringstream row(line);
    for (std::string cell; std::getline(row, cell, ',');) cells.push_back(cell);
    Trained network;
    network.config.name = cells.at(0);
    for (std::size_t i = 0; i < network.config.stages.size(); ++i) {
      const auto number = [&](std::size_t k) { return std::stoi(cells.at(1 + 4 * i + k)); };
      network.config.stages[i] = {static_cast<double>(number(0)), number(1), number(2),
                                  number(3) != 0};
    }
    network.macs_m = std::stod(cells.at(30));
    network.params_m = std::stod(cells.at(31));
    networks.push_back(std::move(network));
  }
  return networks;
}

}  // namespace

TEST_CASE("trained networks of Accel-NASBench have their published parameters", "[space]") {
  const std::vector<Trained> networks = trained_networks();
  REQUIRE(networks.size() == 20);
  for (const Trained& network : networks) {
    INFO(network.config.name << ": " << describe(network.config));
    // With batch norms' scales and shifts, as they were trained.
    const auto counted = params(build(network.config, Form::train));
    CHECK(std::abs(static_cast<double>(counted) / 1e6 - network.params_m) < 0.5e-4 + 1e-9);
    const double macs_m = static_cast<double>(macs(build(network.config))) / 1e6;
    CHECK(network.macs_m / macs_m > 1.03);
    CHECK(network.macs_m / macs_m < 1.18);
  }
}

TEST_CASE("the space mnasnet holds the trained networks", "[space]") {
  const SearchSpace space = make_space("mnasnet", mnasnet_skeleton());
  check(space);
  CHECK(size(space) == std::pow(36, 6) * 48);
  for (const Trained& network : trained_networks()) {
    const Genome genome = encode(space, network.config);
    CHECK(canonical(space, genome) == genome);
    MnasnetConfig config = decode_mnasnet(space, genome);
    config.name = network.config.name;
    CHECK(config == network.config);
    CHECK(macs(build(space, genome)) == macs(build(network.config)));
    CHECK(describe(space, genome) == describe(network.config));
  }
  Rng rng(1);
  Genome before = sample(space, rng);
  for (int i = 0; i < 50; ++i) {
    const Genome next =
        i % 2 ? mutate(space, before, 0.1, rng) : crossover(space, before, sample(space, rng), rng);
    CHECK_NOTHROW(build(space, next));
    before = next;
  }
}

TEST_CASE("a file chooses the skeleton mnasnet and narrows it", "[space]") {
  nlohmann::json stages = nlohmann::json::array();
  for (int i = 1; i <= 7; ++i) stages.push_back({{"name", fmt::format("stage{}", i)}});
  stages[3]["kernel"] = {3, 5, 7};
  stages[6]["layers"] = {1};
  nlohmann::json file = {{"schema", "cpubone/space/1"},
                         {"name", "mine"},
                         {"skeleton", "mnasnet"},
                         {"resolution", {160, 224}},
                         {"stages", stages}};
  const SearchSpace space = read_search_space(JsonReader(file, "space.json#"));
  CHECK(size(space) == Approx(2 * std::pow(36, 6) * 48 * 1.5 / 3));
  CHECK(read_search_space(JsonReader(to_json(space), "space.json#")) == space);
  file["resolution"] = {100};
  CHECK_THROWS_WITH(read_search_space(JsonReader(file, "space.json#")),
                    ContainsSubstring("resolution must be a multiple of 32, got 100"));
}

TEST_CASE("a network of one skeleton is none of another's space", "[space]") {
  const SearchSpace space = make_space("mnasnet", mnasnet_skeleton());
  CHECK_FALSE(contains(space, cpubone_config("b0")));
  CHECK_THROWS_WITH(encode(space, cpubone_config("b0")),
                    "search space \"mnasnet\": it is of skeleton mnasnet, expected cpubone");
  CHECK_THROWS_WITH(encode(default_search_space(), MnasnetConfig{}),
                    "search space \"default\": it is of skeleton cpubone, expected mnasnet");
  CHECK_THROWS_WITH(find_gene(space, "stage1.width"),
                    "search space \"mnasnet\": it has no gene \"stage1.width\"");
}
