#include <array>
#include <limits>
#include <utility>

#include "graph/json_file.hpp"
#include "predictor/predictor.hpp"
#include "predictor/vector_json.hpp"

namespace cpubone {
namespace {

nlohmann::json to_json(const GaussianProcess& process) {
  nlohmann::json points = nlohmann::json::array();
  for (Eigen::Index i = 0; i < process.points.cols(); ++i)
    points.push_back(vector_json(process.points.col(i)));
  return {{"centre", vector_json(process.centre)},
          {"scale", vector_json(process.scale)},
          {"signal", process.signal},
          {"noise", process.noise},
          {"spread_factor", process.spread_factor},
          {"points", std::move(points)},
          {"weights", vector_json(process.weights)}};
}

GaussianProcess process_from_json(const JsonReader& json) {
  json.expect_keys({"centre", "scale", "signal", "noise", "spread_factor", "points", "weights"});
  const std::size_t inputs = feature_names().size();
  GaussianProcess process;
  process.centre = vector_at(json.at("centre"), inputs);
  process.scale = vector_at(json.at("scale"), inputs);
  process.signal = json.at("signal").number(0, 1e6);
  process.noise = json.at("noise").number(0, 1e6);
  process.spread_factor = json.at("spread_factor").number(0, 1e6);
  const JsonReader points = json.at("points");
  process.points.resize(static_cast<Eigen::Index>(inputs),
                        static_cast<Eigen::Index>(points.size()));
  Eigen::Index column = 0;
  points.each([&](const JsonReader& item) {
    process.points.col(column++) = vector_at(item, inputs).cast<float>();
  });
  process.weights = vector_at(json.at("weights"), points.size()).cast<float>();
  return process;
}

nlohmann::json to_json(const CostModel& cost) {
  return {{"ns_per_mac", cost.ns_per_mac},
          {"ns_per_loop_start", cost.ns_per_loop_start},
          {"ns_per_weight_byte", cost.ns_per_weight_byte},
          {"ns_per_streamed_byte", cost.ns_per_streamed_byte},
          {"ns_per_activation_byte", cost.ns_per_activation_byte},
          {"ns_per_activation_byte_beyond_l2", cost.ns_per_activation_byte_beyond_l2},
          {"ns_per_activation_byte_beyond_llc", cost.ns_per_activation_byte_beyond_llc},
          {"ns_per_dispatch", cost.ns_per_dispatch},
          {"ns_per_synchronisation", cost.ns_per_synchronisation},
          {"ns_per_work_item", cost.ns_per_work_item},
          {"threads", cost.threads}};
}

CostModel cost_model_from_json(const JsonReader& json) {
  json.expect_keys({"ns_per_mac", "ns_per_loop_start", "ns_per_weight_byte", "ns_per_streamed_byte",
                    "ns_per_activation_byte", "ns_per_activation_byte_beyond_l2",
                    "ns_per_activation_byte_beyond_llc", "ns_per_dispatch",
                    "ns_per_synchronisation", "ns_per_work_item", "threads"});
  const auto cost = [&](std::string_view key) { return json.at(key).number(0, 1e12); };
  return {cost("ns_per_mac"),
          cost("ns_per_loop_start"),
          cost("ns_per_weight_byte"),
          cost("ns_per_streamed_byte"),
          cost("ns_per_activation_byte"),
          cost("ns_per_activation_byte_beyond_l2"),
          cost("ns_per_dispatch"),
          cost("ns_per_activation_byte_beyond_llc"),
          cost("ns_per_synchronisation"),
          cost("ns_per_work_item"),
          static_cast<int>(json.at("threads").integer(1, 1024))};
}

// Factors and costs of a correction, by key.
constexpr std::array<std::pair<std::string_view, double Correction::*>, 9> correction_numbers{{
    {"compute", &Correction::compute},
    {"memory", &Correction::memory},
    {"far_memory", &Correction::far_memory},
    {"weights", &Correction::weights},
    {"dispatch", &Correction::dispatch},
    {"ns_per_synchronisation", &Correction::ns_per_synchronisation},
    {"ns_per_work_item", &Correction::ns_per_work_item},
    {"least_ns_per_mac", &Correction::least_ns_per_mac},
    {"spread", &Correction::spread},
}};

nlohmann::json to_json(const Correction& correction) {
  nlohmann::json deviations = nlohmann::json::array();
  for (Eigen::Index i = 0; i < correction.deviations.rows(); ++i)
    deviations.push_back(vector_json(correction.deviations.row(i)));
  nlohmann::json json{{"threads", correction.threads},
                      {"factor", to_json(correction.factor)},
                      {"deviations", std::move(deviations)}};
  for (const auto& [key, member] : correction_numbers) json[std::string(key)] = correction.*member;
  return json;
}

Correction correction_from_json(const JsonReader& json) {
  json.expect_keys({"compute", "memory", "far_memory", "weights", "dispatch",
                    "ns_per_synchronisation", "ns_per_work_item", "least_ns_per_mac", "spread",
                    "threads", "factor", "deviations"});
  Correction correction;
  for (const auto& [key, member] : correction_numbers)
    correction.*member = json.at(key).number(0, 1e12);
  correction.threads = static_cast<int>(json.at("threads").integer(1, 1024));
  correction.factor = process_from_json(json.at("factor"));
  const JsonReader rows = json.at("deviations");
  const Eigen::Index parts = correction.deviations.rows();
  if (rows.size() != static_cast<std::size_t>(parts)) rows.fail("five rows");
  Eigen::Index row = 0;
  rows.each([&](const JsonReader& item) {
    correction.deviations.row(row++) = vector_at(item, static_cast<std::size_t>(parts));
  });
  return correction;
}

nlohmann::json to_json(const ClassModel& model) {
  nlohmann::json json{{"class", model.name},
                      {"engine", model.engine},
                      {"cost_model", to_json(model.cost)},
                      {"network_scale", model.network_scale},
                      {"operators", model.operators},
                      {"train_mape", model.train_mape},
                      {"test_mape", model.test_mape},
                      {"test_within_10", model.test_within_10},
                      {"factor", to_json(model.factor)}};
  if (model.correction) json["correction"] = to_json(*model.correction);
  return json;
}

ClassModel class_from_json(const JsonReader& json) {
  json.expect_keys({"class", "engine", "cost_model", "correction", "network_scale", "operators",
                    "train_mape", "test_mape", "test_within_10", "factor"});
  ClassModel model;
  model.name = json.at("class").string();
  model.engine = json.at("engine").string();
  model.cost = cost_model_from_json(json.at("cost_model"));
  if (json.has("correction")) model.correction = correction_from_json(json.at("correction"));
  model.network_scale = json.at("network_scale").number(0, 1e6);
  model.operators =
      static_cast<int>(json.at("operators").integer(0, std::numeric_limits<int>::max()));
  model.train_mape = json.at("train_mape").number();
  model.test_mape = json.at("test_mape").number();
  model.test_within_10 = json.at("test_within_10").number();
  model.factor = process_from_json(json.at("factor"));
  return model;
}

nlohmann::json to_json(const NetworkModel& model) {
  return {{"ns_less_per_kept_byte", model.ns_less_per_kept_byte},
          {"most_kept_bytes", model.most_kept_bytes},
          {"interval_factor", model.interval_factor},
          {"least_spread", model.least_spread},
          {"range", {{"centre", model.range.centre}, {"scale", model.range.scale}}},
          {"networks", model.networks},
          {"test_mape", model.test_mape}};
}

NetworkModel network_from(const JsonReader& json) {
  json.expect_keys({"ns_less_per_kept_byte", "most_kept_bytes", "interval_factor", "least_spread",
                    "range", "networks", "test_mape"});
  NetworkModel model;
  model.ns_less_per_kept_byte = json.at("ns_less_per_kept_byte").number(0, 1e9);
  model.most_kept_bytes = json.at("most_kept_bytes").number(0, 1e18);
  model.interval_factor = json.at("interval_factor").number(0, 1e6);
  model.least_spread = json.at("least_spread").number(0, 1e6);
  if (json.has("range")) {
    const JsonReader range = json.at("range");
    range.expect_keys({"centre", "scale"});
    const auto read = [](const JsonReader& row, std::array<double, 3>& numbers) {
      const Eigen::VectorXd values = vector_at(row, 3);
      std::copy(values.begin(), values.end(), numbers.begin());
    };
    read(range.at("centre"), model.range.centre);
    std::size_t i = 0;
    range.at("scale").each([&](const JsonReader& row) {
      if (i == 3) range.at("scale").fail("three rows");
      read(row, model.range.scale.at(i++));
    });
  }
  model.networks =
      static_cast<int>(json.at("networks").integer(0, std::numeric_limits<int>::max()));
  model.test_mape = json.at("test_mape").number();
  return model;
}

}  // namespace

nlohmann::json to_json(const Predictor& predictor) {
  nlohmann::json classes = nlohmann::json::array();
  for (const ClassModel& model : predictor.classes) classes.push_back(to_json(model));
  nlohmann::json names = nlohmann::json::array();
  for (const std::string_view name : feature_names()) names.push_back(name);
  return {{"schema", "cpubone/predictor/2"},
          {"device", to_json(predictor.device)},
          {"settings", to_json(predictor.settings)},
          {"tool_version", predictor.tool_version},
          {"created", predictor.created},
          {"training_hash", predictor.training_hash},
          {"evidence", name(predictor.evidence)},
          {"evidence_detail", predictor.evidence_detail},
          {"best_macps", predictor.best_macps},
          {"roofline", to_json(predictor.roofline)},
          {"features", std::move(names)},
          {"classes", std::move(classes)},
          {"network", to_json(predictor.network)}};
}

Predictor predictor_from_json(const JsonReader& json) {
  constexpr int version_read = 2;
  if (json.has("schema") && json.at("schema").json() == "cpubone/predictor/1")
    json.at("schema").fail_because(
        "written by an earlier version of cpubone, whose models this one does not know; fit it "
        "again from its profile");
  json.expect_schema("predictor", version_read);
  json.expect_keys({"schema", "device", "settings", "tool_version", "created", "training_hash",
                    "evidence", "evidence_detail", "best_macps", "roofline", "features", "classes",
                    "network"});
  // Points of a Gaussian process mean nothing among other features.
  std::vector<std::string> names;
  json.at("features").each([&](const JsonReader& item) { names.push_back(item.string()); });
  if (!std::equal(names.begin(), names.end(), feature_names().begin(), feature_names().end()))
    json.at("features")
        .fail_because("made with other features than version " + version() +
                      " has; fit it again from its profile");
  Predictor predictor;
  predictor.device = device_from_json(json.at("device"));
  predictor.settings = settings_from_json(json.at("settings"));
  predictor.tool_version = json.at("tool_version").string();
  predictor.created = json.at("created").string();
  predictor.training_hash = json.at("training_hash").string();
  predictor.evidence = evidence_from_json(json.at("evidence"));
  predictor.evidence_detail = json.at("evidence_detail").string();
  predictor.best_macps = json.at("best_macps").number(0, 1e18);
  if (json.has("roofline")) predictor.roofline = roofline_from_json(json.at("roofline"));
  json.at("classes").each(
      [&](const JsonReader& item) { predictor.classes.push_back(class_from_json(item)); });
  predictor.network = network_from(json.at("network"));
  return predictor;
}

Predictor load_predictor(const std::filesystem::path& path) {
  return load(path, predictor_from_json);
}

void save_predictor(const Predictor& predictor, const std::filesystem::path& path) {
  write_json_file(to_json(predictor), path);
}

}  // namespace cpubone
