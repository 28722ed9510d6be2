#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "records/result.hpp"
#include "reports/table.hpp"

namespace cpubone {

/// What is shared with a coprocessor and what that saves; empty where nothing is.
std::string co_execution_sentence(const Result& result);

/// It tells of studies alone, and nothing of networks.
bool only_studies(const Result& result);

/// It has both a latency and an accuracy.
bool comparable(const ResultNetwork& network);

/// `measured`, `disturbed` (measured, but not as docs/measuring.md asks) or `predicted`.
std::string_view latency_source(const ResultNetwork& network);

/// All networks, fastest first; those without latency last.
std::vector<const ResultNetwork*> by_latency(const Result& result);

/// What the CPU's arithmetic reaches, where that was measured.
std::optional<double> peak_gmacps(const Result& result);

/// What to use where at least so much accuracy is wanted.
struct Choice {
  double at_least = 0;                       ///< percent of top-1, a whole number
  const ResultNetwork* fastest = nullptr;    ///< of all networks
  const ResultNetwork* published = nullptr;  ///< the fastest published one, or null
};

/// The fastest network at each whole percent of top-1, one row a network, fastest first.
/// Pointers are into `result`. Networks without latency or accuracy are left out.
std::vector<Choice> fastest_at_each_accuracy(const Result& result);

/// The networks that `result.front` names; where it names none, those that no other beats in both
/// latency and accuracy. Fastest first.
std::vector<const ResultNetwork*> front(const Result& result);

/// What to use on this device, how sure that is, and whether counting MACs would have told.
std::vector<std::string> summary_sentences(const Result& result);

/// That its latencies are in: `f32`, `f16`, `emulated f16` or `int8`; empty where the result does
/// not tell.
std::string precision_text(const ResultDevice& device);
/// The same where it is not f32; else empty.
std::string unusual_precision(const ResultDevice& device);
/// A device with the precision of its latencies where that is not f32: `pi5`, `pi5 in int8`.
std::string device_text(const ResultDevice& device);

/// One name a result, told apart where devices repeat: `pi5`, `pi5 (2)`.
std::vector<std::string> result_names(std::span<const Result> results);

/// How well latencies were predicted, as a sentence; empty where nothing tells.
std::string prediction_sentence(const Result& result);

}  // namespace cpubone
