"""Boards that measure one job at a time: Dask workers and machines behind ssh."""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import cpubone
from cpubone.__main__ import tool_path
from cpubone.fleet import _tasks
from cpubone.fleet._pool import Pool, result_of


class WorkerBoard:
    """A Dask worker with a resource of the device's name."""

    def __init__(self, pool: Pool, device: str, name: str) -> None:
        self.name = name
        self._pool = pool
        self._device = device
        self._future: Any = None
        self._at: Optional[str] = None  # the worker that was asked: another one may have taken its name

    def _address(self) -> Optional[str]:
        for address, facts in self._pool.workers().items():
            if str(facts.get("name", address)) == self.name and self._device in facts.get("resources", {}):
                return address
        return None

    def is_there(self) -> bool:
        return self._address() is not None

    def start(self, job: str, done: Callable[[], None]) -> None:
        """`done` is called, perhaps by another thread, once there is an answer or none will come."""
        self._at = self._address()
        self._future = self._pool.submit(
            _tasks.measure, job, workers=[self._at], resources={self._device: 1}, allow_other_workers=False, retries=0
        )
        self._future.add_done_callback(lambda _: done())

    def has_answer(self) -> bool:
        return self._future.status in ("finished", "error")

    def is_lost(self) -> bool:
        """Whether no answer will come: the worker or the scheduler is gone."""
        return self._future.status in ("cancelled", "lost") or self._address() != self._at

    def answer(self) -> Tuple[str, Optional[float]]:
        """The profile's text, and the machine's temperature. Raises cpubone.Error where there is none, Lost where it is
        on a worker, or with a scheduler, that is gone.
        """
        if self._future.status == "error":
            failure = self._future.exception()
            raise cpubone.Error(str(failure) or repr(failure))
        values = _tasks.parse(result_of(self._future, self._pool.patience_s), "answer")
        temperature = values.get("temperature_c")
        return str(values.get("answer")), temperature if isinstance(temperature, float) else None

    def cancel(self) -> None:
        if self._future is not None and self._pool.is_connected():
            self._pool.client.cancel([self._future], force=True)


class SshBoard:
    """A machine behind ssh, measured by `cpubone-profile`, which takes its agent there."""

    def __init__(self, url: str) -> None:
        self.name = url
        self._threads = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        self._future: Optional["concurrent.futures.Future[str]"] = None
        self._process: Optional["subprocess.Popen[str]"] = None

    def is_there(self) -> bool:
        return True

    def start(self, job: str, done: Callable[[], None]) -> None:
        self._future = self._threads.submit(self._measure, job)
        self._future.add_done_callback(lambda _: done())

    def has_answer(self) -> bool:
        return self._future is not None and self._future.done()

    def is_lost(self) -> bool:
        return False

    def answer(self) -> Tuple[str, Optional[float]]:
        assert self._future is not None
        return self._future.result(), None

    def cancel(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        self._threads.shutdown(wait=False)

    def _measure(self, job: str) -> str:
        values: Dict[str, Any] = json.loads(job)
        program = tool_path("profile")
        if program is None:
            raise cpubone.Error("cpubone-profile is not installed beside this package nor in PATH")
        settings = values["settings"]
        with tempfile.TemporaryDirectory(prefix="cpubone-fleet.") as folder:
            ops, output = Path(folder, "ops.txt"), Path(folder, "profile.json")
            ops.write_text("".join(f"{op}\n" for op in values["ops"]))
            command: List[str] = [os.fspath(program), "--device", self.name, "--ops", os.fspath(ops), "--quiet"]
            command += ["--threads", str(settings["threads"]), "--precision", settings["precision"]]
            command += ["--budget", f"{values['budget_s']:.1f}s", "--seed", str(values["seed"]), "-o", os.fspath(output)]
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            _, errors = self._process.communicate()
            if self._process.returncode != 0:
                lines = [line for line in errors.splitlines() if line.strip()]
                raise cpubone.Error(lines[-1][:400] if lines else f"exit status {self._process.returncode}")
            if output.stat().st_size > _tasks.MOST_BYTES:
                raise cpubone.Error(f"a profile of {output.stat().st_size} bytes, expected at most {_tasks.MOST_BYTES}")
            return output.read_text()
