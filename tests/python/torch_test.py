import copy
import dataclasses
import warnings

import numpy
import pytest

import cpubone

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")

import cpubone.torch  # noqa: E402

needs_xnnpack = pytest.mark.skipif(not cpubone._core.has_xnnpack, reason="built without XNNPACK")


def noise(tensor, count):
    """`count` closed-form values in [-1, 1) of a tensor (tests/fixtures/golden/README.md)."""
    x = numpy.arange(count, dtype=numpy.uint32) + numpy.uint32(0x9E3779B9 * (tensor + 1) % 2**32)
    x ^= x >> 16
    x *= numpy.uint32(0x7FEB352D)
    x ^= x >> 15
    x *= numpy.uint32(0x846CA68B)
    x ^= x >> 16
    return (x >> 8).astype(numpy.float64) * 2.0**-23 - 1


def filled(tensor, shape, kind, gain):
    values = noise(tensor, int(numpy.prod(shape))).reshape(shape)
    if kind == "weight":
        values = values * numpy.sqrt(gain / numpy.prod(shape[1:]))
    elif kind in ("bias", "mean"):
        values = 0.1 * values
    else:
        values = 1 + {"gamma": 0.25, "var": 0.5}[kind] * values
    return torch.from_numpy(values.astype(numpy.float32))


def image(network):
    _, h, w, c = network.input
    values = noise(1000003, c * h * w).reshape(1, c, h, w)
    return torch.from_numpy(values.astype(numpy.float32))


def state(module):
    return [(n, list(t.shape)) for n, t in module.state_dict().items() if not n.endswith("num_batches_tracked")]


def shaken(module, seed=1):
    """The module with batch norms that are not the identity."""
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            for tensor, low, high in (
                (layer.weight, 0.7, 1.3),
                (layer.bias, -0.2, 0.2),
                (layer.running_mean, -0.2, 0.2),
                (layer.running_var, 0.6, 1.5),
            ):
                tensor.data.uniform_(low, high, generator=generator)
    return module.eval()


def distance(a, b):
    a, b = numpy.asarray(a, dtype=float), numpy.asarray(b, dtype=float)
    return numpy.linalg.norm(a - b) / numpy.linalg.norm(b)


@pytest.fixture(scope="module")
def golden_module(golden):
    """A train form with the closed-form values of its golden forward, by name."""
    made = {}

    def make(name):
        if name not in made:
            facts = golden(f"trainform/cpubone-{name}")
            module = cpubone.torch.module(name).eval()
            values = {
                key: filled(t, shape, kind, facts["weight_gain"])
                for t, (key, shape, kind) in enumerate(facts["state_dict"])
            }
            module.load_state_dict(values, strict=False)
            made[name] = module
        return made[name]

    return make


@pytest.mark.parametrize("name", ["nano", "s0", "b0"])
def test_state_dicts_have_the_references_names_in_its_order(name, golden):
    facts = golden(f"trainform/cpubone-{name}")
    assert state(cpubone.torch.module(name)) == [(key, shape) for key, shape, _ in facts["state_dict"]]


@pytest.mark.parametrize("name", ["nano", "s0", "b0"])
def test_train_forms_give_the_golden_logits(name, golden, golden_module):
    module = golden_module(name)
    with torch.no_grad():
        logits = module(image(module.network))[0]
    assert distance(logits, golden(f"trainform/cpubone-{name}")["logits"]["all"]) < 1e-4


@needs_xnnpack
@pytest.mark.parametrize("name", ["nano", "b0"])
def test_folded_forms_agree_with_train_form_and_executor(name, golden, golden_module):
    module = golden_module(name)
    inference = module.fold()
    pixels = image(module.network)
    expected = golden(f"trainform/cpubone-{name}")["logits"]["all"]
    with torch.no_grad():
        assert distance(inference(pixels)[0], expected) < 1e-4
    logits = inference.executor().run(pixels.numpy(), layout="nchw")
    assert distance(logits[0], expected) < 1e-4


@pytest.mark.parametrize(
    "name", ["cpubone-b3", "mobileone-s0", "mobileone-s1", "mobileone-s4", "fasternet-t0", "fasternet-l"]
)
def test_train_forms_have_the_references_parameters(name, golden):
    with torch.no_grad():
        module = cpubone.torch.module(name)
    assert sum(p.numel() for p in module.parameters()) == golden(name)["params_train_form"]


@needs_xnnpack
@pytest.mark.parametrize("name", ["mobileone-s0", "fasternet-t0"])
def test_branches_and_norms_fold_into_what_the_executor_runs(name):
    torch.manual_seed(1)
    module = shaken(cpubone.torch.module(cpubone.network(name).at_resolution(64)))
    inference = module.fold()
    pixels = image(module.network)
    with torch.no_grad():
        expected = module(pixels)
        assert distance(inference(pixels), expected) < 1e-4
    assert distance(inference.executor().run(pixels.numpy(), layout="nchw"), expected) < 1e-4
    assert sum(p.numel() for p in inference.parameters()) == module.network.params


