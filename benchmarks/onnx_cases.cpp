#include "benchmarks/onnx_cases.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "graph/error.hpp"
#include "runtime/executor.hpp"
#include "runtime/steady_clock.hpp"

namespace cpubone {
namespace {

namespace fs = std::filesystem;

std::vector<OnnxValues> load_values(const fs::path& folder, const std::string& kind) {
  std::vector<OnnxValues> values;
  for (int i = 0;; ++i) {
    const fs::path path = folder / fmt::format("{}_{}.pb", kind, i);
    if (!fs::exists(path)) return values;
    values.push_back(load_onnx_tensor(path));
  }
}

double distance(const std::vector<float>& got, const std::vector<float>& expected) {
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i] == expected[i]) {  // also infinities
      if (std::isfinite(got[i])) norm += double{got[i]} * double{got[i]};
      continue;
    }
    if (std::isnan(got[i]) && std::isnan(expected[i])) continue;
    difference += std::pow(double{got[i]} - double{expected[i]}, 2);
    norm += std::pow(double{expected[i]}, 2);
  }
  return difference == 0 ? 0 : std::sqrt(difference / std::max(norm, 1e-30));
}

/// What the network computes, beside what it must.
void compare(const OnnxImport& imported, const OnnxCase& one,
             const std::map<std::string, OnnxValues>& inputs, OnnxVerdict& verdict) {
  Executor executor(imported.model.network, parameters_of(imported.model),
                    std::make_shared<ThreadPool>(1));
  for (std::size_t i = 0; i < imported.inputs.size(); ++i) {
    const OnnxTensor& input = imported.inputs[i];
    const std::vector<float> held = as_held(input, inputs.at(input.name).values);
    std::copy(held.begin(), held.end(), executor.input(i).begin());
  }
  executor.run();
  verdict.outcome = OnnxVerdict::Outcome::passed;
  verdict.why.clear();
  for (std::size_t i = 0; i < imported.outputs.size(); ++i) {
    const OnnxValues& expected = one.outputs.at(imported.outputs[i].place);
    if (imported.outputs[i].dims != expected.dims) {
      verdict.outcome = OnnxVerdict::Outcome::failed;
      verdict.why =
          fmt::format("output {} is {}, expected {}", i, fmt::join(imported.outputs[i].dims, "x"),
                      fmt::join(expected.dims, "x"));
      return;
    }
    const double error =
        distance(as_in_model(imported.outputs[i], executor.output(i)), expected.values);
    verdict.error = std::max(verdict.error, error);
    if (!(error <= verdict.tolerance)) {
      verdict.outcome = OnnxVerdict::Outcome::failed;
      verdict.why = fmt::format("output {} is off by {:.2g}", i, error);
    }
  }
}

}  // namespace

std::vector<fs::path> case_folders(const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.is_directory() || entry.path().extension() == ".onnx") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

OnnxCase load_case(const fs::path& path) {
  if (!fs::is_directory(path)) return {path.stem().string(), path, {}, {}};
  OnnxCase one{path.filename().string(), path / "model.onnx", {}, {}};
  if (!fs::exists(one.model)) throw Error(fmt::format("{} has no model.onnx", path.string()));
  one.inputs = load_values(path / "test_data_set_0", "input");
  one.outputs = load_values(path / "test_data_set_0", "output");
  std::ifstream(path / "test_data_set_0" / "rounding.txt") >> one.rounding;
  return one;
}

OnnxVerdict judge(const OnnxCase& one, double tolerance) {
  OnnxVerdict verdict;
  verdict.tolerance = std::max(tolerance, 3 * one.rounding);
  const std::vector<std::string> names = onnx_input_names(one.model);
  std::map<std::string, OnnxValues> inputs;
  for (std::size_t i = 0; i < std::min(names.size(), one.inputs.size()); ++i)
    inputs.emplace(names[i], one.inputs[i]);
  for (const bool knows_others : {false, true}) {
    OnnxOptions options;
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (inputs.at(names[i]).integer || (knows_others && i > 0))
        options.known_inputs.insert(*inputs.find(names[i]));
    try {
      const double before = steady_now_ns();
      const OnnxImport imported = import_onnx(one.model, options);
      verdict.import_s = (steady_now_ns() - before) * 1e-9;
      if (imported.unsupported.empty() && imported.outputs.size() < one.outputs.size()) {
        verdict.why = "an output is known or left out";
      } else if (imported.unsupported.empty()) {
        if (one.outputs.empty())
          verdict.outcome = OnnxVerdict::Outcome::passed;
        else
          compare(imported, one, inputs, verdict);
        verdict.network = imported.model.network;
        return verdict;
      }
      if (!imported.unsupported.empty())
        verdict.why =
            fmt::format("{}: {}", imported.unsupported[0].type, imported.unsupported[0].reason);
    } catch (const Error& e) {
      verdict.why = e.what();
    }
    if (inputs.size() < 2) return verdict;
  }
  return verdict;
}

}  // namespace cpubone
