#include "predictor/accuracy_json.hpp"

#include <cmath>
#include <limits>

#include "predictor/accuracy_features.hpp"
#include "predictor/vector_json.hpp"

namespace cpubone {
namespace {

/// Members that are plain numbers, in the order of the list that both directions share.
template <typename Posterior, typename Visit>
void visit_numbers_of(Posterior& p, Visit visit) {
  visit("ratio_low", p.ratio_low);
  visit("ratio_high", p.ratio_high);
  visit("trend_low", p.trend_low);
  visit("trend_high", p.trend_high);
  visit("noise", p.noise);
  visit("macs_low", p.macs_low);
  visit("macs_high", p.macs_high);
  visit("family_macs_low", p.family_macs_low);
  visit("family_macs_high", p.family_macs_high);
}

/// A list of numbers of which null stands for `unbounded`.
Eigen::VectorXd bounds_at(const JsonReader& json, Eigen::Index size, double unbounded) {
  Eigen::VectorXd bounds(size);
  Eigen::Index i = 0;
  if (json.size() != static_cast<std::size_t>(size))
    json.fail_because("expected " + std::to_string(size) + " bounds, got " +
                      std::to_string(json.size()));
  json.each([&](const JsonReader& item) {
    const double bound = item.number_or_null();
    bounds(i++) = std::isnan(bound) ? unbounded : bound;
  });
  return bounds;
}

}  // namespace

nlohmann::json to_json(const AccuracyPosterior& posterior) {
  nlohmann::json root = nlohmann::json::array();
  for (Eigen::Index row = 0; row < posterior.root.rows(); ++row)
    root.push_back(vector_json(posterior.root.row(row).tail(posterior.root.cols() - row)));
  nlohmann::json json{{"centre", vector_json(posterior.centre)},
                      {"scale", vector_json(posterior.scale)},
                      {"low", vector_json(posterior.low)},
                      {"high", vector_json(posterior.high)},
                      {"trend", vector_json(posterior.trend)},
                      {"mean", vector_json(posterior.mean)},
                      {"known", posterior.known},
                      {"root", std::move(root)},
                      {"doubt", vector_json(posterior.doubt)}};
  visit_numbers_of(posterior, [&](const char* name, double number) { json[name] = number; });
  return json;
}

AccuracyPosterior accuracy_posterior_from_json(const JsonReader& json) {
  using namespace accuracy_features;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  json.expect_keys({"centre", "scale", "low", "high", "trend", "mean", "known", "root", "doubt",
                    "ratio_low", "ratio_high", "trend_low", "trend_high", "noise", "macs_low",
                    "macs_high", "family_macs_low", "family_macs_high"});
  AccuracyPosterior posterior;
  posterior.centre = vector_at(json.at("centre"), plain_count);
  posterior.scale = vector_at(json.at("scale"), product_factors);
  posterior.low = bounds_at(json.at("low"), plain_count, -infinity);
  posterior.high = bounds_at(json.at("high"), plain_count, infinity);
  posterior.trend = vector_at(json.at("trend"), feature_count).cast<float>();
  posterior.mean = vector_at(json.at("mean"), input_count).cast<float>();
  json.at("known").each(
      [&](const JsonReader& item) { posterior.known.push_back(item.integer(0, input_count - 1)); });
  const JsonReader root = json.at("root");
  if (posterior.known.size() > input_count || root.size() != posterior.known.size())
    root.fail_because("expected a row for each of the known weights, of which there are at most " +
                      std::to_string(input_count));
  const auto size = static_cast<Eigen::Index>(root.size());
  posterior.root = Eigen::MatrixXf::Zero(size, size);
  Eigen::Index row = 0;
  root.each([&](const JsonReader& item) {
    posterior.root.row(row).tail(size - row) =
        vector_at(item, static_cast<std::size_t>(size - row)).cast<float>();
    ++row;
  });
  posterior.doubt = vector_at(json.at("doubt"), input_count).cast<float>();
  visit_numbers_of(posterior,
                   [&](const char* name, double& number) { number = json.at(name).number(); });
  return posterior;
}

}  // namespace cpubone
