#pragma once
#include <span>
#include <string>
#include <string_view>

#include "records/result.hpp"
#include "reports/table.hpp"

namespace cpubone {

/// What a terminal shows of a result: its proposals and the published networks that are worth
/// comparing with, fastest first.
Table summary_table(const Result& result);

/// What a terminal shows of results of the same networks on several devices: proposals and
/// CPUBone's networks with the latency on each, and on which of the devices' fronts they are.
Table devices_table(std::span<const Result> results);

/// What to train next; without rows where nothing was asked for.
Table next_table(const Result& result);
/// What it is good for, and what comes after it.
std::string_view next_introduction();

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
/// What sharing layers with a coprocessor saves, by network.
Table co_execution_table(std::span<const SharedNetwork> networks);
Table search_table(const Result& result);
Table study_table(const Study& study);
Table device_table(const Result& result);
/// `10.0 (9.90–10.1)`, said where it is disturbed; `–` where there is none.
std::string latency_cell(const ResultNetwork& network);
/// `77.6`, or `≈ 79.2 (78.5–79.9)` where it is estimated; `–` where there is none.
std::string top1_cell(const ResultNetwork& network);

/// The rows of `pareto.csv`: the fronts of all results, plain numbers with units in the header.
Table pareto_table(std::span<const Result> results);

}  // namespace cpubone
