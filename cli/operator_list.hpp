#pragma once
#include <string>
#include <vector>

#include "runtime/backend.hpp"

namespace cpubone::cli {

/// Of a file, or of standard input where the path is `-`: one operator of the data type a line;
/// blank lines and those that start with `#` do not count. Throws cpubone::Error naming file and
/// line.
std::vector<Op> read_ops(const std::string& path, DType dtype, Backends backends);

}  // namespace cpubone::cli
