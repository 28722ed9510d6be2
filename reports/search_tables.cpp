#include <fmt/format.h>

#include "reports/tables.hpp"

namespace cpubone {

Table next_table(const Result& result) {
  Table table{"What to train next",
              {{"network"},
               {"description"},
               {"predicted ms", true},
               {"top-1 %", true},
               {"expected improvement of the front", true}},
              {}};
  for (const NextNetwork& n : result.next)
    table.rows.push_back({n.name, n.description, with_interval(n.predicted_ms),
                          fmt::format("~{:.1f} ({:.1f}–{:.1f})", n.top1.percent.value,
                                      n.top1.percent.low, n.top1.percent.high),
                          percent_text(n.improvement)});
  return table;
}

std::string_view next_introduction() {
  return "Training these is expected to improve the front most, as little is known yet of their "
         "latency and accuracy. Their files are in networks/; --accuracy takes the results.";
}

Table search_table(const Result& result) {
  Table table{"Hypervolume over the search", {{"Evaluations", true}, {"Hypervolume", true}}, {}};
  if (result.search)
    for (const HypervolumePoint& point : result.search->hypervolume)
      table.rows.push_back({fmt::to_string(point.evaluations), fmt::format("{:.6g}", point.value)});
  return table;
}

}  // namespace cpubone
