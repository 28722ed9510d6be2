#include "records/result.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <set>

#include "records/tables.hpp"

namespace cpubone {
namespace {

constexpr std::array<std::string_view, 4> evidence_names{
    "measured", "calibrated from published latencies", "adapted from another device",
    "description"};
constexpr std::array<std::string_view, 2> origin_names{"published", "proposal"};

void check_date(const JsonReader& json) {
  const std::string text = json.string();
  constexpr std::string_view form = "0000-00-00T00:00:00Z";
  bool good = text.size() == form.size();
  for (std::size_t i = 0; good && i < form.size(); ++i)
    good = form[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == form[i];
  if (!good) json.fail("a time in UTC like \"2026-01-31T12:00:00Z\"");
}

void check_result(const Result& result, const JsonReader& json) {
  check_date(json.at("created"));
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < result.networks.size(); ++i)
    if (!names.insert(result.networks[i].name).second)
      records::element(json.at("networks"), i)
          .at("name")
          .fail_because(fmt::format("network \"{}\" stands here twice", result.networks[i].name));
  for (std::size_t i = 0; i < result.front.size(); ++i)
    if (names.count(result.front[i]) == 0)
      records::element(json.at("front"), i).fail("the name of one of the networks");
  std::set<std::string_view> studies;
  for (std::size_t i = 0; i < result.studies.size(); ++i)
    if (!studies.insert(result.studies[i].name).second)
      records::element(json.at("studies"), i)
          .at("name")
          .fail_because(fmt::format("study \"{}\" stands here twice", result.studies[i].name));
}

void check_network(const ResultNetwork& network, const JsonReader& json) {
  // A latency of nothing is none; its low end may be.
  for (const char* key : {"predicted_ms", "measured_ms"})
    if (records::is_present(json, key) && json.at(key).at("value").number() <= 0)
      json.at(key).at("value").fail("a positive number");
  static_cast<void>(network);
}

}  // namespace

namespace records {

template <>
std::span<const std::string_view> names<Evidence>() {
  return evidence_names;
}
template <>
std::span<const std::string_view> names<Origin>() {
  return origin_names;
}

template <>
const Table<Labelled>& table<Labelled>() {
  static const Table<Labelled> labelled{
      .name = "label and text",
      .fields = {field<&Labelled::label>("label", "e.g. `governor`"),
                 field<&Labelled::text>("text", "e.g. `performance`")},
      .as_list = true};
  return labelled;
}

template <>
const Table<ResultDevice>& table<ResultDevice>() {
  using T = ResultDevice;
  static const Table<T> device{
      "device",
      {field<&T::name>("name", "e.g. `pi5`"), optional<&T::model>("model", "of the CPU"),
       field<&T::evidence>("evidence", "what its latencies rest on"),
       optional<&T::runtime>("runtime", "with its version"),
       field<&T::threads>("threads", "that networks run on", {1, 4096}),
       optional<&T::precision>("precision", "e.g. `f32`"),
       optional<&T::emulated>("emulated", "it calculates in f32 and only stores in the precision"),
       optional<&T::conditions>("conditions", "what else was noted")}};
  return device;
}

template <>
const Table<Candidate>& table<Candidate>() {
  using T = Candidate;
  static const Table<T> candidate{
      .name = "candidate",
      .fields = {field<&T::latency_ms>("latency_ms", "predicted", positive),
                 field<&T::top1>("top1", "estimated, percent", percents),
                 field<&T::macs>("macs", "", not_negative),
                 field<&T::params>("params", "", not_negative)},
      .as_list = true};
  return candidate;
}

/// `kind` of a top-1: a Boolean in the record, a word in the file.
constexpr std::array<std::string_view, 2> top1_kinds{"published", "estimated"};

template <>
const Table<Top1>& table<Top1>() {
  using T = Top1;
  static const Table<T> top1{
      "top-1",
      {inlined<&T::percent>(percents),
       {{"kind", "`published`, `estimated`", "estimated by the accuracy model"},
        any_number,
        [](T& record, const JsonReader& json, const Range&) {
          record.estimated = read_name(json, top1_kinds) == 1;
        },
        [](const T& record) { return nlohmann::json(top1_kinds[record.estimated ? 1 : 0]); }},
       optional<&T::source>("source", "of the value")}};
  return top1;
}

template <>
const Table<MeasuredLatency>& table<MeasuredLatency>() {
  using T = MeasuredLatency;
  static const Table<T> latency{
      "measured latency",
      {inlined<&T::ms>(not_negative),
       field<&T::samples>("samples", "fewer than 5 prove nothing", not_negative),
       optional<&T::disturbed>("disturbed", "by other processes: proves nothing")}};
  return latency;
}

template <>
const Table<PublishedLatency>& table<PublishedLatency>() {
  using T = PublishedLatency;
  static const Table<T> latency{"published latency",
                                {field<&T::device>("device", ""),
                                 optional<&T::runtime>("runtime", ""),
                                 {{"threads", "text or whole number", "as published", false},
                                  any_number,
                                  [](T& record, const JsonReader& json, const Range&) {
                                    record.threads = json.json().is_number()
                                                         ? fmt::to_string(json.integer(1, 4096))
                                                         : json.string();
                                  },
                                  [](const T& record) { return nlohmann::json(record.threads); }},
                                 field<&T::latency_ms>("latency_ms", "", positive),
                                 optional<&T::source>("source", "")}};
  return latency;
}

template <>
const Table<PublishedFacts>& table<PublishedFacts>() {
  using T = PublishedFacts;
  static const Table<T> facts{
      "published facts",
      {optional<&T::params_m>("params_m", "parameters in millions", not_negative),
       optional<&T::macs_m>("macs_m", "MACs in millions", not_negative),
       optional<&T::top1>("top1", "percent", percents),
       optional<&T::latency>("latency", "on other devices")}};
  return facts;
}

template <>
const Table<BreakdownRow>& table<BreakdownRow>() {
  using T = BreakdownRow;
  static const Table<T> row{
      "part of a network",
      {field<&T::stage>("stage", ""), field<&T::op_class>("class", "of operators"),
       field<&T::macs>("macs", "", not_negative),
       field<&T::latency_ms>("latency_ms", "", not_negative),
       field<&T::bound>("bound", "what limits most of it")}};
  return row;
}

template <>
const Table<ResultNetwork>& table<ResultNetwork>() {
  using T = ResultNetwork;
  static const Table<T> network{
      "network",
      {field<&T::name>("name", "no two are the same"), optional<&T::family>("family", ""),
       optional<&T::description>("description", "e.g. `w16-32-64-128-256 d0-1-1-3-4 g2`"),
       field<&T::origin>("origin", ""),
       field<&T::params>("params", "parameters, counted exactly", not_negative),
       field<&T::macs>("macs", "counted exactly", not_negative),
       optional<&T::resolution>("resolution", "of the input, pixels", {1, 65536}),
       optional<&T::weight_bytes>("weight_bytes", "", not_negative),
       optional<&T::peak_activation_bytes>("peak_activation_bytes", "", not_negative),
       optional<&T::top1>("top1", "percent on ImageNet-1k"),
       optional<&T::predicted_ms>("predicted_ms", "90 % interval", not_negative),
       optional<&T::measured_ms>("measured_ms", "median and its 95 % interval"),
       optional<&T::gmacps>("gmacps",
                            "of the measured latency where there is one, else of the predicted",
                            not_negative),
       optional<&T::published>("published", "by its authors and others"),
       optional<&T::breakdown>("breakdown", "summed by stage and operator class"),
       optional<&T::nearest>("nearest", "proposals: the B-network nearest in latency"),
       optional<&T::difference>("difference", "proposals: what differs from it"),
       optional<&T::better_than>("better_than",
                                 "proposals: published networks of higher measured latency and, "
                                 "with a probability of 90 %, no "
                                 "higher top-1")},
      check_network};
  return network;
}

template <>
const Table<NextNetwork>& table<NextNetwork>() {
  using T = NextNetwork;
  static const Table<T> next{
      "next network",
      {field<&T::name>("name", "of its file in `networks/`"),
       optional<&T::description>("description", ""),
       field<&T::predicted_ms>("predicted_ms", "90 % interval", not_negative),
       field<&T::top1>("top1", "percent on ImageNet-1k"),
       field<&T::improvement>("improvement",
                              "expected growth of the front's hypervolume, a fraction of it")}};
  return next;
}

template <>
const Table<HypervolumePoint>& table<HypervolumePoint>() {
  using T = HypervolumePoint;
  static const Table<T> point{.name = "hypervolume",
                              .fields = {field<&T::evaluations>("evaluations", "", not_negative),
                                         field<&T::value>("value", "of the front")},
                              .as_list = true};
  return point;
}

template <>
const Table<SearchLimit>& table<SearchLimit>() {
  using T = SearchLimit;
  static const Table<T> limit{"limit",
                              {field<&T::objective>("objective", "e.g. `latency`"),
                               field<&T::limit>("limit", "at most; of `top1` at least"),
                               field<&T::unit>("unit", "e.g. `ms`")}};
  return limit;
}

template <>
const Table<SearchSummary>& table<SearchSummary>() {
  using T = SearchSummary;
  static const Table<T> search{"search",
                               {field<&T::algorithm>("algorithm", ""),
                                optional<&T::limits>("limits", "that the search kept to"),
                                field<&T::evaluations>("evaluations", "", not_negative),
                                field<&T::distinct>("distinct", "networks evaluated", not_negative),
                                optional<&T::hypervolume>("hypervolume", "while it went on")}};
  return search;
}

template <>
const Table<ClassError>& table<ClassError>() {
  using T = ClassError;
  static const Table<T> error{
      "error of a class",
      {field<&T::op_class>("class", "of operators"),
       field<&T::operators>("operators", "measured", not_negative),
       optional<&T::train_mape>("train_mape", "mean error where fitted, a fraction", not_negative),
       optional<&T::test_mape>("test_mape", "mean error where held out, a fraction",
                               not_negative)}};
  return error;
}

template <>
const Table<NetworkError>& table<NetworkError>() {
  using T = NetworkError;
  static const Table<T> error{
      "error of networks",
      {field<&T::count>("count", "networks that were never used to fit", not_negative),
       field<&T::mape>("mape", "mean error, a fraction", not_negative),
       field<&T::rmspe>("rmspe", "root mean square error, a fraction", not_negative),
       field<&T::within_5>("within_5", "share predicted within 5 %", share),
       field<&T::within_10>("within_10", "share predicted within 10 %", share)}};
  return error;
}

template <>
const Table<PredictorSummary>& table<PredictorSummary>() {
  using T = PredictorSummary;
  static const Table<T> predictor{
      "predictor",
      {field<&T::operators_measured>("operators_measured", "", not_negative),
       field<&T::profile_seconds>("profile_seconds", "that measuring took", not_negative),
       optional<&T::peak_gmacps>(
           "peak_gmacps", "of the CPU's arithmetic in f32, on as many threads; measured", positive),
       optional<&T::classes>("classes", "how well each is predicted"),
       optional<&T::networks>("networks", "how well they are predicted")}};
  return predictor;
}

template <>
const Table<AccuracySummary>& table<AccuracySummary>() {
  using T = AccuracySummary;
  static const Table<T> accuracy{
      "accuracy model",
      {field<&T::description>("description", ""),
       field<&T::points>("points", "networks that it is fitted on", not_negative),
       optional<&T::loo_mae>("loo_mae", "mean error in points of top-1, leaving one network out",
                             not_negative),
       optional<&T::family_mae>("family_mae", "the same, leaving one family out", not_negative),
       optional<&T::note>("note", "")}};
  return accuracy;
}

template <>
const Table<SharedNetwork>& table<SharedNetwork>() {
  using T = SharedNetwork;
  static const Table<T> network{
      "shared network",
      {field<&T::name>("name", "of one of `networks`"),
       field<&T::predicted_ms>("predicted_ms", "90 % interval", not_negative),
       field<&T::cpu_alone_ms>("cpu_alone_ms", "of the CPU without the coprocessor", not_negative),
       field<&T::shared_layers>("shared_layers", "of which both compute channels", not_negative),
       field<&T::coprocessor_layers>("coprocessor_layers", "on it alone", not_negative),
       field<&T::cpu_layers>("cpu_layers", "on the CPU alone", not_negative)}};
  return network;
}

template <>
const Table<CoExecutionSummary>& table<CoExecutionSummary>() {
  using T = CoExecutionSummary;
  static const Table<T> summary{
      "co-execution",
      {field<&T::coprocessor>("coprocessor", "device and driver"),
       field<&T::synchronisation_us>("synchronisation_us", "of a shared layer, fitted",
                                     not_negative),
       field<&T::unhidden_share>("unhidden_share",
                                 "of the shorter part's time what the longer does not hide: 1 "
                                 "where both take turns, fitted",
                                 {0, 1}),
       field<&T::layers_measured>("layers_measured", "shared ones, which that is fitted to",
                                  not_negative),
       field<&T::shared_mape>("shared_mape", "mean error on them, each left out, a fraction",
                              not_negative),
       optional<&T::published>("published",
                               "where nothing was measured: which latencies of the coprocessor "
                               "were published, and what is assumed"),
       field<&T::networks>("networks", "what sharing is predicted to save")}};
  return summary;
}

template <>
const Table<Result>& table<Result>() {
  using T = Result;
  static const Table<T> result{
      .name = "result",
      .fields = {field<&T::tool_version>("tool_version", ""),
                 field<&T::created>("created", "UTC, e.g. `2026-01-31T12:00:00Z`"),
                 optional<&T::command>("command", "to reproduce it"),
                 optional<&T::seed>("seed", "of plan and search"),
                 field<&T::device>("device", "whose latencies these are"),
                 optional<&T::warnings>("warnings", ""),
                 field<&T::networks>("networks", "published ones and proposals"),
                 optional<&T::candidates>("candidates", "some of what the search saw"),
                 optional<&T::front>("front", "names of `networks` on the front, fastest first"),
                 optional<&T::search>("search", ""), optional<&T::predictor>("predictor", ""),
                 optional<&T::accuracy_model>("accuracy_model", ""),
                 optional<&T::co_execution>("co_execution",
                                            "present where layers are shared with a coprocessor: "
                                            "all latencies are predicted so"),
                 optional<&T::findings>("findings", "what was found out; `cpubone-report` says it"),
                 optional<&T::studies>("studies", "controlled comparisons"),
                 optional<&T::next>("next", "what to train next, the first first")},
      .check = check_result,
      .schema = "result",
      .version = 2};
  return result;
}

}  // namespace records

Evidence evidence_from_json(const JsonReader& json) {
  Evidence evidence{};
  records::Codec<Evidence>::read(json, evidence, {});
  return evidence;
}

std::string_view name(Evidence evidence) {
  return evidence_names[static_cast<std::size_t>(evidence)];
}
std::string_view name(Origin origin) {
  return origin_names[static_cast<std::size_t>(origin)];
}

Result read_result(const JsonReader& json) {
  return records::read_record<Result>(json);
}

nlohmann::json to_json(const Result& result) {
  return records::write_record(result);
}

std::string describe_result_file() {
  using namespace records;
  return describe_all<Result, ResultDevice, Labelled, Warning, ResultNetwork, Top1, Interval,
                      MeasuredLatency, PublishedFacts, PublishedLatency, BreakdownRow, Candidate,
                      SearchSummary, SearchLimit, HypervolumePoint, PredictorSummary, ClassError,
                      NetworkError, AccuracySummary, CoExecutionSummary, SharedNetwork, GainFinding,
                      PredictionFinding, LostTimeFinding, RobustFinding, LatencyOnDevice, Study,
                      StudyColumn, StudyNumber, NextNetwork>();
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
