import json
import pickle

import pytest

import cpubone

def test_a_prediction_is_the_sum_of_its_operators(predictor):
    prediction = predictor.predict("b0")
    assert prediction.low_ms <= prediction.latency_ms <= prediction.high_ms
    assert sum(op.latency_ms for op in prediction.ops) == pytest.approx(prediction.latency_ms)
    assert prediction.gmacps == pytest.approx(519710080 / prediction.latency_ms / 1e6)
    assert [op.name for op in prediction.ops] == [node.name for node in cpubone.network("b0").executed().nodes]
    assert {op.bound for op in prediction.ops} <= {"compute", "memory", "overhead"}


def test_a_prediction_as_frame_chart_and_page(predictor):
    pytest.importorskip("pandas")
    prediction = predictor.predict(cpubone.config("nano"))
    frame = prediction.frame()
    assert frame.latency_ms.sum() == pytest.approx(prediction.latency_ms)
    values = prediction.chart()["data"]["values"]
    assert sum(row["latency_ms"] for row in values) == pytest.approx(prediction.latency_ms)
    assert "depthwise" in prediction._repr_html_()
    assert repr(prediction).startswith("<cpubone.Prediction cpubone-nano: ")


def test_a_predictor_survives_files_and_pickles(predictor, tmp_path):
    predictor.save(tmp_path / "predictor.json")
    expected = predictor.predict("b0").latency_ms
    for copy in (cpubone.Predictor.load(tmp_path / "predictor.json"), pickle.loads(pickle.dumps(predictor))):
        assert copy.predict("b0").latency_ms == expected
        assert copy.json() == predictor.json()
    assert pickle.loads(pickle.dumps(predictor)) == predictor
    assert len({predictor, cpubone.Predictor.from_json(predictor.json())}) == 1
    assert predictor != "predictor"


def test_a_class_without_measurements_is_an_error(profile):
    values = json.loads(profile.json())
    values["ops"] = [row for row in values["ops"] if not row["op"].startswith("attention")]
    without = cpubone.Predictor.fit(cpubone.Profile.from_json(json.dumps(values)))
    assert without.predict("mobileone-s0").latency_ms > 0
    with pytest.raises(cpubone.Error, match='no model of class "attention"'):
        without.predict("b0")


def test_predictions_follow_what_was_measured(predictor):
    network = cpubone.network("b1")
    nodes = network.executed().nodes
    bytes_moved = sum(n.op.weight_bytes + n.op.input_bytes + n.op.output_bytes for n in nodes)
    expected_ms = (1000 * len(nodes) + network.macs / 10 + bytes_moved / 5) / 1e6
    assert predictor.predict(network).latency_ms == pytest.approx(expected_ms, rel=0.02)


def test_operators_are_told_as_shares_of_the_peak(profile):
    values = json.loads(profile.json())
    assert cpubone.Predictor.fit(profile).predict("b0").ops[0].share_of_peak is None
    values["roofline"]["f32_macps"] = 2e10
    prediction = cpubone.Predictor.fit(cpubone.Profile.from_json(json.dumps(values))).predict("b0")
    for op in prediction.ops:
        assert op.share_of_peak == pytest.approx(op.op.macs / op.latency_ms / 2e7)


def test_errors_of_classes_are_told(predictor):
    rows = predictor.error_rows()
    assert {"pointwise", "depthwise"} <= {row["class"] for row in rows}
    assert all(row["operators"] > 0 and row["train_mape"] >= 0 for row in rows)
    op = next(node.op for node in cpubone.network("b0").executed().nodes if node.op.kind == "conv2d")
    assert predictor.predict_op(op) == predictor.predict_op(str(op)) > 0
    assert predictor.threads == 1 and predictor.evidence == "measured"


def test_a_predictor_adapts_to_a_device_that_is_twice_as_slow(predictor, profile):
    values = json.loads(profile.json())
    few = [row for row in values["ops"] if row["op"].startswith("conv2d")][::20]
    for row in few:
        row["samples_ns"] = [2 * ns for ns in row["samples_ns"]]
        row.update({key: 2 * row[key] for key in ("median_ns", "low_ns", "high_ns")})
    adapted, expected_error = predictor.adapted(cpubone.Profile.from_json(json.dumps({**values, "ops": few})))
    op = next(node.op for node in cpubone.network("b0").executed().nodes if node.op.kind == "conv2d")
    assert adapted.predict_op(op) == pytest.approx(2 * predictor.predict_op(op), rel=0.1)
    assert 0 <= expected_error < 0.1


def test_devices_that_are_not_at_hand_are_predicted():
    names = [device.name for device in cpubone.devices()]
    assert "pi5" in names
    prediction = cpubone.Predictor.of_device("pi5").predict("b0")
    assert prediction.low_ms < 24.2 < prediction.high_ms  # CPUBone's README
    with pytest.raises(ValueError, match="pi5"):
        cpubone.Predictor.of_device("pi6")


def test_a_prediction_survives_pickles(predictor):
    prediction = predictor.predict("nano")
    again = pickle.loads(pickle.dumps(prediction))
    assert again.rows() == prediction.rows()
    assert again.network == prediction.network


def test_a_predictor_in_int8_is_of_networks_in_int8(profile):
    values = json.loads(profile.json())
    values["settings"]["precision"] = "qs8"
    values["fingerprint"] = "79aeb564bd57e199"
    values["networks"] = []
    plan = [str(op) for op in cpubone.operators(count=300, dtype="qs8")]
    timing = values["ops"][0]
    values["ops"] = [dict(timing, op=op) for op in plan]
    predictor = cpubone.Predictor.fit(cpubone.Profile.from_json(json.dumps(values)))
    assert predictor.dtype == "qs8"
    assert "qs8" in repr(predictor)
    classes = {op.op_class for op in predictor.predict("b0").ops}
    assert {"int8 pointwise", "quantise", "dequantise"} <= classes
