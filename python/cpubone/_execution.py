"""Running networks on XNNPACK and Eigen kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Mapping, Optional, Tuple

from cpubone import _core
from cpubone._networks import Network, NetworkLike, Weights, network
from cpubone._profiling import _need_xnnpack

if TYPE_CHECKING:
    import numpy
    import numpy.typing
    from typing_extensions import TypeAlias

    Array: TypeAlias = numpy.typing.NDArray[numpy.float32]


def random_weights(what: NetworkLike, *, seed: int = 1) -> Weights:
    """Small reproducible weights, uniform in +-sqrt(3 / fan-in): `<node>.weight`, `<node>.bias`.

    Layouts are PyTorch's: convolutions out x in/groups x height x width, transposed ones in x out x height x width,
    linear layers out x in; of normalisations `weight` is gamma and `bias` beta. All float32.
    """
    _need_xnnpack()
    return _core.random_weights(network(what)._core, seed)


def batch_of(what: Network, images: Any, layout: str) -> Tuple[Array, bool]:
    """Images as n x h x w x c for a network, and whether there was one without n. Raises ValueError for another shape."""
    import numpy

    if layout not in ("nhwc", "nchw"):
        raise ValueError(f'layout: got "{layout}", expected nhwc or nchw')
    batch = numpy.asarray(images, dtype=numpy.float32)
    if batch.ndim not in (3, 4):
        raise ValueError(f"images: got {batch.ndim} dimensions, expected 4 ({layout}) or 3")
    single = batch.ndim == 3
    if single:
        batch = batch[numpy.newaxis]
    if layout == "nchw":
        batch = batch.transpose(0, 2, 3, 1)
    _, h, w, c = what.input
    if batch.shape[1:] != (h, w, c):
        hint = '; pass layout="nchw"' if layout == "nhwc" and batch.shape[1:] == (c, h, w) else ""
        expected = f"n x {h} x {w} x {c} (nhwc)" if layout == "nhwc" else f"n x {c} x {h} x {w} (nchw)"
        raise ValueError(f"images: got {' x '.join(map(str, numpy.shape(images)))}, expected {expected}{hint}")
    return batch, single


class Executor:
    """A network with packed weights, ready to run; activations are float32.

    `weights` as `random_weights` makes them, e.g. from `cpubone.torch.Inference.weights()`; an ONNX model's own, and else
    random ones, are the default.
    Raises ValueError naming a weight that is missing or has another shape.
    """

    def __init__(
        self,
        what: NetworkLike,
        weights: Optional[Mapping[str, Any]] = None,
        *,
        threads: int = 1,
        keep_outputs: bool = False,
    ) -> None:
        _need_xnnpack()
        self.network: Network = network(what)
        if weights is None:
            weights = self.network.weights
        values = random_weights(self.network) if weights is None else dict(weights)
        self._weights: Weights = values
        self._core = _core.Executor(self.network._core, values, threads, keep_outputs)

    @property
    def weights(self) -> Weights:
        """What it was made with."""
        return dict(self._weights)

    @property
    def arena_bytes(self) -> int:
        """Memory for activations."""
        return self._core.arena_bytes

    def run(self, images: Any, *, layout: str = "nhwc") -> Array:
        """Output of the network: `n x classes` logits, or `n x h x w x c` (`n x c x h x w` for `layout="nchw"`).

        `images` are `n x height x width x channels` (or nchw), or one image without n, read as float32.
        Without n there is none in the output. Raises ValueError for another shape, or a network with
        several outputs.
        """
        outputs = self.run_all(images, layout=layout)
        if len(outputs) != 1:
            raise ValueError(f"{self.network.name} has {len(outputs)} outputs: use run_all")
        return outputs[0]

    def run_all(self, images: Any, *, layout: str = "nhwc") -> List[Array]:
        """The same of every output, e.g. of the feature maps of `Network.features()`."""
        import numpy

        batch, single = batch_of(self.network, images, layout)
        runs = [self._core.run(image) for image in batch]
        outputs = []
        for index in range(len(self.network.outputs)):
            array = numpy.stack([run[index] for run in runs])
            if array.shape[1:3] == (1, 1):
                array = array[:, 0, 0, :]
            elif layout == "nchw":
                array = array.transpose(0, 3, 1, 2)
            outputs.append(array[0] if single else array)
        return outputs

    def node_output(self, name: str) -> Array:
        """Output (h x w x c) of a node of `network.executed()` in the last run; needs `keep_outputs=True`."""
        return self._core.node_output(name)

    def __repr__(self) -> str:
        return f"<cpubone.Executor of {self.network.name}>"
