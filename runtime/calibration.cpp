#include "runtime/calibration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <stdexcept>

#include "runtime/executor.hpp"
#include "runtime/precision.hpp"

namespace cpubone {
namespace {

bool runs(const Op& op, Backends backends) {
  try {
    engine_of(op, backends);
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

void run(Executor& executor, const InputValues& image) {
  const Network& network = executor.network();
  if (image.size() != network.inputs.size())
    throw std::invalid_argument(fmt::format("image: network \"{}\" has {} inputs, got {}",
                                            network.name, network.inputs.size(), image.size()));
  for (std::size_t i = 0; i < image.size(); ++i) {
    const std::span<float> input = executor.input(i);
    if (image[i].size() != input.size())
      throw std::invalid_argument(
          fmt::format("image: input {} of network \"{}\" has {} values, got {}", i, network.name,
                      input.size(), image[i].size()));
    std::copy(image[i].begin(), image[i].end(), input.begin());
  }
  executor.run();
}

void require_images(std::span<const InputValues> images) {
  if (images.empty()) throw std::invalid_argument("images: expected one or more, got none");
}

void widen(ValueRange& range, std::span<const float> values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  range.low = std::min(range.low, *low);
  range.high = std::max(range.high, *high);
}

/// Products of two tensors that were added up over images.
struct Products {
  double expected = 0;
  double got = 0;
  double both = 0;
  double difference = 0;

  void add(std::span<const float> a, std::span<const float> b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double x = a[i];
      const double y = b[i];
      expected += x * x;
      got += y * y;
      both += x * y;
      difference += (x - y) * (x - y);
    }
  }
  TensorError error(const std::string& node) const {
    TensorError e{.node = node};
    if (expected == 0) {  // all zeros: there is no angle
      e.cosine = got == 0 ? 1 : 0;
      e.relative_error = got == 0 ? 0 : 1;
    } else {
      e.cosine = got == 0 ? 0 : both / std::sqrt(expected * got);
      e.relative_error = std::sqrt(difference / expected);
    }
    return e;
  }
};

}  // namespace

std::vector<InputValues> random_images(const Network& network, int count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> uniform(-2.0F, 2.0F);
  std::vector<InputValues> images(static_cast<std::size_t>(count));
  for (InputValues& image : images)
    for (const Tensor& input : network.inputs) {
      image.emplace_back(static_cast<std::size_t>(elements(input.shape)));
      for (float& value : image.back()) value = uniform(random);
    }
  return images;
}

Calibration calibrate(const Network& network, const ParameterSource& parameters,
                      std::span<const InputValues> images, std::shared_ptr<const ThreadPool> pool,
                      Backends backends) {
  require_images(images);
  Executor executor(network, parameters, std::move(pool),
                    {.keep_outputs = true, .backends = backends});
  std::map<std::string, std::size_t> executed;
  for (std::size_t i = 0; i < executor.network().nodes.size(); ++i)
    executed[executor.network().nodes[i].name] = i;
  Calibration calibration;
  calibration.inputs.resize(network.inputs.size());
  for (const Node& node : network.nodes) calibration.nodes.emplace_back(node.op.outputs.size());
  for (const InputValues& image : images) {
    run(executor, image);
    for (std::size_t i = 0; i < image.size(); ++i) widen(calibration.inputs[i], image[i]);
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
      const std::size_t node = executed.at(network.nodes[i].name);
      for (std::size_t k = 0; k < calibration.nodes[i].size(); ++k)
        widen(calibration.nodes[i][k], executor.node_output(node, k));
    }
  }
  return calibration;
}

QuantisedNetwork quantise(const Network& network, const ParameterSource& parameters,
                          std::span<const InputValues> images,
                          const std::shared_ptr<const ThreadPool>& pool, Backends backends) {
  const Network split = split_for_int8(network);
  return quantise(split, calibrate(split, parameters, images, pool, backends),
                  [&](const Op& op) { return runs(op, backends); });
}

const TensorError& QuantisationError::worst() const {
  return *std::max_element(
      tensors.begin(), tensors.end(),
      [](const TensorError& a, const TensorError& b) { return a.added_error < b.added_error; });
}

QuantisationError compare(const Network& network, const QuantisedNetwork& quantised,
                          const ParameterSource& parameters, std::span<const InputValues> images,
                          const std::shared_ptr<const ThreadPool>& pool, Backends backends) {
  require_images(images);
  const Network split = split_for_int8(network);
  Executor exact(split, parameters, pool, {.keep_outputs = true, .backends = backends});
  Executor int8(quantised.network, parameters, pool, {.keep_outputs = true, .backends = backends});
  std::map<std::string, std::size_t> place;
  for (std::size_t i = 0; i < int8.network().nodes.size(); ++i)
    place[int8.network().nodes[i].name] = i;
  const std::vector<Node>& nodes = exact.network().nodes;
  std::vector<Products> products(nodes.size());
  Products output;
  for (const InputValues& image : images) {
    run(exact, image);
    run(int8, image);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const auto found = place.find(nodes[i].name);
      if (found == place.end())
        throw std::invalid_argument(fmt::format("network \"{}\": node \"{}\" is not in \"{}\"",
                                                network.name, nodes[i].name,
                                                quantised.network.name));
      products[i].add(exact.node_output(i), real_output(int8, found->second));
    }
    output.add(exact.output(), int8.output());
  }
  QuantisationError comparison;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    TensorError error = products[i].error(nodes[i].name);
    double read = 0;
    for (const Edge& input : nodes[i].inputs)
      if (input.node != network_input)
        read =
            std::max(read, comparison.tensors[static_cast<std::size_t>(input.node)].relative_error);
    error.added_error = std::max(0.0, error.relative_error - read);
    comparison.tensors.push_back(std::move(error));
  }
  comparison.output = output.error("output");
  return comparison;
}

}  // namespace cpubone
