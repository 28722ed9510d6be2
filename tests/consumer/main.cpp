// What a project that uses the installed package writes.
#include <cstdio>
#include <memory>

#include "runtime/executor.hpp"
#include "space/zoo.hpp"

int main() {
  const cpubone::Network network = cpubone::find_network("cpubone-nano");
  const auto pool = std::make_shared<cpubone::ThreadPool>(1);
  cpubone::Executor executor(network, cpubone::random_parameters(), pool);
  executor.run();
  std::printf("%s: %lld MACs, %zu logits\n", network.name.c_str(),
              static_cast<long long>(cpubone::macs(network)), executor.output().size());
}
