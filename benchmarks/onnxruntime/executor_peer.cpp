// The executor's side of the comparison with ONNX Runtime (compare.mjs): exports a network with
// random weights, computes a forward pass for comparison, then runs as often as each line of its
// input says and answers with the nanoseconds of every run: elapsed, and of CPUs' time; and with
// the MACs a second that this CPU does at most, measured behind them.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <string>

#include "graph/error.hpp"
#include "graph/onnx/onnx.hpp"
#include "profiler/host.hpp"
#include "profiler/roofline.hpp"
#include "runtime/executor.hpp"
#include "runtime/steady_clock.hpp"
#include "space/zoo.hpp"

using namespace cpubone;

namespace {

/// Time that all threads of this process had a CPU.
double process_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

/// NHWC to NCHW.
std::vector<float> channels_first(std::span<const float> in, const Shape& s) {
  const auto channels = static_cast<std::size_t>(s.c);
  const std::size_t pixels = in.size() / channels;
  std::vector<float> out(in.size());
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c) out[c * pixels + p] = in[p * channels + c];
  return out;
}

void write(const std::string& path, const std::vector<float>& values) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(float)));
  if (!file) throw Error(fmt::format("{}: cannot be written", path));
}

void serve(const std::string& name, const std::string& folder, int threads) {
  const Network network = find_network(name);
  save_onnx(network, random_parameters(), folder + "/model.onnx");
  const auto pool = std::make_shared<ThreadPool>(threads);
  Executor executor(network, random_parameters(), pool);
  const std::vector<Ceiling> limits = ceilings(describe_host(), *pool);
  const Ceiling& peak = *std::find_if(limits.begin(), limits.end(), [](const Ceiling& limit) {
    return limit.rate == &Roofline::f32_macps;
  });
  const std::unique_ptr<Subject> arithmetic = peak.task.prepare(1);
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1.0F, 1.0F);
  for (float& value : executor.input()) value = uniform(random);
  executor.run();
  write(folder + "/input.f32", channels_first(executor.input(), network.inputs[0].shape));
  write(folder + "/output.f32", {executor.output().begin(), executor.output().end()});
  fmt::print("{{\"macs\": {}, \"chw\": [{}, {}, {}]}}\n", macs(network), network.inputs[0].shape.c,
             network.inputs[0].shape.h, network.inputs[0].shape.w);
  std::fflush(stdout);
  for (int runs = 0; std::cin >> runs;) {
    std::vector<double> ns;
    std::vector<double> cpu_ns;
    for (int i = 0; i < runs; ++i) {
      const double before = steady_now_ns();
      const double cpu_before = process_cpu_ns();
      executor.run();
      cpu_ns.push_back(process_cpu_ns() - cpu_before);
      ns.push_back(steady_now_ns() - before);
    }
    std::vector<double> peak_macps;
    for (int i = 0; i < runs; ++i) {
      const double before = steady_now_ns();
      arithmetic->run(0);
      peak_macps.push_back(peak.work / (steady_now_ns() - before) * 1e9);
    }
    fmt::print("{{\"ns\": [{}], \"cpu_ns\": [{}], \"peak_macps\": [{}]}}\n", fmt::join(ns, ", "),
               fmt::join(cpu_ns, ", "), fmt::join(peak_macps, ", "));
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "usage: onnxruntime_peer NETWORK FOLDER THREADS\n");
    return 2;
  }
  try {
    serve(argv[1], argv[2], std::stoi(argv[3]));
  } catch (const std::exception& e) {
    fmt::print(stderr, "onnxruntime_peer: {}\n", e.what());
    return 1;
  }
  return 0;
}
