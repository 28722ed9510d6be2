"""scripts/install-dependencies --dry-run says what is missing, and what for, and installs nothing."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

script = Path(sys.argv[1])
with tempfile.TemporaryDirectory() as folder:
    # A machine that has nothing, and where installing anything ends badly.
    for program in ("dpkg-query", "apt-get", "sudo"):
        stub = Path(folder) / program
        stub.write_text("#!/bin/sh\nexit 1\n")
        stub.chmod(0o755)
    ran = subprocess.run(
        [script, "--dry-run", "--test"],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
assert ran.returncode == 0, ran.stderr
lines = dict(line.split(": ", 1) for line in ran.stdout.splitlines())
assert "libxnnpack-dev" in lines["would install to build"]
assert "catch2" in lines["would install to test"]
wrong = subprocess.run([script, "--tests"], capture_output=True, text=True, check=False)
assert wrong.returncode == 2
assert "got --tests, expected --test, --check, --upstream or --dry-run" in wrong.stderr
print("2 passed, 0 failed")
