"""Results of explorations: tables, charts and reports."""

from __future__ import annotations

import functools
import html
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from cpubone import _core
from cpubone._display import Chart, Rows, frame, table
from cpubone._document import Document, PathLike


if TYPE_CHECKING:
    import pandas

_COLUMNS = (
    "name",
    "family",
    "origin",
    "top1",
    "top1_assured",
    "estimated",
    "latency_ms",
    "measured",
    "disturbed",
    "low_ms",
    "high_ms",
    "gmacps",
    "params",
    "macs",
    "description",
)


_ENOUGH_SAMPLES = 5  # for an interval, docs/measuring.md


class Result(Document[_core.Result]):
    """All that an exploration found out: networks, front, candidates, device, findings, studies, warnings.

    Made by `cpubone.explore` and `Result.load`. Immutable; pickles as its JSON.
    """

    _native = _core.Result
    _kind = "result"

    @functools.cached_property
    def values(self) -> Dict[str, Any]:
        """Everything in it, as docs/file-formats.md describes it."""
        values: Dict[str, Any] = json.loads(self._core.json())
        return values

    @property
    def front(self) -> List[str]:
        """Names of the networks that no other beats in both latency and accuracy, fastest first."""
        return list(self.values["front"])

    @property
    def warnings(self) -> List[Tuple[str, str]]:
        """What is wrong with the numbers, and the remedy."""
        return [(warning["what"], warning["remedy"]) for warning in self.values["warnings"]]

    def findings(self) -> Rows:
        """One dict a finding or study: title, sentence, and verdict (`holds`, `does not hold`, `within noise` or empty)."""
        return [
            {"title": title, "sentence": sentence, "verdict": verdict}
            for title, sentence, verdict in self._core.statements()
        ]

    def studies(self) -> Dict[str, Study]:
        """The controlled comparisons in it, by name."""
        values = self.values.get("studies", [])
        statements = self._core.statements()[-len(values) :]  # findings come first
        return {one["name"]: Study(self, one, *said) for one, said in zip(values, statements)}

    def study(self, name: str) -> Study:
        """One of `studies()`. Raises ValueError listing them."""
        studies = self.studies()
        if name not in studies:
            raise ValueError(f'study: got "{name}", expected one of {", ".join(studies) or "none"}')
        return studies[name]

    def rows(self) -> Rows:
        """One dict a network: name, family, origin, top1 in percent (`estimated` or published), the percent
        that it reaches with a probability of 90 %, latency and interval in
        ms (`measured` undisturbed, `disturbed`, or neither: predicted), gmacps, params, macs, description; None where unknown."""
        rows = []
        assured = self._core.assured_top1()
        for network in self.values["networks"]:
            top1 = network.get("top1") or {}
            measured = network.get("measured_ms")
            latency = measured or network.get("predicted_ms") or {}
            disturbed = measured is not None and (measured.get("disturbed") or measured["samples"] < _ENOUGH_SAMPLES)
            has_interval = latency.get("low") != latency.get("high")  # a single sample has none
            rows.append(
                {
                    "name": network["name"],
                    "family": network.get("family"),
                    "origin": network["origin"],
                    "top1": top1.get("value"),
                    "top1_assured": assured.get(network["name"]),
                    "estimated": top1.get("kind") == "estimated",
                    "latency_ms": latency.get("value"),
                    "measured": measured is not None and not disturbed,
                    "disturbed": disturbed,
                    "low_ms": latency.get("low") if has_interval else None,
                    "high_ms": latency.get("high") if has_interval else None,
                    "gmacps": network.get("gmacps"),
                    "params": network["params"],
                    "macs": network["macs"],
                    "description": network.get("description"),
                }
            )
        return rows

    def frame(self) -> pandas.DataFrame:
        """`rows()` as a pandas frame."""
        return frame(self.rows(), _COLUMNS)

    @functools.cached_property
    def _charts(self) -> Dict[str, Chart]:
        return {name: Chart(json.loads(spec)) for name, spec in self._core.charts()}

    def charts(self) -> Dict[str, Chart]:
        """The report's charts by name: `front`, `macs`, `predicted`, ... as Vega-Lite with their data."""
        return dict(self._charts)

    def chart(self, name: str = "front") -> Chart:
        """One of `charts()`. Raises ValueError listing them."""
        if name not in self._charts:
            raise ValueError(f'chart: got "{name}", expected one of {", ".join(self._charts) or "none"}')
        return self._charts[name]

    def report(self, folder: PathLike = "cpubone-out") -> List[Path]:
        """Writes `report.html`, `report.md`, `pareto.csv`, and charts where node is installed; returns the files."""
        return report([self], folder)

    def __repr__(self) -> str:
        proposals = sum(network["origin"] == "proposal" for network in self.values["networks"])
        published = len(self.values["networks"]) - proposals
        device = self.values["device"]
        return (
            f"<cpubone.Result of {device.get('model') or device['name']}: {proposals} proposals, "
            f"{published} published networks, {len(self.front)} on the front>"
        )

    def _repr_html_(self) -> str:
        def text(value: Optional[float], form: str, sign: str = "") -> str:
            return "" if value is None else sign + format(value, form)

        on_front = set(self.front)
        rows: List[Sequence[object]] = [
            (
                row["name"],
                text(row["top1"], ".1f", "~" if row["estimated"] else ""),
                text(row["latency_ms"], ".3g", "" if row["measured"] else "~"),
                row["macs"],
                row["description"] or "",
            )
            for row in sorted(self.rows(), key=lambda row: row["latency_ms"] or 0.0)
            if row["name"] in on_front or row["family"] == "CPUBone"
        ]
        return table(f"{repr(self)[1:-1]} (~ estimated)", ("network", "top-1 %", "ms", "MACs", "description"), rows)


