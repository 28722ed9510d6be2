#include "reports/report.hpp"

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "reports/charts.hpp"
#include "reports/comparison.hpp"
#include "reports/summary.hpp"
#include "reports/tables.hpp"
#include "tests/approved.hpp"
#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;
namespace fs = std::filesystem;

namespace {

ResultNetwork network(std::string name, double ms, double top1, std::int64_t macs) {
  ResultNetwork network;
  network.name = std::move(name);
  network.family = "CPUBone";
  network.params = 10'000'000;
  network.macs = macs;
  network.top1 = Top1{{top1, top1 - 0.2, top1 + 0.2}, false, "paper"};
  network.measured_ms = MeasuredLatency{{ms, ms * 0.99, ms * 1.01}, 30, false};
  network.predicted_ms = Interval{ms * 1.1, ms, ms * 1.2};
  network.gmacps = static_cast<double>(macs) / ms / 1e6;
  return network;
}

/// Two published networks and a proposal that is as accurate as the slower one and faster.
Result small_result() {
  Result result;
  result.tool_version = "0.1.0";
  result.created = "2026-01-31T12:00:00Z";
  result.command = "cpubone-explore --device host";
  result.device.name = "host";
  result.networks = {network("b0", 10, 77.5, 500'000'000), network("b1", 20, 79, 800'000'000),
                     network("p1", 15, 79, 700'000'000)};
  result.networks[2].origin = Origin::proposal;
  result.networks[2].top1 = Top1{{79.2, 78.5, 79.9}, true, "model"};
  result.networks[1].top1->percent = {79.5, 79.3, 79.7};
  result.networks[0].breakdown = {{"stem", "dense", 1000, 4, Bound::compute},
                                  {"head", "linear", 2000, 6, Bound::memory}};
  result.networks[0].published =
      PublishedFacts{10.4, 519, 77.6, {{"Pi 5", "ONNX Runtime", "4", 24.2, "README"}}};
  result.candidates = {{12, 76, 600'000'000, 9'000'000}};
  result.findings = {PredictionFinding{8, 0.01, 0.04, true}};
  result.studies = {{"kernel",
                     false,
                     true,
                     {{"kernel", ""}, {"latency", "ms"}},
                     {{"2x2", 1.5}, {"3x3", nullptr}},
                     {}}};
  return result;
}

std::string read_text(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the fastest network at each accuracy has one row, with its published rival",
          "[reports]") {
  const Result result = small_result();
  const auto choices = fastest_at_each_accuracy(result);
  // b0 up to 77 %, p1 up to 79 %: b1 is as accurate but slower.
  REQUIRE(choices.size() == 2);
  CHECK(choices[0].at_least == 77);
  CHECK(choices[0].fastest->name == "b0");
  CHECK(choices[1].at_least == 79);
  CHECK(choices[1].fastest->name == "p1");
  CHECK(choices[1].published->name == "b1");
}

TEST_CASE("reports tell what to train next where that was asked for", "[reports]") {
  Result result = small_result();
  CHECK_FALSE(contains(report_markdown(std::span(&result, 1), {}), "What to train next"));
  CHECK_FALSE(contains(report_html(std::span(&result, 1)), "id=\"next\""));
  result.next = {{"next-1", "w16-<32>", {9, 8, 10}, {{78, 77, 79}, true, "model"}, 0.021}};
  const std::string markdown = report_markdown(std::span(&result, 1), {});
  CHECK(contains(markdown, "## What to train next"));
  CHECK(contains(markdown, "| next-1 |"));
  CHECK(contains(markdown, "2.1 %"));
  const std::string html = report_html(std::span(&result, 1));
  CHECK(contains(html, "id=\"next\""));
  CHECK(contains(html, "w16-&lt;32&gt;"));
}

TEST_CASE("the front is computed where the result names none", "[reports]") {
  Result result = small_result();
  result.networks.push_back(network("slow", 30, 70, 900'000'000));
  const auto all = front(result);
  REQUIRE(all.size() == 3);
  CHECK(all[0]->name == "b0");
  CHECK(all[1]->name == "p1");
  CHECK(all[2]->name == "b1");
  result.front = {"b1", "b0"};
  REQUIRE(front(result).size() == 2);
  CHECK(front(result)[0]->name == "b0");
}

TEST_CASE("on the front a proposal stands beside the best published network that is as fast",
          "[reports]") {
  Result result = small_result();
  // p1's interval is of 90 %: 78.5 % is its low end.
  result.networks[0].top1->percent.value = 78.5;
  CHECK(front_table(result).rows[0][5] == "–");
  CHECK(front_table(result).rows[1][0] == "p1");
  CHECK(front_table(result).rows[1][5] == "b0 (95 %)");
  result.networks[0].measured_ms->ms.value = 15.5;
  CHECK(front_table(result).rows[0][5] == "none is");
}

TEST_CASE("the summary tells the choice, how sure it is, and what MACs alone would tell",
          "[reports]") {
  const auto sentences = summary_sentences(small_result());
  REQUIRE(sentences.size() == 3);
  // b1 alone has 78.5 % or more.
  CHECK(
      sentences[0] ==
      "Use p1 (15.0 ms at an estimated 79.2 % top-1, with a probability of 95 % at least 78.5 %): "
      "25 % faster than b1 (20.0 ms, 79.5 %), the fastest published network that reaches as "
      "much, and at least 23 % at the ends of both intervals.");
  CHECK(sentences[1] ==
        "Latencies of 3 of 3 networks were measured here; accuracies of proposals are estimated "
        "(± 0.7 points), none was trained, so train before relying on a smaller difference.");
  // Rates are 50, 40 and 46.7, their geometric mean 45.4: off by 10.2, 11.8 and 2.9 %.
  CHECK(sentences[2] ==
        "This CPU reaches from 40.0 GMACpS (b1) to 50.0 (b0). Counting MACs, at one MACpS for all, "
        "misses the 3 measured latencies by 8.3 % on average and prediction operator by operator "
        "by 10.0 %: here MACs alone tell as much.");
}

TEST_CASE("rates stand beside the CPU's peak where that was measured", "[reports]") {
  Result result = small_result();
  CHECK(macs_table(result).columns.size() == 4);
  result.predictor = PredictorSummary{};
  result.predictor->peak_gmacps = 100;
  CHECK(macs_table(result).columns[4].title == "Of the CPU's peak");
  CHECK(macs_table(result).rows[0][4] == "50 %");
  CHECK_THAT(summary_sentences(result)[2], ContainsSubstring("to 50.0 (b0). Its arithmetic alone "
                                                             "reaches 100, as measured beside"));
}

TEST_CASE("MACs are weighed by how far predictions are off", "[reports]") {
  Result result = small_result();
  for (ResultNetwork& n : result.networks)
    n.predicted_ms = Interval{1.02 * n.measured_ms->ms.value, 1, 100};
  CHECK_THAT(summary_sentences(result)[2], ContainsSubstring("by 2.0 %: do not go by MACs."));
  for (ResultNetwork& n : result.networks) n.measured_ms.reset();
  CHECK_THAT(summary_sentences(result)[2],
             ContainsSubstring("would differ from these predictions by 8.3 % on average."));
  result.predictor = PredictorSummary{};
  result.predictor->networks = NetworkError{20, 0.09, 0.1, 0.5, 0.9};
  CHECK_THAT(summary_sentences(result)[2],
             ContainsSubstring("off by 9.0 % on networks that were never used to fit, so that says "
                               "nothing against counting MACs."));
}

TEST_CASE("disturbed latencies are called so everywhere, and nothing is claimed from them",
          "[reports]") {
  Result result = small_result();
  for (ResultNetwork& n : result.networks) n.measured_ms->disturbed = true;
  const auto sentences = summary_sentences(result);
  CHECK_THAT(sentences[0], ContainsSubstring("Most promising is p1") &&
                               ContainsSubstring("other processes disturbed the measuring"));
  CHECK_THAT(sentences[1],
             ContainsSubstring("Latencies of 0 of 3 networks were measured here, 3 more only "
                               "while other processes disturbed it, so that they prove nothing;"));
  CHECK(choice_table(result).rows[0][2] == "10.0 (disturbed)");
  CHECK(network_table(result).rows[0][4] == "disturbed");
  CHECK(summary_table(result).rows[0][6] == "10.00 (disturbed)");
  CHECK(prediction_sentence(result).empty());
  CHECK_THAT(pareto_csv(std::vector{result}), ContainsSubstring(",10,9.9,10.1,disturbed,"));
  // A single sample is no measurement either, and has no interval.
  result.networks[0].measured_ms = MeasuredLatency{{10, 10, 10}, 1, false};
  CHECK_THAT(pareto_csv(std::vector{result}), ContainsSubstring(",10,,,disturbed,"));
}

TEST_CASE("a terminal shows proposals among those published that none published beats",
          "[reports]") {
  Result result = small_result();
  ResultNetwork slow = result.networks[0];
  slow.name = "slow";
  slow.family = "Other";
  slow.measured_ms->ms = {30, 29, 31};
  result.networks.push_back(slow);
  ResultNetwork own = slow;
  own.name = "cpubone-b0";
  own.family = "CPUBone";
  result.networks.push_back(own);
  ResultNetwork only_totals;
  only_totals.name = "my-net";
  only_totals.family = "own";
  result.networks.push_back(only_totals);
  const Table table = summary_table(result);
  std::vector<std::string> names;
  for (const auto& row : table.rows) names.push_back(row[0]);
  CHECK(names == std::vector<std::string>{"b0", "p1", "b1", "cpubone-b0", "my-net"});
  CHECK(table.rows[0][6] == "10.00 ± 0.10");
}

TEST_CASE("parts of a network that take next to no time share a row", "[reports]") {
  Result result = small_result();
  result.networks.resize(1);
  result.networks[0].breakdown = {{"stem", "convolution", 1'000'000, 0.03, Bound::compute},
                                  {"stage1", "pointwise", 8'000'000, 1.94, Bound::memory},
                                  {"head", "linear", 2'000'000, 0.03, Bound::memory}};
  const Table table = breakdown_table(result);
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[0][2] == "pointwise");
  CHECK(table.rows[0][5] == "97.0 %");
  CHECK(table.rows[1][2] == "2 below 2 % each");
  CHECK(table.rows[1][3] == "3.0 M");
  CHECK(table.rows[1][5] == "3.0 %");
}

