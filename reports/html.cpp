#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <stdexcept>

#include "reports/charts.hpp"
#include "reports/comparison.hpp"
#include "reports/report.hpp"
#include "reports/summary.hpp"
#include "reports/tables.hpp"
#include "reports/web.hpp"
#include "reports/words.hpp"

namespace cpubone {
namespace {

/// Tables for the page, with the keys of their rows once where all rows have the same: candidates
/// are thousands.
nlohmann::json without_repeated_keys(nlohmann::json tables) {
  const auto keys_of = [](const nlohmann::json& row) {
    nlohmann::json keys = nlohmann::json::array();
    for (const auto& [key, value] : row.items()) keys.push_back(key);
    return keys;
  };
  for (auto& table : tables) {
    if (table.empty()) continue;
    const nlohmann::json keys = keys_of(table.front());
    if (!std::all_of(table.begin(), table.end(),
                     [&](const nlohmann::json& row) { return keys_of(row) == keys; }))
      continue;
    nlohmann::json rows = nlohmann::json::array();
    for (const nlohmann::json& row : table) {
      nlohmann::json values = nlohmann::json::array();
      for (const nlohmann::json& value : row) values.push_back(value);
      rows.push_back(std::move(values));
    }
    table = {{"keys", keys}, {"rows", std::move(rows)}};
  }
  return tables;
}

/// JSON inside a script element: without `<` nothing in it can end the element.
std::string script_json(const nlohmann::json& json) {
  const std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    if (c == '<')
      escaped += "\\u003c";
    else
      escaped += c;
  }
  return escaped;
}

/// Text in which a number stays on the line of its unit.
std::string prose(std::string_view text) {
  std::string html = escape_html(text);
  for (const std::string_view unit : {" %", " ms", " M ", " GMACpS"})
    for (std::size_t at = html.find(unit); at != std::string::npos; at = html.find(unit, at + 1))
      if (at > 0 && html[at - 1] >= '0' && html[at - 1] <= '9') html.replace(at, 1, "&nbsp;");
  return html;
}

std::string details(std::string_view title, const Table& table) {
  if (table.rows.empty()) return "";
  return fmt::format("<details><summary>{}</summary>{}</details>\n", escape_html(title),
                     to_html(table));
}

/// A result with what the sections show of it.
struct Part {
  const Result* result;
  std::string name;
  std::string id;  ///< prefix of the anchors
  ChartSet charts;
  std::vector<std::string> repeated{};  ///< studies that an earlier result has with these numbers
};

/// Leaves charts out that the page has already: predicted studies of one device are often equal.
void leave_out_repeated(Part& part, std::span<const Result> earlier) {
  for (const Study& study : part.result->studies) {
    const auto has_it = [&](const Result& result) {
      return std::find(result.studies.begin(), result.studies.end(), study) != result.studies.end();
    };
    if (std::none_of(earlier.begin(), earlier.end(), has_it)) continue;
    part.repeated.push_back(study.name);
    std::erase_if(part.charts.charts,
                  [&](const Chart& chart) { return chart.name == chart_name(study); });
  }
}

const Chart* find_chart(const Part& part, std::string_view name) {
  for (const Chart& chart : part.charts.charts)
    if (chart.name == name) return &chart;
  return nullptr;
}

std::string chart_html(const Part& part, std::string_view name, std::string_view controls = "") {
  const Chart* chart = find_chart(part, name);
  if (chart == nullptr) return "";
  return fmt::format(
      "<figure id=\"{0}-{1}\"><figcaption>{2}</figcaption>{3}"
      "<div class=\"chart\" data-alt=\"{4}\" data-result=\"{0}\" "
      "data-chart=\"{1}\"></div></figure>\n",
      part.id, chart->name, escape_html(chart->title), controls, escape_html(chart->alt));
}

/// What the script fills; it stays hidden where there is none.
std::string front_controls(const Part& part) {
  return fmt::format(
      "<div class=\"controls\" hidden>"
      "<div class=\"families\" role=\"group\" aria-label=\"Families shown\"></div>"
      "<div class=\"budget\"><label for=\"{0}-budget\">Latency budget</label>"
      "<input type=\"range\" id=\"{0}-budget\" min=\"0\" max=\"1000\" value=\"1000\">"
      "<output for=\"{0}-budget\" aria-live=\"polite\"></output></div>"
      "<div class=\"view\"><label><input type=\"checkbox\" class=\"log\" checked> log axis</label>"
      "<button type=\"button\" class=\"in\" aria-label=\"Zoom in\">+</button>"
      "<button type=\"button\" class=\"out\" aria-label=\"Zoom out\">−</button>"
      "<button type=\"button\" class=\"reset\">Reset</button>"
      "<span class=\"hint\">drag to move, Ctrl + wheel to zoom, hover for "
      "details</span></div></div>",
      part.id);
}

std::string verdict_html(Verdict verdict) {
  if (verdict == Verdict::none) return "";
  const char* kind = verdict == Verdict::open ? "open" : verdict == Verdict::holds ? "yes" : "no";
  return fmt::format(" <span class=\"verdict {}\">{}</span>", kind, name(verdict));
}

using CellText = std::function<std::string(const Part&)>;

/// What has been written of the page's main part.
struct Sections {
  std::string html;
  std::string navigation;

