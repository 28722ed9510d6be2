// An XNNPACK of a version between those that are supported, as far as its functions tell.
#include "runtime/xnnpack_functions.hpp"

extern "C" {
#define CPUBONE_EMPTY_FUNCTION(name) \
  void xnn_##name() {}
CPUBONE_XNNPACK_FUNCTIONS(CPUBONE_EMPTY_FUNCTION)
void xnn_define_static_transpose() {}
void pthreadpool_create() {}
void pthreadpool_destroy() {}
void pthreadpool_parallelize_1d() {}
}
