#include "reports/headline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/summary.hpp"

namespace cpubone {
namespace {

constexpr double top1_level = 0.90;  // of the intervals that the accuracy model gives
constexpr double latency_level = 0.95;

/// Standard deviations within which a normal variable stays with this probability.
double normal_half_width(double probability) {
  double low = 0;
  double high = 10;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (std::erf(middle / std::sqrt(2.0)) < probability ? low : high) = middle;
  }
  return low;
}

/// How much wider an interval of `level` must be to hold for `count` of them at once (Šidák).
double widening(double level, int count) {
  return normal_half_width(std::pow(level, 1.0 / count)) / normal_half_width(level);
}

Interval widened(const Interval& interval, double factor) {
  return {interval.value, interval.value - factor * (interval.value - interval.low),
          interval.value + factor * (interval.high - interval.value)};
}

double ms(const ResultNetwork& network) {
  return latency_ms(network)->value;
}

std::string described(const ResultNetwork& network) {
  return fmt::format("{} ms, {:.1f} %", short_number(ms(network)), network.top1->percent.value);
}

}  // namespace

Headline headline(const Result& result) {
  Headline best;
  for (const ResultNetwork& network : result.networks)
    best.proposals += network.origin == Origin::proposal && comparable(network) ? 1 : 0;
  const int count = best.proposals;
  for (const ResultNetwork& proposal : result.networks) {
    if (proposal.origin != Origin::proposal || !comparable(proposal)) continue;
    Headline one;
    one.proposal = &proposal;
    one.proposals = count;
    one.top1 = widened(proposal.top1->percent, widening(top1_level, count));
    for (const ResultNetwork& rival : result.networks) {
      if (rival.origin != Origin::published || !comparable(rival)) continue;
      if (rival.top1->percent.value < one.top1.low) continue;
      if (one.rival == nullptr || ms(rival) < ms(*one.rival)) one.rival = &rival;
    }
    if (one.rival != nullptr) {
      const double factor = widening(latency_level, count);
      one.latency_ratio = ms(proposal) / ms(*one.rival);
      const double rival_low_ms = widened(*latency_ms(*one.rival), factor).low;
      one.latency_ratio_high = rival_low_ms > 0
                                   ? widened(*latency_ms(proposal), factor).high / rival_low_ms
                                   : std::numeric_limits<double>::infinity();
      one.shown = is_measured(proposal) && is_measured(*one.rival) && one.latency_ratio_high < 1;
    }
    const auto rank = [](const Headline& h) {
      return std::pair(h.shown ? 0 : 1, h.rival != nullptr ? h.latency_ratio : 1.0);
    };
    if (best.proposal == nullptr || rank(one) < rank(best)) best = one;
  }
  return best;
}

std::string headline_sentence(const Result& result) {
  const Headline h = headline(result);
  if (h.proposal == nullptr) {
    const auto choices = fastest_at_each_accuracy(result);
    if (choices.empty())
      return "No network here has both a latency and an accuracy, so none can be recommended.";
    const Choice& middle = choices[choices.size() / 2];
    return fmt::format("Use {} ({}): the fastest of these networks that reaches {:.0f} %.",
                       middle.fastest->name, described(*middle.fastest), middle.at_least);
  }
  const std::string proposal = fmt::format(
      "{} ({} ms at an estimated {:.1f} % top-1, {:.1f} to {:.1f} % allowing for the choice among "
      "{})",
      h.proposal->name, short_number(ms(*h.proposal)), h.top1.value, h.top1.low, h.top1.high,
      h.proposals);
  if (h.rival == nullptr)
    return fmt::format("Use {}: no published network here is as accurate.", proposal);
  const std::string rival =
      fmt::format("{} ({}), the fastest published network that may be no less accurate",
                  h.rival->name, described(*h.rival));
  const std::string faster = fmt::format("{:.0f} % faster than", 100 * (1 - h.latency_ratio));
  if (h.shown)
    return fmt::format("Use {}: {} {}, and at least {:.0f} % at the ends of both intervals.",
                       proposal, faster, rival, std::floor(100 * (1 - h.latency_ratio_high)));
  if (h.latency_ratio >= 1)
    return fmt::format(
        "Use {} ({}). No proposal is shown to be faster than a published network that may be no "
        "less accurate; {} comes nearest.",
        h.rival->name, described(*h.rival), proposal);
  const char* why = !h.proposal->measured_ms || !h.rival->measured_ms
                        ? "the latencies are predicted, not measured"
                    : is_measured(*h.proposal) && is_measured(*h.rival)
                        ? "it is within the intervals of both latencies"
                        : "other processes disturbed the measuring";
  return fmt::format("Most promising is {}: {} {}. That is not shown: {}.", proposal, faster, rival,
                     why);
}

}  // namespace cpubone
