#include "explorer/studies_precision.hpp"

#include <cmath>
#include <string>

#include "reports/words.hpp"
#include "tests/approved.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

PrecisionPart part(const std::string& node, const char* op, double int8_ns,
                   const std::string& reason = "") {
  return {node, "stage1", parse_op(op), "xnnpack", 2 * int8_ns, 3 * int8_ns, int8_ns, reason};
}

/// A network of 10 ms in f32, of whose time in int8 a tenth are conversions and a fifth stays f32.
PrecisionComparison comparison(const std::string& name, double int8_ms, bool has_f16 = true) {
  PrecisionComparison c{.network = name, .family = "CPUBone"};
  const auto interval = [](double value) { return Interval{value, 0.99 * value, 1.02 * value}; };
  c.f32_ns = interval(10e6);
  c.int8_ns = interval(int8_ms * 1e6);
  c.speedup = ratio(c.f32_ns, c.int8_ns);
  if (has_f16) {
    c.f16_ns = interval(12e6);
    c.f16_speedup = ratio(c.f32_ns, c.f16_ns);
    c.f16_emulated = true;
    c.f16_memory_bytes = 20 << 20;
  }
  c.f32_memory_bytes = 40 << 20;
  c.int8_memory_bytes = 10 << 20;
  const double ns = int8_ms * 1e6;
  c.parts = {part("in", "quantise 1x7x7x8:f32->1x7x7x8:qs8", 0.1 * ns),
             part("conv", "conv2d 1x7x7x8->1x7x7x8 k1x1 s1 p0,0,0,0 g1 qs8", 0.7 * ns),
             part("a", "softmax 1x1x1x8->1x1x1x8 f32", 0.05 * ns, "there is no int8 kernel"),
             part("b", "softmax 1x1x1x8->1x1x1x8 f32", 0.05 * ns, "there is no int8 kernel"),
             part("c", "add 1x1x1x8,1x1x1x8->1x1x1x8 f32", 0.1 * ns, "reads only f32")};
  return c;
}

std::string told(const Study& study) {
  ResultDevice device;
  device.name = "fake";
  const Statement said = statement(study, device);
  std::string text = fmt::format("{} ({})\n{}\n", said.title, name(said.verdict), said.sentence);
  for (const StudyColumn& column : study.columns)
    text += fmt::format("{} [{}] ", column.name, column.unit);
  text += '\n';
  for (const auto& row : study.rows) {
    REQUIRE(row.size() == study.columns.size());
    nlohmann::json cells = row;
    round_numbers(cells);
    text += cells.dump() + "\n";
  }
  return text + '\n';
}

}  // namespace

TEST_CASE("the study of precisions tells what was approved", "[precision_study]") {
  const std::vector<PrecisionComparison> measured{comparison("cpubone-b0", 4),
                                                  comparison("mine", 12.5)};
  std::vector<PrecisionComparison> predicted{comparison("cpubone-b0", 4.4, false),
                                             comparison("mine", 12.5, false)};
  const std::vector<OwnTop1> top1{{"B0", "cpubone-b0", 0, 0, 77.5}, {"mine", "", 0, 0, 70}};
  std::string all = told(precision_study(measured, predicted, top1));
  all += told(precision_study({}, std::span(predicted).first(1)));
  PrecisionComparison in_f16 = comparison("mine", 4);
  in_f16.int8_ns = in_f16.speedup = {};
  in_f16.f16_emulated = false;
  in_f16.parts.clear();
  all += told(precision_study(std::span(&in_f16, 1), {}));
  check_approved("precision_study.txt", all);
}

TEST_CASE("speed-ups, shares and what is lost are averages over networks", "[precision_study]") {
  const std::vector<PrecisionComparison> measured{comparison("cpubone-b0", 4),
                                                  comparison("mine", 12.5)};
  const std::vector<PrecisionComparison> predicted{comparison("cpubone-b0", 4.4),
                                                   comparison("mine", 12.5)};
  const Study study = precision_study(measured, predicted);
  const auto number = [&](const char* name) { return *find_number(study, name); };
  CHECK_FALSE(study.predicted);
  CHECK(number("int8_speedup_mean").value == Approx(std::sqrt(2.5 * 0.8)));
  CHECK(number("int8_speedup_mean").low < number("int8_speedup_mean").value);
  CHECK(number("int8_slower_networks").value == 1);
  CHECK(number("int8_least_row").value == 1);
  CHECK(number("conversions_share").value == Approx(0.1));
  CHECK(number("stays_f32_share").value == Approx(0.2));
  CHECK(number("int8_memory_ratio").value == Approx(0.25));
  CHECK(number("int8_prediction_mape").value == Approx(0.05));
  CHECK(number("f32_prediction_mape").value == 0);
  CHECK(find_number(study, "int8_top1_loss_mean") == nullptr);
  CHECK(study_chart(study)["data"]["values"].size() == 2);
}

TEST_CASE("a study of precisions has networks in more than f32", "[precision_study]") {
  CHECK_THROWS_WITH(precision_study({}, {}),
                    "study precision: expected at least one network, got none");
  PrecisionComparison only_f32 = comparison("mine", 4, false);
  only_f32.int8_ns = {};
  CHECK_THROWS_WITH(precision_study(std::span(&only_f32, 1), {}),
                    ContainsSubstring("beside those in f32, got f32 only"));
  const PrecisionComparison other = comparison("other", 4);
  CHECK_THROWS_WITH(precision_study(std::span(&only_f32, 1), std::span(&other, 1)),
                    ContainsSubstring("expected the same networks measured and predicted"));
}
