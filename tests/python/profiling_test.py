import _thread
import pickle
import threading

import pytest

import cpubone

pytestmark = pytest.mark.skipif(not cpubone._core.has_xnnpack, reason="built without XNNPACK")


def test_a_profile_has_every_operator_and_network_once(measured):
    assert len({record.op for record in measured.ops}) == len(measured.ops) >= 1
    (network,) = measured.networks
    assert (network.name, network.macs) == ("cpubone-nano", cpubone.network("nano").macs)
    assert sum(part[3] for part in network.ops) == pytest.approx(network.latency_ms)
    for record in measured.ops:
        assert 0 < record.low_ms <= record.latency_ms <= record.high_ms
    assert measured.settings["threads"] == 1
    assert measured.device["cores"] >= 1


def test_a_profile_survives_files_and_pickles(measured, tmp_path):
    measured.save(tmp_path / "profile.json")
    assert cpubone.Profile.load(tmp_path / "profile.json") == measured == pickle.loads(pickle.dumps(measured))
    assert [record.op for record in measured.merged(measured).ops] == [record.op for record in measured.ops]


def test_a_profile_as_a_frame_and_a_chart(measured):
    pytest.importorskip("pandas")
    frame = measured.frame()
    assert len(frame) == len(measured.ops)
    row = frame[frame.macs > 0].iloc[0]
    assert row.gmacps == pytest.approx(row.macs / row.latency_ms / 1e6)
    assert list(measured.network_frame().name) == ["cpubone-nano"]
    bundle, _ = measured.chart()._repr_mimebundle_()
    assert bundle["application/vnd.vegalite.v5+json"]["data"]["values"]
    assert "cpubone-nano" in measured._repr_html_()


def test_wrong_arguments_are_refused():
    op = "gelu 1x8x8x8->1x8x8x8 f32"
    with pytest.raises(ValueError, match="gelu"):
        cpubone.profile(ops=[op], budget_s=0.1, progress=False)
    with pytest.raises(ValueError, match="budget_s"):
        cpubone.profile(networks=["nano"], budget_s=0, progress=False)
    with pytest.raises(ValueError, match='cache: got "warm", expected cold or hot'):
        cpubone.profile(networks=["nano"], cache="warm", progress=False)
    with pytest.raises(TypeError):
        cpubone.profile(["nano"])  # keyword arguments only


def test_progress_is_reported_and_an_exception_of_the_callback_stops():
    seen = []
    ops = cpubone.operators(count=5)
    cpubone.profile(ops=ops, budget_s=0.3, progress=lambda *args: seen.append(args))
    fraction, remaining_s, text = seen[-1]
    assert 0 <= fraction <= 1 and remaining_s >= 0 and text.endswith("of 5")

    def stop(*args):
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        cpubone.profile(ops=ops, budget_s=60, progress=stop)


def test_ctrl_c_stops_measuring():
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        cpubone.profile(ops=cpubone.operators(count=300), budget_s=60, progress=False)
    timer.join()


def test_the_machine_describes_itself():
    assert cpubone.host()["architecture"]
    assert all(len(warning) == 2 for warning in cpubone.host_warnings())
    assert [str(op) for op in cpubone.operators(count=3)] == [str(op) for op in cpubone.operators(count=9)][:3]


def test_an_installed_onnxruntime_is_found(monkeypatch, tmp_path):
    library = tmp_path / "onnxruntime" / "capi" / "libonnxruntime.so.1.99.0"
    library.parent.mkdir(parents=True)
    (tmp_path / "onnxruntime" / "__init__.py").touch()
    library.write_text("no library")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("CPUBONE_ONNXRUNTIME", raising=False)
    with pytest.raises(cpubone.Error, match=r"1\.99\.0: cannot be loaded as ONNX Runtime"):
        cpubone.profile(networks=["nano"], runtime="onnxruntime", progress=False)


def test_a_runtime_that_cannot_measure_is_refused():
    with pytest.raises(ValueError, match='runtime: got "tflite", expected xnnpack or onnxruntime'):
        cpubone.profile(networks=["nano"], runtime="tflite", progress=False)
    with pytest.raises(ValueError, match="got neither"):
        cpubone.profile(runtime="onnxruntime", progress=False)
    with pytest.raises(cpubone.Error, match=r"none\.so: cannot be loaded"):
        cpubone.profile(networks=["nano"], runtime="onnxruntime", runtime_library="./none.so", progress=False)
