#include "predictor/accuracy_terms.hpp"

#include <cmath>

#include "space/cpubone.hpp"
#include "space/mnasnet.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("terms tell what each stage of a network is like", "[predictor]") {
  MnasnetConfig config;
  config.stages[4] = {4, 5, 3, true};  // the second of stride 16
  const Network network = build(config);
  const AccuracyTerms terms = accuracy_terms(network);
  const PlaceTerms& p = terms.places[7];
  CHECK(p.layers == 3);
  CHECK(p.log_expansion == Approx(3 * std::log(4)));
  CHECK(p.log_kernel == Approx(3 * std::log(5)));
  CHECK(p.log_groups == 0);
  CHECK(p.squeeze == 3);
  CHECK(p.attention == 0);
  CHECK(terms.places[6].layers == 1);
  CHECK(terms.places[6].log_expansion == Approx(std::log(6)));
  CHECK(terms.places[1].layers == 0);  // only one stage has stride 2
  CHECK(terms.pixels == 224);
  // The stem is dense: 1 + log2(3) of its nine taps.
  const double stem = 112.0 * 112 * 27 * 32;
  CHECK(terms.macs ==
        Approx(static_cast<double>(macs(network)) - stem * (1 - (1 + std::log2(3)) / 9)));
  CHECK(terms.relus == terms.activations);  // squeeze-excites end in gates
  CHECK(p.macs > terms.places[6].macs);
}

TEST_CASE("groups and attention of CPUBone are counted where they stand", "[predictor]") {
  const AccuracyTerms terms = accuracy_terms(build(cpubone_config("b0")));
  CHECK(terms.places[6].attention == 3);
  CHECK(terms.places[8].attention == 4);
  CHECK(terms.places[4].attention == 0);
  CHECK(terms.places[8].log_groups > 0);
  CHECK(terms.gelus > 0);
}

TEST_CASE("partial convolutions are dense ones that leave channels out", "[predictor]") {
  const auto terms_of = [](int ratio) {
    NetworkBuilder b("one", "one", {1, 64, 64, 3});
    int x = b.conv2d(network_input, "conv", {.out_channels = 64, .kernel = 4, .stride = 4});
    b.stage(1);
    x = partial_block(b, x, "0", {.ratio = ratio});
    return accuracy_terms(b.finish(x));
  };
  const AccuracyTerms half = terms_of(2);
  const AccuracyTerms eighth = terms_of(8);
  CHECK(half.places[2].layers == 1);
  CHECK(half.places[2].log_groups == Approx(std::log(2)));
  CHECK(eighth.places[2].log_groups == Approx(std::log(8)));
  // 1 + log2(3) taps of 32 x 32 and 8 x 8 channels at 16 x 16 places.
  CHECK(half.macs - eighth.macs == Approx((1 + std::log2(3)) * 256 * (32 * 32 - 8 * 8)));
}

TEST_CASE("the terms of a network are the sum over its parts", "[predictor]") {
  const Network network = build(cpubone_config("nano"));
  AccuracyTerms sum;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) sum.add(1, part_terms(network, i, i + 1));
  const AccuracyTerms whole = accuracy_terms(network);
  CHECK(sum.macs == Approx(whole.macs));
  CHECK(sum.body_params == Approx(whole.body_params));
  CHECK(sum.activations == whole.activations);
  for (std::size_t i = 0; i < place_count; ++i)
    CHECK(sum.places[i].log_kernel == Approx(whole.places[i].log_kernel));
  CHECK_THROWS_WITH(part_terms(network, 0, network.nodes.size()),
                    ContainsSubstring("a part of \"cpubone-nano\" lies in several stages"));
}
