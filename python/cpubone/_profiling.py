"""Measuring operators and networks on this machine."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

from cpubone import _core
from cpubone._display import Bar, Chart, Progress, Rows, chart, frame, table
from cpubone._document import Document, PathLike
from cpubone._networks import NetworkLike, network

if TYPE_CHECKING:
    import pandas

OpLike = Union[str, _core.Op]


class OpRecord(NamedTuple):
    """A measured operator."""

    op: _core.Op
    engine: str  #: `xnnpack`, `eigen`, `xnnpack+eigen` or `onnxruntime`
    latency_ms: float  #: median
    low_ms: float  #: 95 % confidence interval of the median
    high_ms: float
    mdape: float  #: median absolute percentage error of the samples; 0.02 means 2 %
    samples: int
    disturbed: bool  #: interference could not be avoided

    @property
    def gmacps(self) -> float:
        """Thousand million MACs a second; 0 for operators without MACs."""
        return self.op.macs / self.latency_ms / 1e6


class NetworkRecord(NamedTuple):
    """A network measured as one chain."""

    name: str
    params: int
    macs: int
    latency_ms: float  #: median
    low_ms: float  #: 95 % confidence interval of the median
    high_ms: float
    mdape: float
    samples: int
    disturbed: bool
    ops: List[Tuple[_core.Op, str, str, float]]  #: operator, stage, engine, latency in ms; they sum to `latency_ms`
    peak_memory_bytes: int  #: 0 where not measured
    structure: str  #: hash of what was measured, by which it is found again; empty in older profiles

    @property
    def gmacps(self) -> float:
        return self.macs / self.latency_ms / 1e6


_OP_COLUMNS = ("class", "macs", "latency_ms", "low_ms", "high_ms", "gmacps", "mdape", "samples", "disturbed", "engine", "op")
_NETWORK_COLUMNS = ("name", "params", "macs", "latency_ms", "low_ms", "high_ms", "gmacps", "mdape", "samples", "disturbed")


class Profile(Document[_core.Profile]):
    """Measurements of one device with one setting: operators, networks, conditions, warnings.

    Made by `cpubone.profile`, `Profile.load`. Immutable; pickles as its JSON.
    """

    _native = _core.Profile
    _kind = "profile"

    @functools.cached_property
    def _values(self) -> Dict[str, Any]:
        values: Dict[str, Any] = json.loads(self._core.json())
        return values

    @property
    def device(self) -> Dict[str, Any]:
        """Hardware and software that latencies depend on: cpu, features, caches in bytes, runtime, ..."""
        return dict(self._values["device"])

    @property
    def settings(self) -> Dict[str, Any]:
        """threads, precision, cache (`cold` or `hot` weights), cpus."""
        return dict(self._values["settings"])

    @property
    def fingerprint(self) -> str:
        """Equal for profiles that may be merged."""
        return self._core.fingerprint

    @property
    def created(self) -> str:
        """ISO 8601, UTC."""
        return str(self._values["created"])

    @property
    def seconds(self) -> float:
        """That measuring took."""
        return self._core.seconds

    @property
    def warnings(self) -> List[Tuple[str, str]]:
        """What was found wrong with the measurement, and the remedy."""
        return [(warning["what"], warning["remedy"]) for warning in self._values["warnings"]]

    @functools.cached_property
    def ops(self) -> List[OpRecord]:
        """The operators."""
        return [
            OpRecord(
                _core.Op(row["op"]),
                row["engine"],
                row["median_ns"] / 1e6,
                row["low_ns"] / 1e6,
                row["high_ns"] / 1e6,
                row["mdape"],
                len(row["samples_ns"]),
                row["disturbed"],
            )
            for row in self._values["ops"]
        ]

    @functools.cached_property
    def networks(self) -> List[NetworkRecord]:
        """The networks."""
        records = []
        for row in self._values["networks"]:
            timing = row["timing"]
            parts = [(_core.Op(p["op"]), p["stage"], p["engine"], p["latency_ns"] / 1e6) for p in row["ops"]]
            records.append(
                NetworkRecord(
                    row["name"],
                    row["params"],
                    row["macs"],
                    timing["median_ns"] / 1e6,
                    timing["low_ns"] / 1e6,
                    timing["high_ns"] / 1e6,
                    timing["mdape"],
                    len(timing["samples_ns"]),
                    timing["disturbed"],
                    parts,
                    row["peak_memory_bytes"],
                    row.get("structure", ""),
                )
            )
        return records

    def merged(self, other: Profile) -> Profile:
        """Both profiles' records, `other`'s winning. Raises cpubone.Error naming what differs of the devices."""
        return Profile(self._core.merged(other._core))

    def rows(self) -> Rows:
        """One dict an operator: class, macs, latency and interval in ms, gmacps, mdape, samples, disturbed, engine, op."""
        rows = []
        for record in self.ops:
            values = record._asdict()
            values.update({"class": _core.op_class(record.op), "macs": record.op.macs, "op": str(record.op)})
            rows.append({**values, "gmacps": record.gmacps})
        return rows

    def frame(self) -> pandas.DataFrame:
        """The operators as a pandas frame."""
        return frame(self.rows(), _OP_COLUMNS)

    def network_frame(self) -> pandas.DataFrame:
        """The networks as a pandas frame."""
        return frame([{**r._asdict(), "gmacps": r.gmacps} for r in self.networks], _NETWORK_COLUMNS)

    def chart(self) -> Chart:
        """MACs against MACs per second of the operators, by class."""
        rows = [
            {"class": row["class"], "macs": row["macs"], "gmacps": row["gmacps"], "op": row["op"]}
            for row in self.rows()
            if row["macs"] > 0
        ]
        return chart(
            "MACs against MACs per second of the measured operators, by class of operator",
            rows,
            width=480,
            height=320,
            mark={"type": "point", "filled": True},
            encoding={
                "x": {"field": "macs", "type": "quantitative", "scale": {"type": "log"}, "title": "MACs"},
                "y": {"field": "gmacps", "type": "quantitative", "scale": {"type": "log"}, "title": "GMACpS"},
                "color": {"field": "class", "type": "nominal"},
                "tooltip": [{"field": "op"}, {"field": "gmacps", "format": ".3s"}],
            },
        )

    def __repr__(self) -> str:
        values = self._values
        return (
            f"<cpubone.Profile of {values['device']['cpu'] or values['device']['name']}, "
            f"{values['settings']['threads']} threads: {len(values['ops'])} operators, "
            f"{len(values['networks'])} networks, {len(values['warnings'])} warnings>"
        )

    def _repr_html_(self) -> str:
        rows: List[Sequence[object]]
        if self.networks:
            columns: Sequence[str] = ("network", "MACs", "ms", "low", "high", "GMACpS")
            rows = [(r.name, r.macs, r.latency_ms, r.low_ms, r.high_ms, r.gmacps) for r in self.networks]
        else:
            columns = ("operator", "MACs", "ms", "low", "high", "GMACpS")
            rows = [(str(r.op), r.op.macs, r.latency_ms, r.low_ms, r.high_ms, r.gmacps) for r in self.ops[:20]]
        return table(repr(self)[1:-1], columns, rows)


def _need_xnnpack() -> None:
    if not _core.has_xnnpack:
        raise _core.Error("this build of cpubone has no XNNPACK: it predicts and reports, but does not measure")


def _installed_onnxruntime() -> str:
    """The library of the Python package onnxruntime; empty where it is not installed."""
    spec = importlib.util.find_spec("onnxruntime")
    folders = (spec.submodule_search_locations if spec else None) or []
    libraries = [str(file) for folder in folders for file in Path(folder).glob("capi/libonnxruntime.so*")]
    return max(libraries, default="")


def task_callback(bar: Bar) -> Optional[Callable[[float, float, int, int], None]]:
    """Shows in a bar how many tasks are measured."""
    if bar.callback is None:
        return None
    show: Callable[[float, float, str], None] = bar.callback
    return lambda fraction, remaining_s, done, tasks: show(fraction, remaining_s, f"{done} of {tasks}")


def profile(
    *,
    ops: Iterable[OpLike] = (),
    networks: Iterable[NetworkLike] = (),
    budget_s: float = 60.0,
    threads: int = 1,
    dtype: str = "f32",
    cache: str = "cold",
    cpus: Sequence[int] = (),
    seed: int = 1,
    journal: Optional[PathLike] = None,
    resume: bool = False,
    runtime: str = "xnnpack",
    runtime_library: Optional[PathLike] = None,
    progress: Progress = True,
) -> Profile:
    """Measures operators and networks here, on XNNPACK, within about `budget_s` seconds.

    Weights are cold (`cache="hot"` keeps them in the caches), activations warm; rounds are interleaved and what
    interference spoilt is taken again. `ops` are `Op`s or their canonical text; `networks` are what
    `cpubone.network` reads, measured as chains. Without either, the operators and networks that a predictor of this
    machine needs. `journal` keeps finished rounds, from which `resume=True` continues. Ctrl-C stops cleanly.
    `runtime_library` names a file of XNNPACK that is measured instead of the one that is built in, e.g.
    libexecutorch_backend_xnnpack.so of PyPI's executorch.
    `runtime="onnxruntime"` measures them on ONNX Runtime: on the library that `runtime_library` or the environment
    variable CPUBONE_ONNXRUNTIME names, else on the installed package's or the system's.
    Raises ValueError for an operator that no engine runs, cpubone.Error for a library that cannot be loaded.
    """
    _need_xnnpack()
    op_list = [_core.Op(op) if isinstance(op, str) else op for op in ops]
    network_list = [network(what)._core for what in networks]
    if runtime == "onnxruntime":
        if not op_list and not network_list:
            raise ValueError("ops, networks: got neither, but ONNX Runtime measures what is named only")
        if runtime_library is None and "CPUBONE_ONNXRUNTIME" not in os.environ:
            runtime_library = _installed_onnxruntime()
    settings = _core.MeasureSettings(threads=threads, dtype=dtype, cache=cache, cpus=list(cpus))
    path = Path("" if journal is None else journal)
    options = _core.MeasureOptions(
        settings=settings,
        budget_s=budget_s,
        seed=seed,
        journal=os.fspath(path) if journal else "",
        resume=resume,
        runtime=runtime,
        runtime_library=os.fspath(runtime_library or ""),
    )
    with Bar("measuring", progress) as bar:
        report = task_callback(bar)
        if op_list or network_list:
            return Profile(_core.profile(op_list, network_list, options, report))
        return Profile(_core.profile_host(options, report))


def operators(*, count: int, seed: int = 1, dtype: str = "f32") -> List[_core.Op]:
    """Operators spread evenly over what backbones for CPUs contain: what to measure before a predictor exists."""
    _need_xnnpack()
    return _core.sampling_plan(seed, count, dtype)


def distinct_operators(networks: Iterable[NetworkLike]) -> List[_core.Op]:
    """The operators of networks as they are executed, each once, in order of first appearance."""
    return list(dict.fromkeys(node.op for what in networks for node in network(what).executed().nodes))


def host() -> Dict[str, Any]:
    """This machine as profiles record it."""
    _need_xnnpack()
    values: Dict[str, Any] = json.loads(_core.host_json())
    return values


def host_warnings() -> List[Tuple[str, str]]:
    """Conditions that make measurements worse than they need to be, each with its remedy."""
    _need_xnnpack()
    return _core.host_warnings()
