#pragma once
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace cpubone {

/// Rows of a benchmark: JSON on stdout, a table for people on stderr.
class Rows {
 public:
  /// `sense` is `<=` or `>=`; without a goal the row informs and always holds.
  void add(const std::string& row, double value, const std::string& unit, double goal,
           const std::string& sense, const std::string& note = "") {
    const bool holds = sense == "<=" ? value <= goal : value >= goal;
    rows_.push_back({{"row", row},
                     {"value", value},
                     {"unit", unit},
                     {"goal", goal},
                     {"sense", sense},
                     {"holds", holds},
                     {"note", note}});
  }
  void inform(const std::string& row, double value, const std::string& unit,
              const std::string& note = "") {
    rows_.push_back({{"row", row},
                     {"value", value},
                     {"unit", unit},
                     {"goal", nullptr},
                     {"sense", ">="},
                     {"holds", true},
                     {"note", note}});
  }
  void print() const {
    for (const auto& r : rows_)
      fmt::print(stderr, "{:<58} {:>14.6g} {:<14} {}\n", r["row"].get<std::string>(),
                 r["value"].get<double>(), r["unit"].get<std::string>(),
                 r["goal"].is_null() ? r["note"].get<std::string>()
                                     : fmt::format("{} {:g}: {}  {}", r["sense"].get<std::string>(),
                                                   r["goal"].get<double>(),
                                                   r["holds"].get<bool>() ? "holds" : "FAILS",
                                                   r["note"].get<std::string>()));
    fmt::print("{}\n", nlohmann::json(rows_).dump(1));
  }

 private:
  std::vector<nlohmann::json> rows_;
};

}  // namespace cpubone
