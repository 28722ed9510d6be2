#include "explorer/evaluator.hpp"

#include <thread>

#include "runtime/precision.hpp"
#include "space/mnasnet.hpp"
#include "tests/catch.hpp"
#include "tests/explorer/models.hpp"

using namespace cpubone;

TEST_CASE("evaluating equals building the network and counting", "[explorer]") {
  const LatencyModel latency = fake_latency();
  const Evaluator evaluator(default_search_space(), latency, published_accuracy_model());
  Rng rng(11);
  std::vector<Genome> genomes;
  for (const CpuboneConfig& member : cpubone_family())
    genomes.push_back(encode(evaluator.space(), member));
  for (int i = 0; i < 150; ++i) genomes.push_back(sample(evaluator.space(), rng));
  for (int i = 0; i < 150; ++i) genomes.push_back(mutate(evaluator.space(), genomes[3], 0.1, rng));
  for (const Genome& genome : genomes) {
    const Evaluation e = evaluator.evaluate(genome);
    const Network network = build(decode(evaluator.space(), genome));
    INFO(describe(decode(evaluator.space(), genome)));
    CHECK(e.macs == macs(network));
    CHECK(e.params == params(network));
    CHECK(e.weight_bytes == weight_bytes(network));
    CHECK(e.peak_activation_bytes == peak_activation_bytes(network));
    const LatencyEstimate whole = latency.combine(latency_terms(network, latency));
    CHECK(e.latency.ms == Approx(whole.ms).epsilon(1e-12));
    CHECK(e.latency.high_ms == Approx(whole.high_ms).epsilon(1e-12));
    const AccuracyEstimate whole_top1 =
        estimate(evaluator.accuracy().posterior, accuracy_terms(network));
    CHECK(e.accuracy.top1 == Approx(whole_top1.top1).epsilon(1e-6));
    CHECK(e.accuracy.assured == Approx(whole_top1.assured).epsilon(1e-6));
  }
}

TEST_CASE("a form changes what networks cost, and not how accurate they are", "[explorer]") {
  const LatencyModel latency = fake_latency();
  const NetworkForm form{.height = 320, .width = 512, .features = true};
  const Evaluator plain(default_search_space(), latency, published_accuracy_model());
  const Evaluator backbones(default_search_space(), latency, published_accuracy_model(), form);
  Rng rng(12);
  for (int i = 0; i < 20; ++i) {
    const Genome genome = sample(plain.space(), rng);
    const Evaluation e = backbones.evaluate(genome);
    const Network network = in_form(build(decode(plain.space(), genome)), form);
    CHECK(e.macs == macs(network));
    CHECK(e.params == params(network));
    CHECK(e.latency.ms == Approx(latency.combine(latency_terms(network, latency)).ms));
    CHECK(e.accuracy == plain.evaluate(genome).accuracy);
  }
}

TEST_CASE("networks of another skeleton are evaluated as if they were built", "[explorer]") {
  const LatencyModel latency = fake_latency();
  SearchSpace space = make_space("mnasnet", mnasnet_skeleton());
  set_choices(space, "resolution", {192, 224});
  const Evaluator evaluator(space, latency, published_accuracy_model());
  Rng rng(3);
  for (int i = 0; i < 60; ++i) {
    const Genome genome = sample(space, rng);
    const Evaluation e = evaluator.evaluate(genome);
    const Network network = build(space, genome);
    INFO(describe(space, genome));
    CHECK(e.macs == macs(network));
    CHECK(e.params == params(network));
    CHECK(e.peak_activation_bytes == peak_activation_bytes(network));
    CHECK(e.latency.ms == Approx(latency.combine(latency_terms(network, latency)).ms));
    CHECK(e.accuracy.top1 ==
          Approx(estimate(evaluator.accuracy().posterior, accuracy_terms(network)).top1));
  }
  // Stem and head by resolution; in 7 stages 12 kinds of first and 12 of further layers.
  CHECK(evaluator.units() <= 2 * (2 + 7 * 24));
}

