"""ONNX models as networks."""
import pickle

import numpy as np
import pytest

import cpubone

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

WEIGHT = np.arange(12, dtype=np.float32).reshape(4, 3, 1, 1) / 10
BIAS = np.array([1, -1, 0.5, -20], np.float32)


def model(path, *, side=8, tail=()):
    """Saves a pointwise convolution with ReLU, and the nodes of `tail` behind it."""
    nodes = [helper.make_node("Conv", ["image", "w", "b"], ["x"], "conv"), helper.make_node("Relu", ["x"], ["y"], "relu"), *tail]
    graph = helper.make_graph(
        nodes, "torch_jit",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(WEIGHT, "w"), numpy_helper.from_array(BIAS, "b")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), str(path))
    return path


def test_a_model_is_a_network_named_after_its_file(tmp_path):
    net = cpubone.network(model(tmp_path / "mine.onnx"))
    assert net.name == "mine"
    assert net.macs == 8 * 8 * 3 * 4 and net.params == 12 + 4
    assert cpubone.Predictor.of_device("pi5").predict(str(tmp_path / "mine.onnx")).latency_ms > 0


def test_a_model_runs_with_its_own_weights(tmp_path):
    path = model(tmp_path / "mine.onnx")
    image = np.random.default_rng(1).standard_normal((8, 8, 3), np.float32)
    expected = np.maximum(image @ WEIGHT[:, :, 0, 0].T + BIAS, 0)
    for executor in (cpubone.Executor(path), cpubone.Executor(cpubone.network(path))):
        output = executor.run(image)
        assert np.allclose(output, expected, atol=1e-5)


def test_open_dimensions_are_given_by_the_caller(tmp_path):
    path = model(tmp_path / "open.onnx", side="side")
    with pytest.raises(cpubone.Error, match="input_shapes={\"image\": "):
        cpubone.network(path)
    assert cpubone.network(path, input_shapes=(1, 3, 16, 16)).input == (1, 16, 16, 3)
    assert cpubone.network(path, input_shapes={"image": (1, 3, 4, 4)}).input == (1, 4, 4, 3)


def test_what_no_engine_runs_is_named_in_a_warning(tmp_path):
    path = model(tmp_path / "part.onnx", tail=[helper.make_node("Det", ["y"], ["z"], "determinant")])
    with pytest.warns(UserWarning, match='part: Det "determinant".*latencies are of the rest'):
        assert cpubone.network(path).macs == 8 * 8 * 3 * 4


def test_weights_are_not_part_of_the_value(tmp_path):
    net = cpubone.network(model(tmp_path / "mine.onnx"))
    assert sorted(net.weights) == ["relu.bias", "relu.weight"]  # the convolution applies it
    assert pickle.loads(pickle.dumps(net)) == net and pickle.loads(pickle.dumps(net)).weights is None
    assert cpubone.network("b0").weights is None
