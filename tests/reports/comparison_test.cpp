#include "reports/comparison.hpp"

#include "reports/report.hpp"
#include "reports/summary.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

ResultNetwork measured(std::string name, double ms, double top1) {
  ResultNetwork network;
  network.name = std::move(name);
  network.params = 10'000'000;
  network.macs = 500'000'000;
  network.top1 = Top1{{top1, top1, top1}, false, "paper"};
  network.measured_ms = MeasuredLatency{{ms, 0.95 * ms, 1.05 * ms}, 30, false};
  return network;
}

ResultNetwork proposal(std::string name, std::string description, double ms, double top1) {
  ResultNetwork network = measured(std::move(name), ms, top1);
  network.description = std::move(description);
  network.origin = Origin::proposal;
  network.top1->estimated = true;
  return network;
}

Result result_with(std::vector<ResultNetwork> networks) {
  Result result;
  result.device.name = "pi5";
  result.device.runtime = "XNNPACK 2022";
  result.created = "2026-01-31T12:00:00Z";
  result.networks = std::move(networks);
  return result;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::vector<std::string>> rows_of(const Table& table, const std::string& first) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& row : table.rows)
    if (row[0] == first) rows.push_back(row);
  return rows;
}

}  // namespace

TEST_CASE("a latency changed where neither interval reaches into the other", "[reports]") {
  // Intervals are ± 5 %: 10 ends at 10.5, and 11.2 begins at 10.64.
  const Result before =
      result_with({measured("a", 10, 70), measured("b", 10, 71), measured("c", 10, 72)});
  const Result after =
      result_with({measured("a", 11.2, 70), measured("b", 11, 71), measured("c", 8.9, 72)});
  const auto all = latency_changes(before, after);
  REQUIRE(all.size() == 3);
  CHECK(all[0].verdict == Verdict::holds);
  CHECK(all[0].ratio.value == Approx(1.12));
  CHECK(all[0].ratio.low == Approx(11.2 * 0.95 / 10.5));
  CHECK(all[0].ratio.high == Approx(11.2 * 1.05 / 9.5));
  CHECK(all[1].verdict == Verdict::open);
  CHECK(all[2].verdict == Verdict::holds);
  const auto found = changes(std::vector{before, after});
  REQUIRE(found);
  CHECK(found->latencies_changed == 2);
  // c for sure by a factor of 1.017, a by 1.013.
  REQUIRE(found->latencies.rows.size() == 3);
  CHECK(found->latencies.rows[0].front() == "c");
  CHECK(found->latencies.rows[0].back() == "faster");
  CHECK(found->latencies.rows[1].front() == "a");
  CHECK(found->latencies.rows[1].back() == "slower");
  CHECK(found->latencies.rows[2].back() == "within noise");
  CHECK(found->sentences.at(0) ==
        "Latencies of 3 networks are comparable; 1 is slower and 1 faster by more than noise, and "
        "the median of all is × 1.10.");
}

TEST_CASE("what is measured does not compare with what is disturbed or predicted", "[reports]") {
  Result before =
      result_with({measured("a", 10, 70), measured("b", 10, 70), measured("c", 10, 70)});
  Result after = result_with({measured("a", 20, 70), measured("b", 20, 70), measured("c", 20, 70)});
  after.networks[0].measured_ms->disturbed = true;
  before.networks[2].measured_ms->disturbed = true;
  after.networks[2].measured_ms->disturbed = true;
  after.networks[1].measured_ms.reset();
  after.networks[1].predicted_ms = Interval{20, 19, 21};
  const auto all = latency_changes(before, after);
  REQUIRE(all.size() == 3);
  for (const LatencyChange& change : all) CHECK(change.verdict == Verdict::none);
  const auto found = changes(std::vector{before, after});
  CHECK(found->latencies_changed == 0);
  CHECK(found->sentences.at(0) == "No network was measured, or predicted, in both.");
  CHECK(rows_of(found->latencies, "b").at(0)[1] == "measured / predicted");
  CHECK(rows_of(found->latencies, "b").at(0).back() == "not comparable");
}

TEST_CASE("where most latencies changed alike the cause is no single network", "[reports]") {
  const Result before =
      result_with({measured("a", 10, 70), measured("b", 20, 71), measured("c", 30, 72)});
  const auto sentence = [&](double a, double b, double c) {
    const Result after =
        result_with({measured("a", a, 70), measured("b", b, 71), measured("c", c, 72)});
    return changes(std::vector{before, after})->sentences.at(0);
  };
  CHECK(contains(sentence(12, 24, 30), "2 are slower and 0 faster"));
  CHECK(contains(sentence(12, 24, 30), "Most changed alike"));
  CHECK_FALSE(contains(sentence(12, 16, 30), "Most changed alike"));
  CHECK(sentence(10, 20, 30) ==
        "Latencies of 3 networks are comparable; none changed by more than noise, and the median "
        "of all is × 1.00.");
  // Of an even number it is halfway between the middle two.
  const Result two = result_with({measured("a", 12, 70), measured("b", 28, 71)});
  const std::string of_two = changes(std::vector{before, two})->sentences.at(0);
  CHECK(contains(of_two, "the median of all is × 1.30"));
  CHECK_FALSE(contains(of_two, "Most changed alike"));  // two may be chance
}

