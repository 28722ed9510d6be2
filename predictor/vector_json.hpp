#pragma once
#include <Eigen/Core>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "graph/json_file.hpp"

namespace cpubone {

/// A list of numbers, those that are not finite as null.
template <typename Vector>
nlohmann::json vector_json(const Vector& vector) {
  nlohmann::json json = nlohmann::json::array();
  for (Eigen::Index i = 0; i < vector.size(); ++i)
    json.push_back(std::isfinite(vector(i)) ? nlohmann::json(vector(i)) : nlohmann::json());
  return json;
}

/// Throws cpubone::Error where these are not so many finite numbers.
inline Eigen::VectorXd vector_at(const JsonReader& json, std::size_t size) {
  std::vector<double> values;
  json.each([&](const JsonReader& item) { values.push_back(item.number()); });
  if (values.size() != size)
    json.fail_because("expected " + std::to_string(size) + " numbers, got " +
                      std::to_string(values.size()));
  return Eigen::Map<const Eigen::VectorXd>(values.data(), static_cast<Eigen::Index>(size));
}

}  // namespace cpubone
