"""Networks whose layers a CPU shares with a coprocessor."""

import json
import pickle
import shutil

import pytest

import cpubone


@pytest.fixture(scope="module")
def shared_file(profile, tmp_path_factory):
    """Of a CPU and a coprocessor that starts 20 us late and is three times as fast then."""
    cpu = json.loads(profile.json())
    coprocessor = json.loads(profile.json())
    coprocessor["ops"] = [row for row in coprocessor["ops"] if row["op"].startswith(("conv2d", "linear"))]
    coprocessor["device"]["coprocessor"] = "Paper GPU"
    coprocessor["fingerprint"] = "07c4dd4c777498f5"
    for row in coprocessor["ops"]:
        ns = 20_000 + row["median_ns"] / 3
        row.update(median_ns=ns, low_ns=ns, high_ns=ns, samples_ns=[ns] * 5)
    path = tmp_path_factory.mktemp("shared") / "shared.json"
    document = {"schema": "cpubone/co-execution/1", "cpu": cpu, "coprocessor": coprocessor, "start_ns": 5000, "shared": []}
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(scope="module")
def predictor(shared_file):
    return cpubone.CoExecutionPredictor.load(shared_file)


def test_layers_are_split_as_a_profile_of_both_says(predictor):
    prediction = predictor.predict("mobileone-s0")
    assert prediction.low_ms <= prediction.latency_ms <= prediction.high_ms
    assert prediction.latency_ms < 0.8 * prediction.cpu_alone_ms
    assert prediction.gmacps == pytest.approx(prediction.network.macs / prediction.latency_ms / 1e6)
    assert predictor.dtype == "f32"
    splits = prediction.splits
    assert sum(split.latency_ms for split in splits) == pytest.approx(prediction.latency_ms)
    assert sum(split.cpu_alone_ms for split in splits) == pytest.approx(prediction.cpu_alone_ms)
    assert [split.name for split in splits] == [n.name for n in cpubone.network("mobileone-s0").executed().nodes]
    both = [split for split in splits if 0 < split.cpu_channels < split.channels]
    assert len(both) > 5
    assert all(split.latency_ms >= max(split.cpu_ms, split.coprocessor_ms) * 0.999 for split in both)
    assert sum(row["latency_ms"] for row in prediction.rows()) == pytest.approx(prediction.latency_ms)
    assert repr(prediction).startswith("<cpubone.CoExecution mobileone-s0: ")
    assert "CPU channels" in prediction._repr_html_()
    assert repr(predictor).startswith("<cpubone.CoExecutionPredictor of Paper CPU and Paper GPU>")


def test_predictors_and_predictions_survive_pickles(predictor):
    published = cpubone.CoExecutionPredictor.of_device("pixel4")
    assert predictor != published
    for known in (predictor, published):
        prediction = known.predict("nano")
        same, again = pickle.loads(pickle.dumps((known, prediction)))
        assert same == known == again.predictor
        assert again.network == prediction.network
        assert again.splits == prediction.splits


@pytest.mark.skipif(not cpubone._core.has_xnnpack, reason="measures nothing")
def test_of_this_machine_what_the_tools_keep_is_read(shared_file, predictor, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    settings = cpubone._core.MeasureSettings(threads=1, dtype="f32", cache="cold", cpus=[])
    path = cpubone._core.host_co_execution_profile_path(settings)
    path.parent.mkdir()
    shutil.copy(shared_file, path)
    assert cpubone.CoExecutionPredictor.host() == predictor
    with pytest.raises(ValueError, match="precision"):
        cpubone.CoExecutionPredictor.host(dtype="qs8", budget_s=1, progress=False)


def test_splits_as_a_frame(predictor):
    pytest.importorskip("pandas")
    frame = predictor.predict("nano").frame()
    assert (frame.cpu_channels <= frame.channels).all()


def test_what_is_published_of_a_device_is_told():
    predictor = cpubone.CoExecutionPredictor.of_device("pixel4")
    assert "calibrated from published latencies" in predictor.evidence
    assert "assumed" in predictor.evidence
    assert predictor.predict("nano").latency_ms > 0
    with pytest.raises(ValueError, match='"pi5": its file has no "coprocessor"'):
        cpubone.CoExecutionPredictor.of_device("pi5")


def test_another_file_is_an_error(tmp_path):
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(cpubone.Error, match='other.json#: missing key "schema"'):
        cpubone.CoExecutionPredictor.load(tmp_path / "other.json")
