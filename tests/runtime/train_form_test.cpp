#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "graph/reparameterise.hpp"
#include "runtime/executor.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"
#include "tests/golden.hpp"
#include "tests/golden_fill.hpp"

using namespace cpubone;

namespace {

constexpr double tolerance = 1e-4;

/// The image of the golden forward passes.
void fill_input(const Network& network, std::span<float> input) {
  const auto plane =
      static_cast<std::uint32_t>(network.inputs[0].shape.h * network.inputs[0].shape.w);
  const auto channels = static_cast<std::uint32_t>(network.inputs[0].shape.c);
  for (std::uint32_t pixel = 0; pixel < plane; ++pixel)
    for (std::uint32_t c = 0; c < channels; ++c)
      input[pixel * channels + c] = golden::input(c * plane + pixel);
}

std::vector<float> logits(const Network& network, const ParameterSource& parameters) {
  Executor executor(network, parameters, std::make_shared<ThreadPool>(1));
  fill_input(network, executor.input());
  executor.run();
  return {executor.output().begin(), executor.output().end()};
}

template <typename Expected>
double relative_error(std::span<const float> got, const std::vector<Expected>& expected) {
  REQUIRE(got.size() == expected.size());
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    difference += std::pow(double{got[i]} - double{expected[i]}, 2);
    norm += std::pow(double{expected[i]}, 2);
  }
  return std::sqrt(difference / norm);
}

/// Tensors of a state_dict in order, handed to nodes in order.
std::map<std::string, Parameters> golden_parameters(const Network& network,
                                                    const golden::TrainForm& form) {
  std::map<std::string, Parameters> parameters;
  std::size_t next = 0;
  const auto take = [&](const std::string& kind) {
    const golden::Tensor& tensor = form.state_dict.at(next);
    INFO(tensor.name);
    REQUIRE(tensor.kind == kind);
    std::size_t size = 1;
    for (const int extent : tensor.shape) size *= static_cast<std::size_t>(extent);
    const double fan_in = static_cast<double>(size) / tensor.shape.at(0);
    const auto t = static_cast<std::uint32_t>(next++);
    std::vector<float> values(size);
    for (std::uint32_t i = 0; i < size; ++i)
      values[i] = kind == "weight"  ? golden::weight(t, i, form.weight_gain, fan_in)
                  : kind == "gamma" ? golden::gamma(t, i)
                  : kind == "var"   ? golden::variance(t, i)
                                    : golden::bias(t, i);
    return values;
  };
  for (const Node& node : network.nodes) {
    if (params(node.op) == 0) continue;
    Parameters& p = parameters[node.name];
    p.weight = take(is_norm(node.op.kind) ? "gamma" : "weight");
    if (is_norm(node.op.kind) || node.op.bias) p.bias = take("bias");
    if (node.op.kind == OpKind::batch_norm) {
      p.mean = take("mean");
      p.variance = take("var");
    }
    check(node, p);
  }
  CHECK(next == form.state_dict.size());
  return parameters;
}

}  // namespace

TEST_CASE(
    "the train form computes the reference's intermediates and logits, and so does its folded form",
    "[profiler][golden]") {
  for (const char* name : {"cpubone-nano", "cpubone-s0", "cpubone-b0"}) {
    INFO(name);
    const golden::TrainForm form = golden::load_train_form(name);
    const Network train = find_train_form(name);
    const ParameterSource parameters = parameters_of({train, golden_parameters(train, form)});
    Executor executor(train, parameters, std::make_shared<ThreadPool>(1), {.keep_outputs = true});
    fill_input(train, executor.input());
    executor.run();
    CHECK(relative_error(executor.output(), form.all_logits) < tolerance);

    // The reference's attention is several steps, of which the last product is ours.
    std::size_t next = 0;
    for (std::size_t i = 0; i < executor.network().nodes.size(); ++i) {
      const Node& node = executor.network().nodes[i];
      if (node.op.kind == OpKind::attention) next += 4;
      const golden::Intermediate& expected = form.intermediates.at(next++);
      INFO(node.name << " against " << expected.name << " (" << expected.type << ")");
      if (node.op.kind == OpKind::batch_norm) REQUIRE(expected.type == "batchnorm");
      if (node.op.kind == OpKind::attention) REQUIRE(expected.type == "matmul");
      double sum = 0;
      double squares = 0;
      for (const float value : executor.node_output(i)) {
        sum += double{value};
        squares += double{value} * double{value};
      }
      CHECK(std::sqrt(squares) == Approx(expected.l2).epsilon(tolerance));
      CHECK(std::abs(sum - expected.sum) <=
            tolerance * expected.l2 * std::sqrt(static_cast<double>(elements(node.op.output()))));
      while (next < form.intermediates.size() && form.intermediates[next].type == "copy") ++next;
    }
    CHECK(next == form.intermediates.size());

    const Model folded = reparameterise(train, parameters);
    CHECK(relative_error(logits(folded.network, parameters_of(folded)), form.all_logits) <
          tolerance);
  }
}

TEST_CASE("both forms of every size compute the same", "[profiler][golden]") {
  for (const ZooEntry& entry : zoo()) {
    if (!entry.train_form) continue;
    INFO(entry.name);
    const Network train = entry.train_form();
    // Branches add up, layer after layer: squeeze-excite of numbers in the thousands would be
    // decided by how their sums are rounded.
    const ParameterSource parameters = [random = random_parameters()](const Node& node) {
      Parameters p = random(node);
      if (node.op.kind == OpKind::batch_norm)
        for (float& scale : p.weight) scale *= 0.4F;
      return p;
    };
    const Model folded = reparameterise(train, parameters);
    CHECK(relative_error(logits(folded.network, parameters_of(folded)), logits(train, parameters)) <
          tolerance);
  }
}
