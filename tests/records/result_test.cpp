#include "records/result.hpp"

#include <cmath>

#include "tests/catch.hpp"

using namespace cpubone;

namespace {

nlohmann::json small_result() {
  return parse_json(R"({
    "schema": "cpubone/result/2", "tool_version": "0.1.0", "created": "2026-01-31T12:00:00Z",
    "command": "cpubone-explore --device host", "seed": 7,
    "device": {"name": "host", "model": "A CPU", "evidence": "measured", "runtime": "XNNPACK",
               "threads": 1, "precision": "f32", "conditions": [["governor", "performance"]]},
    "warnings": [{"what": "the machine was busy", "remedy": "measure again"}],
    "networks": [
      {"name": "cpubone-b0", "family": "cpubone", "description": "w16", "origin": "published",
       "params": 10348488, "macs": 519710080, "resolution": 224, "weight_bytes": 41393952,
       "peak_activation_bytes": 4000000,
       "top1": {"value": 77.6, "low": 77.4, "high": 77.8, "kind": "published", "source": "paper"},
       "predicted_ms": {"value": 10.1, "low": 9.8, "high": 10.5},
       "measured_ms": {"value": 10.2, "low": 10.1, "high": 10.3, "samples": 30, "disturbed": false},
       "gmacps": 50.9,
       "published": {"params_m": 10.4, "macs_m": 519, "top1": 77.6, "latency": [
         {"device": "Raspberry Pi 5", "runtime": "ONNX Runtime", "threads": "4",
          "latency_ms": 24.2, "source": "README"}]},
       "breakdown": [{"stage": "stem", "class": "dense", "macs": 5419008, "latency_ms": 0.2,
                      "bound": "compute"}],
       "nearest": "", "difference": "", "better_than": []},
      {"name": "p1", "origin": "proposal", "params": 1, "macs": 2, "top1": null}],
    "candidates": [[9.5, 76.1, 500000000, 9000000]],
    "front": ["cpubone-b0"],
    "search": {"algorithm": "nsga2", "evaluations": 100, "distinct": 90,
               "hypervolume": [[10, 0.5], [100, 0.75]]},
    "predictor": {"operators_measured": 300, "profile_seconds": 60.5, "peak_gmacps": 98.5,
      "classes": [{"class": "dense", "operators": 100, "train_mape": 0.01, "test_mape": null}],
      "networks": {"count": 12, "mape": 0.02, "rmspe": 0.03, "within_5": 0.9, "within_10": 1}},
    "accuracy_model": {"description": "fit", "points": 40, "loo_mae": 0.5, "family_mae": null,
                       "note": "no training"},
    "co_execution": {"coprocessor": "Mali-G710", "synchronisation_us": 9, "unhidden_share": 0.25,
      "layers_measured": 40, "shared_mape": 0.05, "networks": [{"name": "cpubone-b0",
        "predicted_ms": {"value": 10.1, "low": 9.8, "high": 10.5},
        "cpu_alone_ms": {"value": 15, "low": 14, "high": 16},
        "shared_layers": 30, "coprocessor_layers": 2, "cpu_layers": 11}]},
    "findings": [
      {"kind": "gain", "network": "cpubone-b0", "top1": 77.6, "proposal": "p1",
       "latency_ratio": {"value": 0.8, "low": 0.79, "high": 0.82}, "holds": null},
      {"kind": "prediction", "networks": 8, "mean_error": 0.01, "worst_error": 0.04, "holds": true},
      {"kind": "lost-time", "network": "cpubone-b0", "best_gmacps": 50, "network_ms": 9,
       "network_lost_ms": 3, "stage": "stage2", "stage_ms": 5, "stage_lost_ms": 3,
       "op_class": "depthwise", "op_class_lost_ms": 2.8, "bound": "memory"}],
    "studies": [{"name": "crossover", "predicted": true, "holds": true,
                 "columns": [{"name": "latency", "unit": "ms"}, {"name": "faster", "unit": ""}],
                 "rows": [[16, "fused"], [512, null]],
                 "numbers": [{"name": "cases", "value": 2, "low": 2, "high": 2}]}]})",
                    "result");
}

Result read(const nlohmann::json& json) {
  return read_result(JsonReader(json, "r.json#"));
}

