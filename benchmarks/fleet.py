"""What a cluster adds to a search and to measuring, and what a scheduler bears.

python3 benchmarks/fleet.py [WORKERS], with cpubone on PYTHONPATH. WORKERS (1,000) simulated devices are workers of one
process that compute nothing. Prints rows as the other benchmarks do.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import distributed

import cpubone
from cpubone import fleet
from rows import Rows

ROOT = Path(__file__).resolve().parent.parent
BOARD = ROOT / "tests" / "python" / "fleet_board.py"
#: As many as fleet.profile measures where nothing else is asked for.
OPS = [f"conv2d 1x14x14x{8 * i}->1x14x14x16 k1x1 s1 p0,0,0,0 g1 f32" for i in range(1, 301)]
EVALUATIONS = 400_000
#: As a fleet has it, but with one thread in this process, too.
SEARCH = {"islands": 8, "generations": EVALUATIONS // (8 * 100 * 10), "threads": 1, "budget_s": 600, "progress": False}
ROUNDS = 3
PATIENCE_S = 240  #: with a busy machine
#: So many workers in one process, each with a resource of its own. What each would do for itself on a machine of its own,
#: looking at its memory and its stack many times a second, is no load of the scheduler.
DEVICES = """
import asyncio, sys, tempfile, dask, distributed

dask.config.set({"distributed.admin.system-monitor.interval": "1h", "distributed.worker.profile.interval": "1h",
                 "distributed.worker.profile.cycle": "1h"})

async def run(address, count):
    with tempfile.TemporaryDirectory() as folder:
        workers = [
            distributed.Worker(address, nthreads=1, name=f"device-{i}", resources={f"device-{i}": 1}, dashboard=False,
                               memory_limit=0, local_directory=folder)
            for i in range(count)
        ]
        for begin in range(0, count, 50):
            await asyncio.gather(*workers[begin : begin + 50])
        await asyncio.Event().wait()

asyncio.run(run(sys.argv[1], int(sys.argv[2])))
"""

rows = Rows()


def free_address() -> str:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{s.getsockname()[1]}"


@contextlib.contextmanager
def cluster(workers: int, *options: str, **environment: str):
    """The address of a scheduler with so many worker processes, and the scheduler's process."""
    address = free_address()
    dask = [sys.executable, "-W", "ignore", "-m"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [*dask, "distributed.cli.dask_scheduler", "--host", address, "--no-dashboard", "--no-show"]
    processes = [subprocess.Popen(command, **quiet)]
    try:
        for i in range(workers):
            command = [*dask, "distributed.cli.dask_worker", address, "--name", f"board-{i}", "--nthreads", "1"]
            command += ["--no-nanny", "--no-dashboard", *options]
            processes.append(subprocess.Popen(command, env={**os.environ, **environment}, **quiet))
        with distributed.Client(address, timeout=60) as client:
            if workers > 0:
                client.wait_for_workers(workers, timeout=120)
        yield address, processes[0]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def search() -> None:
    """Candidates a second of two worker processes, of one, and of one thread without any."""
    pi5 = {"pi5": cpubone.Predictor.of_device("pi5")}

    def rate(explore, **where) -> float:
        explore(pi5, seed=2, evaluations=EVALUATIONS // 10, **SEARCH, **where)  # predictors are made
        start = time.perf_counter()
        found = explore(pi5, seed=1, evaluations=EVALUATIONS, **SEARCH, **where)
        return found.result.values["search"]["distinct"] / (time.perf_counter() - start)

    rates = {"thread": [], "one": [], "two": []}
    with cluster(1) as (one, _), cluster(2) as (two, _):
        for _ in range(ROUNDS):
            rates["thread"].append(rate(cpubone.explore))
            rates["one"].append(rate(fleet.explore, cluster=one))
            rates["two"].append(rate(fleet.explore, cluster=two))
    median = {name: statistics.median(of) for name, of in rates.items()}
    note = f"of {len(os.sched_getaffinity(0))} cores; {EVALUATIONS:,} candidates, median of {ROUNDS}"
    rows.add("a search on one thread", median["thread"], "candidates/s", None, note=note)
    rows.add("a search on one worker process, over one thread", median["one"] / median["thread"], "×", 0.97)
    rows.add("a search on two worker processes, over one", median["two"] / median["one"], "×", 1.8)


def shelf() -> None:
    """Ten boards that take 0.2 s an operator, against one."""
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for boards in (1, 10):
            options = ("--resources", "shelf=1", "--preload", str(BOARD))
            with cluster(boards, *options, CPUBONE_FAULTS=folder, CPUBONE_BOARD_S="0.2") as (address, _):
                start = time.perf_counter()
                fleet.profile(["shelf"], ops=OPS, cluster=address, budget_s=1, progress=False)
                seconds[boards] = time.perf_counter() - start
    rows.add("a shelf of 10 equal boards, over one", seconds[1] / seconds[10], "×", 8, note=f"{len(OPS)} operators; {seconds[10]:.1f} s")


def simulate(count: int) -> None:
    """A task for each device at once, several times: what the scheduler bears."""
    with cluster(0) as (address, scheduler):
        devices = subprocess.Popen([sys.executable, "-W", "ignore", "-c", DEVICES, address, str(count)], stderr=subprocess.DEVNULL)
        try:
            with distributed.Client(address, timeout=60) as client:
                before = resident_mib(scheduler.pid)
                with contextlib.suppress(distributed.TimeoutError):  # then as many as there are
                    client.wait_for_workers(count, timeout=PATIENCE_S)
                names = [str(facts["name"]) for facts in client.scheduler_info(n_workers=-1)["workers"].values()]
                count = len(names)
                idle = resident_mib(scheduler.pid)
                cpu = sum(map(float, Path(f"/proc/{scheduler.pid}/stat").read_text().split()[13:15]))
                texts = [json.dumps({"device": i, "ops": OPS[:10]}) for i in range(5 * count)]
                start = time.perf_counter()
                futures = [
                    client.submit(len, text, key=f"task-{i}", resources={names[i % count]: 1}) for i, text in enumerate(texts)
                ]
                distributed.wait(futures, timeout=PATIENCE_S)
                seconds = time.perf_counter() - start
                busy = sum(map(float, Path(f"/proc/{scheduler.pid}/stat").read_text().split()[13:15])) - cpu
                full = resident_mib(scheduler.pid)
        finally:
            devices.kill()
            devices.wait()
    tasks = len(texts)
    note = f"{tasks:,} tasks on {count:,} devices, {len(texts[0]):,} bytes each"
    rows.add(f"a fleet of {count:,} devices: tasks through the scheduler", tasks / seconds, "tasks/s", 500, note=note)
    rows.add("a task: the scheduler's own time", busy / os.sysconf("SC_CLK_TCK") / tasks * 1e3, "ms", None)
    rows.add("a device: the scheduler's memory", (idle - before) / count * 1024, "KiB", None)
    rows.add("a task: the scheduler's memory", (full - idle) / tasks * 1024, "KiB", None)


def main() -> None:
    search()
    shelf()
    simulate(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
    rows.print()


if __name__ == "__main__":
    main()
