#!/usr/bin/env python3
"""How cpubone-explore ends where another has its folder, and where it is interrupted: explore.py TOOL FOLDER."""
import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

tool, folder = sys.argv[1], pathlib.Path(sys.argv[2])
command = [tool, "--device", "pi5", "--quiet", "-o", str(folder)]


def expect(what, holds):
    if not holds:
        sys.exit(f"expected: {what}")


shutil.rmtree(folder, ignore_errors=True)
folder.mkdir(parents=True)
lock = os.open(folder, os.O_RDONLY)
fcntl.flock(lock, fcntl.LOCK_EX)
locked = subprocess.run([*command, "--evaluations", "2000"], capture_output=True, text=True, check=False)
expect("1 where another writes there", locked.returncode == 1)
expect("a line that says so", "another exploration is writing there" in locked.stderr)
expect("nothing written", not list(folder.iterdir()))
os.close(lock)

running = subprocess.Popen([*command, "--evaluations", "100000000"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
while not (folder / "search.json").exists() and running.poll() is None:
    time.sleep(0.05)
running.send_signal(signal.SIGINT)
_, error = running.communicate()
expect("1 where it was interrupted", running.returncode == 1)
expect("what to do next", "the same command with --resume goes on" in error)
found = json.loads((folder / "result.json").read_text())
expect("a result", any(network["origin"] == "proposal" for network in found["networks"]))
expect("a checkpoint", (folder / "search.json").exists())
