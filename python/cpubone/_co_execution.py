"""Predicting networks whose layers a CPU shares with a coprocessor beside it, such as a GPU."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, List, NamedTuple, Union

from cpubone import _core
from cpubone._display import Rows, frame, table
from cpubone._networks import Network, NetworkLike, network

if TYPE_CHECKING:
    import pandas


class LayerSplit(NamedTuple):
    """An operator of a network, split as is predicted to take least."""

    name: str
    stage: str
    op: _core.Op
    cpu_channels: int  #: output channels that the CPU computes; 0: the coprocessor alone, all: the CPU alone
    latency_ms: float  #: the operators' latencies sum to the network's
    cpu_ms: float  #: of the CPU's part; 0 where it has none
    coprocessor_ms: float  #: the same of the coprocessor
    cpu_alone_ms: float  #: of the whole operator on the CPU

    @property
    def channels(self) -> int:
        """All output channels."""
        return self.op.output[-1]


_COLUMNS = ("name", "stage", "channels", "cpu_channels", "latency_ms", "cpu_ms", "coprocessor_ms", "cpu_alone_ms", "op")


class CoExecution:
    """Predicted latency of a network with shared layers, and how each is split."""

    def __init__(self, core: _core.CoExecutionPrediction, what: Network) -> None:
        self._core = core
        self.network = what

    @property
    def latency_ms(self) -> float:
        return self._core.ms

    @property
    def low_ms(self) -> float:
        """With `high_ms` the interval that holds the latency with 90 % probability."""
        return self._core.low_ms

    @property
    def high_ms(self) -> float:
        return self._core.high_ms

    @property
    def cpu_alone_ms(self) -> float:
        """Of the same network on the CPU alone."""
        return self._core.cpu_alone_ms

    @property
    def splits(self) -> List[LayerSplit]:
        """The executed operators."""
        return [
            LayerSplit(name, stage, op, cpu_channels, *(nanoseconds / 1e6 for nanoseconds in ns))
            for name, stage, op, cpu_channels, *ns in self._core.rows()
        ]

    def rows(self) -> Rows:
        """One dict an operator: name, stage, channels, cpu_channels, latencies in ms, op."""
        return [{**split._asdict(), "channels": split.channels, "op": str(split.op)} for split in self.splits]

    def frame(self) -> pandas.DataFrame:
        """`rows()` as a pandas frame."""
        return frame(self.rows(), _COLUMNS)

    def __repr__(self) -> str:
        return (
            f"<cpubone.CoExecution {self.network.name}: {self.latency_ms:.3g} ms "
            f"({self.low_ms:.3g} to {self.high_ms:.3g}), CPU alone {self.cpu_alone_ms:.3g} ms>"
        )

    def _repr_html_(self) -> str:
        rows = [(s.name, f"{s.cpu_channels} of {s.channels}", s.latency_ms, s.cpu_alone_ms) for s in self.splits]
        return table(repr(self)[1:-1], ("operator", "CPU channels", "ms", "CPU alone ms"), rows)


class CoExecutionPredictor:
    """Predicts networks on a CPU and the coprocessor beside it. Immutable."""

    def __init__(self, core: _core.CoExecutionPredictor) -> None:
        self._core = core

    @staticmethod
    def load(path: Union[str, PathLike[str]]) -> CoExecutionPredictor:
        """From a file that `cpubone-profile --device host+gpu -o FILE` wrote. Raises cpubone.Error naming it."""
        return CoExecutionPredictor(_core.CoExecutionPredictor.load(path))

    @staticmethod
    def of_device(name: str) -> CoExecutionPredictor:
        """Of a device that is not at hand, such as `pixel4`, from published latencies of both processors.

        `evidence` says which these are, and what is assumed. Raises ValueError where none of a coprocessor are known.
        """
        return CoExecutionPredictor(_core.CoExecutionPredictor.of_device(name))

    def predict(self, what: NetworkLike) -> CoExecution:
        """Latency of a network, anything that `cpubone.network` reads, its layers split as takes least."""
        built = network(what)
        return CoExecution(self._core.predict(built._core), built)

    @property
    def evidence(self) -> str:
        """What the coprocessor's latencies stand on, and what it takes to wait for it."""
        return self._core.evidence

    def __repr__(self) -> str:
        return f"<cpubone.CoExecutionPredictor of {self._core.cpu} and {self._core.coprocessor}>"
