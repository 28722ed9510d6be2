// What `network_from_json` accepts, it writes back as the same network; what is made of it is
// a network again or refused.
#include "graph/network.hpp"
#include "graph/passes.hpp"

#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "graph/error.hpp"
#include "graph/json_file.hpp"
#include "graph/reparameterise.hpp"
#include "runtime/xnnpack_traits.hpp"

using namespace cpubone;

namespace {

void exercise(const Network& network) {
  if (network_from_json(to_json(network)) != network) std::abort();
  const Network executed = lowered(network);
  check(executed);
  if (macs(executed) != macs(network)) std::abort();
  if (peak_activation_bytes(network) <= 0) std::abort();
  reparameterise(network);
  check(with_resolution(network, 32, 64));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    exercise(network_from_json(parse_json({reinterpret_cast<const char*>(data), size}, "fuzz")));
  } catch (const Error&) {
    // Refused.
  } catch (const std::invalid_argument&) {
    // No network at another resolution.
  }
  return 0;
}
