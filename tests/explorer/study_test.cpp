#include "explorer/study.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "explorer/studies.hpp"
#include "predictor/evaluation.hpp"
#include "reports/words.hpp"
#include "space/published.hpp"
#include "space/zoo.hpp"
#include "tests/approved.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

/// A device whose depthwise and pointwise operators are slow by the given factors; +- 0.5 %.
StudyContext fake(double depthwise_factor, int threads = 1) {
  StudyContext context;
  context.threads = threads;
  context.latencies = [=](std::span<const Network> networks, int on_threads) {
    std::vector<Interval> latencies;
    for (const Network& network : networks) {
      double ms = 0;
      for (const Node& node : network.nodes)
        ms += static_cast<double>(macs(node.op)) * 1e-8 *
                  (is_depthwise(node.op) ? depthwise_factor : 1.0) +
              static_cast<double>(output_bytes(node.op)) * 1e-9 + 1e-4;
      ms /= on_threads;
      latencies.push_back({ms, 0.995 * ms, 1.005 * ms});
    }
    return latencies;
  };
  return context;
}

Study run(std::string_view name, const StudyContext& context) {
  return run_study(study_plan(name, context), context);
}

}  // namespace

TEST_CASE("figures of studies are rounded to what prints shortest", "[explorer]") {
  CHECK(significant(0.0081000001) == 0.0081);
  CHECK(significant(0.030541) == 0.0305);
  CHECK(significant(-61.94) == -61.9);
  CHECK(significant(123456) == 123000);
  CHECK(significant(0) == 0);
  CHECK(rounded(2.34567, 1e-4) == 2.3457);
  CHECK(rounded(7.26, 0.1) == 7.3);
}

TEST_CASE("a quotient's interval joins both intervals", "[explorer]") {
  const Interval q = ratio({2, 1.9, 2.1}, {1, 0.95, 1.05});
  CHECK(q.value == 2);
  CHECK(std::log(q.high / q.value) == Approx(std::sqrt(2.0) * 0.5 * std::log(2.1 / 1.9)));
  CHECK(q.low * q.high == Approx(4));
}

TEST_CASE("the p-value of a rank correlation equals hand-worked values", "[explorer]") {
  // rho = 0.8 of 5 pairs: t = 2.309 on 3 degrees.
  CHECK(spearman_p(0.8, 5) == Approx(0.1041).epsilon(1e-3));
  CHECK(spearman_p(0, 5) == Approx(1));
  CHECK(spearman_p(-1, 5) == 0);
  CHECK_THROWS_WITH(spearman_p(1, 2), ContainsSubstring("at least 3 pairs, got 2"));
}

TEST_CASE("every study fills its table, and reports have words for it", "[explorer]") {
  ResultDevice device;
  device.name = "fake";
  for (const std::string_view name : study_names()) {
    CAPTURE(name);
    const Study study = run(name, fake(10, 4));
    CHECK(study.name == name);
    CHECK_FALSE(study.predicted);
    CHECK(!study.rows.empty());
    for (const auto& row : study.rows) REQUIRE(row.size() == study.columns.size());
    const Statement said = statement(study, device);
    CHECK(said.title != name);
    CHECK(said.sentence.find("fake") != std::string::npos);
    if (const auto chart = study_chart(study); !chart.is_null())
      CHECK(chart["data"]["values"].size() == study.rows.size());
  }
  CHECK_THROWS_WITH(study_plan("colour", fake(1)),
                    ContainsSubstring("study: got \"colour\", expected one of operators"));
}

TEST_CASE("studies of a device tell what was approved", "[explorer]") {
  ResultDevice device;
  device.name = "fake";
  StudyContext context = fake(10, 4);
  context.predict_ms = [](const Network& network) {
    return 1e-8 * static_cast<double>(macs(network));
  };
  std::string text;
  for (const std::string_view name : study_names()) {
    const Study study = run(name, context);
    const Statement said = statement(study, device);
    text += fmt::format("{}: {} ({})\n{}\n", name, said.title, cpubone::name(said.verdict),
                        said.sentence);
    for (const StudyNumber& number : study.numbers)
      text += fmt::format("{} {:.4g} {:.4g} {:.4g}\n", number.name, number.value.value,
                          number.value.low, number.value.high);
    for (const StudyColumn& column : study.columns)
      text += fmt::format("{} [{}] ", column.name, column.unit);
    text += '\n';
    for (const auto& row : study.rows) {
      nlohmann::json cells = row;
      round_numbers(cells);
      text += cells.dump() + "\n";
    }
    text += '\n';
  }
  check_approved("studies.txt", text);
}

