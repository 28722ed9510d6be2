"""Preloaded by workers in tests: a machine whose latencies are known, with faults that a test asks for.

$CPUBONE_FAULTS/<worker> has a fault a line; each task takes the first one. What is measured is noted in jobs.log, what
islands evolve in epochs.log. An operator takes $CPUBONE_BOARD_S seconds.
"""

import hashlib
import json
import os
import re
import signal
import time
from pathlib import Path

import distributed

import cpubone
from cpubone.fleet import _tasks

FAULTS = Path(os.environ["CPUBONE_FAULTS"])
DEVICE = {
    "name": "host", "cpu": "Fake board", "architecture": "aarch64", "features": ["neon"], "cores": 4, "l1d_bytes": 65536,
    "l2_bytes": 524288, "llc_bytes": 2097152, "memory_bytes": 0, "runtime": "none", "runtime_hash": "", "kernel": "",
    "governor": "", "frequency_mhz": 0, "compiler": "",
}  # fmt: skip


def fault():
    """The next one of this worker; empty where there is none."""
    name = str(distributed.get_worker().name)
    path = FAULTS / name
    lines = path.read_text().split() if path.exists() else []
    if not lines:
        return ""
    path.write_text("\n".join(lines[1:]))
    if lines[0] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if lines[0] == "wait":  # up to 3 s for the faults of others to come true
        others = [FAULTS / f"board-{i}" for i in range(3)]
        end = time.monotonic() + 3
        while time.monotonic() < end and any(other.read_text() for other in others):
            time.sleep(0.05)
    if lines[0] == "hang":
        (FAULTS / f"{name}.hung").touch()
        time.sleep(600)
    return lines[0]


def latency_ns(op):
    """Of this operator on every board that is as it should be."""
    return 1000.0 + int(hashlib.sha256(op.encode()).hexdigest()[:6], 16)


class Text:
    """What is no profile, in the place of one."""

    def __init__(self, text):
        self._text = text

    def json(self):
        return self._text


def profile(*, ops, threads, progress, **_):
    kind = fault()
    name = str(distributed.get_worker().name)
    with open(FAULTS / "jobs.log", "a") as log:
        log.write(json.dumps({"board": name, "ops": ops}) + "\n")
    progress(0.5, 1.0, "")
    time.sleep(0.02 + float(os.environ.get("CPUBONE_BOARD_S", "0")) * len(ops))
    factor = 1.6 if kind == "slow" or (FAULTS / f"{name}.slow").exists() else 1.0
    rows = []
    for op in ops[:3] if kind == "few" else ops:  # the probes, which come first
        ns = factor * latency_ns(op)
        rows.append({"op": op, "engine": "xnnpack", "median_ns": ns, "low_ns": ns, "high_ns": ns, "mdape": 0.0,
                     "samples_ns": [ns] * 5, "runs_per_sample": 1, "disturbed": False})  # fmt: skip
    device = {**DEVICE, "cpu": "Another board"} if kind == "other" or (FAULTS / f"{name}.other").exists() else DEVICE
    values = {
        "schema": "cpubone/profile/1", "fingerprint": "0" * 16, "device": device,
        "settings": {"threads": threads, "precision": "f32", "cache": "cold", "cpus": []},
        "tool_version": cpubone.__version__, "created": "2026-01-31T12:00:00Z", "seconds": 1.0, "ops": rows,
        "networks": [], "warnings": [],
    }  # fmt: skip
    try:
        cpubone.Profile.from_json(json.dumps(values))
    except cpubone.Error as error:
        values["fingerprint"] = re.search("expected ([0-9a-f]{16})", str(error)).group(1)
    text = json.dumps(values)
    if kind == "nan":
        text = re.sub(r'"median_ns": [0-9.]+', '"median_ns": NaN', text)
    return Text(text[: len(text) // 2] if kind == "torn" else text)


class Islands:
    """The islands of a problem, with faults."""

    def __init__(self, problem):
        self._problem = problem

    def evolve(self, task):
        kind = fault()
        with open(FAULTS / "epochs.log", "a") as log:
            log.write(f"{hashlib.sha256(task.encode()).hexdigest()}\n")
        answer = self._problem.evolve(task)
        if kind == "wrong":
            values = json.loads(answer)
            values["found"][0][1][0] *= 1.0001
            return json.dumps(values)
        return answer[: len(answer) // 2] if kind == "torn" else answer


def dask_setup(worker):
    real = _tasks._problem
    cpubone.profile = profile
    _tasks._problem = lambda text: Islands(real(text))
