"""What memory in pages of 2 MB, instead of 4 KB, takes off the latency of networks.

python3 benchmarks/huge_pages.py [NETWORK...], with cpubone on PYTHONPATH. Two processes of each network take turns: one
that Linux gives no huge pages, one as it is. Prints rows as the other benchmarks do.
"""

from __future__ import annotations

import ctypes
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import cpubone
from rows import Rows

NETWORKS = (
    "cpubone-nano cpubone-b0 cpubone-b1 cpubone-b2 cpubone-b3 lowformer-b1 resnet18 mobilenetv2-100"
).split()
TURNS = 41
PR_SET_THP_DISABLE = 41  # linux/prctl.h


def serve(name: str, pages: str) -> None:
    """Runs a network for each line of the input, and answers with nanoseconds and with bytes in huge pages."""
    if pages == "usual" and ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0:
        raise OSError("Linux does not turn off huge pages for a process: PR_SET_THP_DISABLE is refused")
    executor = cpubone.Executor(name)
    image = np.random.default_rng(1).standard_normal((1, 224, 224, 3), dtype=np.float32)
    executor.run(image)
    for _ in sys.stdin:
        begin = time.perf_counter_ns()
        executor.run(image)
        taken = time.perf_counter_ns() - begin
        huge = re.search(r"AnonHugePages:\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text())
        print(taken, 1024 * int(huge[1]) if huge else 0, flush=True)


class Peer:
    """A process of `serve`."""

    def __init__(self, name: str, pages: str) -> None:
        command = [sys.executable, __file__, "--serve", name, pages]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def turn(self) -> tuple[int, int]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        ns, huge = self._process.stdout.readline().split()
        return int(ns), int(huge)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def compare(name: str) -> tuple[float, str]:
    """Latency in huge pages over that in usual ones, and a note on both."""
    peers = [Peer(name, "usual"), Peer(name, "huge")]
    turns = [[peer.turn() for peer in peers] for _ in range(TURNS)][1:]
    for peer in peers:
        peer.close()
    small, large = ([turn[i][0] * 1e-6 for turn in turns] for i in range(2))
    note = (
        f"{statistics.median(small):.2f} and {statistics.median(large):.2f} ms, {len(turns)} turns; "
        f"{turns[-1][0][1] >> 20} and {turns[-1][1][1] >> 20} MiB in huge pages"
    )
    return statistics.median(b / a for a, b in zip(small, large)), note


def main() -> None:
    rows = Rows()
    ratios = []
    for name in sys.argv[1:] or NETWORKS:
        ratio, note = compare(name)
        ratios.append(ratio)
        rows.add(name, ratio, "of the latency", sense="<=", note=note)
    rows.add("geometric mean", statistics.geometric_mean(ratios), "of the latency", sense="<=")
    rows.print()


if sys.argv[1:2] == ["--serve"]:
    serve(*sys.argv[2:])
else:
    main()
