#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "reports/summary.hpp"
#include "reports/tables.hpp"

namespace cpubone {

Table devices_table(std::span<const Result> results) {
  Table table{"Networks on each device",
              {{"network"}, {"description"}, {"top-1 %", true}, {"params M", true}},
              {}};
  const std::vector<std::string> names = result_names(results);
  for (const std::string& name : names) table.columns.push_back({name + " ms", true});
  table.columns.push_back({"on the front of"});
  for (const ResultNetwork* n : by_latency(results.front())) {
    if (n->origin != Origin::proposal && n->family != "CPUBone") continue;
    std::vector<std::string> row{
        n->name, n->description,
        n->top1 ? fmt::format("{}{:.1f}", n->top1->estimated ? "~" : "", n->top1->percent.value)
                : "",
        fmt::format("{:.1f}", static_cast<double>(n->params) * 1e-6)};
    std::vector<std::string> fronts;
    for (std::size_t i = 0; i < results.size(); ++i) {
      const ResultNetwork* there = find_network(results[i], n->name);
      const auto ms = there != nullptr ? latency_ms(*there) : std::nullopt;
      row.push_back(ms ? fmt::format("{:.2f}", ms->value) : "");
      const auto& on_front = results[i].front;
      if (std::find(on_front.begin(), on_front.end(), n->name) != on_front.end())
        fronts.push_back(names[i]);
    }
    row.push_back(fmt::format("{}", fmt::join(fronts, ", ")));
    table.rows.push_back(std::move(row));
  }
  return table;
}

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
