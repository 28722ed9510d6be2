"""What boards measured, or islands found, so far, so that a run that was killed goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, List, Optional

import cpubone
from cpubone.fleet import _tasks


class Journal:
    """JSON lines: a header that tells the plan, then an accepted answer a line, each synced; a torn end is cut off."""

    def __init__(self, path: Optional[Path], plan: str, resume: bool) -> None:
        self.known: List[Dict[str, Any]] = []
        self._file: Any = None
        if path is None:
            return
        header = {"schema": "cpubone/fleet-journal/1", "plan": plan}
        length = 0
        if resume and path.exists():
            length = self._read(path, header)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "ab")
        self._file.truncate(length)
        if length == 0:
            self._write(header)

    def add(self, entry: Dict[str, Any]) -> None:
        if self._file is not None:
            self._write(entry)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _write(self, values: Dict[str, Any]) -> None:
        self._file.write(json.dumps(values).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self, path: Path, header: Dict[str, Any]) -> int:
        length = 0
        with open(path, "rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_tasks.MOST_BYTES), b""), start=1):
                if not line.endswith(b"\n"):
                    break
                values = _tasks.parse(line.decode("utf-8", "replace"), f"{path}:{number}")
                if number == 1 and values != header:
                    raise cpubone.Error(
                        f"{path}: is of a run with another plan (what is measured or searched, settings or seed); delete it, "
                        "or run without resume"
                    )
                if number > 1:
                    self.known.append(values)
                length += len(line)
        return length