TEST_CASE("text of a result is never markup of the page", "[reports]") {
  Result result = small_result();
  const std::string evil = "<script>alert(1)</script>";
  result.networks[0].name = evil;
  result.networks[0].family = evil;
  result.device.name = evil;
  result.command = evil;
  result.warnings = {{evil, evil}};
  result.findings = {GainFinding{evil, 77, evil, {}, true}};
  result.studies[0].name = evil;
  const std::string html = report_html(std::vector{result});
  CHECK_FALSE(contains(html, "<script>alert"));
  CHECK(contains(html, "&lt;script&gt;alert(1)&lt;/script&gt;"));
  CHECK(contains(html, "\\u003cscript>alert(1)\\u003c/script>"));
  const std::string markdown = report_markdown(std::vector{result}, {});
  // Raw only in the block of code that shows the command.
  CHECK(markdown.find("<script") == markdown.rfind("<script"));
  CHECK(contains(markdown, "```\n<script>alert(1)</script>\n```"));
  CHECK(contains(markdown, "&lt;script\\>alert(1)&lt;/script\\>"));
}

TEST_CASE("the page asks for nothing outside of it", "[reports]") {
  const std::string html = report_html(std::vector{small_result()});
  CHECK(contains(html, "default-src 'none'"));
  const std::string markup = html.substr(0, html.find("<script"));
  for (const char* tag : {"<link", "<img", "<iframe", "src=", "url(", "://"})
    CHECK_FALSE(contains(markup, tag));
  CHECK(html.size() < 2'000'000);
}

