#include "reports/words.hpp"

#include "tests/catch.hpp"

using namespace cpubone;

namespace {

ResultDevice device(const char* name) {
  ResultDevice device;
  device.name = name;
  return device;
}

Study study(const char* name, std::vector<StudyNumber> numbers) {
  Study study;
  study.name = name;
  study.numbers = std::move(numbers);
  return study;
}

/// A published network of 10 ms and a proposal of 9.5 ms, of which 0.6 are in one part.
Result small_result() {
  Result result;
  ResultNetwork b1;
  b1.name = "b1";
  b1.measured_ms = MeasuredLatency{{10, 9.9, 10.1}, 20, false};
  ResultNetwork p1 = b1;
  p1.name = "p1";
  p1.origin = Origin::proposal;
  p1.measured_ms->ms = {9.5, 9.4, 9.6};
  p1.top1 = Top1{{78.7, 78, 79.4}, true, ""};
  p1.breakdown = {{"stage4", "pointwise", 1, 6, Bound::compute},
                  {"stem", "convolution", 1, 4, Bound::compute}};
  result.networks = {b1, p1};
  return result;
}

}  // namespace

TEST_CASE("a gain is told with both latencies and both accuracies", "[reports]") {
  const Result result = small_result();
  const GainFinding gain{"b1", 78.7, "p1", Interval{0.95, 0.94, 0.96}, false};
  const Statement said = statement(gain, result);
  CHECK(said.title == "Faster at the accuracy of b1");
  CHECK(
      said.sentence ==
      "p1 takes 9.50 ms where b1 takes 10.00 ms (measured), 5.0 % less, at an estimated top-1 of "
      "78.7 % (78.0 to 79.4); it reaches 78.7 % with a probability of 50 %, and training decides. "
      "60 % of p1 is in pointwise operators of stage4.");
  CHECK(name(said.verdict) == "does not hold");
  CHECK(statement(GainFinding{"b1", 90, "", {}, false}, result).sentence ==
        "No proposal reaches the 90.0 % of b1 with a probability of 90 % within the constraints.");
}

TEST_CASE("a gain that was measured while disturbed is told so", "[reports]") {
  Result result = small_result();
  result.networks[0].measured_ms->disturbed = true;
  CHECK_THAT(
      statement(GainFinding{"b1", 78.7, "p1", Interval{0.95, 0.94, 0.96}, {}}, result).sentence,
      ContainsSubstring("where b1 takes 10.00 ms (disturbed), 5.0 % less"));
}

TEST_CASE("how far predictions were off is told with the worst", "[reports]") {
  const Statement said = statement(PredictionFinding{8, 0.014, 0.038, true}, {});
  CHECK(said.sentence ==
        "8 proposals were predicted, before they were measured, 1.4 % off on average and 3.8 % at "
        "worst, at the pace of the networks measured beside them.");
  CHECK(name(said.verdict) == "holds");
}

TEST_CASE("one network for several devices is told with the best of each", "[reports]") {
  const RobustFinding robust{"b1", 78.7, "p1", 1.2, {{"pi5", 12, 10}, {"pixel", 7, 7}}};
  const Statement said = statement(robust, {});
  CHECK(said.title == "One network for all devices at the accuracy of b1");
  CHECK(said.sentence ==
        "p1 reaches 78.7 % with a probability of 90 % and is predicted to take 12.00 ms on pi5, "
        "where the fastest takes 10.00 ms; 7.00 ms on pixel, where the fastest takes 7.00 ms: at "
        "most 20.0 % more than the best on any.");
  CHECK(said.verdict == Verdict::none);
  CHECK(statement(RobustFinding{"b3", 83.1, "", 1, {}}, {}).sentence ==
        "No network reaches the 83.1 % of b3 with a probability of 90 % within the constraints.");
}

