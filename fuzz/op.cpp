// What `parse_op` accepts, it writes back as the same operator, whose counts do not overflow.
#include "graph/op.hpp"

#include <cstdint>
#include <cstdlib>
#include <stdexcept>

using namespace cpubone;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  try {
    const Op op = parse_op(line);
    if (parse_op(text(op)) != op) std::abort();
    if (macs(op) < 0 || params(op) < 0 || weight_bytes(op) < 0) std::abort();
    if (input_bytes(op) <= 0 || output_bytes(op) <= 0) std::abort();
  } catch (const std::invalid_argument&) {
    // Refused.
  }
  return 0;
}
