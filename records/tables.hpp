#pragma once
#include "graph/tensor.hpp"
#include "graph/warning.hpp"
#include "records/bound.hpp"
#include "records/fields.hpp"
#include "records/finding.hpp"

/// Tables that several files of records share.
namespace cpubone::records {

template <>
const Table<Interval>& table<Interval>();
template <>
const Table<Warning>& table<Warning>();
template <>
const Table<Study>& table<Study>();
template <>
const Table<StudyColumn>& table<StudyColumn>();
template <>
const Table<StudyNumber>& table<StudyNumber>();
template <>
const Table<GainFinding>& table<GainFinding>();
template <>
const Table<PredictionFinding>& table<PredictionFinding>();
template <>
const Table<LostTimeFinding>& table<LostTimeFinding>();
template <>
const Table<RobustFinding>& table<RobustFinding>();
template <>
const Table<LatencyOnDevice>& table<LatencyOnDevice>();
template <>
std::span<const std::string_view> names<Bound>();
template <>
std::span<const std::string_view> names<DType>();

/// One of the findings, told apart by its `kind`.
template <>
struct Codec<Finding> {
  static void read(const JsonReader& json, Finding& finding, const Range&) {
    finding = read_finding(json);
  }
  static nlohmann::json write(const Finding& finding) { return to_json(finding); }
  static std::string type() { return "finding, by `kind`"; }
};

}  // namespace cpubone::records
