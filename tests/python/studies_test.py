"""Studies from Python: as they are made, and as results have them."""

import _thread
import json
import pickle
import threading

import pytest

import cpubone

need_xnnpack = pytest.mark.skipif(not cpubone._core.has_xnnpack, reason="built without XNNPACK")


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    """A network with a linear layer between operators that stay float32."""
    nodes = [
        {"name": "norm", "stage": "", "inputs": ["input"], "op": "layer_norm 1x1x49x256->1x1x49x256 f32"},
        {"name": "qkv", "stage": "", "inputs": ["norm"], "op": "linear 1x1x49x256->1x1x49x768 f32"},
        {"name": "end", "stage": "", "inputs": ["qkv"], "op": "layer_norm 1x1x49x768->1x1x49x768 f32"},
    ]
    values = {"schema": "cpubone/network/1", "name": "vit", "family": "mine", "input": [1, 1, 49, 256]}
    path = tmp_path_factory.mktemp("networks") / "vit.json"
    path.write_text(json.dumps({**values, "nodes": nodes, "outputs": ["end"]}))
    return path


@pytest.fixture(scope="module")
def int8(profile):
    """Of the same paper device in int8: twice as fast, by a runtime that has dynamic layers."""
    values = json.loads(profile.json())
    values["settings"]["precision"] = "qs8"
    values["fingerprint"] = "79aeb564bd57e199"
    timing = values["ops"][0]
    tokens = [f"linear 1x1x{n}x256->1x1x{n}x{out} dynamic f32" for n in (1, 49, 196) for out in (256, 768)]
    ops = [*cpubone.operators(count=400, dtype="qs8"), *map(cpubone.Op, tokens)]

    def ns(op):
        return 1000 + op.macs / 20 + (op.weight_bytes + op.input_bytes + op.output_bytes) / 5

    values["ops"] = [{**timing, "op": str(op), "median_ns": ns(op), "low_ns": ns(op), "high_ns": ns(op)} for op in ops]
    return cpubone.Predictor.fit(cpubone.Profile.from_json(json.dumps(values)))


@pytest.fixture(scope="module")
def here(profile):
    """Of this machine, whose operators were not measured: that takes minutes."""
    measured = json.loads(cpubone.profile(ops=cpubone.operators(count=1), budget_s=0.05, progress=False).json())
    measured.update(ops=json.loads(profile.json())["ops"], warnings=[])
    return cpubone.Predictor.fit(cpubone.Profile.from_json(json.dumps(measured)))


def test_a_study_is_a_table_a_sentence_and_a_chart(predictor):
    study = cpubone.study("fusion", predictor, progress=False)
    assert study.predicted and study.title == "Where fused blocks stop beating unfused ones"
    assert study.sentence.startswith("On paper ") and study.verdict
    rows = study.rows()
    assert study.columns[:2] == list(rows[0])[:2] == ["resolution", "channels"]
    assert {"MACs M", "latency ms", "rate GMACpS"} <= set(study.columns)
    assert all(row["rate GMACpS"] == pytest.approx(row["MACs M"] / row["latency ms"], rel=0.02) for row in rows)
    numbers = study.numbers
    assert all(number.low <= number.value <= number.high for number in numbers.values())
    assert numbers["first_unfused_channels_at_14"].value >= 0
    assert len(study.chart()["data"]["values"]) == len(rows)
    assert repr(study) == f"<cpubone.Study fusion: {len(rows)} rows, predicted>"
    assert study.title in study._repr_html_() and "None" not in study._repr_html_()


def test_a_study_is_reported_and_found_again_in_its_result(predictor, tmp_path):
    study = cpubone.study("upsampling", predictor, progress=False)
    study.result.save(tmp_path / "result.json")
    loaded = cpubone.Result.load(tmp_path / "result.json")
    assert loaded.study("upsampling") == study == pickle.loads(pickle.dumps(study))
    assert loaded.study("upsampling").rows() == study.rows()
    assert list(loaded.studies()) == ["upsampling"]
    study.result.report(tmp_path)
    told = (tmp_path / "report.md").read_text()
    assert study.sentence in told and "What to use" not in told
    with pytest.raises(ValueError, match='study: got "fusion", expected one of upsampling'):
        loaded.study("fusion")
    with pytest.raises(ValueError, match='chart: got "study-upsampling", expected one of none'):
        study.chart()


def test_an_exploration_has_studies_beside_its_findings(predictor):
    result = cpubone.explore(predictor, evaluations=500, proposals=5, threads=1, progress=False).result
    told = {finding["title"]: finding["sentence"] for finding in result.findings()}
    studies = result.studies()
    assert {"fusion", "grouping", "kernel", "operators"} <= studies.keys()
    assert studies["fusion"].title == "Where fused blocks stop beating unfused ones"  # the title is not a finding's
    assert all(told[study.title] == study.sentence for study in studies.values())


@need_xnnpack
def test_precisions_are_compared_as_predicted_dynamic_layers_among_them(predictor, int8, vit):
    study = cpubone.study("precision", [predictor, int8], networks=["nano", vit], progress=False)
    nano, tokens = study.rows()
    assert (nano["network"], tokens["network"]) == ("cpubone-nano", "vit")
    assert nano["f32 ms"] == pytest.approx(predictor.predict("nano").latency_ms, rel=0.01)
    assert nano["int8 ms"] == pytest.approx(int8.predict("nano").latency_ms, rel=0.01)
    assert (nano["dynamic layers"], tokens["dynamic layers"]) == (0, 1)
    assert nano["dynamic %"] == 0 < tokens["dynamic %"] < 100
    assert tokens["dynamic %"] + tokens["stays f32 %"] + tokens["conversions %"] == pytest.approx(100, abs=0.2)
    assert tokens["what stays f32"] == "2 layer_norm"
    assert study.numbers["dynamic_layers"].value == 1
    assert "(1 in 1 of the networks)" in study.sentence


