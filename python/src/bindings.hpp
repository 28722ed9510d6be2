#pragma once
#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "graph/json_file.hpp"
#include "python/src/first_exception.hpp"

/// The private module `cpubone._core`: what the Python package stands on, one file a folder.
namespace cpubone::python {

namespace py = pybind11;

void register_space(py::module_& m);
void register_predictor(py::module_& m);
void register_explorer(py::module_& m);
void register_studies(py::module_& m);
void register_reports(py::module_& m);
#ifdef CPUBONE_WITH_XNNPACK
void register_profiler(py::module_& m);
void register_quantisation(py::module_& m);
#endif

/// Text of a record, as its file has it.
template <typename Record>
std::string json_text(const Record& record) {
  return to_json(record).dump();
}

/// Reads a record from text with `read`, whose errors start with `source`.
template <typename Read>
auto from_text(std::string_view text, const std::string& source, Read read) {
  const nlohmann::json json = parse_json(text, source);
  return read(JsonReader(json, source + "#"));
}

/// Lets work without the GIL call back and be interrupted: Ctrl-C and exceptions of callbacks
/// cancel the work, and `rethrow` raises them where it has returned. Threads may share it.
class Interruption {
 public:
  /// Whether to stop; looks for Ctrl-C at most every 50 ms.
  bool requested() {
    const auto now = std::chrono::steady_clock::now();
    if (!raised_.is_there() && now >= next_look_.load()) {
      next_look_ = now + std::chrono::milliseconds(50);
      guarded([] {
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      });
    }
    return raised_.is_there();
  }
  /// Calls Python code with the GIL held.
  template <typename Call>
  void guarded(Call call) {
    if (raised_.is_there()) return;
    const py::gil_scoped_acquire gil;
    try {
      call();
    } catch (...) {
      raised_.keep(std::current_exception());
    }
  }
  void rethrow() const { raised_.rethrow(); }

 private:
  FirstException raised_;
  std::atomic<std::chrono::steady_clock::time_point> next_look_{};
};

}  // namespace cpubone::python