TEST_CASE("the same results give the same bytes", "[reports]") {
  const std::vector results{small_result()};
  CHECK(report_html(results) == report_html(results));
  CHECK(contains(report_html(results), "2026-01-31"));
}

TEST_CASE("every section of the page is there in order, with a table behind every chart",
          "[reports]") {
  const std::string html = report_html(std::vector{small_result()});
  std::size_t at = 0;
  for (const char* id :
       {"use", "speed", "macs", "predicted", "rebuilt", "time", "studies", "device"}) {
    const std::size_t found = html.find(std::string("<section id=\"").append(id), at);
    INFO(id);
    REQUIRE(found != std::string::npos);
    const std::size_t end = html.find("</section>", found);
    CHECK(html.substr(found, end - found).find("<table>") != std::string::npos);
    at = end;
  }
}

TEST_CASE("a study that two results have with the same numbers is shown once", "[reports]") {
  const auto count = [](const std::string& text, std::string_view part) {
    std::size_t times = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
      ++times;
    return times;
  };
  const Result first = small_result();
  Result other = first;
  const std::string alike = report_html(std::vector{first, other});
  CHECK(count(alike, ">2x2<") == 1);
  CHECK(count(alike, "same as of an earlier result") == 1);
  other.studies[0].rows[0][1] = 1.75;
  const std::string different = report_html(std::vector{first, other});
  CHECK(count(different, ">2x2<") == 2);
  CHECK_FALSE(contains(different, "same as of an earlier result"));
}

