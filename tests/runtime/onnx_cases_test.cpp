// Every test case of the ONNX project whose operators are claimed: it passes, or is refused by
// name.
#include <map>
#include <set>

#include "benchmarks/onnx_cases.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("no case of the ONNX project computes anything else than it must", "[onnx]") {
  std::map<OnnxVerdict::Outcome, int> counts;
  for (const char* set : {"node", "pytorch-converted", "pytorch-operator", "simple"})
    for (const auto& path : case_folders(std::filesystem::path(CPUBONE_ONNX_CASES) / set)) {
      CAPTURE(path.string());
      OnnxCase one;
      try {
        one = load_case(path);
      } catch (const std::exception&) {
        continue;  // data that are no tensors of numbers: sequences, strings
      }
      if (one.outputs.empty()) continue;
      const std::vector<std::string> types = onnx_node_types(one.model);
      const std::set<std::string_view> claimed = onnx_operators();
      if (!std::all_of(types.begin(), types.end(),
                       [&](const std::string& type) { return claimed.count(type) != 0; }))
        continue;
      const OnnxVerdict verdict = judge(one);
      CAPTURE(verdict.why);
      CHECK(verdict.outcome != OnnxVerdict::Outcome::failed);
      if (verdict.outcome == OnnxVerdict::Outcome::refused) CHECK(verdict.why.size() > 10);
      ++counts[verdict.outcome];
    }
  // docs/onnx.md has these.
  CHECK(fmt::format("{} passed, {} refused", counts[OnnxVerdict::Outcome::passed],
                    counts[OnnxVerdict::Outcome::refused]) == "314 passed, 255 refused");
}
