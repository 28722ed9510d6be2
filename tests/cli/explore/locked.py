#!/usr/bin/env python3
"""How cpubone-explore ends where another has its folder: locked.py TOOL FOLDER."""
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys

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