TEST_CASE("lost time is told with its stage and cause, and claims nothing", "[reports]") {
  const Statement said = statement(
      LostTimeFinding{"b0", 50, 9, 3, "stage2", 5, 3, "depthwise", 2.8, Bound::memory}, {});
  CHECK(said.sentence ==
        "Of 9.00 ms predicted, 3.00 ms (33 %) are beyond what its MACs would take at the best rate "
        "seen, 50 GMACpS. stage2 loses most, 3.00 of its 5.00 ms; of that 2.80 ms in depthwise "
        "operators, limited by memory.");
  CHECK(said.verdict == Verdict::none);
}

TEST_CASE("a difference beyond noise is told as time saved or lost", "[reports]") {
  const auto told = [](double low, double value, double high) {
    return statement(study("upsampling", {{"latency_ratio", {value, low, high}}}), device("host"))
        .sentence;
  };
  CHECK(told(0.79, 0.8, 0.81) ==
        "On this CPU B1 with nearest upsampling takes 20 % less time than B1 with transposed "
        "convolution (± 1 %); published: -16 %.");
  CHECK_THAT(told(1.09, 1.1, 1.11), ContainsSubstring("takes 10 % more time than"));
  CHECK_THAT(told(0.9, 1, 1.1), ContainsSubstring("take the same time within noise (+0 % ± 10 %)"));
}

TEST_CASE("a predicted study says so", "[reports]") {
  Study upsampling = study("upsampling", {{"latency_ratio", {0.8, 0.8, 0.8}}});
  upsampling.predicted = true;
  CHECK_THAT(statement(upsampling, device("pi5")).sentence,
             Matchers::StartsWith("On pi5 ") &&
                 Matchers::EndsWith("Latencies are predicted, not measured."));
}

TEST_CASE("a crossover is told by resolution", "[reports]") {
  Study fusion = study("fusion", {{"last_fused_channels_at_7", {0, 0, 0}},
                                  {"first_unfused_channels_at_7", {32, 32, 32}},
                                  {"last_fused_channels_at_14", {128, 128, 128}},
                                  {"first_unfused_channels_at_14", {192, 192, 192}},
                                  {"last_fused_channels_at_28", {64, 64, 64}},
                                  {"first_unfused_channels_at_28", {0, 0, 0}}});
  fusion.columns = {{"resolution", ""}, {"channels", ""}};
  fusion.rows = {{7, 16}, {7, 256}, {14, 256}, {28, 64}, {28, 128}};
  CHECK_THAT(statement(fusion, device("pi5")).sentence,
             ContainsSubstring("the faster one at every width from 32 channels at 7², from between "
                               "128 and 192 channels at 14², nowhere up to 128 channels at 28²;"));
}

TEST_CASE("scaling over threads is not told where it is not known", "[reports]") {
  Study threads = study("threads", {});
  threads.columns = {{"subject", ""}, {"threads", ""}, {"latency", "×"}};
  threads.rows = {{"b0", 1, nullptr}};
  CHECK_THAT(statement(threads, device("pi5")).sentence, ContainsSubstring("there is one core"));
  threads.rows.push_back({"b0", 4, 0.4});
  CHECK_THAT(statement(threads, device("pi5")).sentence,
             ContainsSubstring("4 threads are faster than one by a factor of: b0 2.50."));
  threads.predicted = true;
  CHECK_THAT(statement(threads, device("pi5")).sentence, ContainsSubstring("only measuring tells"));
}

TEST_CASE("what a study lacks is not told", "[reports]") {
  CHECK(statement(study("upsampling", {}), device("host")).sentence.empty());
  const Statement unknown = statement(study("colour", {}), device("host"));
  CHECK(unknown.title == "colour");
  CHECK(unknown.verdict == Verdict::none);
  CHECK(study_chart(study("operators", {})).is_null());
}

TEST_CASE("a study's chart draws its table", "[reports]") {
  Study activations = study("activations", {});
  activations.columns = {{"activation", ""}, {"latency", "ms"}};
  activations.rows = {{"relu", 1.5}, {"silu", nullptr}};
  const nlohmann::json chart = study_chart(activations);
  CHECK(chart["encoding"]["y"]["field"] == "latency ms");
  CHECK(chart["data"]["values"][0] ==
        nlohmann::json({{"activation", "relu"}, {"latency ms", 1.5}}));
}
