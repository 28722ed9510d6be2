#!/usr/bin/env python3
"""Interrupts a search that would take an hour, and checks that it ends with a result and can be resumed.

interrupt.py TOOL: ends by its caller's time limit where the interruption is not honoured.
"""
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        command = [sys.argv[1], "--device", "pi5", "--quiet", "--evaluations", "1000000000", "--budget", "2h", "-o", str(out)]
        networks = out / "search.json.networks"
        before = 0
        for arguments in [[], ["--resume"]]:
            search = subprocess.Popen(command + arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            while not (networks.exists() and networks.stat().st_size > before):
                assert search.poll() is None, search.communicate()
                time.sleep(0.01)
            search.send_signal(signal.SIGINT)
            output, _ = search.communicate()
            assert "interrupted" in output, output
            assert search.returncode == 1, search.returncode
            distinct = json.loads((out / "result.json").read_text())["search"]["distinct"]
            assert networks.stat().st_size == 8 * distinct, (networks.stat(), distinct)
            assert 8 * distinct > before, (distinct, before)
            before = 8 * distinct


if __name__ == "__main__":
    main()
