import numpy
import pytest

import cpubone

pytestmark = pytest.mark.skipif(not cpubone._core.has_xnnpack, reason="built without XNNPACK")


@pytest.fixture(scope="module")
def nano():
    return cpubone.Executor("nano", keep_outputs=True)


@pytest.fixture(scope="module")
def image():
    return numpy.random.default_rng(1).standard_normal((224, 224, 3), dtype=numpy.float32)


def test_layouts_and_batches_agree(nano, image):
    logits = nano.run(image)
    assert logits.shape == (1000,) and logits.dtype == numpy.float32
    batch = numpy.stack([image, image[::-1]])
    both = nano.run(batch)
    assert both.shape == (2, 1000)
    numpy.testing.assert_array_equal(both[0], logits)
    numpy.testing.assert_array_equal(nano.run(batch.transpose(0, 3, 1, 2), layout="nchw"), both)
    assert not numpy.allclose(both[1], logits)


def test_weights_go_in_and_out(nano, image):
    copy = cpubone.Executor("nano", nano.weights, threads=2)
    numpy.testing.assert_allclose(copy.run(image), nano.run(image), rtol=1e-4, atol=1e-5)
    weights = nano.weights
    weights["head.classes.bias"] = weights["head.classes.bias"] + 1
    numpy.testing.assert_allclose(cpubone.Executor("nano", weights).run(image), nano.run(image) + 1, rtol=1e-4, atol=1e-5)
    assert sum(values.size for values in nano.weights.values()) == cpubone.network("nano").params


def test_wrong_weights_and_shapes_are_refused(nano, image):
    weights = nano.weights
    del weights["stem.conv.weight"]
    with pytest.raises(ValueError, match='"stem.conv.weight" is missing'):
        cpubone.Executor("nano", weights)
    weights = nano.weights
    weights["stem.conv.bias"] = numpy.zeros(3)
    with pytest.raises(ValueError, match='"stem.conv.bias" is 3, expected 12'):
        cpubone.Executor("nano", weights)
    with pytest.raises(ValueError, match="images: got 224 x 3 x 224, expected n x 224 x 224 x 3"):
        nano.run(image.transpose(0, 2, 1))
    with pytest.raises(ValueError, match="layout"):
        nano.run(image, layout="hwc")
    with pytest.raises(ValueError, match="2 dimensions"):
        nano.run(image[0])


def test_feature_maps_come_by_stage(image):
    executor = cpubone.Executor(cpubone.network("nano").features())
    shapes = [array.shape for array in executor.run_all(image, layout="nhwc")]
    assert shapes == [(56, 56, 24), (28, 28, 48), (14, 14, 96), (7, 7, 192)]
    planar = executor.run_all(image.transpose(2, 0, 1), layout="nchw")
    assert planar[0].shape == (24, 56, 56)
    with pytest.raises(ValueError, match="4 outputs"):
        executor.run(image)


def test_a_nodes_output_stays_readable(nano, image):
    logits = nano.run(image)
    numpy.testing.assert_array_equal(nano.node_output("head.classes").reshape(-1), logits)
    with pytest.raises(ValueError, match='no "nothing"'):
        nano.node_output("nothing")


def test_images_of_the_other_layout_are_refused_with_the_option_that_takes_them():
    executor = cpubone.Executor("nano")
    images = numpy.zeros((1, 3, 224, 224), numpy.float32)
    with pytest.raises(ValueError, match=r'got 1 x 3 x 224 x 224, expected n x 224 x 224 x 3 .*layout="nchw"'):
        executor.run(images)
    assert executor.run(images, layout="nchw").shape == (1, 1000)
    with pytest.raises(ValueError, match=r"got 1 x 224 x 224 x 4, expected n x 224 x 224 x 3 \(nhwc\)$"):
        executor.run(numpy.zeros((1, 224, 224, 4), numpy.float32))