TEST_CASE("studies of int8 say so, and that what was published is not", "[explorer]") {
  ResultDevice device;
  device.name = "host";
  device.precision = "qs8";
  const std::string sentence = statement(run("operators", fake(10)), device).sentence;
  CHECK_THAT(sentence, ContainsSubstring("On this CPU in int8 depthwise convolutions reach"));
  CHECK_THAT(sentence, Matchers::EndsWith("What was published is not in int8."));
  device.precision = "f32";
  CHECK_THAT(statement(run("operators", fake(10)), device).sentence,
             !ContainsSubstring("in f32") && !ContainsSubstring("is not in"));
}

TEST_CASE("predicted studies say so", "[explorer]") {
  StudyContext context = fake(10);
  context.predicted = true;
  CHECK(run("upsampling", context).predicted);
}

TEST_CASE("two groups leave the MACs that the algebra says", "[explorer]") {
  const StudyPlan plan = study_plan("grouping", fake(1));
  int checked = 0;
  for (const StudySubject& subject : plan.subjects) {
    if (subject.labels[3] != 2) continue;
    const double c = subject.labels[1].get<double>();
    const double share = static_cast<double>(macs(subject.network)) /
                         static_cast<double>(macs(
                             plan.subjects[static_cast<std::size_t>(subject.baseline)].network));
    CHECK(share == Approx(subject.labels[0] == "fused" ? 0.55 : (6 * c + 36) / (8 * c + 36)));
    ++checked;
  }
  CHECK(checked > 30);
}

TEST_CASE("ten stacked layers have the MACs of FasterNet's Table 1", "[explorer]") {
  const StudyPlan plan = study_plan("operators", fake(1));
  const auto millions = [&](std::size_t i) {
    return std::round(static_cast<double>(macs(plan.subjects[i].network)) * 1e-6);
  };
  CHECK(millions(0) == 2601);
  CHECK(millions(4) == 163);
  CHECK(millions(8) == 27);
  CHECK(millions(12) == 163);
}

TEST_CASE("a published finding holds, fails or drowns in noise", "[explorer]") {
  CHECK(run("operators", fake(10)).holds == true);
  CHECK(run("operators", fake(0.01)).holds == false);
  StudyContext flat = fake(1);
  flat.latencies = [](std::span<const Network> networks, int) {
    return std::vector<Interval>(networks.size(), Interval{1, 0.9, 1.1});
  };
  const Study upsampling = run("upsampling", flat);
  CHECK(!upsampling.holds.has_value());
  CHECK(find_number(upsampling, "latency_ratio")->value == 1);
  CHECK(find_number(upsampling, "latency_ratio")->high > 1);
}

TEST_CASE("the crossover lies between the last fused and the first unfused win", "[explorer]") {
  StudyContext context = fake(1);
  context.latencies = [](std::span<const Network> networks, int) {
    std::vector<Interval> latencies;
    for (const Network& network : networks) {
      const bool fused = network.nodes.size() == 3;  // spatial, projection, addition
      const double ms = fused && network.inputs[0].shape.c >= 192 ? 2.0 : fused ? 0.5 : 1.0;
      latencies.push_back({ms, 0.99 * ms, 1.01 * ms});
    }
    return latencies;
  };
  const Study study = run("fusion", context);
  CHECK(find_number(study, "last_fused_channels_at_14")->value == 128);
  CHECK(find_number(study, "first_unfused_channels_at_14")->value == 192);
  CHECK(study.holds == true);
}

TEST_CASE("prediction is compared where there is a predictor", "[explorer]") {
  StudyContext context = fake(10);
  context.predict_ms = [](const Network& network) { return static_cast<double>(macs(network)); };
  const Study study = run("correlation", context);
  CHECK(find_number(study, "predicted_spearman")->value > 0.5);
  CHECK(study.rows.size() == zoo().size());
}

TEST_CASE("every published latency of a study stands beside its subject", "[study]") {
  std::size_t placed = 0;
  for (const std::string_view name : study_names()) {
    const StudyPlan plan = study_plan(name, {});
    for (const StudySubject& subject : plan.subjects) {
      CHECK(subject.references.size() == plan.reference_columns.size());
      placed += static_cast<std::size_t>(
          std::count_if(subject.references.begin(), subject.references.end(),
                        [](const auto& ms) { return ms.has_value(); }));
    }
  }
  CHECK(placed == published_studies().size());
  const StudyPlan operators = study_plan("operators", {});
  CHECK(operators.reference_columns[1].name == "Cortex-A72 (published)");
  CHECK(operators.subjects[5].references ==
        std::vector<std::optional<double>>{7.58, 96.22});  // FasterNet's Table 1: grouped, 192x28²
}
