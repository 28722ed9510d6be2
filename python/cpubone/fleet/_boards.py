"""Boards that measure one job at a time: Dask workers and machines behind ssh."""

from __future__ import annotations

import concurrent.futures
import json
import math
import os
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import cpubone
from cpubone.__main__ import tool_path
from cpubone.fleet import _tasks
from cpubone.fleet._pool import LOOK_S, Lost, Pool, failure_of, result_of

PROBE_S = 2.0  #: between looks for a board that ssh did not reach
SSH_S = 15.0  #: that ssh has to reach a board
END_S = 10.0  #: that a tool has to end once it is interrupted
SILENT: Dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def ssh(url: str, script: str) -> List[str]:
    """The command that runs a script on a board, by the program that the tools use, too."""
    program = (os.environ.get("CPUBONE_SSH") or "ssh").split()
    return [*program, "-T", "-oBatchMode=yes", f"-oConnectTimeout={SSH_S:.0f}", "--", url, script]


def temperature_c(url: str) -> Optional[float]:
    """Of the hottest zone of a board; None where it does not tell."""
    command = ssh(url, "cat /sys/class/thermal/thermal_zone*/temp 2>/dev/null")
    try:
        told = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * SSH_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return _tasks.hottest_c(told.stdout.split())


class WorkerBoard:
    """A Dask worker with a resource of the device's name."""

    def __init__(self, pool: Pool, device: str, name: str) -> None:
        self.name = name
        self._pool = pool
        self._device = device
        self._future: Any = None
        self._connection = 0  # by which it was asked
        self._at: Optional[str] = None  # the worker that was asked: another one may have taken its name

    def _address(self) -> Optional[str]:
        for address, facts in self._pool.workers().items():
            if str(facts.get("name", address)) == self.name and self._device in facts.get("resources", {}):
                return address
        return None

    def is_there(self) -> bool:
        return self._address() is not None

    def start(self, job: str, done: Callable[[], None]) -> None:
        """`done` is called, perhaps by another thread, once there is an answer or none will come. Raises Lost where the
        worker is gone.
        """
        self._at = self._address()
        self._connection = self._pool.connections
        if self._at is None:
            raise Lost("the worker is gone")
        only = {"workers": [self._at], "resources": {self._device: 1}, "allow_other_workers": False, "retries": 0}
        self._future = self._pool.submit(_tasks.measure, job, done=lambda _: done(), **only)

    def has_answer(self) -> bool:
        return self._future.status in ("finished", "error")

    def is_lost(self) -> bool:
        """Whether no answer will come: the worker or the scheduler is gone."""
        gone = self._future.status in ("cancelled", "lost") or self._connection != self._pool.connections
        return gone or self._address() != self._at

    def answer(self) -> Tuple[str, Optional[float]]:
        """The profile's text, and the machine's temperature. Raises cpubone.Error where there is none, Lost where it is
        on a worker, or with a scheduler, that is gone.
        """
        if self._future.status == "error":
            raise cpubone.Error(failure_of(self._future))
        values = _tasks.parse(result_of(self._future, self._pool.patience_s), "answer")
        temperature = values.get("temperature_c")
        return str(values.get("answer")), temperature if isinstance(temperature, float) else None

    def cancel(self) -> None:
        if self._future is not None:
            self._pool.cancel([self._future])


class SshBoard:
    """A machine behind ssh, measured by `cpubone-profile`, which takes its agent there.

    Where the connection is lost for longer than the tool bridges, the board is away until ssh reaches it again.
    """

    def __init__(self, url: str) -> None:
        self.name = url
        self._run: Optional[ToolRun] = None
        self._probe: Optional["subprocess.Popen[bytes]"] = None  # of a board that is away
        self._is_away = False
        self._next_probe = 0.0

    def is_there(self) -> bool:
        if not self._is_away:
            return True
        if self._probe is None:
            if time.monotonic() >= self._next_probe:
                self._probe = subprocess.Popen(ssh(self.name, "true"), **SILENT)
        elif (status := self._probe.poll()) is not None:
            self._probe = None
            self._next_probe = time.monotonic() + PROBE_S
            self._is_away = status != 0
        return not self._is_away

    def start(self, job: str, done: Callable[[], None]) -> None:
        """As of a WorkerBoard."""
        self._run = ToolRun(self.name, job, done)

    def has_answer(self) -> bool:
        return self._run is not None and self._run.answer.done()

    def is_lost(self) -> bool:
        return False  # the tool ends where the board is gone

    def answer(self) -> Tuple[str, Optional[float]]:
        """As of a WorkerBoard."""
        assert self._run is not None
        try:
            return self._run.answer.result()
        except Lost:
            self._is_away = True
            raise

    def cancel(self) -> None:
        if self._run is not None:
            self._run.cancel()
        if self._probe is not None:
            self._probe.kill()


class ToolRun:
    """A run of `cpubone-profile`, whose answer comes as a future of the profile's text and the board's temperature."""

    def __init__(self, url: str, job: str, done: Callable[[], None]) -> None:
        self._url = url
        self._cancelled = threading.Event()
        threads = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        self.answer = threads.submit(self._measure, json.loads(job))
        threads.shutdown(wait=False)
        self.answer.add_done_callback(lambda _: done())

    def cancel(self) -> None:
        self._cancelled.set()

    def _measure(self, job: Dict[str, Any]) -> Tuple[str, Optional[float]]:
        program = tool_path("profile")
        if program is None:
            raise cpubone.Error("cpubone-profile is not installed beside this package nor in PATH")
        settings = job["settings"]
        with tempfile.TemporaryDirectory(prefix="cpubone-fleet.") as folder:
            ops, output = Path(folder, "ops.txt"), Path(folder, "profile.json")
            ops.write_text("".join(f"{op}\n" for op in job["ops"]))
            command: List[str] = [os.fspath(program), "--device", self._url, "--ops", os.fspath(ops), "--quiet"]
            command += ["--threads", str(settings["threads"]), "--precision", settings["precision"]]
            command += ["--cache", settings["cache"], "--retries", "1"]  # then others take the job
            command += ["--budget", f"{job['budget_s']:.1f}s", "--seed", str(job["seed"]), "-o", os.fspath(output)]
            status, errors = self._complete(command)
            if status != 0:
                lines = [line for line in errors.splitlines() if line.strip()]
                reason = lines[-1][:400] if lines else f"exit status {status}"
                raise Lost(reason) if "connection lost" in reason else cpubone.Error(reason)
            if output.stat().st_size > _tasks.MOST_BYTES:
                raise cpubone.Error(f"a profile of {output.stat().st_size} bytes, expected at most {_tasks.MOST_BYTES}")
            return output.read_text(), temperature_c(self._url)

    def _complete(self, command: Sequence[str]) -> Tuple[int, str]:
        """The exit status, and what went to stderr. What is cancelled is interrupted, and ended where it hangs."""
        cancelled_at = math.inf
        pipes: Dict[str, Any] = {**SILENT, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, text=True, **pipes) as process:
            while True:
                try:
                    _, errors = process.communicate(timeout=LOOK_S)
                    return process.returncode, errors
                except subprocess.TimeoutExpired:
                    pass
                if self._cancelled.is_set() and cancelled_at == math.inf:
                    cancelled_at = time.monotonic()
                    process.send_signal(signal.SIGINT)
                if time.monotonic() - cancelled_at > END_S:
                    process.kill()
