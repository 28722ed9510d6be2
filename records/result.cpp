#include "records/result.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

namespace cpubone {
namespace {

constexpr std::array<std::string_view, 4> evidence_names{
    "measured", "calibrated from published latencies", "adapted from another device",
    "description"};
constexpr std::array<std::string_view, 2> origin_names{"published", "proposal"};
constexpr std::array<std::string_view, 3> bound_names{"compute", "memory", "overhead"};

constexpr std::int64_t largest_count = std::int64_t{1} << 53;  // exact in a JSON reader's double
constexpr double infinity = std::numeric_limits<double>::infinity();

template <typename Enum, std::size_t n>
Enum read_enum(const JsonReader& json, const std::array<std::string_view, n>& names) {
  const std::string text = json.string();
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) json.fail(fmt::format("one of \"{}\"", fmt::join(names, "\", \"")));
  return static_cast<Enum>(found - names.begin());
}

/// Absent and null are the same.
bool present(const JsonReader& json, std::string_view key) {
  return json.has(key) && !json.at(key).json().is_null();
}

std::string optional_string(const JsonReader& json, std::string_view key) {
  return present(json, key) ? json.at(key).string() : std::string();
}

std::int64_t count(const JsonReader& json) {
  return json.integer(0, largest_count);
}

int small_count(const JsonReader& json) {
  return static_cast<int>(json.integer(0, std::numeric_limits<int>::max()));
}

double not_negative(const JsonReader& json) {
  const double value = json.number();
  if (value < 0) json.fail("a number that is not negative");
  return value;
}

double positive(const JsonReader& json) {
  const double value = json.number();
  if (value <= 0) json.fail("a positive number");
  return value;
}

double percent(const JsonReader& json) {
  return json.number(0, 100);
}

std::optional<double> optional_number(const JsonReader& json, std::string_view key,
                                      double (*read)(const JsonReader&)) {
  if (!present(json, key)) return std::nullopt;
  return read(json.at(key));
}

std::optional<bool> optional_boolean(const JsonReader& json, std::string_view key) {
  if (!present(json, key)) return std::nullopt;
  return json.at(key).boolean();
}

template <typename Read>
auto optional_object(const JsonReader& json, std::string_view key, Read read) {
  std::optional<decltype(read(json))> value;
  if (present(json, key)) value = read(json.at(key));
  return value;
}

template <typename Read>
auto list(const JsonReader& json, std::string_view key, Read read) {
  std::vector<decltype(read(json))> values;
  if (!present(json, key)) return values;
  values.reserve(json.at(key).size());
  json.at(key).each([&](const JsonReader& item) { values.push_back(read(item)); });
  return values;
}

std::string string_of(const JsonReader& json) {
  return json.string();
}

JsonReader element(const JsonReader& json, std::size_t index) {
  return {json.json()[index], fmt::format("{}/{}", json.where(), index)};
}

void expect_length(const JsonReader& json, std::size_t length, std::string_view of) {
  if (!json.json().is_array() || json.size() != length)
    json.fail(fmt::format("a list of {}: {}", length, of));
}

Interval read_interval(const JsonReader& json, double least, double greatest) {
  Interval interval{json.at("value").number(least, greatest),
                    json.at("low").number(least, greatest),
                    json.at("high").number(least, greatest)};
  if (interval.low > interval.value || interval.high < interval.value)
    json.fail_because(fmt::format("expected low <= value <= high, got {} <= {} <= {}", interval.low,
                                  interval.value, interval.high));
  return interval;
}

Interval read_latency(const JsonReader& json) {
  const Interval interval = read_interval(json, 0, infinity);
  positive(json.at("value"));
  return interval;
}

void check_date(const JsonReader& json) {
  const std::string text = json.string();
  constexpr std::string_view form = "0000-00-00T00:00:00Z";
  bool good = text.size() == form.size();
  for (std::size_t i = 0; good && i < form.size(); ++i)
    good = form[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == form[i];
  if (!good) json.fail("a time in UTC like \"2026-01-31T12:00:00Z\"");
}

ResultDevice read_device(const JsonReader& json) {
  json.expect_keys({"name", "model", "evidence", "runtime", "threads", "precision", "conditions"});
  ResultDevice device;
  device.name = json.at("name").string();
  device.model = optional_string(json, "model");
  device.evidence = evidence_from_json(json.at("evidence"));
  device.runtime = optional_string(json, "runtime");
  device.threads = static_cast<int>(json.at("threads").integer(1, 4096));
  device.precision = optional_string(json, "precision");
  device.conditions = list(json, "conditions", [](const JsonReader& item) {
    expect_length(item, 2, "label, text");
    return Labelled{element(item, 0).string(), element(item, 1).string()};
  });
  return device;
}

Candidate read_candidate(const JsonReader& json) {
  expect_length(json, 4, "latency_ms, top1, macs, params");
  return {positive(element(json, 0)), percent(element(json, 1)), count(element(json, 2)),
          count(element(json, 3))};
}

Top1 read_top1(const JsonReader& json) {
  json.expect_keys({"value", "low", "high", "kind", "source"});
  const std::string kind = json.at("kind").string();
  if (kind != "published" && kind != "estimated")
    json.at("kind").fail("one of \"published\", \"estimated\"");
  return {read_interval(json, 0, 100), kind == "estimated", optional_string(json, "source")};
}

PublishedLatency read_published_latency(const JsonReader& json) {
  json.expect_keys({"device", "runtime", "threads", "latency_ms", "source"});
  PublishedLatency latency;
  latency.device = json.at("device").string();
  latency.runtime = optional_string(json, "runtime");
  if (present(json, "threads")) {
    const JsonReader threads = json.at("threads");
    latency.threads =
        threads.json().is_number() ? fmt::to_string(threads.integer(1, 4096)) : threads.string();
  }
  latency.latency_ms = positive(json.at("latency_ms"));
  latency.source = optional_string(json, "source");
  return latency;
}

PublishedFacts read_published(const JsonReader& json) {
  json.expect_keys({"params_m", "macs_m", "top1", "latency"});
  PublishedFacts facts;
  facts.params_m = optional_number(json, "params_m", not_negative);
  facts.macs_m = optional_number(json, "macs_m", not_negative);
  facts.top1 = optional_number(json, "top1", percent);
  facts.latency = list(json, "latency", read_published_latency);
  return facts;
}

BreakdownRow read_breakdown(const JsonReader& json) {
  json.expect_keys({"stage", "class", "macs", "latency_ms", "bound"});
  return {json.at("stage").string(), json.at("class").string(), count(json.at("macs")),
          not_negative(json.at("latency_ms")), read_enum<Bound>(json.at("bound"), bound_names)};
}

MeasuredLatency read_measured(const JsonReader& json) {
  json.expect_keys({"value", "low", "high", "samples", "disturbed"});
  MeasuredLatency measured;
  measured.ms = read_latency(json);
  measured.samples = small_count(json.at("samples"));
  measured.disturbed = optional_boolean(json, "disturbed").value_or(false);
  return measured;
}

ResultNetwork read_network(const JsonReader& json) {
  json.expect_keys({"name", "family", "description", "origin", "params", "macs", "resolution",
                    "weight_bytes", "peak_activation_bytes", "top1", "predicted_ms", "measured_ms",
                    "gmacps", "published", "breakdown", "nearest", "difference", "better_than"});
  ResultNetwork network;
  network.name = json.at("name").string();
  network.family = optional_string(json, "family");
  network.description = optional_string(json, "description");
  network.origin = read_enum<Origin>(json.at("origin"), origin_names);
  network.params = count(json.at("params"));
  network.macs = count(json.at("macs"));
  if (present(json, "resolution"))
    network.resolution = static_cast<int>(json.at("resolution").integer(1, 65536));
  if (present(json, "weight_bytes")) network.weight_bytes = count(json.at("weight_bytes"));
  if (present(json, "peak_activation_bytes"))
    network.peak_activation_bytes = count(json.at("peak_activation_bytes"));
  network.top1 = optional_object(json, "top1", read_top1);
  network.predicted_ms = optional_object(json, "predicted_ms", [](const JsonReader& item) {
    item.expect_keys({"value", "low", "high"});
    return read_latency(item);
  });
  network.measured_ms = optional_object(json, "measured_ms", read_measured);
  network.gmacps = optional_number(json, "gmacps", not_negative);
  network.published = optional_object(json, "published", read_published);
  network.breakdown = list(json, "breakdown", read_breakdown);
  network.nearest = optional_string(json, "nearest");
  network.difference = optional_string(json, "difference");
  network.better_than = list(json, "better_than", string_of);
  return network;
}

SearchSummary read_search(const JsonReader& json) {
  json.expect_keys({"algorithm", "evaluations", "distinct", "hypervolume"});
  SearchSummary search;
  search.algorithm = json.at("algorithm").string();
  search.evaluations = count(json.at("evaluations"));
  search.distinct = count(json.at("distinct"));
  search.hypervolume = list(json, "hypervolume", [](const JsonReader& item) {
    expect_length(item, 2, "evaluations, value");
    return HypervolumePoint{count(element(item, 0)), element(item, 1).number()};
  });
  return search;
}

NetworkError read_network_error(const JsonReader& json) {
  json.expect_keys({"count", "mape", "rmspe", "within_5", "within_10"});
  return {small_count(json.at("count")), not_negative(json.at("mape")),
          not_negative(json.at("rmspe")), json.at("within_5").number(0, 1),
          json.at("within_10").number(0, 1)};
}

PredictorSummary read_predictor(const JsonReader& json) {
  json.expect_keys({"operators_measured", "profile_seconds", "classes", "networks"});
  PredictorSummary predictor;
  predictor.operators_measured = small_count(json.at("operators_measured"));
  predictor.profile_seconds = not_negative(json.at("profile_seconds"));
  predictor.classes = list(json, "classes", [](const JsonReader& item) {
    item.expect_keys({"class", "operators", "train_mape", "test_mape"});
    return ClassError{item.at("class").string(), small_count(item.at("operators")),
                      optional_number(item, "train_mape", not_negative),
                      optional_number(item, "test_mape", not_negative)};
  });
  predictor.networks = optional_object(json, "networks", read_network_error);
  return predictor;
}

AccuracySummary read_accuracy(const JsonReader& json) {
  json.expect_keys({"description", "points", "loo_mae", "family_mae", "note"});
  AccuracySummary accuracy;
  accuracy.description = json.at("description").string();
  accuracy.points = small_count(json.at("points"));
  accuracy.loo_mae = optional_number(json, "loo_mae", not_negative);
  accuracy.family_mae = optional_number(json, "family_mae", not_negative);
  accuracy.note = optional_string(json, "note");
  return accuracy;
}

Study read_study(const JsonReader& json) {
  json.expect_keys({"name", "title", "sentence", "holds", "table", "chart"});
  Study study;
  study.name = json.at("name").string();
  const auto in_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (study.name.empty() || !std::all_of(study.name.begin(), study.name.end(), in_name))
    json.at("name").fail("a name of a-z, 0-9 and dashes");
  study.title = json.at("title").string();
  study.sentence = json.at("sentence").string();
  study.holds = optional_boolean(json, "holds");
  const JsonReader table = json.at("table");
  table.expect_keys({"columns", "rows"});
  study.columns = list(table, "columns", string_of);
  study.rows = list(table, "rows", [&](const JsonReader& row) {
    if (row.size() != study.columns.size())
      row.fail(fmt::format("{} cells, one a column", study.columns.size()));
    std::vector<nlohmann::json> cells;
    row.each([&](const JsonReader& cell) {
      if (cell.json().is_structured()) cell.fail("text, a number, true, false or null");
      cells.push_back(cell.json());
    });
    return cells;
  });
  if (present(json, "chart")) {
    if (!json.at("chart").json().is_object()) json.at("chart").fail("a Vega-Lite object or null");
    study.chart = json.at("chart").json();
  }
  return study;
}

void check_names(const JsonReader& json, const Result& result) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < result.networks.size(); ++i)
    if (!names.insert(result.networks[i].name).second)
      element(json.at("networks"), i)
          .at("name")
          .fail_because(fmt::format("network \"{}\" stands here twice", result.networks[i].name));
  for (std::size_t i = 0; i < result.front.size(); ++i)
    if (names.count(result.front[i]) == 0)
      element(json.at("front"), i).fail("the name of one of the networks");
  std::set<std::string_view> studies;
  for (std::size_t i = 0; i < result.studies.size(); ++i)
    if (!studies.insert(result.studies[i].name).second)
      element(json.at("studies"), i)
          .at("name")
          .fail_because(fmt::format("study \"{}\" stands here twice", result.studies[i].name));
}

