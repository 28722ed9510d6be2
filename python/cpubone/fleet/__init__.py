"""Fleets of devices, and searches that outgrow one machine, on dask.distributed.

>>> import cpubone.fleet as fleet
>>> fleet.explore(["pi5", "pixel7pro"], latency_ms={"pi5": 30})     # doctest: +SKIP
>>> fleet.profile(["pi5", "ssh://pi@lab3"], cluster="tcp://scheduler:8786")     # doctest: +SKIP

A cluster is the address of a scheduler (with `security=`, a distributed.Security, for TLS), a distributed.Client, or
None: worker processes of this machine. A device is a resource of that name that workers have
(`dask worker ... --nthreads 1 --resources pi5=1`), or machines behind ssh. Only functions of this package run on
workers; what they get and give is JSON.
"""

from __future__ import annotations

import functools
import json
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Union

try:
    import distributed as _distributed  # noqa: F401
except ImportError as error:
    raise ImportError(
        "cpubone.fleet needs dask.distributed: `apt install python3-distributed` or `pip install 'cpubone[fleet]'`"
    ) from error

import cpubone
from cpubone import _core
from cpubone._document import PathLike
from cpubone._networks import NetworkLike
from cpubone.fleet import _tasks
from cpubone.fleet._boards import SshBoard, WorkerBoard
from cpubone.fleet._pool import LOOK_S, Cluster, Pool
from cpubone.fleet._search import EXCHANGES, MOST_GENERATIONS, POPULATION, Search
from cpubone.fleet._shelf import Board, Shelf, ShelfRun
from cpubone.fleet._show import Display, Progress, Row

__all__ = ["Latency", "Row", "Shelf", "explore", "predict", "profile"]

Devices = Union[Sequence[str], Mapping[str, cpubone.Predictor]]

NETWORKS_A_TASK = 50


class Latency(NamedTuple):
    """Of a network on a device, predicted."""

    device: str
    network: str
    ms: float
    low_ms: float  #: 90 % interval
    high_ms: float


def _predictors(devices: Devices) -> Dict[str, cpubone.Predictor]:
    if isinstance(devices, Mapping):
        return dict(devices)
    if isinstance(devices, str) or len(set(devices)) < len(devices):
        raise ValueError(f"devices: got {devices!r}, expected different names, or predictors by name")
    return {name: cpubone.Predictor.of_device(name) for name in devices}


