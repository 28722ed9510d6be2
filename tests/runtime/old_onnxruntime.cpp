// ONNX Runtime as it answers a program that needs a newer version.
#include <cstdint>

namespace {
struct ApiBase {
  const void* (*get_api)(std::uint32_t version);
  const char* (*version)();
};
}  // namespace

extern "C" const ApiBase* OrtGetApiBase() {
  static constexpr ApiBase base{[](std::uint32_t) -> const void* { return nullptr; },
                                []() { return "1.9.1"; }};
  return &base;
}
