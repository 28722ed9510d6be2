"""Networks in int8: post-training quantisation, what it loses and what it gains."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from cpubone import _core
from cpubone._display import Rows, frame, table
from cpubone._document import PathLike
from cpubone._execution import batch_of, random_weights
from cpubone._networks import Network, NetworkLike, network
from cpubone._profiling import _need_xnnpack

if TYPE_CHECKING:
    import pandas

_COLUMNS = ("node", "stage", "op", "engine", "f32_ms", "f16_ms", "int8_ms", "dynamic", "reason")


class TensorError(NamedTuple):
    """How far an operator's output in int8 is from that in f32."""

    node: str
    cosine: float  #: of the angle between both
    relative_error: float  #: norm of the difference over f32's norm
    added_error: float  #: of that, what exceeds the largest of what the operator reads


class Comparison(NamedTuple):
    """A network in int8 against itself in f32, on images."""

    output: TensorError  #: of the network's first output
    worst: TensorError  #: of the operator that adds most: what spoils a network, if one does
    tensors: List[TensorError]  #: in the network's order


class Quantised:
    """A network in int8; `network` runs in an `Executor`, and is saved, like any other.

    Its inputs and outputs are float32. `floats` are the operators that stay float32, each with the reason; `dynamic` are
    the linear layers between such that read and write float32, and multiply int8: they quantise what they read, pixel by
    pixel, while they run. XNNPACK 2022-02 has none.
    """

    def __init__(self, original: Network, core: _core.QuantisedNetwork, weights: Mapping[str, Any]) -> None:
        self._original = original
        self._core = core
        self._weights = dict(weights)
        self.network: Network = Network(core.network, self._weights)
        self.floats: List[Tuple[str, str]] = core.floats
        self.dynamic: List[str] = [node.name for node in self.network.nodes if node.op.dynamic]

    def compare(self, images: Any, *, layout: str = "nhwc", threads: int = 1) -> Comparison:
        """Runs both precisions on `images`, as `Executor.run` takes them: better others than it was calibrated on."""
        batch, _ = batch_of(self._original, images, layout)
        output, worst, tensors = _core.compare(self._original._core, self._core, self._weights, batch, threads)
        return Comparison(TensorError(**output), TensorError(**worst), [TensorError(**row) for row in tensors])

    def __repr__(self) -> str:
        return f"<cpubone.Quantised {self.network.name}: {len(self.floats)} operators stay float32>"


def quantise(
    what: NetworkLike,
    images: Any,
    weights: Optional[Mapping[str, Any]] = None,
    *,
    layout: str = "nhwc",
    threads: int = 1,
) -> Quantised:
    """The network in int8, calibrated on `images`, as `Executor.run` takes them.

    Weights are symmetric with a scale an output channel, activations have a scale and a zero point a tensor, from the
    smallest and the largest value that it takes on the images. `weights` as for `Executor`.
    Raises ValueError for images or weights that do not fit.
    """
    _need_xnnpack()
    original = network(what)
    if weights is None:
        weights = original.weights
    values = random_weights(original) if weights is None else dict(weights)
    batch, _ = batch_of(original, images, layout)
    return Quantised(original, _core.quantise(original._core, values, batch, threads), values)


class PrecisionComparison:
    """How long a network takes in float32, float16 and int8, operator by operator; all ran in turns."""

    def __init__(self, name: str, values: Dict[str, Any]) -> None:
        self.name = name
        self.f32_ms: float = values["f32_ms"]  #: median, as the next
        self.f16_ms: float = values["f16_ms"]  #: 0 where float16 does not run here
        self.int8_ms: float = values["int8_ms"]
        self.f16_speedup: float = values["f16_speedup"]  #: float32's time over float16's
        self.f16_emulated: bool = values["f16_emulated"]  #: calculated in float32, only stored in float16
        self.speedup: float = values["speedup"]  #: float32's time over int8's
        self.conversions_ms: float = values["conversions_ms"]  #: of int8's time
        self.dynamic_ms: float = values["dynamic_ms"]  #: of int8's time, in layers that quantise what they read
        self.stays_f32_ms: float = values["stays_f32_ms"]  #: of int8's time, in operators that stay float32
        self.f32_memory_bytes: int = values["f32_memory_bytes"]
        self.f16_memory_bytes: int = values["f16_memory_bytes"]
        self.int8_memory_bytes: int = values["int8_memory_bytes"]
        self._rows: Rows = values["rows"]

    def rows(self) -> Rows:
        """One dict an operator of the int8 network: node, stage, op, engine, f32_ms and f16_ms (0 for
        conversions), int8_ms, dynamic (a linear layer that quantises what it reads while it runs), reason (why it stays
        float32; empty where it does not)."""
        return [dict(row) for row in self._rows]

    def frame(self) -> pandas.DataFrame:
        """`rows()` as a pandas frame, `op` as text."""
        return frame([{**row, "op": str(row["op"])} for row in self._rows], _COLUMNS)

    def _repr_html_(self) -> str:
        columns = ("node", "op", "engine", "f32_ms", "f16_ms", "int8_ms", "remark")
        rows = [[*(row[column] for column in columns[:-1]), _remark(row)] for row in self._rows]
        return table(self._title(), columns, rows)

    def __repr__(self) -> str:
        return f"<cpubone.PrecisionComparison {self._title()}>"

    def _title(self) -> str:
        f16 = f"{self.f16_ms:.3f} ms in float16, " if self.f16_ms else ""
        return f"{self.name}: {self.f32_ms:.3f} ms in float32, {f16}{self.int8_ms:.3f} ms in int8"


def _remark(row: Mapping[str, Any]) -> str:
    """What explains an operator's time in int8, as `cpubone-profile --beside-f32` says it."""
    if row["op"].kind in ("quantise", "dequantise"):
        return "conversion"
    if row["dynamic"]:
        return "dynamic"
    return f"stays f32: {row['reason']}" if row["reason"] else ""


def compare_precisions(
    what: NetworkLike, *, threads: int = 1, seconds: float = 2.0, runtime_library: Optional[PathLike] = None
) -> PrecisionComparison:
    """Runs the network in float32, float16 and int8 in turns on this machine, for about `seconds`, with random weights.

    `runtime_library` names a file of XNNPACK that runs it instead of the one that is built in, as for `profile`.
    Raises cpubone.Error for a library that cannot be loaded. `cpubone.study("precision", ...)` compares several networks.
    """
    _need_xnnpack()
    net = network(what)
    library = os.fspath(runtime_library or "")
    return PrecisionComparison(net.name, _core.compare_precisions(net._core, threads, seconds, library))
