#pragma once
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace cpubone {

/// Rows of a benchmark: JSON on stdout at the end, a table for people on stderr meanwhile.
class Rows {
 public:
  /// `sense` is `<=` or `>=`; without a goal the row informs and always holds.
  void add(const std::string& row, double value, const std::string& unit, double goal,
           const std::string& sense, const std::string& note = "") {
    const bool holds = sense == "<=" ? value <= goal : value >= goal;
    keep(row, value, unit, goal, sense, holds, note,
         fmt::format("{} {:g}: {}  {}", sense, goal, holds ? "holds" : "FAILS", note));
  }
  void inform(const std::string& row, double value, const std::string& unit,
              const std::string& note = "") {
    keep(row, value, unit, nullptr, ">=", true, note, note);
  }
  void print() const { fmt::print("{}\n", nlohmann::json(rows_).dump(1)); }

 private:
  void keep(const std::string& row, double value, const std::string& unit,
            const nlohmann::json& goal, const std::string& sense, bool holds,
            const std::string& note, const std::string& shown) {
    fmt::print(stderr, "{:<58} {:>14.6g} {:<14} {}\n", row, value, unit, shown);
    rows_.push_back({{"row", row},
                     {"value", value},
                     {"unit", unit},
                     {"goal", goal},
                     {"sense", sense},
                     {"holds", holds},
                     {"note", note}});
  }

  std::vector<nlohmann::json> rows_;
};

/// What a benchmark does with its arguments.
using Benchmark = std::function<void(std::span<const std::string> arguments, Rows& rows)>;

/// The main function of a benchmark, with at most `most` arguments, none of them an option. `usage`
/// begins with its name, e.g. `predictor [PREFIX [FACTOR]]`. Returns 0 where it ran, whatever
/// holds; 2 for wrong arguments, for which `body` throws std::invalid_argument; 1 where it failed.
inline int run_benchmark(std::string_view usage, std::size_t most, int argc, char** argv,
                         const Benchmark& body) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string_view name = usage.substr(0, usage.find(' '));
  try {
    for (std::size_t i = 0; i < arguments.size(); ++i)
      if (i >= most || arguments[i].empty() || arguments[i][0] == '-')
        throw std::invalid_argument(
            fmt::format("got the argument \"{}\", expected {}", arguments[i], usage));
    Rows rows;
    body(arguments, rows);
    rows.print();
    return 0;
  } catch (const std::invalid_argument& e) {
    fmt::print(stderr, "{}: {}\n", name, e.what());
    return 2;
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}: {}\n", name, e.what());
    return 1;
  }
}

}  // namespace cpubone
