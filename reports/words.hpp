#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "records/result.hpp"

namespace cpubone {

/// Whether the data support a statement; `open`: within noise, `none`: it claims nothing.
enum class Verdict { holds, fails, open, none };
/// `holds`, `does not hold`, `within noise`, or empty.
std::string_view name(Verdict verdict);

/// What a finding or a study says.
struct Statement {
  std::string title;
  std::string sentence;
  Verdict verdict = Verdict::none;
};

/// The finding in words; `result` has the networks that it names.
Statement statement(const Finding& finding, const Result& result);

/// The study in words; `device` is where it ran. A study of an unknown name has that as its title
/// and no sentence.
Statement statement(const Study& study, const ResultDevice& device);

/// Where the published finding is from that a study repeats; empty where there is none.
std::string_view study_source(const Study& study);

/// Vega-Lite specification with data over the study's table; null for a study without a chart.
nlohmann::json study_chart(const Study& study);

/// All findings and studies of a result, in its order.
std::vector<Statement> statements(const Result& result);

}  // namespace cpubone