  void add(std::string_view id, std::string_view label, std::string_view title,
           std::string_view introduction, std::string_view content) {
    navigation += fmt::format("<a href=\"#{}\">{}</a>", id, label);
    html += fmt::format(
        "<section id=\"{0}\" aria-labelledby=\"{0}-title\"><h2 id=\"{0}-title\">{1}</h2>{2}{3}"
        "</section>\n",
        id, escape_html(title), introduction.empty() ? "" : fmt::format("<p>{}</p>", introduction),
        content);
  }
};

/// A section with the same content for each result, side by side; nothing where none has any.
void add_section(Sections& sections, const std::vector<Part>& parts, std::string_view id,
                 std::string_view label, std::string_view title, std::string_view introduction,
                 const CellText& content) {
  std::string columns;
  bool any = false;
  for (const Part& part : parts) {
    const std::string text = content(part);
    any = any || !text.empty();
    columns += "<div class=\"column\">";
    if (parts.size() > 1)
      columns += fmt::format("<h3 class=\"device\">{}</h3>", escape_html(part.name));
    columns += text.empty() ? "<p class=\"none\">This result has none of it.</p>" : text;
    columns += "</div>\n";
  }
  if (any)
    sections.add(id, label, title, introduction,
                 fmt::format("<div class=\"columns\">{}</div>", columns));
}

std::string choice_part(const Part& part) {
  if (only_studies(*part.result)) return "";
  std::string html = "<div class=\"lead\">";
  for (const std::string& sentence : summary_sentences(*part.result))
    html += fmt::format("<p>{}</p>", prose(sentence));
  html += "</div>\n";
  const Table table = choice_table(*part.result);
  if (!table.rows.empty()) html += to_html(table);
  return html + details("All proposals, and what differs", proposal_table(*part.result));
}

std::string rebuilt_part(const Part& part) {
  const Table table = rebuilt_table(*part.result);
  if (table.rows.empty()) return "";
  return to_html(table) + chart_html(part, "rebuilt") +
         details("Table: latencies as published", published_latency_table(*part.result));
}

std::string predicted_part(const Part& part) {
  std::string html;
  const std::string sentence = prediction_sentence(*part.result);
  if (!sentence.empty()) html += fmt::format("<p>{}</p>", prose(sentence));
  html += chart_html(part, "predicted");
  html += details("Table: predicted and measured", prediction_table(*part.result));
  return html + details("Table: error by class of operator", predictor_class_table(*part.result));
}

std::string insight_part(const Part& part) {
  std::string html;
  if (!part.result->findings.empty()) html += "<div class=\"insights\">";
  for (const Finding& finding : part.result->findings) {
    const Statement said = statement(finding, *part.result);
    html += fmt::format("<article class=\"insight\"><h3>{}{}</h3><p>{}</p></article>\n",
                        escape_html(said.title), verdict_html(said.verdict), prose(said.sentence));
  }
  if (!part.result->findings.empty()) html += "</div>";
  for (const Study& study : part.result->studies) {
    const Statement said = statement(study, part.result->device);
    const std::string_view source = study_source(study);
    const std::string chart = chart_html(part, chart_name(study));
    const Table table = study_table(study);
    std::string rows;
    if (std::find(part.repeated.begin(), part.repeated.end(), study.name) != part.repeated.end())
      rows = "<p>Its numbers are the same as of an earlier result on this page.</p>";
    else if (!chart.empty())
      rows = details(fmt::format("Table: {}", said.title), table);
    else if (!table.rows.empty())
      rows = to_html(table);
    html += fmt::format("<article class=\"study\"><h3>{}{}</h3><p>{}{}</p>{}{}</article>\n",
                        escape_html(said.title), verdict_html(said.verdict), prose(said.sentence),
                        source.empty() ? "" : fmt::format(" Compare {}.", escape_html(source)),
                        chart, rows);
  }
  return html;
}

std::string device_part(const Part& part) {
  std::string html;
  for (const Warning& warning : part.result->warnings)
    html += fmt::format("<p class=\"warning\"><strong>{}</strong> {}</p>\n",
                        escape_html(warning.what), escape_html(warning.remedy));
  html += to_html(device_table(*part.result));
  html += chart_html(part, "search") + details("Table: hypervolume", search_table(*part.result));
  html += details("Table: all networks", network_table(*part.result));
  if (!part.result->command.empty())
    html += fmt::format("<p>To reproduce this result:</p><pre><code>{}</code></pre>\n",
                        escape_html(part.result->command));
  return html;
}

/// Tables are whole in the page; long ones are folded.
std::string changes_section(const Changes& found) {
  std::string html = "<div class=\"lead\">";
  for (const std::string& sentence : found.sentences)
    html += fmt::format("<p>{}</p>", prose(sentence));
  html += "</div>\n";
  for (const Table* table : {&found.conditions, &found.proposals})
    if (!table->rows.empty()) html += to_html(*table);
  return html + details("Table: latency of the networks that both have", found.latencies);
}

std::string head(const std::vector<Part>& parts) {
  std::string html = "<header><p class=\"brand\">cpubone</p><h1>What is fast on ";
  for (std::size_t i = 0; i < parts.size(); ++i)
    html += (i == 0                  ? ""
             : i + 1 == parts.size() ? " and on "
                                     : ", on ") +
            escape_html(parts[i].name);
  html += "</h1><ul class=\"facts\">";
  for (const Part& part : parts) {
    const ResultDevice& device = part.result->device;
    html += fmt::format("<li><strong>{}</strong>", escape_html(part.name));
    const std::string threads =
        fmt::format("{} thread{}", device.threads, device.threads == 1 ? "" : "s");
    const std::size_t studies = part.result->studies.size();
    const std::string size =
        only_studies(*part.result)
            ? fmt::format("{} {}", studies, studies == 1 ? "study" : "studies")
            : fmt::format("{} networks, {} candidates", part.result->networks.size(),
                          part.result->candidates.size());
    const std::string evidence(name(device.evidence));
    for (const std::string& fact : {device.model, device.runtime, threads, precision_text(device),
                                    evidence, size, part.result->created.substr(0, 10)})
      if (!fact.empty()) html += fmt::format("<span>{}</span>", escape_html(fact));
    html += "</li>";
  }
  html += "</ul>";
  for (const Part& part : parts) {
    const auto& warnings = part.result->warnings;
    if (warnings.empty()) continue;
    html += fmt::format("<p class=\"warning\"><strong>{}</strong> {}",
                        escape_html(warnings.front().what), prose(warnings.front().remedy));
    if (warnings.size() > 1)
      html += fmt::format(" <a href=\"#device\">All {} warnings of {}</a>", warnings.size(),
                          escape_html(part.name));
    html += "</p>";
  }
  return html + "</header>\n";
}

}  // namespace

