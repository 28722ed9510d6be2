#include "graph/error.hpp"
#include "python/src/bindings.hpp"
#include "records/profile.hpp"

PYBIND11_MODULE(_core, m) {
  namespace python = cpubone::python;
  m.doc() = "Bindings of cpubone; private, use the package cpubone.";
  pybind11::register_exception<cpubone::Error>(m, "Error", PyExc_RuntimeError).attr("__doc__") =
      "A bad file or a failing library; the message says what, got and expected.";
  m.attr("__version__") = cpubone::version();
  python::register_space(m);
  python::register_predictor(m);
  python::register_reports(m);
  python::register_explorer(m);
  python::register_studies(m);
#ifdef CPUBONE_WITH_XNNPACK
  python::register_profiler(m);
  python::register_quantisation(m);
  m.attr("has_xnnpack") = true;
#else
  m.attr("has_xnnpack") = false;
#endif
}
