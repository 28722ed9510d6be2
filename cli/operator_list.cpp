#include "cli/operator_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <stdexcept>

#include "graph/error.hpp"
#include "profiler/measure.hpp"

namespace cpubone::cli {

std::vector<Op> read_ops(const std::string& path, DType dtype, Backends backends) {
  std::ifstream file;
  const std::string shown = path == "-" ? "<stdin>" : path;
  if (path != "-") {
    file.open(path);
    if (!file) throw Error(fmt::format("{}: cannot read: {}", path, std::strerror(errno)));
  }
  std::istream& stream = path == "-" ? std::cin : file;
  std::vector<Op> ops;
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    const auto begin = line.find_first_not_of(" \t\r");
    if (begin == std::string::npos || line[begin] == '#') continue;
    const auto end = line.find_last_not_of(" \t\r");
    try {
      Op op = parse_op(std::string_view(line).substr(begin, end - begin + 1));
      if ((op.dynamic ? DType::qs8 : op.dtype()) != dtype)
        throw std::invalid_argument(
            fmt::format("op \"{}\": {}, but --precision is {}", text(op),
                        op.dynamic ? "it is dynamic, and so of networks in qs8"
                                   : fmt::format("its data type is {}", name(op.dtype())),
                        name(dtype)));
      check_measurable(op, backends);
      if (std::find(ops.begin(), ops.end(), op) == ops.end()) ops.push_back(std::move(op));
    } catch (const std::invalid_argument& e) {
      throw Error(fmt::format("{}:{}: {}", shown, number, e.what()));
    }
  }
  if (ops.empty()) throw Error(fmt::format("{}: no operators in it", shown));
  return ops;
}

}  // namespace cpubone::cli
