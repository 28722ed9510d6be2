#pragma once
#include "graph/op.hpp"
#include "graph/tensor.hpp"
#include "graph/warning.hpp"
#include "records/bound.hpp"
#include "records/fields.hpp"
#include "records/finding.hpp"
#include "records/profile.hpp"

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
const Table<Timing>& table<Timing>();
template <>
const Table<Profile>& table<Profile>();
template <>
std::span<const std::string_view> names<Bound>();
template <>
std::span<const std::string_view> names<DType>();

/// An operator is its line.
template <>
struct Codec<Op> {
  static void read(const JsonReader& json, Op& op, const Range&) {
    try {
      op = parse_op(json.string());
    } catch (const std::invalid_argument& e) {
      json.fail_because(e.what());
    }
  }
  static nlohmann::json write(const Op& op) { return text(op); }
  static std::string type() { return "operator's line"; }
};

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