class StudyNumber(NamedTuple):
    """What follows from a study's rows, with its interval: the value itself where none is known."""

    value: float
    low: float
    high: float


class Study:
    """A controlled comparison: a table with a row a case, what follows from it, and what it says.

    Made by `cpubone.study`, `Result.studies`. Immutable; pickles with its `result`, which saves and reports it.
    """

    def __init__(self, result: Result, values: Mapping[str, Any], title: str, sentence: str, verdict: str) -> None:
        self.result = result
        self.name: str = values["name"]
        self.title = title
        self.sentence = sentence  #: what it says; empty where it says nothing
        self.verdict = verdict  #: of what was published or expected: `holds`, `does not hold`, `within noise` or empty
        self.predicted: bool = values["predicted"]  #: its latencies are, else they were measured
        self.columns: List[str] = [f"{column['name']} {column['unit']}".rstrip() for column in values["columns"]]
        self._rows: List[List[Any]] = values["rows"]
        self._numbers: List[Dict[str, Any]] = values["numbers"]

    @property
    def numbers(self) -> Dict[str, StudyNumber]:
        """By name with its unit at the end: ratios such as `int8_speedup_mean`, shares of 0 to 1, rows counted from 0."""
        return {n["name"]: StudyNumber(n["value"], n["low"], n["high"]) for n in self._numbers}

    def rows(self) -> Rows:
        """One dict a row of the table, by `columns`, whose names end with the unit (`latency ms`); None where unknown."""
        return [dict(zip(self.columns, row)) for row in self._rows]

    def frame(self) -> pandas.DataFrame:
        """`rows()` as a pandas frame."""
        return frame(self.rows(), self.columns)

    def chart(self) -> Chart:
        """The report's chart of it, as Vega-Lite with its data. Raises ValueError where it has none."""
        return self.result.chart(f"study-{self.name}")

    def __reduce__(self) -> Tuple[Any, Tuple[Result, str]]:
        return Result.study, (self.result, self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Study) and (self.name, self.result) == (other.name, other.result)

    def __hash__(self) -> int:
        return hash((self.name, self.result))

    def __repr__(self) -> str:
        how = "predicted" if self.predicted else "measured"
        return f"<cpubone.Study {self.name}: {len(self._rows)} rows, {how}>"

    def _repr_html_(self) -> str:
        rows = [["" if cell is None else cell for cell in row] for row in self._rows]
        return table(self.title, self.columns, rows) + f"<p>{html.escape(self.sentence)}</p>"


def report(results: Iterable[Result], folder: PathLike = "cpubone-out") -> List[Path]:
    """Writes one report of several results side by side; returns the files.

    Raises cpubone.Error naming a file that cannot be written.
    """
    files, _ = _core.write_report([result._core for result in results], Path(folder))
    return files