TEST_CASE("a report of studies alone says nothing of networks that there are not", "[reports]") {
  Result studies = small_result();
  studies.networks.clear();
  studies.candidates.clear();
  studies.findings.clear();
  const std::string html = report_html(std::vector{studies});
  for (const char* id : {"use", "speed", "macs", "rebuilt", "time"})
    CHECK_FALSE(contains(html, fmt::format("<section id=\"{}\"", id)));
  CHECK(contains(html, "<section id=\"studies\""));
  CHECK(contains(html, "href=\"#studies\">Skip to"));
  CHECK(contains(html, "<span>1 study</span>"));
  CHECK(make_charts(studies, chart_frame(std::vector{studies})).charts.empty());
  const std::string markdown = report_markdown(std::vector{studies}, {});
  CHECK(contains(markdown, "| 2x2 |"));
  CHECK_FALSE(contains(markdown, "## What to use"));
  CHECK_FALSE(contains(markdown, "## Where the time goes"));
  const std::string beside = report_html(std::vector{small_result(), studies});
  CHECK(contains(beside, "<section id=\"use\""));
  CHECK(contains(beside, "This result has none of it."));
}

TEST_CASE("results stand side by side and networks of both are compared", "[reports]") {
  Result first = small_result();
  first.networks[2].description = "w16";
  Result other = first;
  other.device.name = "pi5";
  // The same proposal under another name, and another one under its name.
  other.networks[2].name = "p2";
  other.networks[2].top1->percent.value = 79.1;
  other.networks.push_back(other.networks[2]);
  other.networks.back().name = "p1";
  other.networks.back().description = "w32";
  const std::vector results{first, other};
  CHECK(result_names(results) == std::vector<std::string>{"host", "pi5"});
  const Table table = comparison_table(results);
  REQUIRE(table.rows.size() == 3);
  CHECK(table.rows[0][0] == "b0");
  CHECK(table.rows[0][1] == "77.5");
  CHECK(table.rows[0][4] == "10.0 (9.90–10.1)");
  CHECK(table.rows[1][0] == "p1 / p2");
  CHECK(table.rows[1][1] == "≈ 79.2 (78.5–79.9) / ≈ 79.1 (78.5–79.9)");
  const std::string html = report_html(results);
  CHECK(contains(html, "id=\"r1-front\""));
  CHECK(contains(html, "Side by side"));
}

TEST_CASE("the front is a CSV with units, quoted where needed", "[reports]") {
  Result result = small_result();
  result.networks[0].name = "b0, \"small\"";
  const std::string csv = pareto_csv(std::vector{result});
  CHECK(
      csv ==
      "device,network,family,origin,latency_ms,latency_low_ms,latency_high_ms,latency_kind,"
      "top1_percent,top1_low_percent,top1_high_percent,top1_assured_percent,top1_kind,params,macs,"
      "gmacps,description\n"
      "host,\"b0, "
      "\"\"small\"\"\",CPUBone,published,10,9.9,10.1,measured,77.5,77.3,77.7,77.5,published,"
      "10000000,500000000,50,\n"
      "host,p1,CPUBone,proposal,15,14.85,15.15,measured,79.2,78.5,79.9,78.6566,estimated,10000000,"
      "700000000,46.6667,\n"
      "host,b1,CPUBone,published,20,19.8,20.2,measured,79.5,79.3,79.7,79.5,published,10000000,"
      "800000000,40,\n");
}

TEST_CASE("Markdown has the tables, and pictures only where they were written", "[reports]") {
  const std::vector results{small_result()};
  const std::string plain = report_markdown(results, {});
  CHECK_FALSE(contains(plain, "!["));
  CHECK(contains(plain, "| 79 % | p1 | 15.0 (14.8–15.2) | ≈ 79.2 (78.5–79.9) |"));
  CHECK(contains(plain, "```\ncpubone-explore --device host\n```"));
  const std::vector<std::string> images{"charts/front.svg"};
  CHECK(contains(report_markdown(results, images), "](charts/front.svg)"));
}