nlohmann::json optional_json(const std::optional<double>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

nlohmann::json optional_json(const std::optional<bool>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

nlohmann::json interval_json(const Interval& interval) {
  return {{"value", interval.value}, {"low", interval.low}, {"high", interval.high}};
}

nlohmann::json published_json(const PublishedFacts& facts) {
  nlohmann::json latency = nlohmann::json::array();
  for (const PublishedLatency& row : facts.latency)
    latency.push_back({{"device", row.device},
                       {"runtime", row.runtime},
                       {"threads", row.threads},
                       {"latency_ms", row.latency_ms},
                       {"source", row.source}});
  return {{"params_m", optional_json(facts.params_m)},
          {"macs_m", optional_json(facts.macs_m)},
          {"top1", optional_json(facts.top1)},
          {"latency", latency}};
}

nlohmann::json network_json(const ResultNetwork& network) {
  nlohmann::json json = {{"name", network.name},
                         {"family", network.family},
                         {"description", network.description},
                         {"origin", name(network.origin)},
                         {"params", network.params},
                         {"macs", network.macs},
                         {"resolution", network.resolution},
                         {"weight_bytes", network.weight_bytes},
                         {"peak_activation_bytes", network.peak_activation_bytes},
                         {"top1", nullptr},
                         {"predicted_ms", nullptr},
                         {"measured_ms", nullptr},
                         {"gmacps", optional_json(network.gmacps)},
                         {"published", nullptr},
                         {"nearest", network.nearest},
                         {"difference", network.difference},
                         {"better_than", network.better_than}};
  if (network.top1) {
    json["top1"] = interval_json(network.top1->percent);
    json["top1"]["kind"] = network.top1->estimated ? "estimated" : "published";
    json["top1"]["source"] = network.top1->source;
  }
  if (network.predicted_ms) json["predicted_ms"] = interval_json(*network.predicted_ms);
  if (network.measured_ms) {
    json["measured_ms"] = interval_json(network.measured_ms->ms);
    json["measured_ms"]["samples"] = network.measured_ms->samples;
    json["measured_ms"]["disturbed"] = network.measured_ms->disturbed;
  }
  if (network.published) json["published"] = published_json(*network.published);
  json["breakdown"] = nlohmann::json::array();
  for (const BreakdownRow& row : network.breakdown)
    json["breakdown"].push_back({{"stage", row.stage},
                                 {"class", row.op_class},
                                 {"macs", row.macs},
                                 {"latency_ms", row.latency_ms},
                                 {"bound", name(row.bound)}});
  return json;
}

nlohmann::json device_json(const ResultDevice& device) {
  nlohmann::json conditions = nlohmann::json::array();
  for (const Labelled& line : device.conditions)
    conditions.push_back(nlohmann::json::array({line.label, line.text}));
  return {
      {"name", device.name},       {"model", device.model},     {"evidence", name(device.evidence)},
      {"runtime", device.runtime}, {"threads", device.threads}, {"precision", device.precision},
      {"conditions", conditions}};
}

nlohmann::json search_json(const SearchSummary& search) {
  nlohmann::json hypervolume = nlohmann::json::array();
  for (const HypervolumePoint& point : search.hypervolume)
    hypervolume.push_back(nlohmann::json::array({point.evaluations, point.value}));
  return {{"algorithm", search.algorithm},
          {"evaluations", search.evaluations},
          {"distinct", search.distinct},
          {"hypervolume", hypervolume}};
}

nlohmann::json predictor_json(const PredictorSummary& predictor) {
  nlohmann::json classes = nlohmann::json::array();
  for (const ClassError& row : predictor.classes)
    classes.push_back({{"class", row.op_class},
                       {"operators", row.operators},
                       {"train_mape", optional_json(row.train_mape)},
                       {"test_mape", optional_json(row.test_mape)}});
  nlohmann::json json = {{"operators_measured", predictor.operators_measured},
                         {"profile_seconds", predictor.profile_seconds},
                         {"classes", classes},
                         {"networks", nullptr}};
  if (predictor.networks)
    json["networks"] = {{"count", predictor.networks->count},
                        {"mape", predictor.networks->mape},
                        {"rmspe", predictor.networks->rmspe},
                        {"within_5", predictor.networks->within_5},
                        {"within_10", predictor.networks->within_10}};
  return json;
}

nlohmann::json study_json(const Study& study) {
  nlohmann::json rows = nlohmann::json::array();
  for (const auto& row : study.rows) rows.push_back(row);
  return {{"name", study.name},
          {"title", study.title},
          {"sentence", study.sentence},
          {"holds", optional_json(study.holds)},
          {"table", {{"columns", study.columns}, {"rows", rows}}},
          {"chart", study.chart}};
}

}  // namespace

Evidence evidence_from_json(const JsonReader& json) {
  return read_enum<Evidence>(json, evidence_names);
}

std::string_view name(Evidence evidence) {
  return evidence_names[static_cast<std::size_t>(evidence)];
}
std::string_view name(Origin origin) {
  return origin_names[static_cast<std::size_t>(origin)];
}
std::string_view name(Bound bound) {
  return bound_names[static_cast<std::size_t>(bound)];
}

std::optional<Interval> latency_ms(const ResultNetwork& network) {
  if (network.measured_ms) return network.measured_ms->ms;
  return network.predicted_ms;
}

Result read_result(const JsonReader& json) {
  json.expect_schema("result");
  json.expect_keys({"schema", "tool_version", "created", "command", "seed", "device", "warnings",
                    "networks", "candidates", "front", "search", "predictor", "accuracy_model",
                    "insights", "studies"});
  Result result;
  result.tool_version = json.at("tool_version").string();
  check_date(json.at("created"));
  result.created = json.at("created").string();
  result.command = optional_string(json, "command");
  if (present(json, "seed"))
    result.seed = json.at("seed").integer(std::numeric_limits<std::int64_t>::min(),
                                          std::numeric_limits<std::int64_t>::max());
  result.device = read_device(json.at("device"));
  result.warnings = list(json, "warnings", [](const JsonReader& item) {
    item.expect_keys({"what", "remedy"});
    return Warning{item.at("what").string(), optional_string(item, "remedy")};
  });
  json.at("networks");
  result.networks = list(json, "networks", read_network);
  result.candidates = list(json, "candidates", read_candidate);
  result.front = list(json, "front", string_of);
  result.search = optional_object(json, "search", read_search);
  result.predictor = optional_object(json, "predictor", read_predictor);
  result.accuracy_model = optional_object(json, "accuracy_model", read_accuracy);
  result.insights = list(json, "insights", [](const JsonReader& item) {
    item.expect_keys({"title", "sentence", "holds"});
    return Insight{item.at("title").string(), item.at("sentence").string(),
                   optional_boolean(item, "holds")};
  });
  result.studies = list(json, "studies", read_study);
  check_names(json, result);
  return result;
}

nlohmann::json to_json(const Result& result) {
  nlohmann::json json = {{"schema", "cpubone/result/1"}, {"tool_version", result.tool_version},
                         {"created", result.created},    {"command", result.command},
                         {"seed", result.seed},          {"device", device_json(result.device)},
                         {"front", result.front},        {"search", nullptr},
                         {"predictor", nullptr},         {"accuracy_model", nullptr}};
  for (const char* key : {"warnings", "networks", "candidates", "insights", "studies"})
    json[key] = nlohmann::json::array();
  for (const Warning& warning : result.warnings)
    json["warnings"].push_back({{"what", warning.what}, {"remedy", warning.remedy}});
  for (const ResultNetwork& network : result.networks)
    json["networks"].push_back(network_json(network));
  for (const Candidate& c : result.candidates)
    json["candidates"].push_back(nlohmann::json::array({c.latency_ms, c.top1, c.macs, c.params}));
  for (const Insight& insight : result.insights)
    json["insights"].push_back({{"title", insight.title},
                                {"sentence", insight.sentence},
                                {"holds", optional_json(insight.holds)}});
  for (const Study& study : result.studies) json["studies"].push_back(study_json(study));
  if (result.search) json["search"] = search_json(*result.search);
  if (result.predictor) json["predictor"] = predictor_json(*result.predictor);
  if (result.accuracy_model)
    json["accuracy_model"] = {{"description", result.accuracy_model->description},
                              {"points", result.accuracy_model->points},
                              {"loo_mae", optional_json(result.accuracy_model->loo_mae)},
                              {"family_mae", optional_json(result.accuracy_model->family_mae)},
                              {"note", result.accuracy_model->note}};
  return json;
}

Result load_result(const std::filesystem::path& path) {
  return load(path, read_result);
}

void save_result(const Result& result, const std::filesystem::path& path) {
  write_json_file(to_json(result), path);
}

const ResultNetwork* find_network(const Result& result, std::string_view name) {
  for (const ResultNetwork& network : result.networks)
    if (network.name == name) return &network;
  return nullptr;
}

}  // namespace cpubone
