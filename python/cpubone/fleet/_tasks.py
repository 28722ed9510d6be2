"""What workers run: functions of this package from JSON text to JSON text, and nothing else."""

from __future__ import annotations

import contextlib
import functools
import json
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional

import distributed

import cpubone
from cpubone import _core

MOST_BYTES = 64 << 20  #: of a text that is parsed; an answer of thousands of operators is a few MB


def parse(text: object, what: str) -> Dict[str, Any]:
    """An object of JSON; refuses what is too long, cut off, no object, or has NaN or infinity in it."""

    def refuse(constant: str) -> float:
        raise cpubone.Error(f"{what}: got {constant}, expected a finite number")

    if not isinstance(text, str) or len(text) > MOST_BYTES:
        got = f"{len(text)} characters" if isinstance(text, str) else type(text).__name__
        raise cpubone.Error(f"{what}: got {got}, expected JSON text of at most {MOST_BYTES} characters")
    try:
        value = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise cpubone.Error(f"{what}: no valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise cpubone.Error(f"{what}: got {type(value).__name__}, expected an object")
    return value


def keep(text: str) -> str:
    """A text that many tasks need travels to each worker once."""
    return text


def evolve(problem: str, task: str) -> str:
    """An epoch of an island: depends on both texts only."""
    return _answer(_problem(problem).evolve(task))


def predict(predictor: str, job: str) -> str:
    """Latencies of networks, in ms with their interval."""
    networks = [cpubone.Network.from_json(json.dumps(one)) for one in parse(job, "job")["networks"]]
    predictions = [_predictor(predictor).predict(network) for network in networks]
    return _answer(json.dumps({"latencies": [[p.latency_ms, p.low_ms, p.high_ms] for p in predictions]}))


def measure(job: str) -> str:
    """The operators of a job, measured on the worker's machine; ends early where nobody waits for it."""
    values = parse(job, "job")
    settings = values["settings"]
    worker = distributed.get_worker()
    key = worker.get_current_task()

    def stop_where_cancelled(*_: object) -> None:
        state = worker.state.tasks.get(key)
        if state is None or state.state not in ("executing", "long-running"):
            raise cpubone.Error("cancelled")

    profile = cpubone.profile(
        ops=values["ops"],
        budget_s=values["budget_s"],
        threads=settings["threads"],
        dtype=settings["precision"],
        cache=settings["cache"],
        seed=values["seed"],
        progress=stop_where_cancelled,
    )
    return _answer(profile.json(), temperature_c())


def temperature_c() -> Optional[float]:
    """Of the hottest zone of this machine; None where the system does not tell."""
    readings: List[str] = []
    for zone in Path("/sys/class/thermal").glob("thermal_zone*/temp"):
        with contextlib.suppress(OSError):
            readings.append(zone.read_text())
    return hottest_c(readings)


def hottest_c(readings: Iterable[str]) -> Optional[float]:
    """Of what Linux tells of its zones, in thousandths."""
    zones: List[float] = []
    for reading in readings:
        with contextlib.suppress(ValueError):
            zones.append(int(reading) / 1000)
    return max(zones, default=None)


def _answer(text: str, temperature: Optional[float] = None) -> str:
    worker = distributed.get_worker()
    return json.dumps({"worker": worker.address, "answer": text, "temperature_c": temperature})


@functools.lru_cache(maxsize=2)
def _problem(text: str) -> _core.IslandProblem:
    return _core.IslandProblem(text)


@functools.lru_cache(maxsize=8)
def _predictor(text: str) -> cpubone.Predictor:
    return cpubone.Predictor.from_json(text)
