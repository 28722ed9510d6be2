#include "space/zoo.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <stdexcept>

#include "space/cpubone.hpp"
#include "space/families.hpp"

namespace cpubone {
namespace {

std::string normalised(std::string_view name) {
  std::string key;
  for (const char c : name) {
    if (c == '_' || c == '.' || c == ' ')
      key += '-';
    else
      key += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return key;
}

/// Levenshtein's distance.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string near_names(const std::string& key) {
  constexpr std::size_t shown = 5;
  std::vector<std::pair<std::size_t, std::string>> scored;
  for (const ZooEntry& entry : zoo()) {
    const bool part = !key.empty() && entry.name.find(key) != std::string::npos;
    scored.emplace_back(part ? 0 : distance(key, entry.name), entry.name);
  }
  std::stable_sort(scored.begin(), scored.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string text;
  for (std::size_t i = 0; i < std::min(shown, scored.size()); ++i)
    text += (i ? ", " : "") + scored[i].second;
  return text;
}

}  // namespace

Backbone::Backbone(std::string name, std::string family, Form form)
    : b(std::move(name), std::move(family), {1, 224, 224, 3}, form) {}

void Backbone::begin_stage() {
  b.stage(++stage_);
  block_ = 0;
}

std::string Backbone::next_block(int stride) {
  if (stride > 1) begin_stage();
  return std::to_string(block_++);
}

Network Backbone::classify() && {
  b.head();
  x = b.global_avg_pool(x, "pool");
  return b.finish(b.linear(x, "classes", 1000));
}

void append(Backbone& net, std::span<const InvertedStage> stages, Activation activation,
            Activation squeeze_activation) {
  for (const InvertedStage& stage : stages)
    for (int i = 0; i < stage.repeats; ++i) {
      const int stride = i == 0 ? stage.stride : 1;
      const int in = net.channels();
      net.x = mbconv(net.b, net.x, net.next_block(stride),
                     {.out_channels = stage.channels,
                      .hidden_channels = stage.expansion == 1 ? 0 : in * stage.expansion,
                      .kernel = stage.kernel,
                      .stride = stride,
                      .activation = activation,
                      .squeeze_channels = static_cast<int>(in * stage.squeeze_ratio),
                      .squeeze_activation = squeeze_activation});
    }
}

const std::vector<ZooEntry>& zoo() {
  static const std::vector<ZooEntry> all = [] {
    std::vector<ZooEntry> entries;
    for (const CpuboneConfig& config : cpubone_family())
      entries.push_back({config.name, config.family, "CPUBone, arXiv 2603.26425",
                         [config] { return build(config); },
                         [config] { return build(config, Form::train); }});
    for (auto family :
         {lowformer_family, mobileone_family, fasternet_family, repvit_family, mobilenet_family,
          efficientnet_family, shufflenet_family, ghostnet_family, resnet_family})
      for (ZooEntry& entry : family()) entries.push_back(std::move(entry));
    return entries;
  }();
  return all;
}

std::string zoo_name(std::string_view name) {
  const std::string key = normalised(name);
  // The configuration of the reference code that its README calls B2.
  if (key == "cpubone-b15" || key == "b15") return "cpubone-b2";
  for (const ZooEntry& entry : zoo())
    if (entry.name == key || entry.name == "cpubone-" + key) return entry.name;
  return {};
}

Network find_network(std::string_view name) {
  const std::string found = zoo_name(name);
  for (const ZooEntry& entry : zoo())
    if (entry.name == found) return entry.build();
  throw std::invalid_argument(fmt::format("network: got \"{}\", expected a name such as {}", name,
                                          near_names(normalised(name))));
}

std::vector<Network> published_networks(const NetworkForm& form) {
  std::vector<Network> networks;
  for (const ZooEntry& entry : zoo()) try {
      networks.push_back(in_form(entry.build(), form));
    } catch (const std::invalid_argument&) {
    }
  return networks;
}

Network find_train_form(std::string_view name) {
  const std::string found = zoo_name(name);
  std::string known;
  for (const ZooEntry& entry : zoo()) {
    if (!entry.train_form) continue;
    if (entry.name == found) return entry.train_form();
    fmt::format_to(std::back_inserter(known), "{}{}", known.empty() ? "" : ", ", entry.name);
  }
  throw std::invalid_argument(
      fmt::format("train form: got \"{}\", expected one of {}", name, known));
}

}  // namespace cpubone
