#include "predictor/predictor.hpp"

#include "predictor/calibration.hpp"
#include "predictor/co_execution.hpp"
#include "python/src/bindings.hpp"
#include "space/random_network.hpp"

namespace cpubone::python {

using namespace py::literals;

namespace {

/// What all predictions of a network have: its latency with an interval.
template <typename Predicted>
py::class_<Predicted> class_of_latency(py::module_& m, const char* name) {
  return py::class_<Predicted>(m, name)
      .def_property_readonly("ms", [](const Predicted& p) { return p.latency.ms; })
      .def_property_readonly("low_ms", [](const Predicted& p) { return p.latency.low_ms; })
      .def_property_readonly("high_ms", [](const Predicted& p) { return p.latency.high_ms; });
}

}  // namespace

void register_predictor(py::module_& m) {
  m.def("op_class", &op_class, "op"_a);
  m.def("devices", [] {
    py::list rows;
    for (const DeviceSummary& d : device_summaries())
      rows.append(
          py::make_tuple(d.name, d.title, d.hardware, d.evidence, d.latencies, d.expected_error));
    return rows;
  });
  class_of_latency<NetworkPrediction>(m, "Prediction")
      .def_readonly("at_best_macps_ms", &NetworkPrediction::at_best_macps_ms)
      .def("rows", [](const NetworkPrediction& p) {
        py::list rows;
        for (const OpPrediction& op : p.ops)
          rows.append(py::make_tuple(op.node, op.stage, op.op, op_class(op.op), op.latency_ns,
                                     op.spread_ns, name(op.bound)));
        return rows;
      });

  py::class_<Predictor>(m, "Predictor")
      .def_static(
          "from_json",
          [](const std::string& text, const std::string& source) {
            return from_text(text, source, predictor_from_json);
          },
          "text"_a, "source"_a)
      .def_static("load", &load_predictor, "path"_a)
      .def_static(
          "of_device", [](const std::string& device) { return device_predictor(device); }, "name"_a)
      .def_static(
          "fit",
          [](const Profile& profile, const std::vector<Network>& calibration) {
            return fit_predictor(profile, calibration);
          },
          "profile"_a, "calibration"_a, py::call_guard<py::gil_scoped_release>())
      .def(
          "save",
          [](const Predictor& p, const std::filesystem::path& path) { save_predictor(p, path); },
          "path"_a)
      .def("json", &json_text<Predictor>)
      .def(
          "predict", [](const Predictor& p, const Network& network) { return predict(p, network); },
          "network"_a, py::call_guard<py::gil_scoped_release>())
      .def(
          "predict_op_ns", [](const Predictor& p, const Op& op) { return estimate(p, op).ns; },
          "op"_a)
      .def(
          "share_of_peak",
          [](const Predictor& p, const Op& op, double ns) -> std::optional<double> {
            if (p.roofline.f32_macps <= 0 || op.dtype() != DType::f32) return std::nullopt;
            return share_of_peak(p.roofline, op, ns);
          },
          "op"_a, "ns"_a)
      .def(
          "adapted",
          [](const Predictor& p, const Profile& measured, const std::vector<Network>& networks) {
            double expected_error = 0;
            Predictor adapted = adapt_predictor(p, measured, networks, &expected_error);
            return std::pair(std::move(adapted), expected_error);
          },
          "measured"_a, "networks"_a = std::vector<Network>())
      .def_property_readonly("evidence", &evidence_text)
      .def_property_readonly("device", [](const Predictor& p) { return p.device.name; })
      .def_property_readonly("cpu", [](const Predictor& p) { return p.device.cpu; })
      .def_property_readonly("threads", [](const Predictor& p) { return p.settings.threads; })
      .def_property_readonly("dtype", [](const Predictor& p) { return name(p.settings.dtype); })
      .def("class_errors", [](const Predictor& p) {
        py::list rows;
        for (const ClassModel& c : p.classes)
          rows.append(py::make_tuple(c.name, c.operators, c.train_mape, c.test_mape));
        return rows;
      });

  using Shared = CoExecutionPrediction;
  class_of_latency<Shared>(m, "CoExecutionPrediction")
      .def_property_readonly("cpu_alone_ms", [](const Shared& p) { return p.cpu_alone.latency.ms; })
      .def("rows", [](const Shared& p) {
        py::list rows;
        for (std::size_t i = 0; i < p.splits.size(); ++i) {
          const OpPrediction& op = p.cpu_alone.ops[i];
          const ChannelSplit& split = p.splits[i];
          rows.append(py::make_tuple(op.node, op.stage, op.op, split.cpu_channels, split.ns,
                                     split.cpu_ns, split.coprocessor_ns, op.latency_ns));
        }
        return rows;
      });

  py::class_<CoExecutionProfile>(m, "CoExecutionProfile")
      .def_static(
          "from_json",
          [](const std::string& text, const std::string& source) {
            return from_text(text, source, co_execution_profile_from_json);
          },
          "text"_a, "source"_a)
      .def_static("load", &load_co_execution_profile, "path"_a)
      .def("save", &save_co_execution_profile, "path"_a)
      .def("json", &json_text<CoExecutionProfile>);
  py::class_<CoExecutionPredictor>(m, "CoExecutionPredictor")
      .def_static(
          "fit",
          [](const CoExecutionProfile& profile) {
            return fit_co_execution(profile, calibration_networks());
          },
          "profile"_a, py::call_guard<py::gil_scoped_release>())
      .def_static(
          "of_device",
          [](const std::string& device) { return calibrate_co_execution(find_device(device)); },
          "name"_a, py::call_guard<py::gil_scoped_release>())
      .def(
          "predict",
          [](const CoExecutionPredictor& p, const Network& network) { return predict(p, network); },
          "network"_a, py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("evidence", &coprocessor_evidence)
      .def_property_readonly("cpu", [](const CoExecutionPredictor& p) { return p.cpu.device.cpu; })
      .def_property_readonly(
          "dtype", [](const CoExecutionPredictor& p) { return name(p.cpu.settings.dtype); })
      .def_property_readonly("coprocessor", [](const CoExecutionPredictor& p) {
        return p.coprocessor.device.coprocessor;
      });
}

}  // namespace cpubone::python
