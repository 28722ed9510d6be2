"""What notebooks show: tables, charts and progress."""

from __future__ import annotations

import html
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Type, Union

if TYPE_CHECKING:
    import pandas

#: `True` shows a bar where tqdm is installed; a callable gets (fraction in [0, 1], remaining seconds, text).
Progress = Union[bool, Callable[[float, float, str], None]]


class Chart(Dict[str, Any]):
    """A Vega-Lite 5 specification with its data: notebooks draw it, and `altair.Chart.from_dict(chart)` takes it."""

    def _repr_mimebundle_(
        self, include: Optional[Iterable[str]] = None, exclude: Optional[Iterable[str]] = None
    ) -> Tuple[Dict[str, Any], Dict[str, Any]]:
        spec = dict(self)
        text = f"<cpubone.Chart: {spec.get('description', spec.get('title', 'Vega-Lite'))}>"
        return {"application/vnd.vegalite.v5+json": spec, "text/plain": text}, {
            "application/vnd.vegalite.v5+json": {"embed_options": {"actions": False}}
        }


def chart(description: str, rows: Sequence[Mapping[str, Any]], **spec: Any) -> Chart:
    """A chart of `rows`, with its description as the text for who does not see it."""
    return Chart(
        {
            "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
            "description": description,
            "data": {"values": [dict(row) for row in rows]},
            **spec,
        }
    )


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table; every text is escaped, numbers stand on the right."""

    def cell(value: object) -> str:
        if isinstance(value, float):
            return f"<td style='text-align:right'>{value:.4g}</td>"
        if isinstance(value, int) and not isinstance(value, bool):
            return f"<td style='text-align:right'>{value:,}</td>"
        return f"<td style='text-align:left'>{html.escape(str(value))}</td>"

    head = "".join(f"<th style='text-align:left'>{html.escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(cell(value) for value in row) + "</tr>" for row in rows)
    caption = f"<caption style='text-align:left'>{html.escape(title)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pandas.DataFrame:
    """`rows` as a pandas frame. Raises ImportError where pandas is not installed."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("frames need pandas (`pip install pandas`); `rows()` works without it") from error
    return pandas.DataFrame([dict(row) for row in rows], columns=list(columns))


class Bar:
    """Progress of long work, as `Progress` asks for; `callback` is what the extension calls."""

    def __init__(self, what: str, progress: Progress) -> None:
        self._bar: Any = None
        self._call: Optional[Callable[[float, float, str], None]] = None
        if callable(progress):
            self._call = progress
        elif progress:
            try:
                from tqdm.auto import tqdm
            except ImportError:
                return
            layout = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
            self._bar = tqdm(total=1.0, desc=what, bar_format=layout, leave=False)

    @property
    def callback(self) -> Optional[Callable[[float, float, str], None]]:
        return None if self._bar is None and self._call is None else self._update

    def _update(self, fraction: float, remaining_s: float, text: str) -> None:
        if self._call is not None:
            self._call(fraction, remaining_s, text)
        if self._bar is not None:
            self._bar.n = min(1.0, fraction)
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.refresh()

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def ipython_bundle(text: str, markup: str) -> Dict[str, str]:
    """Both forms of a value, for `_repr_mimebundle_`."""
    return {"text/plain": text, "text/html": markup}


Rows = List[Dict[str, Any]]