std::string report_html(std::span<const Result> results) {
  if (results.empty())
    throw std::invalid_argument("report: expected at least one result, got none");
  const ChartFrame frame = chart_frame(results);
  const std::vector<std::string> names = result_names(results);
  std::vector<Part> parts;
  nlohmann::json page = nlohmann::json::object();
  for (std::size_t i = 0; i < results.size(); ++i) {
    parts.push_back({&results[i], names[i], fmt::format("r{}", i), make_charts(results[i], frame)});
    leave_out_repeated(parts.back(), results.first(i));
    nlohmann::json charts = nlohmann::json::object();
    for (const Chart& chart : parts.back().charts.charts) charts[chart.name] = chart.spec;
    page[parts.back().id] = {{"data", without_repeated_keys(std::move(parts.back().charts.data))},
                             {"charts", charts}};
  }
  const bool has_scripts = !report_scripts().empty();

  std::string html =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  // The browser itself then refuses whatever would leave the page.
  html +=
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; img-src data: blob:\">\n";
  html += fmt::format("<title>cpubone: {}</title>\n<style>{}</style></head>\n<body{}>\n",
                      escape_html(fmt::format("{}", fmt::join(names, ", "))), web::style(),
                      results.size() > 1 ? " class=\"several\"" : "");
  html += std::all_of(results.begin(), results.end(), only_studies)
              ? "<a class=\"skip\" href=\"#studies\">Skip to the studies</a>\n"
              : "<a class=\"skip\" href=\"#use\">Skip to the recommendation</a>\n";
  html += head(parts);
  Sections sections;
  add_section(sections, parts, "use", "What to use", "What to use on this device", "", choice_part);
  add_section(sections, parts, "next", "Train next", "What to train next", next_introduction(),
              [](const Part& part) {
                const Table table = next_table(*part.result);
                return table.rows.empty() ? std::string() : to_html(table);
              });
  if (const auto found = changes(results)) {
    sections.add("changes", "What changed", "What changed", change_introduction(),
                 changes_section(*found));
  } else if (results.size() > 1) {
    const Table table = comparison_table(results);
    if (!table.rows.empty())
      sections.add("both", "Side by side", "Side by side", "", to_html(table));
  }
  add_section(sections, parts, "speed", "Speed and accuracy", "Speed and accuracy",
              "Up and left is better. Grey dots are the networks that the search looked at, "
              "predicted; diamonds are proposals; hollow marks were not measured; bars are "
              "intervals, and probabilities are what these tell.",
              [](const Part& part) {
                return chart_html(part, "front", front_controls(part)) +
                       details("Table: the front", front_table(*part.result));
              });
  add_section(sections, parts, "macs", "MACs and MACpS", "MACs against MACpS",
              "Latency is MACs divided by MACpS. Networks on one line are equally fast: a "
              "network may have more MACs and be no slower where the CPU runs them better.",
              [](const Part& part) {
                return chart_html(part, "macs") +
                       details("Table: MACs and MACpS", macs_table(*part.result));
              });
  add_section(sections, parts, "predicted", "Predictions", "Predicted against measured", "",
              predicted_part);
  add_section(sections, parts, "shared", "Shared layers", "Shared with the coprocessor", "",
              [](const Part& part) {
                const std::string sentence = co_execution_sentence(*part.result);
                if (sentence.empty()) return sentence;
                return fmt::format("<p>{}</p>", prose(sentence)) +
                       to_html(co_execution_table(part.result->co_execution->networks));
              });
  add_section(sections, parts, "rebuilt", "Rebuilt",
              "Rebuilt networks beside their published numbers",
              "Published latencies come from other devices, runtimes and thread counts: compare "
              "their order, not their size.",
              rebuilt_part);
  add_section(sections, parts, "time", "Where time goes", "Where the time goes", "",
              [](const Part& part) {
                return chart_html(part, "time-by-class") + chart_html(part, "time-by-stage") +
                       details("Table: time by stage and class", breakdown_table(*part.result));
              });
  add_section(sections, parts, "studies", "Studies", "Insights and studies", "", insight_part);
  add_section(sections, parts, "device", "Device", "Device, conditions and how to repeat this", "",
              device_part);
  html += fmt::format("<nav aria-label=\"Sections\">{}</nav>\n<main>\n", sections.navigation);
  if (!has_scripts)
    html +=
        "<p class=\"warning\"><strong>This page shows tables only.</strong> Its charts are drawn "
        "by vega, vega-lite and vega-embed, which come from npm by reports/web/package-lock.json "
        "when cpubone is built; this build was made without npm.</p>\n";
  else
    html +=
        "<noscript><p class=\"warning\"><strong>Charts need JavaScript.</strong> Every chart has a "
        "table, which is complete without it.</p></noscript>\n";
  html += sections.html;
  html += "</main>\n<footer><p>";
  html += has_scripts ? fmt::format("Charts by {}, inlined. ", escape_html(report_scripts())) : "";
  html += "This file loads nothing and sends nothing.</p></footer>\n";
  html +=
      "<script type=\"application/json\" id=\"report-data\">" + script_json(page) + "</script>\n";
  if (has_scripts) {
    html += "<script>";
    html += web::libraries();
    html += "</script>\n<script>";
    html += web::page_script();
    html += "</script>\n";
  }
  return html + "</body></html>\n";
}

}  // namespace cpubone
