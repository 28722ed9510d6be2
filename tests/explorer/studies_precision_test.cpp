#include "explorer/studies_precision.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>

#include "predictor/calibration.hpp"
#include "reports/words.hpp"
#include "space/cpubone.hpp"
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

/// The same with two dynamic layers, which take a fifth of the time in int8.
PrecisionComparison with_dynamic_layers(PrecisionComparison c) {
  for (PrecisionPart& p : c.parts)
    if (p.node == "conv") p.int8_ns -= 0.2 * c.int8_ns.value;
  for (const char* node : {"qkv", "mlp"})
    c.parts.push_back(
        part(node, "linear 1x1x49x192->1x1x49x576 dynamic f32", 0.1 * c.int8_ns.value));
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
  predicted[0] = with_dynamic_layers(predicted[0]);
  all += told(precision_study({}, predicted));
  all += told(precision_study({}, std::span(predicted).first(1)));
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

TEST_CASE("dynamic layers are counted, and none where the runtime has none", "[precision_study]") {
  const std::vector<PrecisionComparison> vits{with_dynamic_layers(comparison("vit", 8)),
                                              comparison("mine", 12.5)};
  const Study study = precision_study(vits, {});
  CHECK(find_number(study, "dynamic_share")->value == Approx(0.1));
  CHECK(find_number(study, "dynamic_layers")->value == 2);
  CHECK(find_number(study, "dynamic_networks")->value == 1);
  CHECK(find_number(study, "stays_f32_share")->value == Approx(0.2));
  const Study without = precision_study(std::span(vits).last(1), {});
  CHECK(find_number(without, "dynamic_layers") == nullptr);
  CHECK(without.columns.size() + 2 == study.columns.size());
}

TEST_CASE("what takes longer than in f32 is told by kinds of kernels", "[precision_study]") {
  PrecisionComparison c = comparison("mine", 4);
  CHECK(slower_text(c).empty());
  const auto slower = [&](const char* op, double f32_ns, double int8_ns,
                          const std::string& reason = "") {
    c.parts.push_back({"n", "", parse_op(op), "xnnpack", f32_ns, 0, int8_ns, reason});
  };
  const char* depthwise = "conv2d 1x14x14x8->1x7x7x8 k5x5 s2 p2,2,2,2 g8 qs8";
  slower(depthwise, 1e5, 3e5);
  slower(depthwise, 1e5, 2.1e5);
  slower("conv2d 1x7x7x8->1x7x7x8 k3x3 s1 p1,1,1,1 g2 qs8", 1e5, 2e5);
  slower("conv2d 1x7x7x8->1x7x7x8 k3x3 s1 p1,1,1,1 g1 qs8", 1e5, 1.3e5);  // less than 1 %
  slower("conv2d 1x7x7x8->1x7x7x8 k1x1 s1 p0,0,0,0 g1 qs8", 9e5, 1e6);    // others gain more
  slower("add 1x7x7x8,1x7x7x8->1x7x7x8 qs8", 1e5, 1.5e5);
  slower("activation 1x7x7x8->1x7x7x8 act=gelu qs8", 1e5, 1.6e5);
  slower("activation 1x7x7x8->1x7x7x8 act=sigmoid qs8", 1e5, 0.4e5);
  slower("softmax 1x7x7x8->1x7x7x8 f32", 1e5, 9e5, "there is no int8 kernel");
  CHECK(slower_text(c) ==
        "conv2d 5x5 s2 depthwise +0.31 ms, conv2d 3x3 grouped +0.1 ms, gelu +0.06 ms");
  const Study study = precision_study(std::span(&c, 1), {});
  const auto column =
      std::find_if(study.columns.begin(), study.columns.end(),
                   [](const StudyColumn& of) { return of.name == "slower than in f32"; });
  REQUIRE(column != study.columns.end());
  CHECK(study.rows[0][static_cast<std::size_t>(column - study.columns.begin())] == slower_text(c));
}

TEST_CASE("networks are predicted in all precisions and compared here", "[precision_study]") {
  const std::vector<Predictor> predictors{calibrate(find_device("pi5"))};
  const std::vector<Network> networks{build(cpubone_config("nano")), build(cpubone_config("b0"))};
  std::atomic<bool> stop = false;
  std::vector<std::string> seen;
  WorkHooks hooks;
  hooks.cancel = &stop;
  hooks.progress = [&](std::string_view, double fraction, const std::string& network) {
    seen.push_back(fmt::format("{:.1f} {}", fraction, network));
  };
  const ComparePrecisions compare = [](const Network& n) { return comparison(n.name, 4); };
  const Study study = run_precision_study(predictors, networks, compare, {}, hooks);
  CHECK(seen == std::vector<std::string>{"0.0 cpubone-nano", "0.5 cpubone-b0"});
  CHECK_FALSE(study.predicted);
  REQUIRE(study.rows.size() == 2);
  CHECK(study.rows[0][0] == "cpubone-nano");
  const double predicted_ms = predict(predictors[0], networks[0]).latency.ms;
  CHECK(find_number(study, "f32_prediction_mape")->value > 0);
  CHECK(study.columns[4].name == "f32 predicted");
  CHECK(study.rows[0][4].get<double>() == Approx(predicted_ms).epsilon(0.01));
  CHECK_THROWS_WITH(run_precision_study(predictors, networks, {}, {}, hooks),
                    ContainsSubstring("beside those in f32, got f32 only"));
  stop = true;
  CHECK_THROWS_WITH(run_precision_study(predictors, networks, compare, {}, hooks), "interrupted");
  CHECK(seen.size() == 5);
  CHECK(comparison_s(40, 46) == 1);
  CHECK(comparison_s(40, 2) == 20);
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
