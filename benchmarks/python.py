"""How long the Python module takes to import and to predict, and a report of many candidates to be written.

python3 benchmarks/python.py [RESULT.json], with cpubone on PYTHONPATH. Prints rows as the other benchmarks do.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cpubone
from rows import Rows

REPEATS = 9
CANDIDATES = 10_000
EXAMPLE = Path(__file__).parent.parent / "reports" / "example" / "result.json"

rows = Rows()


def add(row: str, values: list[float], unit: str, goal: float, note: str = "") -> None:
    note += f"median of {len(values)}, {min(values):.3g} to {max(values):.3g}"
    rows.add(row, statistics.median(values), unit, goal, "<=", note)


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def python_s(code: str) -> float:
    return seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True))


pairs = [(python_s("import cpubone"), python_s("pass")) for _ in range(REPEATS)]
add("import cpubone", [imported - bare for imported, bare in pairs], "s", 0.2, "over a bare interpreter; ")

predictor = cpubone.Predictor.of_device("pi5")
b0 = cpubone.network("b0")
predictor.predict(b0)
times = [1e3 * seconds(lambda: predictor.predict(b0).latency_ms) for _ in range(20 * REPEATS)]
add("predict B0", times, "ms", 1, "loaded already; ")

result = json.loads((Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLE).read_text())
known = result["candidates"]
result["candidates"] = [known[i % len(known)] for i in range(CANDIDATES)]
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "result.json"
    path.write_text(json.dumps(result))
    loaded = cpubone.Result.load(path)
    add(
        f"report of {CANDIDATES:,} candidates: written",
        [seconds(lambda: loaded.report(Path(folder) / "out")) for _ in range(3)],
        "s",
        2,
    )
    page = (Path(folder) / "out" / "report.html").stat().st_size
    add(f"report of {CANDIDATES:,} candidates: size", [page / 2**20], "MiB", 2)

rows.print()
