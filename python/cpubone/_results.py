"""Results of explorations: tables, charts and reports."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Sequence, Tuple

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
            raise ValueError(f'chart: got "{name}", expected one of {", ".join(self._charts)}')
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


def report(results: Iterable[Result], folder: PathLike = "cpubone-out") -> List[Path]:
    """Writes one report of several results side by side; returns the files.

    Raises cpubone.Error naming a file that cannot be written.
    """
    files, _ = _core.write_report([result._core for result in results], Path(folder))
    return files
