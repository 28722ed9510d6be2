#include <array>

#include "runtime/backend.hpp"
#include "runtime/eigen_backend.hpp"
#ifdef CPUBONE_WITH_XNNPACK
#include "runtime/xnnpack_backend.hpp"
#endif

namespace cpubone {

std::span<const Backend* const> backends() {
  static const std::array all{
#ifdef CPUBONE_WITH_XNNPACK
      &xnnpack_backend(),
#endif
      &eigen_backend()};
  return all;
}

std::string backend_identities() {
  std::string identities;
  for (const Backend* backend : backends())
    identities += (identities.empty() ? "" : ", ") + backend->identity();
  return identities;
}

}  // namespace cpubone
