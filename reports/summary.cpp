#include "reports/summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "graph/tensor.hpp"
#include "reports/headline.hpp"

namespace cpubone {
namespace {

double top1(const ResultNetwork& network) {
  return network.top1->percent.value;
}

const ResultNetwork* fastest(const Result& result, double at_least, bool published_only) {
  const ResultNetwork* best = nullptr;
  for (const ResultNetwork& network : result.networks) {
    if (!comparable(network) || top1(network) < at_least) continue;
    if (published_only && network.origin != Origin::published) continue;
    if (best == nullptr || latency_ms(network)->value < latency_ms(*best)->value) best = &network;
  }
  return best;
}

/// How far predictions of networks are off, and how far one MACpS for all of them is; fractions.
struct MacsError {
  int networks = 0;
  double gmacps = 0;  ///< the one that fits all, as a geometric mean
  double macs = 0;
  double predicted = 0;
};

/// Of the networks that were measured, or of all where `measured` is false: then against
/// predictions.
MacsError macs_error(const Result& result, bool measured) {
  std::vector<std::pair<double, double>> rates;  // GMACpS, error of the prediction
  double log_rate = 0;
  for (const ResultNetwork& n : result.networks) {
    if (n.macs <= 0 || !n.predicted_ms || (measured && !is_measured(n))) continue;
    const double actual_ms = measured ? n.measured_ms->ms.value : n.predicted_ms->value;
    rates.emplace_back(static_cast<double>(n.macs) / actual_ms / 1e6,
                       std::abs(n.predicted_ms->value / actual_ms - 1));
    log_rate += std::log(rates.back().first);
  }
  MacsError error;
  error.networks = static_cast<int>(rates.size());
  if (rates.empty()) return error;
  error.gmacps = std::exp(log_rate / error.networks);
  for (const auto& [rate, predicted] : rates) {
    error.macs += std::abs(rate / error.gmacps - 1) / error.networks;
    error.predicted += predicted / error.networks;
  }
  return error;
}

std::string trust_sentence(const Result& result) {
  const auto measured = std::count_if(result.networks.begin(), result.networks.end(),
                                      [](const auto& n) { return is_measured(n); });
  const auto disturbed =
      std::count_if(result.networks.begin(), result.networks.end(),
                    [](const auto& n) { return n.measured_ms && !is_measured(n); });
  std::string latency;
  if (result.co_execution)
    latency = fmt::format(
        "Latencies are predicted{} with layers shared between the CPU and {}, none of a network "
        "was "
        "measured so",
        result.co_execution->published.empty() ? "" : " from published ones",
        result.co_execution->coprocessor);
  else if (result.device.evidence == Evidence::calibrated)
    latency = "Latencies are predicted from a calibration to published ones";
  else if (result.device.evidence == Evidence::adapted)
    latency =
        "Latencies are predicted from another device's, adapted by few operators measured here";
  else if (result.device.evidence == Evidence::description)
    latency = "Latencies are predicted from the device's description alone";
  else
    latency = fmt::format("Latencies of {} of {} networks were measured here", measured,
                          result.networks.size());
  if (disturbed > 0)
    latency += fmt::format(
        ", {} more only while other processes disturbed it, so that they prove nothing", disturbed);
  double widest = 0;
  for (const ResultNetwork& network : result.networks)
    if (network.top1 && network.top1->estimated)
      widest = std::max(widest, (network.top1->percent.high - network.top1->percent.low) / 2);
  if (widest == 0) return latency + ", accuracies are the published ones.";
  return fmt::format(
      "{}; accuracies of proposals are estimated (± {:.1f} points), none was trained, so train "
      "before relying on a smaller difference.",
      latency, widest);
}

/// Whether counting MACs would have told as much: the error of one MACpS for all networks beside
/// that of the predictor.
std::string macs_sentence(const Result& result) {
  const ResultNetwork* low = nullptr;
  const ResultNetwork* high = nullptr;
  for (const ResultNetwork& network : result.networks) {
    if (!network.gmacps || *network.gmacps <= 0 || !latency_ms(network)) continue;
    if (low == nullptr || *network.gmacps < *low->gmacps) low = &network;
    if (high == nullptr || *network.gmacps > *high->gmacps) high = &network;
  }
  if (low == high) return "Latency is MACs over MACpS: compare networks by both, not by MACs.";
  std::string sentence =
      fmt::format("This CPU reaches from {} GMACpS ({}) to {} ({}).", short_number(*low->gmacps),
                  low->name, short_number(*high->gmacps), high->name);
  if (const auto peak = peak_gmacps(result))
    sentence += fmt::format(" Its arithmetic alone reaches {}, as measured beside the operators.",
                            short_number(*peak));
  const MacsError measured = macs_error(result, true);
  if (measured.networks >= 3) {
    const bool better = measured.predicted < measured.macs;
    return sentence +
           fmt::format(
               " Counting MACs, at one MACpS for all, misses the {} measured latencies by "
               "{} on average and prediction operator by operator by {}: {}.",
               measured.networks, percent_text(measured.macs), percent_text(measured.predicted),
               better ? "do not go by MACs" : "here MACs alone tell as much");
  }
  const MacsError predicted = macs_error(result, false);
  if (predicted.networks < 3) return sentence;
  sentence += fmt::format(
      " Counting MACs, at one MACpS for all, would differ from these predictions "
      "by {} on average",
      percent_text(predicted.macs));
  if (!result.predictor || !result.predictor->networks) return sentence + ".";
  const double error = result.predictor->networks->mape;
  return sentence +
         fmt::format(
             "; predictions are themselves off by {} on networks that were never used to "
             "fit{}.",
             percent_text(error),
             error < predicted.macs ? "" : ", so that says nothing against counting MACs");
}

}  // namespace

bool comparable(const ResultNetwork& network) {
  return network.top1.has_value() && latency_ms(network).has_value();
}

std::string_view latency_source(const ResultNetwork& network) {
  if (!network.measured_ms) return "predicted";
  return is_measured(network) ? "measured" : "disturbed";
}

std::optional<double> peak_gmacps(const Result& result) {
  return result.predictor ? result.predictor->peak_gmacps : std::nullopt;
}

std::vector<const ResultNetwork*> by_latency(const Result& result) {
  std::vector<const ResultNetwork*> networks;
  for (const ResultNetwork& network : result.networks) networks.push_back(&network);
  const auto key = [](const ResultNetwork* network) {
    const auto latency = latency_ms(*network);
    return latency ? latency->value : std::numeric_limits<double>::infinity();
  };
  std::stable_sort(networks.begin(), networks.end(),
                   [&](const auto* a, const auto* b) { return key(a) < key(b); });
  return networks;
}

std::vector<Choice> fastest_at_each_accuracy(const Result& result) {
  std::vector<double> reached;
  for (const ResultNetwork& network : result.networks)
    if (comparable(network)) reached.push_back(top1(network));
  if (reached.empty()) return {};
  const auto [low, high] = std::minmax_element(reached.begin(), reached.end());
  std::vector<Choice> choices;
  for (int at_least = static_cast<int>(std::floor(*low)); at_least <= *high; ++at_least) {
    const Choice choice{double(at_least), fastest(result, at_least, false),
                        fastest(result, at_least, true)};
    if (choice.fastest == nullptr) continue;
    if (!choices.empty() && choices.back().fastest == choice.fastest)
      choices.back() = choice;  // one row a network: the highest accuracy that it serves
    else
      choices.push_back(choice);
  }
  return choices;
}

std::vector<const ResultNetwork*> front(const Result& result) {
  std::vector<const ResultNetwork*> networks;
  if (!result.front.empty()) {
    for (const std::string& name : result.front) {
      const ResultNetwork* network = find_network(result, name);
      if (network != nullptr && comparable(*network)) networks.push_back(network);
    }
    std::stable_sort(networks.begin(), networks.end(), [](const auto* a, const auto* b) {
      return latency_ms(*a)->value < latency_ms(*b)->value;
    });
    return networks;
  }
  for (const ResultNetwork* network : by_latency(result))
    if (comparable(*network) && (networks.empty() || top1(*network) > top1(*networks.back())))
      networks.push_back(network);
  return networks;
}

bool only_studies(const Result& result) {
  return result.networks.empty() && result.candidates.empty() && !result.studies.empty();
}

std::vector<std::string> summary_sentences(const Result& result) {
  return {headline_sentence(result), trust_sentence(result), macs_sentence(result)};
}

std::string precision_text(const ResultDevice& device) {
  if (device.precision == name(DType::qs8)) return "int8";
  return device.emulated ? "emulated " + device.precision : device.precision;
}

std::string unusual_precision(const ResultDevice& device) {
  return device.precision == name(DType::f32) ? "" : precision_text(device);
}

std::string device_text(const ResultDevice& device) {
  const std::string in = unusual_precision(device);
  return in.empty() ? device.name : fmt::format("{} in {}", device.name, in);
}

std::vector<std::string> result_names(std::span<const Result> results) {
  std::vector<std::string> names;
  std::map<std::string, int> seen;
  for (const Result& result : results) {
    const std::string name = device_text(result.device);
    const int count = ++seen[name];
    names.push_back(count == 1 ? name : fmt::format("{} ({})", name, count));
  }
  return names;
}

std::string co_execution_sentence(const Result& result) {
  if (!result.co_execution) return "";
  const CoExecutionSummary& shared = *result.co_execution;
  std::string sentence = fmt::format(
      "All latencies are predicted for the CPU and {} together: each layer's output channels are "
      "split as is predicted to take least, or left to one of both. ",
      shared.coprocessor);
  const SharedNetwork* most = nullptr;
  double log_saved = 0;
  for (const SharedNetwork& n : shared.networks) {
    const double saved = n.cpu_alone_ms.value / n.predicted_ms.value;
    log_saved += std::log(saved) / static_cast<double>(shared.networks.size());
    if (most == nullptr || saved > most->cpu_alone_ms.value / most->predicted_ms.value) most = &n;
  }
  if (most != nullptr)
    sentence += fmt::format(
        "That makes networks {:.2f} times as fast as the CPU alone on average, {} most, {:.2f} "
        "times. ",
        std::exp(log_saved), most->name, most->cpu_alone_ms.value / most->predicted_ms.value);
  if (!shared.published.empty())
    return sentence + "Nothing was measured here: " + shared.published + ".";
  return sentence + fmt::format(
                        "Synchronisation takes {:.0f} us a shared layer, and the longer part "
                        "hides {:.0f} % of the shorter; {} shared layers that were measured are "
                        "predicted {} off on average, each left out.",
                        shared.synchronisation_us, 100 - 100 * shared.unhidden_share,
                        shared.layers_measured, percent_text(shared.shared_mape));
}

std::string prediction_sentence(const Result& result) {
  if (result.predictor && result.predictor->networks) {
    const NetworkError& error = *result.predictor->networks;
    return fmt::format(
        "On {} networks that were never used to fit, predictions are off by {} on average; {} are "
        "within 5 % and {} within 10 %.",
        error.count, percent_text(error.mape), percent_text(error.within_5),
        percent_text(error.within_10));
  }
  double sum = 0;
  int count = 0;
  for (const ResultNetwork& network : result.networks) {
    if (!is_measured(network) || !network.predicted_ms) continue;
    sum += std::abs(network.predicted_ms->value / network.measured_ms->ms.value - 1);
    ++count;
  }
  if (count == 0) return "";
  return fmt::format("Predictions of these {} networks are off by {} on average.", count,
                     percent_text(sum / count));
}

}  // namespace cpubone
