#pragma once
#include <span>
#include <string>
#include <vector>

#include "records/result.hpp"
#include "reports/table.hpp"

namespace cpubone {

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

/// What to use on this device, how sure that is, and why counting MACs would not have told.
std::vector<std::string> summary_sentences(const Result& result);

/// One name a result, told apart where devices repeat: `pi5`, `pi5 (2)`.
std::vector<std::string> result_names(std::span<const Result> results);

/// Tables of the report, each whole without a chart.
Table choice_table(const Result& result);
Table network_table(const Result& result);
Table front_table(const Result& result);
Table macs_table(const Result& result);
Table prediction_table(const Result& result);
Table predictor_class_table(const Result& result);
Table rebuilt_table(const Result& result);
Table published_latency_table(const Result& result);
Table breakdown_table(const Result& result);
Table proposal_table(const Result& result);
Table search_table(const Result& result);
Table study_table(const Study& study);
Table device_table(const Result& result);
/// Networks that occur in several results, with the latency on each.
Table comparison_table(std::span<const Result> results);

/// The rows of `pareto.csv`: the fronts of all results, plain numbers with units in the header.
Table pareto_table(std::span<const Result> results);

/// How well latencies were predicted, as a sentence; empty where nothing tells.
std::string prediction_sentence(const Result& result);

}  // namespace cpubone
