#include "explorer/genome_text.hpp"

#include <fmt/format.h>

#include <iterator>
#include <stdexcept>

namespace cpubone {

std::string genome_text(const Genome& genome) {
  std::string text;
  for (const std::uint8_t g : genome) fmt::format_to(std::back_inserter(text), "{:02x}", g);
  return text;
}

Genome read_genome(const JsonReader& json, const SearchSpace& space) {
  const std::string text = json.string();
  Genome genome = first_genome(space);
  if (text.size() != 2 * genome.size())
    json.fail(fmt::format("{} hexadecimal digits", 2 * genome.size()));
  for (std::size_t i = 0; i < genome.size(); ++i) {
    const std::string pair = text.substr(2 * i, 2);
    if (pair.find_first_not_of("0123456789abcdef") != std::string::npos)
      json.fail("hexadecimal digits");
    genome[i] = static_cast<std::uint8_t>(std::stoi(pair, nullptr, 16));
  }
  try {
    check(space, genome);
  } catch (const std::invalid_argument& e) {
    json.fail_because(e.what());
  }
  return genome;
}

}  // namespace cpubone
