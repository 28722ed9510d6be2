"""How a fleet gets on, as a table in the terminal or notebook."""

from __future__ import annotations

import html
import sys
import time
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Union

from cpubone._display import table

#: `True` shows a table; a callable gets its rows; `False` shows nothing.
Progress = Union[bool, Callable[[List["Row"]], None]]

EVERY_S = 1.0
LINES_EVERY_S = 10.0  #: where nothing can be drawn over


class Row(NamedTuple):
    """A device."""

    device: str
    boards: int
    done: int
    total: int
    rejected: int
    per_minute: float
    temperature_c: Optional[float]

    @property
    def remaining_s(self) -> Optional[float]:
        return (self.total - self.done) / self.per_minute * 60 if self.per_minute > 0 else None


COLUMNS = ("device", "boards", "done", "rejected", "a minute", "°C", "remaining")


def cells(row: Row) -> List[str]:
    """As people read them."""
    remaining = "" if row.remaining_s is None else f"{row.remaining_s / 60:.0f} min {row.remaining_s % 60:02.0f} s"
    if row.remaining_s is not None and row.remaining_s < 60:
        remaining = f"{row.remaining_s:.0f} s"
    temperature = "" if row.temperature_c is None else f"{row.temperature_c:.0f}"
    done = f"{row.done} of {row.total}"
    return [row.device, str(row.boards), done, str(row.rejected), f"{row.per_minute:.0f}", temperature, remaining]


def text(rows: Sequence[Row]) -> str:
    """The table in columns."""
    lines = [list(COLUMNS)] + [cells(row) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


class Display:
    """Shows the table where it is, at most once a second; a callable hears of all news."""

    def __init__(self, progress: Progress, dashboard: str) -> None:
        self._progress = progress
        self._dashboard = dashboard
        self._shown = 0.0
        self._drawn = 0
        self._handle: Any = None
        if progress is True and "IPython" in sys.modules:
            from IPython import get_ipython
            from IPython.display import HTML, display

            if get_ipython() is not None:
                self._handle = display(HTML(""), display_id=True)
        if progress is True and dashboard and self._handle is None:
            print(f"Dask's dashboard: {dashboard}", file=sys.stderr)

    def update(self, rows: List[Row], last: bool = False) -> None:
        if callable(self._progress):
            self._progress(rows)
            return
        lines_only = self._handle is None and not sys.stderr.isatty()
        now = time.monotonic()
        if not self._progress or (not last and now - self._shown < (LINES_EVERY_S if lines_only else EVERY_S)):
            return
        self._shown = now
        if self._handle is not None:
            from IPython.display import HTML

            link = f'<a href="{html.escape(self._dashboard)}">Dask\'s dashboard</a>' if self._dashboard else ""
            self._handle.update(HTML(table("Fleet", COLUMNS, [cells(row) for row in rows]) + link))
        else:
            up = f"\x1b[{self._drawn}F\x1b[J" if self._drawn and not lines_only else ""
            print(up + text(rows), file=sys.stderr, flush=True)
            self._drawn = len(rows) + 1