TEST_CASE("networks of stages that choose their blocks are evaluated as if they were built",
          "[explorer]") {
  const LatencyModel latency = fake_latency();
  for (const std::string name : {"fasternet", "mobileone", "mixed"}) {
    const SearchSpace space = named_search_space(name);
    const Evaluator evaluator(space, latency, accuracy_model(space));
    std::vector<Genome> genomes;
    for (const Member& member : space.skeleton->members(space)) genomes.push_back(*member.genome);
    Rng rng(3);
    for (int i = 0; i < 80; ++i) genomes.push_back(sample(space, rng));
    for (const Genome& genome : genomes) {
      const Evaluation e = evaluator.evaluate(genome);
      const Network network = build(space, genome);
      INFO(describe(space, genome));
      CHECK(e.macs == macs(network));
      CHECK(e.params == params(network));
      CHECK(e.weight_bytes == weight_bytes(network));
      CHECK(e.peak_activation_bytes == peak_activation_bytes(network));
      CHECK(e.latency.ms == Approx(latency.combine(latency_terms(network, latency)).ms));
      const AccuracyEstimate whole =
          estimate(evaluator.accuracy().posterior, accuracy_terms(network));
      CHECK(e.accuracy.top1 == Approx(whole.top1).epsilon(1e-6));
      CHECK(e.accuracy.assured == Approx(whole.assured).epsilon(1e-6));
    }
  }
}

TEST_CASE("units in int8 add up to what the network executes in int8", "[explorer]") {
  LatencyModel latency = fake_latency();
  latency.precision = DType::qs8;
  LatencyModel elsewhere = fake_latency();  // a second device may run it in f32
  for (const std::string name : {"default", "mixed", "fasternet"})
    for (const bool features : {false, true}) {
      const SearchSpace space = named_search_space(name);
      const NetworkForm form{.features = features};
      const Evaluator evaluator(space, latency, accuracy_model(space), form, {elsewhere});
      const Evaluator f32(space, fake_latency(), accuracy_model(space), form);
      Rng rng(5);
      for (int i = 0; i < 25; ++i) {
        const Genome genome = sample(space, rng);
        const Evaluation e = evaluator.evaluate(genome);
        const Network network = in_form(build(space, genome), form);
        INFO(name << ": " << describe(space, genome));
        // The search leaves out that a backbone's features are converted to f32.
        CHECK(e.latency.ms == Approx(latency.combine(latency_terms(network, latency)).ms)
                                  .epsilon(features ? 0.03 : 1e-9));
        CHECK(e.elsewhere[0].ms == Approx(elsewhere.combine(latency_terms(network, elsewhere)).ms));
        CHECK(e.macs == macs(network));
        CHECK(e.weight_bytes == weight_bytes(lowered(network, DType::qs8)));
        CHECK(e.weight_bytes < weight_bytes(network) / 2);
        CHECK(e.peak_activation_bytes == f32.evaluate(genome).peak_activation_bytes / 4);
      }
    }
}

TEST_CASE("threads share what they compute and agree", "[explorer]") {
  const AccuracyModel accuracy = published_accuracy_model();
  const Evaluator shared(default_search_space(), fake_latency(), accuracy);
  const Evaluator alone(default_search_space(), fake_latency(), accuracy);
  Rng rng(4);
  std::vector<Genome> genomes;
  for (int i = 0; i < 200; ++i) genomes.push_back(sample(shared.space(), rng));
  std::vector<Evaluation> first(genomes.size());
  std::vector<Evaluation> second(genomes.size());
  std::thread other([&] { shared.evaluate(genomes, first); });
  shared.evaluate(genomes, second);
  other.join();
  for (std::size_t i = 0; i < genomes.size(); ++i) {
    CHECK(first[i].latency.ms == second[i].latency.ms);
    CHECK(first[i].latency.ms == alone.evaluate(genomes[i]).latency.ms);
  }
  CHECK(shared.units() == alone.units());
}

TEST_CASE("a model without functions is refused", "[explorer]") {
  CHECK_THROWS_WITH(Evaluator(default_search_space(), {}, published_accuracy_model()),
                    "evaluator: the latency model has no functions");
}