@need_xnnpack
def test_precisions_are_of_one_device(int8):
    with pytest.raises(ValueError, match="one device on one number of threads, got .*on 4 and Paper CPU on 1"):
        cpubone.study("precision", [int8, cpubone.Predictor.of_device("pi5")], networks=["nano"], progress=False)


@need_xnnpack
def test_precisions_show_as_a_frame(predictor, int8):
    pandas = pytest.importorskip("pandas")
    frame = cpubone.study("precision", (int8, predictor), networks=["nano"], progress=False).frame()
    assert "dynamic layers" not in frame.columns  # it has none
    assert frame["f32 / int8"][0] == pytest.approx(frame["f32 ms"][0] / frame["int8 ms"][0], rel=0.02)
    assert pandas.api.types.is_numeric_dtype(frame["int8 memory MiB"])


@need_xnnpack
def test_top1_in_int8_stands_beside_the_published(predictor, int8, tmp_path):
    table = tmp_path / "int8.csv"
    table.write_text("network,top1\ncpubone-nano,70.0\ncpubone-b0,77.0\ncpubone-b1,78.0\n")
    study = cpubone.study("precision", [predictor, int8], networks=["b0"], accuracy=table, progress=False)
    assert study.rows()[0]["top-1 in int8 (yours) %"] == 77.0
    assert study.rows()[0]["top-1 in f32 (published) %"] == 77.6


@need_xnnpack
def test_measured_precisions_stand_beside_predictions(here):
    nano = cpubone.network("nano").at_resolution(96)
    seen = []
    study = cpubone.study("precision", here, networks=[nano], measure_s=0.2, progress=lambda *what: seen.append(what))
    (row,) = study.rows()
    assert not study.predicted and study.result.values["device"]["name"] == "host"
    assert row["f32 ms"] > 0 and row["int8 ms"] > 0
    assert row["f32 predicted ms"] == pytest.approx(here.predict(nano).latency_ms, rel=0.01)
    assert "int8 predicted ms" not in row  # no predictor is of int8
    assert "Predictions are off by" in study.sentence
    assert seen and seen[0][2] == "cpubone-nano"


@need_xnnpack
def test_usual_studies_are_measured_and_ctrl_c_stops(here):
    study = cpubone.study("upsampling", here, measure_s=0.5, progress=False)
    assert not study.predicted and all(row["latency ms"] > 0 for row in study.rows())
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        cpubone.study("operators", here, measure_s=60, progress=False)
    timer.join()


@need_xnnpack
def test_nothing_is_measured_for_another_machine(predictor, here):
    with pytest.raises(ValueError, match=r"predictor: is of Paper CPU with none, but measure_s measures this machine \("):
        cpubone.study("precision", predictor, networks=["nano"], measure_s=1, progress=False)
    with pytest.raises(ValueError, match="predictor: is of Paper CPU"):
        cpubone.study("upsampling", predictor, measure_s=1, progress=False)
    with pytest.raises(cpubone.Error, match=r"none\.so"):
        cpubone.study("precision", here, networks=["nano"], measure_s=1, runtime_library="./none.so", progress=False)


def test_shared_layers_are_studied_as_predicted():
    study = cpubone.study("co-execution-linear", cpubone.CoExecutionPredictor.of_device("pixel4"), progress=False)
    assert study.predicted and "times as fast as the faster of both alone" in study.sentence
    assert {"layer", "on the CPU %", "predicted ms"} <= set(study.columns)
    assert "coprocessor" in json.dumps(study.result.values["device"])


def test_what_a_study_does_not_take_is_refused(predictor, tmp_path):
    with pytest.raises(ValueError, match='study: got "colour", expected one of operators, .*precision, co-execution-linear'):
        cpubone.study("colour", predictor)
    with pytest.raises(ValueError, match="networks: is of the study precision only; leave it out of fusion"):
        cpubone.study("fusion", predictor, networks=["nano"])
    with pytest.raises(ValueError, match="predictor: got 2, but fusion is of one"):
        cpubone.study("fusion", [predictor, predictor])
    with pytest.raises(ValueError, match="predictor: got 'pi5', but precision takes cpubone.Predictors of one device"):
        cpubone.study("precision", "pi5")
    with pytest.raises(ValueError, match="co-execution-conv takes a cpubone.CoExecutionPredictor"):
        cpubone.study("co-execution-conv", predictor)
    with pytest.raises(ValueError, match="beside those in f32, got f32 only"):
        cpubone.study("precision", predictor, networks=["nano"], progress=False)
    with pytest.raises(ValueError, match="two predictors are of f32"):
        cpubone.study("precision", [predictor, predictor], networks=["nano"], progress=False)
    with pytest.raises(ValueError, match="measure_s: got -1, expected seconds, or 0 to predict"):
        cpubone.study("fusion", predictor, measure_s=-1)
    with pytest.raises(ValueError, match="runtime_library: .*expected measure_s above 0"):
        cpubone.study("precision", predictor, runtime_library="./none.so")
    with pytest.raises(cpubone.Error, match="none.csv"):
        cpubone.study("precision", predictor, accuracy=tmp_path / "none.csv", progress=False)