TEST_CASE("a result with shared layers says what that saves, in a section of its own",
          "[reports]") {
  Result result = small_result();
  CHECK_FALSE(contains(report_html(std::vector{result}), "id=\"shared\""));
  CHECK_FALSE(contains(report_markdown(std::vector{result}, {}), "coprocessor"));
  const Interval ms{10, 9, 11};
  result.co_execution = {"Mali-G710",
                         9,
                         0.25,
                         40,
                         0.05,
                         {},
                         {{"b1", ms, {20, 18, 22}, 30, 2, 11}, {"p1", ms, ms, 0, 0, 43}}};
  const std::string html = report_html(std::vector{result});
  CHECK(contains(html, "id=\"shared\""));
  CHECK(contains(html, "Latencies are predicted with layers shared between the CPU and Mali-G710"));
  const std::string markdown = report_markdown(std::vector{result}, {});
  CHECK(contains(markdown, "1.41 times as fast as the CPU alone on average, b1 most, 2.00 times"));
  CHECK(contains(markdown,
                 "Synchronisation takes 9 us a shared layer, and the longer part "
                 "hides 75 % of the shorter; 40 shared layers"));
  CHECK(contains(markdown, "| b1 | 10.0 (9.0–11.0) | 20.0 (18.0–22.0) | 2.00 | 30 | 2 | 11 |"));
  result.co_execution->published = "its latencies are published ones";
  const std::string of_others = report_markdown(std::vector{result}, {});
  CHECK(contains(of_others, "Latencies are predicted from published ones with layers shared"));
  CHECK(contains(of_others, "Nothing was measured here: its latencies are published ones."));
  CHECK_FALSE(contains(of_others, "Synchronisation takes"));
}

TEST_CASE("a report without results is a wrong argument", "[reports]") {
  CHECK_THROWS_WITH(report_html({}), "report: expected at least one result, got none");
  CHECK_THROWS_WITH(write_report({}, "/tmp"), "report: expected at least one result, got none");
}

TEST_CASE("all files of a report are written and listed", "[reports]") {
  const TemporaryFolder folder;
  // Of a still picture's dots, more than 600 only blacken it.
  Result result = small_result();
  result.candidates.resize(700, result.candidates[0]);
  const std::vector results{result};
  const WrittenReport report = write_report(results, folder / "out");
  for (const char* file : {"report.html", "report.md", "pareto.csv"})
    CHECK(fs::file_size(folder / "out" / file) > 0);
  for (const fs::path& file : report.files) CHECK(fs::exists(file));
  // Charts are drawn, or a note says why not.
  const auto picture = [&](const char* file, const std::string& start) {
    INFO(file);
    if (fs::exists(folder / file))
      CHECK(contains(read_text(folder / file).substr(0, 1000), start));
    else
      CHECK_FALSE(report.notes.empty());
  };
  picture("out/charts/front.svg", "<svg");
  picture("out/charts/front.png", "PNG");
  if (fs::exists(folder / "out/charts/front.svg"))
    CHECK(contains(read_text(folder / "out/charts/front.svg"), "600 of 700 candidates drawn"));
  CHECK_THROWS_WITH(write_report(results, "/dev/null/out"),
                    ContainsSubstring("/dev/null/out: cannot make the folder"));
}

TEST_CASE("the report of an exploration tells what was approved", "[reports]") {
  Result result = load_result(CPUBONE_SOURCE_DIR "/reports/example/result.json");
  // Some of each kind are enough.
  const auto thin_out = [](auto& items, std::size_t step) {
    std::size_t i = 0;
    std::erase_if(items, [&](const auto&) { return i++ % step != 0; });
  };
  std::erase_if(result.networks, [i = 0](const ResultNetwork& n) mutable {
    return n.family != "CPUBone" && n.origin == Origin::published && i++ % 5 != 0;
  });
  std::erase_if(result.front, [&](const std::string& name) { return !find_network(result, name); });
  thin_out(result.candidates, 100);
  for (Study& study : result.studies) thin_out(study.rows, 9);
  const std::vector<Result> one{result};
  check_approved("report.md", report_markdown(one, {}) + "\n" + pareto_csv(one));

  const ChartSet set = make_charts(result, chart_frame(one));
  std::string charts;
  for (const Chart& chart : set.charts) {
    nlohmann::json spec = chart.spec;
    round_numbers(spec);
    charts += fmt::format("{}: {} ({})\n{}\n", chart.name, chart.title, chart.alt, spec.dump(1));
  }
  nlohmann::json data = set.data;
  round_numbers(data);
  for (const auto& [name, rows] : data.items())
    for (std::size_t i = 0; i < rows.size(); i += 4)
      charts += fmt::format("{} {}\n", name, rows[i].dump());
  check_approved("charts.txt", charts);
}
