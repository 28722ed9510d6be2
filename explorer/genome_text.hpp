#pragma once
#include <string>

#include "graph/json_file.hpp"
#include "space/search_space.hpp"

namespace cpubone {

/// A genome as files and other processes have it: two hexadecimal digits a gene.
std::string genome_text(const Genome& genome);
/// Throws cpubone::Error where it is none of the space's.
Genome read_genome(const JsonReader& json, const SearchSpace& space);

}  // namespace cpubone
