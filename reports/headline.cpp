#include "reports/headline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <tuple>

#include "reports/summary.hpp"

namespace cpubone {
namespace {

double ms(const ResultNetwork& network) {
  return latency_ms(network)->value;
}

std::string described(const ResultNetwork& network) {
  return fmt::format("{} ms, {:.1f} %", short_number(ms(network)), network.top1->percent.value);
}

double latency_limit_ms(const Result& result) {
  double limit = std::numeric_limits<double>::infinity();
  if (!result.search) return limit;
  for (const SearchLimit& l : result.search->limits)
    if (l.objective == "latency") limit = std::min(limit, l.limit);
  return limit;
}

bool is_within(const ResultNetwork& network, double limit_ms) {
  return latency_ms(network)->high <= limit_ms;
}

}  // namespace

Headline headline(const Result& result) {
  Headline best;
  const double limit_ms = latency_limit_ms(result);
  const bool limited = std::isfinite(limit_ms);
  for (const ResultNetwork& proposal : result.networks) {
    if (proposal.origin != Origin::proposal || !comparable(proposal)) continue;
    Headline one;
    one.proposal = &proposal;
    one.at_least = proposal.top1->percent.low;
    for (const ResultNetwork& rival : result.networks) {
      if (rival.origin != Origin::published || !comparable(rival)) continue;
      if (rival.top1->percent.value < one.at_least) continue;
      if (one.rival == nullptr || ms(rival) < ms(*one.rival)) one.rival = &rival;
    }
    if (one.rival != nullptr) {
      one.latency_ratio = ms(proposal) / ms(*one.rival);
      const double rival_low_ms = latency_ms(*one.rival)->low;
      one.latency_ratio_high = rival_low_ms > 0 ? latency_ms(proposal)->high / rival_low_ms
                                                : std::numeric_limits<double>::infinity();
      one.shown = is_measured(proposal) && is_measured(*one.rival) && one.latency_ratio_high < 1;
    }
    const auto rank = [&](const Headline& h) {
      return std::tuple(is_within(*h.proposal, limit_ms) ? 0 : 1, limited ? -h.at_least : 0,
                        h.shown ? 0 : 1, h.rival != nullptr ? h.latency_ratio : 1);
    };
    if (best.proposal == nullptr || rank(one) < rank(best)) best = one;
  }
  best.limit_ms = limit_ms;
  if (!limited) return best;
  for (const ResultNetwork& n : result.networks) {
    if (n.origin != Origin::published || !comparable(n) || !is_within(n, limit_ms)) continue;
    const ResultNetwork*& within = best.published_within;
    if (within == nullptr || n.top1->percent.value > within->top1->percent.value) within = &n;
  }
  return best;
}

namespace {

std::string proposal_sentence(const Headline& h) {
  const std::string proposal = fmt::format(
      "{} ({} ms at an estimated {:.1f} % top-1, with a probability of 95 % at least {:.1f} %)",
      h.proposal->name, short_number(ms(*h.proposal)), h.proposal->top1->percent.value, h.at_least);
  if (h.rival == nullptr)
    return fmt::format("Use {}: no published network here reaches that.", proposal);
  const std::string rival =
      fmt::format("{} ({}), the fastest published network that reaches as much", h.rival->name,
                  described(*h.rival));
  const std::string faster = fmt::format("{:.0f} % faster than", 100 * (1 - h.latency_ratio));
  if (h.shown)
    return fmt::format("Use {}: {} {}, and at least {:.0f} % at the ends of both intervals.",
                       proposal, faster, rival, std::floor(100 * (1 - h.latency_ratio_high)));
  if (h.latency_ratio >= 1)
    return fmt::format(
        "Use {} ({}). No proposal is shown to be faster than a published network that reaches as "
        "much; {} comes nearest.",
        h.rival->name, described(*h.rival), proposal);
  const char* why = !h.proposal->measured_ms || !h.rival->measured_ms
                        ? "the latencies are predicted, not measured"
                    : is_measured(*h.proposal) && is_measured(*h.rival)
                        ? "it is within the intervals of both latencies"
                        : "other processes disturbed the measuring";
  return fmt::format("Most promising is {}: {} {}. That is not shown: {}.", proposal, faster, rival,
                     why);
}

std::string recommendation(const Result& result) {
  const Headline h = headline(result);
  if (h.proposal == nullptr) {
    const auto choices = fastest_at_each_accuracy(result);
    if (choices.empty())
      return "No network here has both a latency and an accuracy, so none can be recommended.";
    const Choice& middle = choices[choices.size() / 2];
    return fmt::format("Use {} ({}): the fastest of these networks that reaches {:.0f} %.",
                       middle.fastest->name, described(*middle.fastest), middle.at_least);
  }
  if (std::isinf(h.limit_ms)) return proposal_sentence(h);
  if (h.published_within != nullptr &&
      (!is_within(*h.proposal, h.limit_ms) ||
       h.published_within->top1->percent.value >= h.proposal->top1->percent.value))
    return fmt::format(
        "Within {:g} ms use {} ({}), the most accurate published network there; no proposal within "
        "it is estimated to reach as much.",
        h.limit_ms, h.published_within->name, described(*h.published_within));
  std::string sentence = proposal_sentence(h);
  if (!is_within(*h.proposal, h.limit_ms))
    return fmt::format("No network here is surely within {:g} ms. {}", h.limit_ms, sentence);
  sentence[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(sentence[0])));
  return fmt::format("Within {:g} ms: {}", h.limit_ms, sentence);
}

}  // namespace

std::string headline_sentence(const Result& result) {
  const std::string precision = unusual_precision(result.device);
  std::string sentence = recommendation(result);
  if (!precision.empty()) sentence += fmt::format(" Latencies are of networks in {}.", precision);
  return sentence;
}

}  // namespace cpubone
