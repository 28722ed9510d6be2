"""Predicting latencies from measured operators."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

from cpubone import _core
from cpubone._display import Chart, Progress, Rows, chart, frame, table
from cpubone._document import Document
from cpubone._networks import Network, NetworkLike, network
from cpubone._profiling import OpLike, Profile, _need_xnnpack, profile

if TYPE_CHECKING:
    import pandas


class OpLatency(NamedTuple):
    """An operator of a prediction."""

    name: str
    stage: str
    op: _core.Op
    op_class: str
    latency_ms: float  #: the operators' latencies sum to the network's
    spread_ms: float  #: standard deviation
    bound: str  #: `compute`, `memory`, `overhead` or `kernel`, the runtime's
    share_of_peak: Optional[float]  #: of the CPU's arithmetic in f32; None where that was not measured


_COLUMNS = ("name", "stage", "class", "macs", "latency_ms", "spread_ms", "gmacps", "share_of_peak", "bound", "op")


class DeviceInfo(NamedTuple):
    """A device that need not be at hand; `Predictor.of_device(name)` predicts it."""

    name: str
    title: str
    hardware: str
    evidence: str  #: what its predictions stand on
    latencies: int  #: published ones that calibrate it
    expected_error: float  #: mean absolute percentage error to expect; 0.05 means 5 %


def devices() -> List[DeviceInfo]:
    """Devices that come with the toolkit."""
    return [DeviceInfo(*row) for row in _core.devices()]


class NetworkLatency:
    """Predicted latency of a network."""

    def __init__(self, core: Union[_core.Prediction, _core.CoExecutionPrediction], what: Network) -> None:
        self._latency = core
        self.network = what

    @property
    def latency_ms(self) -> float:
        return self._latency.ms

    @property
    def low_ms(self) -> float:
        """With `high_ms` the interval that holds the latency with 90 % probability."""
        return self._latency.low_ms

    @property
    def high_ms(self) -> float:
        return self._latency.high_ms

    @property
    def gmacps(self) -> float:
        """Thousand million MACs a second."""
        return self.network.macs / self.latency_ms / 1e6


class Prediction(NetworkLatency):
    """Predicted latency of a network on a device, with its parts."""

    def __init__(self, core: _core.Prediction, what: Network, predictor: Predictor) -> None:
        super().__init__(core, what)
        self._core = core
        self.predictor = predictor

    @property
    def at_best_macps_ms(self) -> float:
        """What the MACs would take at the device's best MACpS."""
        return self._core.at_best_macps_ms

    @property
    def ops(self) -> List[OpLatency]:
        """The executed operators."""
        share_of_peak = self.predictor._core.share_of_peak
        return [
            OpLatency(
                name, stage, op, op_class, latency_ns / 1e6, spread_ns / 1e6, bound, share_of_peak(op, latency_ns)
            )
            for name, stage, op, op_class, latency_ns, spread_ns, bound in self._core.rows()
        ]

    def __reduce__(self) -> Tuple[Any, Tuple[Predictor, Network]]:
        return Predictor.predict, (self.predictor, self.network)

    def rows(self) -> Rows:
        """One dict an operator: name, stage, class, macs, latency_ms, spread_ms, gmacps, share_of_peak, bound, op."""
        return [
            {
                "name": op.name,
                "stage": op.stage,
                "class": op.op_class,
                "macs": op.op.macs,
                "latency_ms": op.latency_ms,
                "spread_ms": op.spread_ms,
                "gmacps": op.op.macs / op.latency_ms / 1e6 if op.latency_ms > 0 else 0.0,
                "share_of_peak": op.share_of_peak,
                "bound": op.bound,
                "op": str(op.op),
            }
            for op in self.ops
        ]

    def frame(self) -> pandas.DataFrame:
        """`rows()` as a pandas frame."""
        return frame(self.rows(), _COLUMNS)

    def chart(self) -> Chart:
        """Where the time goes, by stage and class of operator."""
        sums: Dict[Tuple[str, str], float] = {}
        for op in self.ops:
            key = op.stage, op.op_class
            sums[key] = sums.get(key, 0.0) + op.latency_ms
        rows = [{"stage": stage, "class": cls, "latency_ms": ms} for (stage, cls), ms in sums.items()]
        return chart(
            f"Predicted latency of {self.network.name} by stage and class of operator",
            rows,
            width=480,
            height={"step": 24},
            mark="bar",
            encoding={
                "y": {"field": "stage", "type": "nominal", "sort": None, "title": None},
                "x": {"field": "latency_ms", "type": "quantitative", "title": "predicted ms"},
                "color": {"field": "class", "type": "nominal"},
                "tooltip": [{"field": "stage"}, {"field": "class"}, {"field": "latency_ms", "format": ".3g"}],
            },
        )

    def __repr__(self) -> str:
        return (
            f"<cpubone.Prediction {self.network.name}: {self.latency_ms:.3g} ms "
            f"({self.low_ms:.3g} to {self.high_ms:.3g}), {self.gmacps:.3g} GMACpS>"
        )

    def _repr_html_(self) -> str:
        sums: Dict[str, List[float]] = {}
        for op in self.ops:
            entry = sums.setdefault(op.op_class, [0, 0, 0.0])
            entry[0] += 1
            entry[1] += op.op.macs
            entry[2] += op.latency_ms
        rows: List[Sequence[object]] = [
            (cls, *entry, entry[1] / entry[2] / 1e6 if entry[2] > 0 else 0.0)
            for cls, entry in sorted(sums.items(), key=lambda item: -item[1][2])
        ]
        return table(repr(self)[1:-1], ("class", "operators", "MACs", "ms", "GMACpS"), rows)


