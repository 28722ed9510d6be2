#include "explorer/study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include "predictor/evaluation.hpp"

namespace cpubone {
namespace {

double rounded(double value, double step) {
  return std::round(value / step) * step;
}

/// Three significant digits, so that tables do not claim more than was measured.
double significant(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double step = std::pow(10.0, std::floor(std::log10(std::abs(value))) - 2);
  return rounded(value, step);
}

/// Regularised incomplete beta function by its continued fraction (Numerical Recipes, section 6.4,
/// modified Lentz), for Student's distribution.
double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(b, a, 1 - x);
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log(1 - x)) /
                       a;
  constexpr double tiny = 1e-300;
  double c = 1;
  double d = 1 / std::max(1 - (a + b) * x / (a + 1), tiny);
  double fraction = d;
  for (int m = 1; m <= 300; ++m) {
    for (const int odd : {0, 1}) {
      const double numerator = odd ? -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
                                   : m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
      d = 1 + numerator * d;
      d = 1 / (std::abs(d) < tiny ? tiny : d);
      c = 1 + numerator / c;
      c = std::abs(c) < tiny ? tiny : c;
      fraction *= c * d;
    }
    if (std::abs(c * d - 1) < 1e-12) break;
  }
  return front * fraction;
}

}  // namespace

Interval ratio(const Interval& a, const Interval& b) {
  const auto half = [](const Interval& i) { return 0.5 * std::log(i.high / i.low); };
  const double value = a.value / b.value;
  const double spread = std::hypot(half(a), half(b));
  return {value, value * std::exp(-spread), value * std::exp(spread)};
}

RankCorrelation rank_correlation(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size() || a.size() < 3)
    throw std::invalid_argument(
        fmt::format("rank correlation needs two lists of equal length of at least 3, got {} and {}",
                    a.size(), b.size()));
  RankCorrelation result;
  const double rho = spearman(a, b);
  result.rho = std::isnan(rho) ? 0 : rho;
  const double rest = 1 - result.rho * result.rho;
  // P(|t| >= t0) = I(df / (df + t0^2), df / 2, 1 / 2), t0^2 = rho^2 df / (1 - rho^2)
  const double degrees = static_cast<double>(a.size()) - 2;
  result.p = rest <= 0 ? 0 : incomplete_beta(degrees / 2, 0.5, rest);
  return result;
}

Study run_study(const StudyPlan& plan, const StudyContext& context) {
  std::map<int, std::vector<std::size_t>> by_threads;
  for (std::size_t i = 0; i < plan.subjects.size(); ++i)
    by_threads[plan.subjects[i].threads].push_back(i);
  std::vector<StudyRow> rows(plan.subjects.size());
  for (const auto& [threads, members] : by_threads) {
    std::vector<Network> networks;
    for (const std::size_t i : members) {
      networks.push_back(plan.subjects[i].network);
      networks.back().name = fmt::format("{}-{}", plan.name, i);
    }
    const std::vector<Interval> latencies = context.latencies(networks, threads);
    if (latencies.size() != networks.size())
      throw std::logic_error(fmt::format("study {}: {} latencies for {} networks", plan.name,
                                         latencies.size(), networks.size()));
    for (std::size_t k = 0; k < members.size(); ++k) {
      const StudySubject& subject = plan.subjects[members[k]];
      const std::int64_t count = macs(subject.network);
      rows[members[k]] = {&subject, count, latencies[k],
                          static_cast<double>(count) / latencies[k].value * 1e-6};
    }
  }

  Study study;
  study.name = plan.name;
  study.title = plan.title;
  study.columns = plan.label_columns;
  for (const char* column : {"MACs M", "latency ms", "± %", "GMACpS"})
    study.columns.emplace_back(column);
  const bool compares = std::any_of(plan.subjects.begin(), plan.subjects.end(),
                                    [](const StudySubject& s) { return s.baseline >= 0; });
  if (compares)
    for (const char* column : {"MACs ×", "GMACpS ×", "latency ×"})
      study.columns.emplace_back(column);
  study.columns.insert(study.columns.end(), plan.reference_columns.begin(),
                       plan.reference_columns.end());
  for (const StudyRow& row : rows) {
    std::vector<nlohmann::json> cells = row.subject->labels;
    cells.emplace_back(significant(static_cast<double>(row.macs) * 1e-6));
    cells.emplace_back(significant(row.ms.value));
    cells.emplace_back(rounded(50 * (row.ms.high - row.ms.low) / row.ms.value, 0.1));
    cells.emplace_back(significant(row.gmacps));
    if (compares) {
      if (row.subject->baseline >= 0) {
        const StudyRow& base = rows[static_cast<std::size_t>(row.subject->baseline)];
        cells.emplace_back(
            significant(static_cast<double>(row.macs) / static_cast<double>(base.macs)));
        cells.emplace_back(significant(row.gmacps / base.gmacps));
        cells.emplace_back(significant(row.ms.value / base.ms.value));
      } else {
        cells.insert(cells.end(), 3, nullptr);
      }
    }
    for (const auto& value : row.subject->references)
      cells.emplace_back(value ? nlohmann::json(*value) : nlohmann::json());
    cells.resize(study.columns.size());
    study.rows.push_back(std::move(cells));
  }
  const Finding finding = plan.conclude(rows, context);
  study.sentence = finding.sentence;
  if (context.predicted) study.sentence += " Latencies are predicted, not measured.";
  study.holds = finding.holds;
  if (!plan.chart.is_null()) {
    study.chart = plan.chart;
    nlohmann::json values = nlohmann::json::array();
    for (const auto& cells : study.rows) {
      nlohmann::json value;
      for (std::size_t i = 0; i < cells.size(); ++i) value[study.columns[i]] = cells[i];
      values.push_back(std::move(value));
    }
    study.chart["$schema"] = "https://vega.github.io/schema/vega-lite/v5.json";
    study.chart["data"] = {{"values", std::move(values)}};
  }
  return study;
}

}  // namespace cpubone