def explore(
    devices: Devices,
    *,
    cluster: Cluster = None,
    security: Any = None,
    evaluations: int = 1_000_000,
    islands: int = 8,
    generations: Optional[int] = None,
    journal: Optional[PathLike] = None,
    resume: bool = False,
    patience_s: float = 120.0,
    **options: Any,
) -> cpubone.Exploration:
    """`cpubone.explore` for one to three predicted devices, its islands on the workers of a cluster.

    The same seed, `islands` and `generations` give the same result, to the byte, on any number of workers, and by
    `cpubone.explore` alone. `generations` between exchanges are by default as many as make 10 of them, at most 1,000.
    `journal` is a folder that keeps what islands found, from which `resume=True` goes on to the same result.
    A worker that answers nothing for `patience_s`, or what this machine does not compute as well, is left out by name.
    Raises cpubone.Error where no worker is left.
    """
    if generations is None:
        generations = min(MOST_GENERATIONS, max(5, evaluations // (EXCHANGES * islands * POPULATION)))
    predictors = _predictors(devices)
    searches: Dict[str, Search] = {}  # by their problem; there is one as long as nothing is measured
    try:
        with Pool(cluster, security, patience_s) as pool:

            def evolve(problem: str, tasks: List[str], stopped: Callable[[], bool]) -> List[str]:
                if problem not in searches:
                    path = None if journal is None else Path(journal) / "search.jsonl"
                    searches[problem] = Search(problem, tasks, path, resume)
                return searches[problem].evolve(pool, tasks, stopped)

            return cpubone.explore(
                predictors, evaluations=evaluations, islands=islands, generations=generations, evolve=evolve, **options
            )
    finally:
        for search in searches.values():
            search.close()


def predict(
    networks: Iterable[NetworkLike],
    devices: Devices,
    *,
    cluster: Cluster = None,
    security: Any = None,
    patience_s: float = 120.0,
    progress: Progress = True,
) -> List[Latency]:
    """Latencies of all networks on all devices, device by device in the order of the networks."""
    predictors = _predictors(devices)
    built = [cpubone.network(what) for what in networks]
    chunks = [built[begin : begin + NETWORKS_A_TASK] for begin in range(0, len(built), NETWORKS_A_TASK)]
    jobs = [json.dumps({"networks": [json.loads(one.json()) for one in chunk]}) for chunk in chunks]
    latencies: List[Latency] = []
    with Pool(cluster, security, patience_s) as pool:
        display = Display(progress, pool.dashboard)
        rows: Dict[str, Row] = {}
        for device, predictor in predictors.items():
            started = time.monotonic()

            def done(count: int) -> None:
                pace = count / max(1e-9, time.monotonic() - started) * 60
                rows[device] = Row(device, len(pool.workers()), count, len(jobs), len(pool.blamed), pace, None)
                display.update(list(rows.values()))

            def check(i: int, answer: str) -> None:
                numbers = _tasks.parse(answer, "latencies").get("latencies")
                wanted = len(chunks[i])
                if not isinstance(numbers, list) or len(numbers) != wanted or not all(map(_is_latency, numbers)):
                    raise cpubone.Error(f"latencies: expected {wanted} times three numbers")

            for chunk, answer in zip(chunks, pool.run(_tasks.predict, predictor.json(), jobs, check, done=done)):
                for one, numbers in zip(chunk, json.loads(answer)["latencies"]):
                    latencies.append(Latency(device, one.name, *numbers))
        display.update(list(rows.values()), last=True)
    return latencies


def _is_latency(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(isinstance(x, (int, float)) and x >= 0 for x in value)


def profile(
    devices: Union[Sequence[str], Mapping[str, Sequence[str]]],
    *,
    ops: Optional[Iterable[Union[str, cpubone.Op]]] = None,
    cluster: Cluster = None,
    security: Any = None,
    budget_s: float = 60.0,
    threads: int = 1,
    dtype: str = "f32",
    cache: str = "cold",
    seed: int = 1,
    journal: Optional[PathLike] = None,
    resume: bool = False,
    tolerance: float = 0.1,
    patience_s: float = 60.0,
    progress: Progress = True,
) -> Dict[str, Shelf]:
    """Measures operators on all devices at once, each on all of its boards within about `budget_s` seconds.

    A device is the name of a resource that Dask workers have, `ssh://[user@]host[:port]`, or by its name such addresses
    of a shelf of equal boards. Equal boards share the plan. All of them measure some operators first, and a few of these
    again with everything else: boards that differ by more than `tolerance` are set aside by name, and others measure
    what they were to. `ops` are by default 300 that backbones for CPUs are made of.
    `journal` is a folder that keeps what was measured, from which `resume=True` goes on. Ctrl-C ends all.
    Raises cpubone.Error naming boards and reasons where a device has no board left.
    """
    wanted = [str(op) for op in (cpubone.operators(count=300, seed=seed, dtype=dtype) if ops is None else ops)]
    if not wanted:
        raise ValueError("ops: got none, expected operators to measure")
    for op in wanted:
        _core.Op(op)
    by_name: Dict[str, Optional[List[str]]] = (
        {name: list(urls) for name, urls in devices.items()}
        if isinstance(devices, Mapping)
        else {name: [name] if name.startswith("ssh://") else None for name in devices}
    )
    settings = {"threads": threads, "precision": dtype, "cache": cache}
    folder = None if journal is None else Path(journal)
    wake = threading.Event()
    needs_cluster = cluster is not None or any(urls is None for urls in by_name.values())
    pool = Pool(cluster, security, patience_s) if needs_cluster else None
    runs: List[ShelfRun] = []
    try:
        for device, urls in by_name.items():
            path = None if folder is None else folder / f"{''.join(c if c.isalnum() or c in '._-' else '-' for c in device)}.jsonl"
            runs.append(
                ShelfRun(
                    device,
                    _boards_of(pool, device, urls),
                    wanted,
                    settings=settings,
                    budget_s=budget_s,
                    seed=seed,
                    journal=path,
                    resume=resume,
                    tolerance=tolerance,
                    patience_s=patience_s,
                    wake=wake.set,
                )
            )
        display = Display(progress, "" if pool is None else pool.dashboard)
        while not all(run.is_finished() for run in runs):
            if pool is not None and not pool.is_connected():
                pool.connect()
            for run in runs:
                run.step()
            display.update([_row(run) for run in runs])
            wake.wait(LOOK_S)
            wake.clear()
        display.update([_row(run) for run in runs], last=True)
        return {run.device: run.shelf() for run in runs}
    finally:
        for run in runs:
            run.cancel()
        if pool is not None:
            pool.__exit__(None, None, None)


def _boards_of(pool: Optional[Pool], device: str, urls: Optional[List[str]]) -> Callable[[], Sequence[Board]]:
    if urls is not None:
        fixed = [SshBoard(url) for url in urls]
        return lambda: fixed
    assert pool is not None
    return functools.partial(_boards_of_workers, pool, device)


def _boards_of_workers(pool: Pool, device: str) -> Sequence[Board]:
    found = [
        str(facts.get("name", address))
        for address, facts in pool.workers().items()
        if device in (facts.get("resources") or {})
    ]
    return [WorkerBoard(pool, device, name) for name in sorted(found)]


def _row(run: ShelfRun) -> Row:
    temperatures = [s.temperature_c for s in run.states.values() if s.temperature_c is not None]
    pace = run.done / max(1e-9, time.monotonic() - run.started) * 60
    return Row(run.device, len(run.states), run.done, run.ops, run.rejected, pace, max(temperatures, default=None))