TEST_CASE("what was set or found differently is named, and nothing else", "[reports]") {
  const Result before = result_with({measured("a", 10, 70)});
  Result after = before;
  CHECK(changes(std::vector{before, after})->conditions.rows.empty());
  after.device.runtime = "XNNPACK 2024";
  after.device.conditions = {{"governor", "powersave"}};
  after.command = "cpubone-explore --threads 1";
  after.warnings = {{"the CPU was throttled", "cool it"}};
  const Table conditions = changes(std::vector{before, after})->conditions;
  CHECK(conditions.columns[1].title == "pi5");
  CHECK(conditions.columns[2].title == "pi5 (2)");
  REQUIRE(conditions.rows.size() == 4);
  CHECK(conditions.rows[0] == std::vector<std::string>{"runtime", "XNNPACK 2022", "XNNPACK 2024"});
  CHECK(conditions.rows[1] ==
        std::vector<std::string>{"command", "", "cpubone-explore --threads 1"});
  CHECK(rows_of(conditions, "governor").at(0)[1] == "–");
  CHECK(rows_of(conditions, "the CPU was throttled").at(0)[2] == "warned");
}

TEST_CASE("proposals of one result alone stand beside what is as good in the other", "[reports]") {
  // Latencies end at ± 5 %, accuracies at themselves.
  const Result before =
      result_with({proposal("proposal-1", "w16", 10, 75), proposal("proposal-2", "w24", 20, 78)});
  // The first is there under another number. As accurate as the second are two: 22 ms begin at
  // 20.9, within its interval, 23 ms at 21.85, beyond it.
  const Result near =
      result_with({measured("far", 12, 79), proposal("proposal-1", "w16", 10, 75),
                   proposal("proposal-2", "w28", 22, 78), proposal("proposal-3", "w32", 20, 77.9)});
  const auto found = changes(std::vector{before, near});
  REQUIRE(found->proposals.rows.size() == 3);
  CHECK(found->proposals.rows[0][0] == "pi5");
  CHECK(found->proposals.rows[0][2] == "w24");
  CHECK(found->proposals.rows[0].back() == "proposal-2: 22.0 (20.9–23.1) ms, ≈ 78.0 (78.0–78.0) %");
  CHECK(found->proposals.rows[1][0] == "pi5 (2)");
  CHECK(found->sentences.back() ==
        "1 network is proposed by both and 3 by one alone; each of the latter has one in the other "
        "that is neither slower nor less accurate beyond both intervals.");
  const Result far =
      result_with({proposal("proposal-1", "w16", 10, 75), proposal("proposal-2", "w28", 23, 78),
                   proposal("proposal-3", "w32", 20, 77.9)});
  const auto farther = changes(std::vector{before, far});
  CHECK(farther->proposals.rows[0].back() == "–");
  CHECK(contains(farther->sentences.back(), "1 of the latter has none in the other"));
  CHECK(changes(std::vector{before, before})->sentences.back() ==
        "Both propose the same 2 networks.");
  CHECK(contains(
      changes(std::vector{before, result_with({proposal("p", "w9", 1, 60)})})->sentences.back(),
      "No network is proposed by both and 3 by one alone; 3 of the latter have none"));
}

TEST_CASE("accuracies that rest on something else are told with their largest difference",
          "[reports]") {
  const Result before = result_with({measured("a", 10, 70), measured("b", 20, 75)});
  Result after = before;
  CHECK(changes(std::vector{before, after})->sentences.size() == 1);
  after.accuracy_model = AccuracySummary{"own accuracies", 12, {}, {}, ""};
  CHECK(changes(std::vector{before, after})->sentences.at(1) ==
        "Accuracies rest on something else: those of 0 networks that both have differ.");
  after.networks[1].top1->percent = {74.2, 74, 75};
  const auto sentences = changes(std::vector{before, after})->sentences;
  REQUIRE(sentences.size() == 2);
  CHECK(sentences[1] ==
        "Accuracies rest on something else: those of 1 network that both have differ, by up to 0.8 "
        "points.");
}

TEST_CASE("two results of one device tell what changed, results of several stand side by side",
          "[reports]") {
  const Result before = result_with({measured("a", 10, 70)});
  Result other = before;
  CHECK(result_names(std::vector{before, other}) == std::vector<std::string>{"pi5", "pi5 (2)"});
  const std::string html = report_html(std::vector{before, other});
  CHECK(contains(html, "<section id=\"changes\""));
  CHECK_FALSE(contains(html, "id=\"both\""));
  const std::string markdown = report_markdown(std::vector{before, other}, {});
  CHECK(contains(markdown, "# What changed"));
  CHECK_FALSE(contains(markdown, "Side by side"));
  other.device.name = "host";
  CHECK_FALSE(changes(std::vector{before, other}));
  CHECK(contains(report_html(std::vector{before, other}), "id=\"both\""));
  CHECK_FALSE(changes(std::vector{before}));
  CHECK_FALSE(changes(std::vector{before, before, before}));
}
