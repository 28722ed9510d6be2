#include "space/published.hpp"

#include <charconv>
#include <nlohmann/json.hpp>

#include "graph/json_file.hpp"
#include "space/zoo.hpp"

namespace cpubone {

extern const std::string_view published_accuracy_csv;
extern const std::string_view published_latency_json;
extern const std::string_view published_ablations_csv;
extern const std::string_view published_studies_csv;

namespace {

/// One line of CSV; fields with commas are quoted, none holds a quote or a line break.
std::vector<std::string> fields(std::string_view line) {
  std::vector<std::string> values(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      values.emplace_back();
    else
      values.back() += c;
  }
  return values;
}

double number(const std::string& text) {
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size())
    throw Error("published figures: expected a number, got \"" + text + "\"");
  return value;
}

/// The lines below the header, each of so many fields.
std::vector<std::vector<std::string>> lines(std::string_view csv, std::size_t columns) {
  std::vector<std::vector<std::string>> all;
  csv.remove_prefix(csv.find('\n') + 1);
  while (!csv.empty()) {
    const auto end = csv.find('\n');
    all.push_back(fields(csv.substr(0, end)));
    if (all.back().size() != columns)
      throw Error("published figures: expected " + std::to_string(columns) + " fields in " +
                  all.back().front());
    csv.remove_prefix(end + 1);
  }
  return all;
}

std::vector<PublishedAccuracyRow> read_accuracies(std::string_view csv) {
  std::vector<PublishedAccuracyRow> rows;
  for (const auto& f : lines(csv, 10))
    rows.push_back({f[0], f[1], f[2], number(f[3]), number(f[4]), number(f[5]),
                    static_cast<int>(number(f[6])), f[7], f[8], f[9]});
  return rows;
}

std::vector<PublishedStudyRow> read_studies(std::string_view csv) {
  std::vector<PublishedStudyRow> rows;
  for (const auto& f : lines(csv, 5)) rows.push_back({f[0], f[1], f[2], number(f[3]), f[4]});
  return rows;
}

std::vector<PublishedAblation> read_ablations(std::string_view text) {
  std::vector<PublishedAblation> rows;
  text.remove_prefix(text.find('\n') + 1);
  const auto known = [](const std::string& cell) {
    return cell.empty() ? std::nullopt : std::optional(number(cell));
  };
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto f = fields(text.substr(0, end));
    if (f.size() != 10) throw Error("ablations.csv: expected 10 fields in " + f.front());
    PublishedAblation row{f[0], f[1],        f[2],        static_cast<int>(number(f[3])),
                          {},   known(f[5]), known(f[6]), number(f[7]),
                          f[8], f[9]};
    if (const auto groups = known(f[4])) row.groups = static_cast<int>(*groups);
    rows.push_back(row);
    text.remove_prefix(end + 1);
  }
  return rows;
}

std::optional<double> optional_number(const nlohmann::json& value) {
  if (value.is_null()) return std::nullopt;
  return value.get<double>();
}

std::vector<PublishedLatencyRow> read_latencies(std::string_view text) {
  const nlohmann::json json = parse_json(text, "published_latency.json");
  const auto& tables = json.at("tables");
  std::vector<PublishedLatencyRow> rows;
  for (const auto& row : json.at("rows")) {
    const auto entry = [&](const char* table, std::size_t column) {
      return tables.at(table).at(row.at(column).get<std::size_t>()).get<std::string>();
    };
    rows.push_back({.network = row.at(0).get<std::string>(),
                    .zoo_name = row.at(1).get<std::string>(),
                    .params_m = optional_number(row.at(2)),
                    .macs_m = optional_number(row.at(3)),
                    .top1 = optional_number(row.at(4)),
                    .resolution = row.at(5).is_null() ? 0 : row.at(5).get<int>(),
                    .device = entry("device", 6),
                    .runtime = entry("runtime", 7),
                    .threads = entry("threads", 8),
                    .precision = entry("precision", 9),
                    .latency_ms = row.at(10).get<double>(),
                    .statistic = entry("statistic", 11),
                    .digitised = row.at(12).get<int>() != 0,
                    .source = entry("source", 13),
                    .note = entry("note", 14),
                    .exclusion_reason = entry("exclusion_reason", 15)});
  }
  return rows;
}

}  // namespace

const std::vector<PublishedAccuracyRow>& published_accuracies() {
  static const auto rows = read_accuracies(published_accuracy_csv);
  return rows;
}

const std::vector<PublishedLatencyRow>& published_latencies() {
  static const auto rows = read_latencies(published_latency_json);
  return rows;
}

const std::vector<PublishedStudyRow>& published_studies() {
  static const auto rows = read_studies(published_studies_csv);
  return rows;
}

const std::vector<PublishedAblation>& published_ablations() {
  static const auto rows = read_ablations(published_ablations_csv);
  return rows;
}

std::optional<PublishedAccuracyRow> published_accuracy(std::string_view name) {
  const std::string wanted = zoo_name(name);
  for (const PublishedAccuracyRow& row : published_accuracies())
    if (!wanted.empty() && row.zoo_name == wanted) return row;
  return std::nullopt;
}

std::vector<PublishedLatencyRow> published_latencies(std::string_view name) {
  const std::string wanted = zoo_name(name);
  std::vector<PublishedLatencyRow> rows;
  for (const PublishedLatencyRow& row : published_latencies())
    if (!wanted.empty() && row.zoo_name == wanted) rows.push_back(row);
  return rows;
}

}  // namespace cpubone
