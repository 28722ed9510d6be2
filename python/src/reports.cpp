#include <pybind11/operators.h>

#include "python/src/bindings.hpp"
#include "records/result.hpp"
#include "reports/charts.hpp"
#include "reports/report.hpp"
#include "reports/words.hpp"

namespace cpubone::python {

using namespace py::literals;

void register_reports(py::module_& m) {
  py::class_<Result>(m, "Result")
      .def_static(
          "from_json",
          [](const std::string& text, const std::string& source) {
            return from_text(text, source, read_result);
          },
          "text"_a, "source"_a)
      .def_static("load", &load_result, "path"_a)
      .def(
          "save", [](const Result& r, const std::filesystem::path& path) { save_result(r, path); },
          "path"_a)
      .def("json", &json_text<Result>)
      .def("assured_top1",
           [](const Result& result) {
             py::dict percents;
             for (const ResultNetwork& n : result.networks)
               if (n.top1) percents[py::str(n.name)] = assured(*n.top1);
             return percents;
           })
      .def("statements",
           [](const Result& result) {
             py::list said;
             for (const Statement& s : statements(result))
               said.append(py::make_tuple(s.title, s.sentence, name(s.verdict)));
             return said;
           })
      .def("charts",
           [](const Result& result) {
             const ChartSet set = make_charts(result, chart_frame({&result, 1}));
             py::list charts;
             for (const Chart& chart : set.charts)
               charts.append(py::make_tuple(chart.name, standalone(set, chart).dump()));
             return charts;
           })
      .def(py::self == py::self);
  m.def(
      "write_report",
      [](const std::vector<Result>& results, const std::filesystem::path& folder) {
        WrittenReport report = write_report(results, folder);
        return std::pair(std::move(report.files), std::move(report.notes));
      },
      "results"_a, "folder"_a, py::call_guard<py::gil_scoped_release>());
  m.def(
      "report_html", [](const std::vector<Result>& results) { return report_html(results); },
      "results"_a, py::call_guard<py::gil_scoped_release>());
  m.def("report_scripts", &report_scripts);
}

}  // namespace cpubone::python
