#include "reports/headline.hpp"

#include "reports/summary.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

ResultNetwork network(std::string name, double ms, double top1, double half_top1) {
  ResultNetwork n;
  n.name = std::move(name);
  n.origin = half_top1 > 0 ? Origin::proposal : Origin::published;
  n.top1 = Top1{{top1, top1 - half_top1, top1 + half_top1}, half_top1 > 0, ""};
  n.measured_ms = MeasuredLatency{{ms, 0.99 * ms, 1.01 * ms}, 30, false};
  return n;
}

Result result_of(std::vector<ResultNetwork> networks) {
  Result result;
  result.networks = std::move(networks);
  return result;
}

/// The same, searched for within so many milliseconds.
Result result_within(double ms, std::vector<ResultNetwork> networks) {
  Result result = result_of(std::move(networks));
  result.search.emplace();
  result.search->limits = {{"latency", ms, "ms"}, {"params", 9, "M"}};
  return result;
}

}  // namespace

TEST_CASE("a proposal's rival is the fastest published network that reaches the low end",
          "[reports]") {
  // 40 % faster than repvit-m1-0; a faster one reaches the 78.7 % that p does at 95 %.
  const Result result = result_of({network("repvit-m1-0", 20, 80.0, 0),
                                   network("mobilenetv4-conv-medium", 12, 79.1, 0),
                                   network("far-below", 6, 78.6, 0), network("p", 12, 79.6, 0.9)});
  const Headline h = headline(result);
  CHECK(h.proposal->name == "p");
  CHECK(h.at_least == Approx(78.7));
  CHECK(h.rival->name == "mobilenetv4-conv-medium");
  CHECK_FALSE(h.shown);
  CHECK(headline_sentence(result) ==
        "Use mobilenetv4-conv-medium (12.0 ms, 79.1 %). No proposal is shown to be faster than a "
        "published network that reaches as much; p (12.0 ms at an estimated 79.6 % top-1, with a "
        "probability of 95 % at least 78.7 %) comes nearest.");
}

TEST_CASE("a gain beyond both intervals is claimed", "[reports]") {
  const Result result =
      result_of({network("a", 20, 80.0, 0), network("b", 10, 78, 0), network("p", 12, 79.6, 0.9)});
  const Headline h = headline(result);
  CHECK(h.rival->name == "a");
  CHECK(h.latency_ratio == Approx(0.6));
  CHECK(h.latency_ratio_high == Approx(1.01 * 12 / (0.99 * 20)));
  CHECK(h.shown);
}

TEST_CASE("a gain that is not shown says why", "[reports]") {
  std::vector<ResultNetwork> networks{network("a", 12.1, 80.0, 0), network("p", 12, 79.6, 0.9)};
  CHECK_THAT(headline_sentence(result_of(networks)),
             ContainsSubstring("Most promising is p (") &&
                 ContainsSubstring("it is within the intervals of both latencies."));
  networks[0].measured_ms->ms = {20, 19, 21};
  networks[0].measured_ms->disturbed = true;
  CHECK_THAT(headline_sentence(result_of(networks)),
             ContainsSubstring("That is not shown: other processes disturbed the measuring."));
  networks[0].measured_ms.reset();
  networks[0].predicted_ms = Interval{20, 19, 21};
  CHECK_THAT(headline_sentence(result_of(networks)),
             ContainsSubstring("the latencies are predicted, not measured."));
}

TEST_CASE("without proposals the middle of the published ones is told", "[reports]") {
  CHECK(headline_sentence(result_of({network("a", 10, 75.5, 0), network("b", 20, 76.2, 0)})) ==
        "Use b (20.0 ms, 76.2 %): the fastest of these networks that reaches 76 %.");
  CHECK_THAT(headline_sentence({}), ContainsSubstring("none can be recommended"));
}

TEST_CASE("under a limit of latency the most accurate proposal within it is named", "[reports]") {
  // q gains more, p reaches more, r reaches most but may pass the limit: 14.9 ms + 1 %.
  const std::vector<ResultNetwork> networks{
      network("a", 16.5, 75.9, 0), network("b", 9.2, 73.8, 0), network("q", 6, 73.0, 0.6),
      network("p", 11.9, 75.5, 0.6), network("r", 14.9, 76.0, 0.6)};
  CHECK(headline(result_of(networks)).proposal->name == "q");
  const Result result = result_within(15, networks);
  CHECK(headline(result).proposal->name == "p");
  CHECK(headline(result).published_within->name == "b");
  CHECK_THAT(headline_sentence(result),
             Matchers::StartsWith("Within 15 ms: use p (11.9 ms at an estimated 75.5 % top-1") &&
                 ContainsSubstring("faster than a (16.5 ms, 75.9 %)"));
}

TEST_CASE("a published network that reaches most within the limit is named", "[reports]") {
  CHECK(
      headline_sentence(result_within(15, {network("a", 14, 76, 0), network("p", 12, 75.5, 1)})) ==
      "Within 15 ms use a (14.0 ms, 76.0 %), the most accurate published network there; no "
      "proposal within it is estimated to reach as much.");
  CHECK_THAT(
      headline_sentence(result_within(11, {network("a", 14, 76, 0), network("p", 12, 75.5, 1)})),
      Matchers::StartsWith("No network here is surely within 11 ms. Use p"));
}

TEST_CASE("a recommendation says where latencies are not of f32", "[reports]") {
  Result result = result_of({network("a", 10, 75.5, 0)});
  const std::string usual = headline_sentence(result);
  result.device.name = "host";
  result.device.precision = "f32";
  CHECK(headline_sentence(result) == usual);
  CHECK(result_names(std::span(&result, 1)) == std::vector<std::string>{"host"});
  result.device.precision = "qs8";
  CHECK(headline_sentence(result) == usual + " Latencies are of networks in int8.");
  CHECK(result_names(std::span(&result, 1)) == std::vector<std::string>{"host in int8"});
  result.device.precision = "f16";
  CHECK(headline_sentence(result) == usual + " Latencies are of networks in f16.");
  result.device.emulated = true;
  CHECK(headline_sentence(result) == usual + " Latencies are of networks in emulated f16.");
}
