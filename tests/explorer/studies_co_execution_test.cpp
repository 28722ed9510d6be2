#include "explorer/studies_co_execution.hpp"

#include <algorithm>
#include <string>

#include "graph/error.hpp"
#include "reports/words.hpp"
#include "tests/approved.hpp"
#include "tests/catch.hpp"
#include "tests/predictor/co_execution.hpp"

using namespace cpubone;

namespace {

const CoExecutionPredictor& fast_device() {
  static const CoExecutionPredictor predictor = fit_co_execution(test::imaginary_profile(2));
  return predictor;
}

/// Latencies of a machine on which both sides wait longer for each other than was known.
std::vector<MeasuredLatency> measured(std::span<const LayerSplit> layers, double more_waiting_ns,
                                      bool disturbed = false) {
  CoExecutionCosts costs = costs_within_network(fast_device());
  costs.synchronisation_ns += more_waiting_ns;
  std::vector<MeasuredLatency> latencies;
  for (const LayerSplit& layer : layers) {
    const double ms = 1e-6 * split_at(layer.op, layer.cpu_channels, costs).ns;
    latencies.push_back({{ms, 0.99 * ms, 1.01 * ms}, 20, disturbed});
  }
  return latencies;
}

Study measured_study(std::string_view name, double more_waiting_ns, bool disturbed = false) {
  return co_execution_study(name, fast_device(), [=](std::span<const LayerSplit> layers) {
    return measured(layers, more_waiting_ns, disturbed);
  });
}

}  // namespace

TEST_CASE("layers are studied in the precision of the profile", "[co_execution_study]") {
  const CoExecutionPredictor half = fit_co_execution(test::imaginary_profile(2, DType::f16));
  int layers = 0;
  co_execution_study("co-execution-conv", half, [&](std::span<const LayerSplit> splits) {
    for (const LayerSplit& split : splits) CHECK(split.op.dtype() == DType::f16);
    layers = static_cast<int>(splits.size());
    return measured(splits, 0);
  });
  CHECK(layers > 0);
}

TEST_CASE("studies of shared layers tell what was approved", "[co_execution_study]") {
  ResultDevice device;
  device.name = "fake";
  std::string all;
  for (const std::string_view name : co_execution_study_names())
    for (const bool measures : {false, true}) {
      const Study study =
          measures ? measured_study(name, 0) : co_execution_study(name, fast_device(), {});
      const Statement said = statement(study, device);
      all += fmt::format("{}: {} ({})\n{}\n", name, said.title, cpubone::name(said.verdict),
                         said.sentence);
      for (std::size_t i = 0; i < study.rows.size() && i < 10; ++i) {
        nlohmann::json cells = study.rows[i];
        round_numbers(cells);
        all += cells.dump() + "\n";
      }
      for (const auto& row : study.rows) REQUIRE(row.size() == study.columns.size());
      CHECK(study_chart(study)["data"]["values"].size() == study.rows.size());
      CHECK(study_chart(study).contains("layer") == measures);
    }
  check_approved("co_execution_studies.txt", all);
}

TEST_CASE("a planned split that is the best of the grid holds what was published",
          "[co_execution_study]") {
  const Study study = measured_study("co-execution-conv", 0);
  CHECK(study.holds == true);
  CHECK(find_number(study, "planned_of_best_mean")->value == Approx(1));
  CHECK(find_number(study, "prediction_mape")->value == Approx(0).margin(1e-9));
  CHECK(find_number(study, "grid_speedup_most")->value ==
        Approx(find_number(study, "planned_speedup_most")->value));
  CHECK(find_number(study, "planned_speedup_mean")->value > 1.2);
}

TEST_CASE("where sharing costs more than was known the grid's best is elsewhere",
          "[co_execution_study]") {
  const Study study = measured_study("co-execution-linear", 1e7);
  CHECK(study.holds == false);
  CHECK(find_number(study, "planned_of_best_worst")->value < 0.5);
  CHECK(find_number(study, "grid_speedup_most")->value == 1);
  CHECK_FALSE(measured_study("co-execution-linear", 1e7, true).holds.has_value());
}

TEST_CASE("predictions alone say nothing of the grid", "[co_execution_study]") {
  const Study study = co_execution_study("co-execution-linear", fast_device(), {});
  CHECK(study.predicted);
  CHECK_FALSE(study.holds.has_value());
  CHECK(find_number(study, "planned_of_best_mean") == nullptr);
}

TEST_CASE("a layer whose class the coprocessor never ran is refused with the remedy",
          "[co_execution_study]") {
  CoExecutionPredictor predictor = fast_device();
  predictor.coprocessor.classes.clear();
  CHECK_THROWS_WITH(co_execution_study("co-execution-conv", predictor, {}),
                    ContainsSubstring("were not measured on the coprocessor; run `cpubone-profile "
                                      "--device host+gpu` with a longer budget"));
  CHECK_THROWS_WITH(co_execution_study("colour", predictor, {}),
                    "study: got \"colour\", expected one of co-execution-linear, "
                    "co-execution-conv");
}
