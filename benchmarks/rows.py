"""What benchmarks in Python print, as those in C++ do (rows.hpp).

JSON goes to stdout at the end, a table for people to stderr meanwhile."""

from __future__ import annotations

import json
import sys
from typing import Any


class Rows:
    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def add(self, row: str, value: float, unit: str, goal: float | None = None, sense: str = ">=", note: str = "") -> None:
        """Without a goal the row informs and always holds."""
        holds = goal is None or (value >= goal if sense == ">=" else value <= goal)
        shown = "" if goal is None else f"{sense} {goal}: {'holds' if holds else 'FAILS'}"
        print(f"{row:60} {value:10.4g} {unit:14} {shown}  {note}", file=sys.stderr, flush=True)
        self._rows.append(
            {"row": row, "value": value, "unit": unit, "goal": goal, "sense": sense, "holds": holds, "note": note}
        )

    def print(self) -> None:
        print(json.dumps(self._rows, indent=1))
