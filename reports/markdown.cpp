#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <stdexcept>

#include "reports/charts.hpp"
#include "reports/comparison.hpp"
#include "reports/report.hpp"
#include "reports/summary.hpp"
#include "reports/tables.hpp"
#include "reports/words.hpp"

namespace cpubone {
namespace {

/// Code that keeps its content whatever backticks are in it.
std::string code_block(std::string_view text) {
  std::string fence = "```";
  while (text.find(fence) != std::string_view::npos) fence += '`';
  return fmt::format("{}\n{}\n{}\n", fence, text, fence);
}

void append_table(std::string& markdown, const Table& table) {
  if (table.rows.empty()) return;
  markdown += fmt::format("\n{}:\n\n{}", escape_markdown(table.caption), to_markdown(table));
}

}  // namespace

std::string report_markdown(std::span<const Result> results, std::span<const std::string> images) {
  if (results.empty())
    throw std::invalid_argument("report: expected at least one result, got none");
  const std::vector<std::string> names = result_names(results);
  const ChartFrame frame = chart_frame(results);
  std::string markdown;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Result& result = results[i];
    const ChartSet charts = make_charts(result, frame);
    const std::string prefix = results.size() > 1 ? fmt::format("{}-", i + 1) : "";
    const auto image = [&](std::string_view chart_name) {
      for (const Chart& chart : charts.charts) {
        const std::string file = fmt::format("charts/{}{}.svg", prefix, chart.name);
        if (chart.name == chart_name &&
            std::find(images.begin(), images.end(), file) != images.end())
          markdown += fmt::format("\n![{}]({})\n", escape_markdown(chart.alt), file);
      }
    };
    markdown +=
        fmt::format("{}# What is fast on {}\n\n", i > 0 ? "\n" : "", escape_markdown(names[i]));
    for (const Warning& warning : result.warnings)
      markdown += fmt::format("> **{}** {}\n\n", escape_markdown(warning.what),
                              escape_markdown(warning.remedy));
    const bool has_networks = !only_studies(result);
    if (has_networks) {
      markdown += "## What to use on this device\n\n";
      for (const std::string& sentence : summary_sentences(result))
        markdown += fmt::format("{}\n", escape_markdown(sentence));
      append_table(markdown, choice_table(result));
      append_table(markdown, proposal_table(result));
    }
    if (const Table next = next_table(result); !next.rows.empty()) {
      markdown += fmt::format("\n## What to train next\n\n{}\n", next_introduction());
      append_table(markdown, next);
    }
    if (has_networks) {
      markdown += "\n## Speed and accuracy\n";
      image("front");
      append_table(markdown, front_table(result));
      markdown += "\n## MACs against MACpS\n";
      image("macs");
      append_table(markdown, macs_table(result));
    }
    markdown += "\n## Predicted against measured\n";
    const std::string sentence = prediction_sentence(result);
    if (!sentence.empty()) markdown += fmt::format("\n{}\n", escape_markdown(sentence));
    image("predicted");
    append_table(markdown, prediction_table(result));
    append_table(markdown, predictor_class_table(result));
    if (const std::string shared = co_execution_sentence(result); !shared.empty()) {
      markdown += fmt::format("\n## Shared with the coprocessor\n\n{}\n", escape_markdown(shared));
      append_table(markdown, co_execution_table(result.co_execution->networks));
    }
    if (has_networks) {
      markdown += "\n## Rebuilt networks beside their published numbers\n";
      append_table(markdown, rebuilt_table(result));
      image("rebuilt");
      append_table(markdown, published_latency_table(result));
      markdown += "\n## Where the time goes\n";
      image("time-by-class");
      image("time-by-stage");
      append_table(markdown, breakdown_table(result));
    }
    markdown += "\n## Insights and studies\n";
    const auto in_brackets = [](Verdict verdict) {
      return verdict == Verdict::none ? "" : fmt::format(" ({})", name(verdict));
    };
    for (const Finding& finding : result.findings) {
      const Statement said = statement(finding, result);
      markdown += fmt::format("\n- **{}**{}: {}\n", escape_markdown(said.title),
                              in_brackets(said.verdict), escape_markdown(said.sentence));
    }
    for (const Study& study : result.studies) {
      const Statement said = statement(study, result.device);
      markdown += fmt::format("\n### {}\n\n{}{}\n", escape_markdown(said.title),
                              escape_markdown(said.sentence), in_brackets(said.verdict));
      image(chart_name(study));
      append_table(markdown, study_table(study));
    }
    markdown += "\n## Device, conditions and how to repeat this\n";
    append_table(markdown, device_table(result));
    image("search");
    append_table(markdown, network_table(result));
    if (!result.command.empty())
      markdown += fmt::format("\nTo reproduce this result:\n\n{}", code_block(result.command));
  }
  if (const auto found = changes(results)) {
    markdown += fmt::format("\n# What changed\n\n{}\n\n", change_introduction());
    for (const std::string& sentence : found->sentences)
      markdown += fmt::format("{}\n", escape_markdown(sentence));
    for (const Table* table : {&found->conditions, &found->proposals, &found->latencies})
      append_table(markdown, *table);
  } else if (results.size() > 1) {
    markdown += "\n# Side by side\n";
    append_table(markdown, comparison_table(results));
  }
  return markdown;
}

std::string pareto_csv(std::span<const Result> results) {
  return to_csv(pareto_table(results));
}

}  // namespace cpubone
