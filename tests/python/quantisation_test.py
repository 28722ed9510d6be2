import numpy
import pytest

import cpubone

pytestmark = pytest.mark.skipif(not cpubone._core.has_xnnpack, reason="built without XNNPACK")


@pytest.fixture(scope="module")
def images():
    return numpy.random.default_rng(1).uniform(-2, 2, (3, 96, 96, 3)).astype(numpy.float32)


@pytest.fixture(scope="module")
def nano():
    return cpubone.network("nano").at_resolution(96)


@pytest.fixture(scope="module")
def quantised(nano, images):
    return cpubone.quantise(nano, images[:2])


def test_a_quantised_network_runs_and_says_what_it_loses(nano, quantised, images):
    exact = cpubone.Executor(nano).run(images[2])
    logits = cpubone.Executor(quantised.network).run(images[2])
    assert logits.dtype == numpy.float32
    cosine = float(exact @ logits / numpy.linalg.norm(exact) / numpy.linalg.norm(logits))
    compared = quantised.compare(images[2:])
    assert compared.output.cosine == pytest.approx(cosine, abs=1e-6)
    assert 0.98 < cosine < 0.99999
    assert compared.worst.added_error == max(row.added_error for row in compared.tensors)
    planar = quantised.compare(images[2:].transpose(0, 3, 1, 2), layout="nchw")
    assert planar == compared


def test_what_stays_float_is_named_with_a_reason(quantised):
    reasons = dict(quantised.floats)
    assert any("group_norm has no int8 kernel" in reason for reason in reasons.values())
    names = {node.name for node in quantised.network.nodes}
    assert set(reasons) <= names
    assert "input0.quantise" in names
    assert quantised.dynamic == []  # it has no wide linear layer between floats


def test_a_dynamic_layer_is_known_by_its_text():
    op = cpubone._core.Op("linear 1x1x49x192->1x1x49x576 dynamic f32")
    assert op.dynamic and not cpubone._core.Op("linear 1x1x49x192->1x1x49x576 f32").dynamic
    assert op.weight_bytes == 192 * 576 + 8 * 576


def test_outputs_of_int8_nodes_are_real_numbers(nano, quantised, images):
    exact = cpubone.Executor(nano, keep_outputs=True)
    int8 = cpubone.Executor(quantised.network, keep_outputs=True)
    for executor in (exact, int8):
        executor.run(images[2])
    a, b = (executor.node_output("stem.conv").ravel() for executor in (exact, int8))
    assert numpy.linalg.norm(a - b) < 0.03 * numpy.linalg.norm(a)


def test_a_quantised_network_is_saved_and_profiled(quantised, tmp_path):
    quantised.network.save(tmp_path / "int8.json")
    assert cpubone.Network.load(tmp_path / "int8.json") == quantised.network
    record = cpubone.profile(networks=[quantised.network], dtype="qs8", budget_s=1, progress=False).networks[0]
    assert any(op.kind == "quantise" for op, _, _, _ in record.ops)


def test_int8_stands_beside_float_by_operator(nano):
    compared = cpubone.compare_precisions(nano, seconds=0.2)
    rows = compared.rows()
    assert sum(row["int8_ms"] for row in rows) == pytest.approx(compared.int8_ms, rel=0.01)
    conversions = [row for row in rows if row["op"].kind in ("quantise", "dequantise")]
    assert sum(row["int8_ms"] for row in conversions) == pytest.approx(compared.conversions_ms)
    assert all(row["f32_ms"] == 0 and row["f16_ms"] == 0 for row in conversions)
    assert sum(row["int8_ms"] for row in rows if row["dynamic"]) == pytest.approx(compared.dynamic_ms)
    assert "conversion</td>" in compared._repr_html_() and "stays f32: group_norm has no int8 kernel" in compared._repr_html_()
    if compared.f16_ms:
        assert compared.f16_speedup > 0  # of medians of turns, beside medians of all
        assert 0 < sum(row["f16_ms"] for row in rows) < 1.01 * compared.f16_ms
        assert "ms in float16" in repr(compared)
    not_measured = compared.int8_memory_bytes == compared.f32_memory_bytes == 0  # beyond Linux
    assert not_measured or compared.int8_memory_bytes < compared.f32_memory_bytes


def test_operators_in_all_precisions_are_a_frame(nano):
    pytest.importorskip("pandas")
    compared = cpubone.compare_precisions(nano, seconds=0.1)
    frame = compared.frame()
    assert list(frame.columns) == [*compared.rows()[0]]
    assert frame.int8_ms.sum() == pytest.approx(compared.int8_ms, rel=0.01)
    assert frame.op[frame.reason == ""].str.contains("qs8").any()


def test_another_xnnpack_is_compared_by_its_file(nano):
    with pytest.raises(cpubone.Error, match=r"none\.so"):
        cpubone.compare_precisions(nano, seconds=0.1, runtime_library="./none.so")


def test_dynamic_layers_are_marked_and_told_apart():
    op = cpubone.Op("linear 1x1x49x192->1x1x49x576 dynamic f32")
    row = {"node": "qkv", "stage": "", "op": op, "engine": "xnnpack", "f32_ms": 2.0, "f16_ms": 0.0, "int8_ms": 1.0}
    values = dict.fromkeys(("f32_ms", "f16_ms", "int8_ms", "f16_speedup", "speedup", "conversions_ms", "stays_f32_ms"), 1.0)
    values.update(f16_emulated=False, f32_memory_bytes=0, f16_memory_bytes=0, int8_memory_bytes=0, dynamic_ms=1.0)
    values["rows"] = [{**row, "dynamic": True, "reason": ""}]
    compared = cpubone.PrecisionComparison("vit", values)
    assert "<td style='text-align:left'>dynamic</td>" in compared._repr_html_()
    assert (compared.dynamic_ms, compared.rows()[0]["dynamic"]) == (1.0, True)


def test_images_of_another_shape_are_refused(nano, images):
    with pytest.raises(ValueError, match="images: got 3 x 95 x 96 x 3, expected n x 96 x 96 x 3"):
        cpubone.quantise(nano, images[:, 1:])
    with pytest.raises(ValueError, match="expected one or more, got none"):
        cpubone.quantise(nano, images[:0])
