// Models in ONNX files: those of a folder (`FOLDER/NAME/model.onnx` with `test_data_set_0` as the
// ONNX project lays out its own cases, or `FOLDER/NAME.onnx`). Rows: how many import, how far their
// outputs are off, how long the import takes.
#include "benchmarks/onnx_cases.hpp"
#include "benchmarks/rows.hpp"
#include "graph/error.hpp"

using namespace cpubone;

int main(int argc, char** argv) {
  return run_benchmark("onnx FOLDER", 1, argc, argv, [](auto arguments, Rows& rows) {
    if (arguments.empty()) throw std::invalid_argument("expected onnx FOLDER");
    std::size_t all = 0;
    std::size_t imported = 0;
    std::size_t equal = 0;
    double slowest_s = 0;
    for (const auto& path : case_folders(arguments[0])) {
      OnnxCase one;
      OnnxVerdict verdict;
      try {
        one = load_case(path);
        verdict = judge(one);
      } catch (const std::exception& e) {
        verdict.outcome = OnnxVerdict::Outcome::failed;
        verdict.why = e.what();
        one.name = path.filename().string();
      }
      ++all;
      if (verdict.outcome != OnnxVerdict::Outcome::refused) ++imported;
      if (verdict.outcome == OnnxVerdict::Outcome::passed) ++equal;
      slowest_s = std::max(slowest_s, verdict.import_s);
      rows.inform(one.name, verdict.error, "relative L2", verdict.why);
    }
    if (all == 0) throw Error(fmt::format("{} has no models", arguments[0]));
    const auto share = [&](std::size_t n) {
      return 100 * static_cast<double>(n) / static_cast<double>(all);
    };
    rows.add("models that import", share(imported), "%", 95, ">=", fmt::format("of {}", all));
    rows.add("models whose outputs are equal to 1e-4", share(equal), "%", 95, ">=");
    rows.add("slowest import", slowest_s, "s", 1, "<=");
  });
}
