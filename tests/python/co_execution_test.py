"""Networks whose layers a CPU shares with a coprocessor."""

import json

import pytest

import cpubone


@pytest.fixture(scope="module")
def shared_file(profile, tmp_path_factory):
    """Of a CPU and a coprocessor that starts 20 us late and is three times as fast then."""
    cpu = json.loads(profile.json())
    coprocessor = json.loads(profile.json())
    coprocessor["ops"] = [row for row in coprocessor["ops"] if row["op"].startswith(("conv2d", "linear"))]
    for row in coprocessor["ops"]:
        ns = 20_000 + row["median_ns"] / 3
        row.update(median_ns=ns, low_ns=ns, high_ns=ns, samples_ns=[ns] * 5)
    path = tmp_path_factory.mktemp("shared") / "shared.json"
    document = {"schema": "cpubone/co-execution/1", "cpu": cpu, "coprocessor": coprocessor, "shared": []}
    path.write_text(json.dumps(document))
    return path


def test_layers_are_split_as_a_profile_of_both_says(shared_file):
    predictor = cpubone.CoExecutionPredictor.load(shared_file)
    prediction = predictor.predict("mobileone-s0")
    assert prediction.low_ms <= prediction.latency_ms <= prediction.high_ms
    assert prediction.latency_ms < 0.8 * prediction.cpu_alone_ms
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
    assert repr(predictor).startswith("<cpubone.CoExecutionPredictor of Paper CPU and ")


def test_splits_as_a_frame(shared_file):
    pytest.importorskip("pandas")
    frame = cpubone.CoExecutionPredictor.load(shared_file).predict("nano").frame()
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
