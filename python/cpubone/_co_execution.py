"""Predicting networks whose layers a CPU shares with a coprocessor beside it, such as a GPU."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any, Callable, List, NamedTuple, Tuple, Union

from cpubone import _core
from cpubone._display import Bar, Progress, Rows, frame, table
from cpubone._networks import Network, NetworkLike, network
from cpubone._prediction import NetworkLatency
from cpubone._profiling import _need_xnnpack, task_callback

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


class CoExecution(NetworkLatency):
    """Predicted latency of a network with shared layers, and how each is split."""

    def __init__(self, core: _core.CoExecutionPrediction, what: Network, predictor: CoExecutionPredictor) -> None:
        super().__init__(core, what)
        self._core = core
        self.predictor = predictor

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

    def __reduce__(self) -> Tuple[Any, Tuple[CoExecutionPredictor, Network]]:
        return CoExecutionPredictor.predict, (self.predictor, self.network)

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
    """Predicts networks on a CPU and the coprocessor beside it. Immutable; pickles as what it was fitted to."""

    def __init__(self, core: _core.CoExecutionPredictor, made_by: Callable[[str], CoExecutionPredictor], of: str) -> None:
        self._core = core
        self._made_by = made_by
        self._of = of

    @staticmethod
    def _fit(measured: _core.CoExecutionProfile) -> CoExecutionPredictor:
        core = _core.CoExecutionPredictor.fit(measured)
        return CoExecutionPredictor(core, CoExecutionPredictor._of_json, measured.json())

    @staticmethod
    def _of_json(text: str) -> CoExecutionPredictor:
        return CoExecutionPredictor._fit(_core.CoExecutionProfile.from_json(text, "co-execution profile"))

    @staticmethod
    def load(path: Union[str, PathLike[str]]) -> CoExecutionPredictor:
        """From a file that `cpubone-profile --device host+gpu -o FILE` wrote. Raises cpubone.Error naming it."""
        return CoExecutionPredictor._fit(_core.CoExecutionProfile.load(path))

    @staticmethod
    def host(
        *, threads: int = 1, dtype: str = "f32", budget_s: float = 180.0, progress: Progress = True
    ) -> CoExecutionPredictor:
        """Of this machine and the OpenCL device beside its CPU: the first GPU that can share memory, or else any device.

        From the file that `cpubone-profile --device host+gpu` keeps; measures and keeps one where there is none.
        `dtype` is `f32` or `f16`. Raises cpubone.Error where there is no such device, saying what to install.
        """
        _need_xnnpack()
        settings = _core.MeasureSettings(threads=threads, dtype=dtype, cache="cold", cpus=[])
        path = _core.host_co_execution_profile_path(settings)
        if path.exists():
            return CoExecutionPredictor.load(path)
        options = _core.MeasureOptions(settings, budget_s, 1, "", False, "xnnpack", "")
        with Bar("measuring", progress) as bar:
            measured = _core.profile_co_execution(options, task_callback(bar))
        path.parent.mkdir(parents=True, exist_ok=True)
        measured.save(path)
        return CoExecutionPredictor._fit(measured)

    @staticmethod
    def of_device(name: str) -> CoExecutionPredictor:
        """Of a device that is not at hand, such as `pixel4`, from published latencies of both processors.

        `evidence` says which these are, and what is assumed. Raises ValueError where none of a coprocessor are known.
        """
        core = _core.CoExecutionPredictor.of_device(name)
        return CoExecutionPredictor(core, CoExecutionPredictor.of_device, name)

    def predict(self, what: NetworkLike) -> CoExecution:
        """Latency of a network, anything that `cpubone.network` reads, its layers split as takes least."""
        built = network(what)
        return CoExecution(self._core.predict(built._core), built, self)

    @property
    def dtype(self) -> str:
        """Precision that networks are predicted in: `f32` or `f16`."""
        return self._core.dtype

    @property
    def evidence(self) -> str:
        """What the coprocessor's latencies stand on, and what it takes to wait for it."""
        return self._core.evidence

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CoExecutionPredictor) and (self._made_by, self._of) == (other._made_by, other._of)

    def __hash__(self) -> int:
        return hash(self._of)

    def __reduce__(self) -> Tuple[Callable[[str], CoExecutionPredictor], Tuple[str]]:
        return self._made_by, (self._of,)

    def __repr__(self) -> str:
        return f"<cpubone.CoExecutionPredictor of {self._core.cpu} and {self._core.coprocessor}>"
