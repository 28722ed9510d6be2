#include "reports/charts.hpp"

#include "tests/catch.hpp"

using namespace cpubone;

namespace {

ResultNetwork network(std::string name, double ms, double top1) {
  ResultNetwork network;
  network.name = std::move(name);
  network.family = "mobileone";
  network.macs = 100'000'000;
  network.top1 = Top1{{top1, top1, top1}, false, ""};
  network.measured_ms = MeasuredLatency{{ms, ms, ms}, 10, false};
  network.gmacps = 0.1 / ms * 1000;
  return network;
}

Result small_result() {
  Result result;
  result.device.name = "host";
  result.networks = {network("a", 10, 70), network("b", 20, 75)};
  result.candidates = {{12.34567, 71.23456, 123'456'789, 9'876'543}};
  return result;
}

const Chart* find(const ChartSet& set, std::string_view name) {
  for (const Chart& chart : set.charts)
    if (chart.name == name) return &chart;
  return nullptr;
}

}  // namespace

TEST_CASE("axes hold all results with some air", "[reports]") {
  Result fast = small_result();
  fast.networks[0].measured_ms->ms = {2, 2, 2};
  const ChartFrame frame = chart_frame(std::vector{small_result(), fast});
  CHECK(frame.latency_low_ms < 2);
  CHECK(frame.latency_high_ms > 20);
  CHECK(frame.top1_low == 69);
  CHECK(frame.top1_high == 76);
  CHECK(frame.series == std::vector<std::string>{"proposals", "mobileone"});
}

TEST_CASE("a result without networks still has axes", "[reports]") {
  const Result empty;
  const ChartFrame frame = chart_frame(std::vector{empty});
  CHECK(frame.latency_low_ms < frame.latency_high_ms);
  CHECK(make_charts(empty, frame).charts.size() == 1);
}

TEST_CASE("there is a chart for what the result knows and none else", "[reports]") {
  Result result = small_result();
  const ChartFrame frame = chart_frame(std::vector{result});
  ChartSet set = make_charts(result, frame);
  CHECK(find(set, "front") != nullptr);
  CHECK(find(set, "macs") != nullptr);
  CHECK(find(set, "predicted") == nullptr);
  CHECK(find(set, "rebuilt") == nullptr);
  CHECK(find(set, "time-by-class") == nullptr);
  result.networks[0].predicted_ms = Interval{11, 10, 12};
  result.networks[0].published = PublishedFacts{};
  result.networks[0].breakdown = {{"stem", "dense", 1, 2, Bound::compute}};
  const std::vector<StudyColumn> columns{{"activation", ""}, {"latency", "ms"}};
  result.studies = {{"activations", false, true, columns, {{"relu", 1}}, {}},
                    {"colour", false, true, columns, {{"red", 1}}, {}}};
  set = make_charts(result, frame);
  for (const char* name :
       {"predicted", "rebuilt", "time-by-class", "time-by-stage", "study-activations"})
    CHECK(find(set, name) != nullptr);
  CHECK(find(set, "study-colour") == nullptr);
}

TEST_CASE("members of CPUBone are labelled and broken down though they are not on the front",
          "[reports]") {
  Result result = small_result();
  result.networks.push_back(network("cpubone-b0", 30, 72));
  result.networks[2].family = "CPUBone";
  for (ResultNetwork& n : result.networks) n.breakdown = {{"stem", "dense", 1, 2, Bound::compute}};
  result.networks.push_back(network("slow", 40, 60));
  const ChartSet set = make_charts(result, chart_frame(std::vector{result}));
  CHECK(set.data["networks"][2]["label"] == "cpubone-b0");
  CHECK(set.data["networks"][3]["label"] == "");
  CHECK(set.data["breakdown"].size() == 3);
}

TEST_CASE("data of charts are rounded to what can be seen", "[reports]") {
  const Result result = small_result();
  const ChartSet set = make_charts(result, chart_frame(std::vector{result}));
  CHECK(set.data["candidates"].dump() == R"([{"a":71.23,"g":10.0,"l":12.35,"m":123.5,"p":9.88}])");
  CHECK(set.data["networks"][1]["latency"] == 20);
  CHECK(set.data["networks"][1]["top1_text"] == "75.0 % published");
}

TEST_CASE("more candidates than can be seen are thinned out evenly, and the title says so",
          "[reports]") {
  Result result = small_result();
  result.candidates.clear();
  for (int i = 1; i <= 30000; ++i)
    result.candidates.push_back({static_cast<double>(i), 70, 1'000'000, 1'000'000});
  const ChartFrame frame = chart_frame(std::vector{result, result});
  const ChartSet set = make_charts(result, frame);
  REQUIRE(set.data["candidates"].size() == 5000);
  CHECK(set.data["candidates"][0]["l"] == 1);
  CHECK(set.data["candidates"][4999]["l"] == 30000);  // 29995 in four digits
  CHECK_THAT(find(set, "front")->title, ContainsSubstring("5000 of 30000 candidates drawn"));
}

TEST_CASE("lines of equal latency stay inside the chart", "[reports]") {
  const Result result = small_result();
  const ChartFrame frame = chart_frame(std::vector{result});
  const auto iso = make_charts(result, frame).data["iso"];
  REQUIRE(iso.size() >= 2);
  for (const auto& row : iso) {
    CHECK(row["m"].get<double>() >= frame.macs_low_m * 0.999);
    CHECK(row["m"].get<double>() <= frame.macs_high_m * 1.001);
    CHECK(row["g"].get<double>() <= frame.gmacps_high * 1.001);
  }
}

TEST_CASE("every chart says what it shows, and stands alone with the data that it names",
          "[reports]") {
  const Result result = small_result();
  const ChartSet set = make_charts(result, chart_frame(std::vector{result}));
  for (const Chart& chart : set.charts) {
    CHECK_FALSE(chart.alt.empty());
    CHECK(chart.spec["description"] == chart.alt);
    CHECK_FALSE(chart.spec.contains("datasets"));
    CHECK(standalone(set, chart).contains("datasets"));
  }
  const nlohmann::json alone = standalone(set, *find(set, "front"));
  CHECK(alone["datasets"].size() == 3);  // candidates, front, networks
  CHECK(alone["$schema"] == "https://vega.github.io/schema/vega-lite/v5.json");
}

TEST_CASE("labels find a place where they hide nothing, or have none", "[reports]") {
  Result result;
  result.device.name = "host";
  for (const auto& [name, ms] : {std::pair{"first-network", 10.0}, {"second-network", 10.1}})
    result.networks.push_back(network(name, ms, 70 + ms / 100));
  result.networks.push_back(network("fast", 1, 60));
  result.networks.push_back(network("slow", 100, 80));
  for (ResultNetwork& n : result.networks) n.family = "CPUBone";
  const auto place = [&](std::size_t i, const char* field) {
    return make_charts(result, chart_frame(std::vector{result})).data["networks"][i][field];
  };
  CHECK(place(0, "label_at")["align"] == "left");
  CHECK(place(1, "label_at")["dy"] != place(0, "label_at")["dy"]);
  // A name longer than a phone is wide has no place there; elsewhere it stays inside the chart.
  result.networks[3].name = std::string(50, 's');
  CHECK(place(3, "label_at")["align"] == "right");
  CHECK(place(3, "narrow_label_at").is_null());
}