class Predictor(Document[_core.Predictor]):
    """Predicts operators and networks on one device. Immutable; pickles as its JSON."""

    _native = _core.Predictor
    _kind = "predictor"

    @staticmethod
    def fit(measured: Profile, *, calibration: Optional[Iterable[NetworkLike]] = None) -> Predictor:
        """Fits to a profile's operators, and to those of the `calibration` networks that it contains.

        The default calibrates on random networks of no family, so that published ones stay unseen.
        Raises cpubone.Error where no undisturbed operator is left.
        """
        if calibration is None:
            networks = _core.calibration_networks()
        else:
            networks = [network(what)._core for what in calibration]
        return Predictor(_core.Predictor.fit(measured._core, networks))

    @staticmethod
    def host(
        *, threads: int = 1, dtype: str = "f32", budget_s: float = 60.0, progress: Progress = True
    ) -> Predictor:
        """Of this machine, from the profile that the tools keep of it; measures and keeps one where there is none.

        With `dtype` `qs8` (int8) or `f16` networks are predicted, and explored, in that precision.
        """
        _need_xnnpack()
        path = _core.host_profile_path(_core.MeasureSettings(threads=threads, dtype=dtype, cache="cold", cpus=[]))
        if path.exists():
            return Predictor.fit(Profile.load(path))
        measured = profile(threads=threads, dtype=dtype, budget_s=budget_s, progress=progress)
        path.parent.mkdir(parents=True, exist_ok=True)
        measured.save(path)
        return Predictor.fit(measured)

    @staticmethod
    def of_device(name: str) -> Predictor:
        """Of a device that is not at hand (`pi5`, ... of `devices()`), from its hardware and published latencies.

        Raises ValueError listing the names.
        """
        return Predictor(_core.Predictor.of_device(name))

    def predict(self, what: NetworkLike) -> Prediction:
        """Latency of a network, anything that `cpubone.network` reads.

        Raises cpubone.Error naming the class of an operator that the profile had no example of.
        """
        built = network(what)
        return Prediction(self._core.predict(built._core), built, self)

    def predict_op(self, op: OpLike) -> float:
        """Latency of one executed operator on its own, as a profile measures it, in milliseconds."""
        return self._core.predict_op_ns(_core.Op(op) if isinstance(op, str) else op) / 1e6

    def adapted(self, measured: Profile, networks: Sequence[NetworkLike] = ()) -> Tuple[Predictor, float]:
        """A predictor of another device from few latencies of it, and the error to expect (0.05 is 5 %).

        10 to 50 operators of the profile, or from 10 of its networks, which are to be given, or both.
        Raises ValueError for fewer than 4 of them.
        """
        core, expected_error = self._core.adapted(measured._core, [network(n)._core for n in networks])
        return Predictor(core), expected_error

    @property
    def device(self) -> Dict[str, Any]:
        """Hardware and software that it is about."""
        return dict(json.loads(self.json())["device"])

    @property
    def threads(self) -> int:
        return self._core.threads

    @property
    def dtype(self) -> str:
        """Precision that networks are predicted in: `f32`, `f16` or `qs8` (int8)."""
        return self._core.dtype

    @property
    def evidence(self) -> str:
        """What its numbers stand on: `measured`, or what else."""
        return self._core.evidence

    def error_rows(self) -> Rows:
        """One dict a class of operators: class, operators, train_mape, test_mape (each left out of the fit in turn)."""
        keys = ("class", "operators", "train_mape", "test_mape")
        return [dict(zip(keys, row)) for row in self._core.class_errors()]

    def error_frame(self) -> pandas.DataFrame:
        """`error_rows()` as a pandas frame."""
        return frame(self.error_rows(), ("class", "operators", "train_mape", "test_mape"))

    def __repr__(self) -> str:
        return (
            f"<cpubone.Predictor of {self._core.cpu or self._core.device}, {self.threads} threads, {self.dtype}: "
            f"{len(self._core.class_errors())} classes of operators, {self.evidence}>"
        )

    def _repr_html_(self) -> str:
        rows = [(c, n, f"{train:.1%}", f"{test:.1%}") for c, n, train, test in self._core.class_errors()]
        return table(repr(self)[1:-1], ("class", "operators", "training error", "test error"), rows)