@needs_xnnpack
def test_every_variant_of_the_space_folds():
    config = cpubone.config("nano")
    stages = list(config.stages)
    stages[1] = dataclasses.replace(stages[1], blocks=1, groups=4, kernel=2)
    stages[2] = dataclasses.replace(stages[2], blocks=2, kernel=5, down_kernel=5)
    stages[3] = dataclasses.replace(stages[3], groups=8, attention_stride=2, attention_kernel=3)
    base = dataclasses.replace(config, resolution=64, stages=tuple(stages), classes=10)
    for variant in (
        base.fused_below(cpubone.NEVER_FUSED, strided=cpubone.NEVER_FUSED),
        dataclasses.replace(base.fused_below(cpubone.ALWAYS_FUSED), upsampling="transposed"),
        dataclasses.replace(base, activation="relu", mlp_activation="silu"),
    ):
        torch.manual_seed(2)
        module = shaken(cpubone.torch.module(variant))
        pixels = image(module.network)
        with torch.no_grad():
            expected = module(pixels)
        assert expected.shape == (1, 10)
        logits = module.fold().executor().run(pixels.numpy(), layout="nchw")
        assert distance(logits, expected) < 1e-4


@needs_xnnpack
@pytest.mark.parametrize("name", ["mobilenetv3-small-100", "shufflenetv2-x1-0", "lowformer-b0", "resnet18"])
def test_inference_forms_of_the_zoo_agree_with_the_executor(name):
    network = cpubone.network(name).at_resolution(64)
    executor = cpubone.Executor(network)
    module = cpubone.torch.inference(network, executor.weights)
    pixels = image(network)
    with torch.no_grad():
        assert distance(module(pixels), executor.run(pixels.numpy(), layout="nchw")) < 1e-4
    for key, values in module.weights().items():
        numpy.testing.assert_array_equal(values, executor.weights[key])


@needs_xnnpack
def test_rms_norms_agree_with_the_executor(tmp_path):
    path = tmp_path / "rms.json"
    path.write_text(cpubone.network("nano").at_resolution(64).json().replace("group_norm", "rms_norm"))
    network = cpubone.network(path)
    assert any(node.op.kind == "rms_norm" for node in network.nodes)
    executor = cpubone.Executor(network)
    module = cpubone.torch.inference(network, executor.weights)
    pixels = image(network)
    with torch.no_grad():
        assert distance(module(pixels), executor.run(pixels.numpy(), layout="nchw")) < 1e-4


def test_feature_maps_come_from_forward_all():
    module = cpubone.torch.inference(cpubone.network("nano").at_resolution(64).features())
    with torch.no_grad():
        shapes = [tuple(x.shape) for x in module.forward_all(torch.zeros(2, 3, 64, 64))]
    assert shapes == [(2, 24, 16, 16), (2, 48, 8, 8), (2, 96, 4, 4), (2, 192, 2, 2)]
    with pytest.raises(ValueError, match="4 outputs"):
        module(torch.zeros(1, 3, 64, 64))


def test_a_step_of_training_lowers_the_loss():
    torch.manual_seed(3)
    config = dataclasses.replace(cpubone.config("nano"), resolution=64, classes=4)
    module = cpubone.torch.module(config).train()
    pixels = torch.randn(8, 3, 64, 64)
    labels = torch.arange(8) % 4
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
    losses = []
    for _ in range(4):
        loss = torch.nn.functional.cross_entropy(module(pixels), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(p.grad is not None for p in module.parameters())


@needs_xnnpack
@pytest.mark.parametrize("name", ["mobilenetv3-small-100", "shufflenetv2-x1-0", "lowformer-b0", "resnet18", "repvit-m0-9"])
def test_networks_of_other_families_train_with_norms_that_fold(name):
    torch.manual_seed(4)
    module = shaken(cpubone.torch.module(cpubone.network(name).at_resolution(64)))
    pixels = image(module.network)
    with torch.no_grad():
        expected = module(pixels)
    inference = module.fold()
    assert sum(p.numel() for p in inference.parameters()) == module.network.params
    assert distance(inference.executor().run(pixels.numpy(), layout="nchw"), expected) < 1e-4
    # Vectors of an image have no statistics over places.
    norms = [key for key in module.state_dict() if key.endswith("norm.running_mean")]
    assert norms and not any("squeeze" in key or key.startswith("head.f") for key in norms)


def test_branches_are_of_mobileone_only():
    for name in ("b0", "mobilenetv2-100"):
        with pytest.raises(ValueError, match="branches: got 2 for .*, expected a MobileOne"):
            cpubone.torch.module(name, branches=2)
    with pytest.raises(ValueError, match="branches: got 0, expected at least 1"):
        cpubone.torch.module("mobileone-s0", branches=0)


def test_more_branches_fold_into_the_same_network():
    network = cpubone.network("mobileone-s1").at_resolution(64)
    module = shaken(cpubone.torch.module(network, branches=3))
    pixels = image(network)
    with torch.no_grad():
        assert distance(module.fold()(pixels), module(pixels)) < 1e-4


def test_onnx_files_are_written(tmp_path):
    config = dataclasses.replace(cpubone.config("nano"), resolution=64)
    module = cpubone.torch.module(config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter
        module.fold().export_onnx(tmp_path / "nano.onnx")
    content = (tmp_path / "nano.onnx").read_bytes()
    assert b"HardSwish" in content and b"images" in content and len(content) > 4 * module.network.params


def test_a_module_for_other_classes_copies_as_a_moving_average_does():
    module = cpubone.torch.module("nano", classes=10).eval()
    assert copy.deepcopy(module)(torch.zeros(1, 3, 224, 224)).shape == (1, 10)
    assert cpubone.network(module).nodes[-1].op.output == (1, 1, 1, 10)