/// The message of the error that reading `small_result` gives with `value` put at `pointer`.
std::string error_with(const std::string& pointer, const nlohmann::json& value) {
  nlohmann::json json = small_result();
  json[nlohmann::json::json_pointer(pointer)] = value;
  try {
    read(json);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("a result survives writing and reading", "[records]") {
  const Result result = read(small_result());
  CHECK(result.networks[0].measured_ms->ms.high == 10.3);
  CHECK(result.networks[0].published->latency[0].threads == "4");
  CHECK(result.device.conditions[0] == Labelled{"governor", "performance"});
  CHECK(result.studies[0].rows[1][1].is_null());
  CHECK(result.co_execution->networks[0].cpu_alone_ms.high == 16);
  CHECK(read(to_json(result)) == result);
  CHECK(to_json(read(to_json(result))) == to_json(result));
}

TEST_CASE("what a result does not know is absent or null", "[records]") {
  const Result result = read(small_result());
  CHECK_FALSE(result.networks[1].top1);
  CHECK_FALSE(latency_ms(result.networks[1]));
  CHECK_FALSE(result.accuracy_model->family_mae);
  CHECK_FALSE(std::get<GainFinding>(result.findings[0]).holds);
  nlohmann::json least = small_result();
  for (const char* key : {"command", "seed", "warnings", "candidates", "front", "search",
                          "predictor", "accuracy_model", "co_execution", "findings", "studies"})
    least.erase(key);
  CHECK(read(least).candidates.empty());
}

TEST_CASE("the measured latency of a network goes before the predicted", "[records]") {
  Result result = read(small_result());
  CHECK(latency_ms(result.networks[0])->value == 10.2);
  result.networks[0].measured_ms.reset();
  CHECK(latency_ms(result.networks[0])->value == 10.1);
  CHECK(find_network(result, "p1") == &result.networks[1]);
  CHECK(find_network(result, "none") == nullptr);
}

TEST_CASE("wrong results are refused with the place and what was expected", "[records]") {
  CHECK(error_with("/schema", "cpubone/result/1") ==
        "r.json#/schema: expected \"cpubone/result/2\", got \"cpubone/result/1\"");
  CHECK_THAT(error_with("/extra", 1), ContainsSubstring("r.json#: unknown key \"extra\""));
  CHECK(error_with("/created", "yesterday") ==
        "r.json#/created: expected a time in UTC like \"2026-01-31T12:00:00Z\", got \"yesterday\"");
  CHECK(error_with("/device/evidence", "guess") ==
        "r.json#/device/evidence: expected one of \"measured\", \"calibrated from published "
        "latencies\", \"adapted from another device\", \"description\", got \"guess\"");
  CHECK(error_with("/device/threads", 0) ==
        "r.json#/device/threads: expected a whole number in 1..4096, got 0");
  CHECK(error_with("/networks/0/top1/value", 101) ==
        "r.json#/networks/0/top1/value: expected a number in 0..100, got 101");
  CHECK(error_with("/networks/0/predicted_ms/low", 11) ==
        "r.json#/networks/0/predicted_ms: expected low <= value <= high, got 11 <= 10.1 <= 10.5");
  CHECK(error_with("/networks/0/breakdown/0/bound", "luck") ==
        "r.json#/networks/0/breakdown/0/bound: expected one of \"compute\", \"memory\", "
        "\"overhead\", \"kernel\", got \"luck\"");
  CHECK(error_with("/networks/1/name", "cpubone-b0") ==
        "r.json#/networks/1/name: network \"cpubone-b0\" stands here twice");
  CHECK(error_with("/front/0", "b9") ==
        "r.json#/front/0: expected the name of one of the networks, got \"b9\"");
  CHECK(error_with("/candidates/0/0", 0) ==
        "r.json#/candidates/0/0: expected a positive number, got 0");
  CHECK(error_with("/candidates/0", {1, 2}) ==
        "r.json#/candidates/0: expected a list of 4: latency_ms, top1, macs, params, got [1,2]");
  CHECK(error_with("/studies/0/name", "a b") ==
        "r.json#/studies/0/name: expected a name of a-z, 0-9 and dashes, got \"a b\"");
  CHECK(error_with("/studies/0/rows/0", {1}) ==
        "r.json#/studies/0/rows/0: expected 2 cells, one a column, got [1]");
  CHECK(error_with("/studies/0/numbers/0/high", 1) ==
        "r.json#/studies/0/numbers/0: expected low <= value <= high, got 2 <= 2 <= 1");
  CHECK(error_with("/findings/0/kind", "hope") ==
        "r.json#/findings/0/kind: expected one of \"gain\", \"prediction\", \"lost-time\", "
        "\"robust\", got "
        "\"hope\"");
  CHECK(error_with("/findings/2/bound", "luck") ==
        "r.json#/findings/2/bound: expected one of \"compute\", \"memory\", \"overhead\", "
        "\"kernel\", got "
        "\"luck\"");
  CHECK_THAT(error_with("/findings/1/sentence", "s"),
             ContainsSubstring("r.json#/findings/1: unknown key \"sentence\", expected one of"));
}

TEST_CASE("an estimate's interval tells with what probability an accuracy is reached",
          "[records]") {
  // log(100 - top1) is normal: 1.645 deviations to the low end.
  const double sd = 0.03;
  const Top1 estimated{
      {80, 100 - 20 * std::exp(1.6449 * sd), 100 - 20 * std::exp(-1.6449 * sd)}, true, ""};
  CHECK(probability_of(estimated, 80) == Approx(0.5));
  CHECK(probability_of(estimated, estimated.percent.low) == Approx(0.95).epsilon(1e-3));
  CHECK(assured(estimated) == Approx(100 - 20 * std::exp(1.2816 * sd)));
  CHECK(probability_of(estimated, assured(estimated)) == Approx(0.9).epsilon(1e-3));
  const Top1 published{{80, 80, 80}, false, ""};
  CHECK(probability_of(published, 80) == 1);
  CHECK(probability_of(published, 80.1) == 0);
  CHECK(assured(published) == 80);
  CHECK(log_error_sd(estimated) == Approx(sd));
  CHECK(log_error_sd(published) == 0);
}

TEST_CASE("a latency spreads as its interval tells, but not where the measuring was disturbed",
          "[records]") {
  ResultNetwork network;
  CHECK_FALSE(log_latency_sd(network));
  network.predicted_ms = Interval{10, 9, 10 * std::exp(1.6449 * 0.03)};
  CHECK(*log_latency_sd(network) == Approx(0.03));
  network.measured_ms = MeasuredLatency{{11, 10, 11 * std::exp(1.96 * 0.01)}, 30, false};
  CHECK(*log_latency_sd(network) == Approx(0.01));
  network.measured_ms->disturbed = true;
  CHECK_FALSE(log_latency_sd(network));
}
