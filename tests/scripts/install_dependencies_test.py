"""scripts/install-dependencies --dry-run says what is missing, and what for, and installs nothing."""

import os
import shutil
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

# A Fedora, where cmake and dnf are and nothing else.
with tempfile.TemporaryDirectory() as folder:
    for program in ("bash", "dirname", "id"):
        (Path(folder) / program).symlink_to(shutil.which(program))
    for program, text in {"dnf": "exit 1", "rpm": '[ "$3" = cmake ]'}.items():
        stub = Path(folder) / program
        stub.write_text(f"#!{shutil.which('bash')}\n{text}\n")
        stub.chmod(0o755)

    def run(*arguments):
        command = [Path(folder) / "bash", script, *arguments]
        return subprocess.run(command, env={"PATH": folder}, capture_output=True, text=True, check=False)

    ran = run("--dry-run", "--upstream")
    assert ran.returncode == 0, ran.stderr
    lines = dict(line.split(": ", 1) for line in ran.stdout.splitlines())
    names = lines["would install to build"].split()
    assert "xnnpack-devel" in names and "gcc-c++" in names and "cmake" not in names
    assert not any(name.endswith("-dev") for name in names)
    assert lines["would install for the charts of reports"] == "librsvg2-tools nodejs nodejs-npm"
    assert lines["would install to build XNNPACK"] == "clang"
    refused = run("--dry-run", "--test")
    assert refused.returncode == 1
    assert "--test and --check know Debian's packages only, got dnf" in refused.stderr
    # And a system that has neither.
    (Path(folder) / "dnf").unlink()
    neither = run("--dry-run")
    assert neither.returncode == 1
    assert "got neither apt-get, dnf nor brew" in neither.stderr
    # And one with Homebrew, which has cmake and installs without root.
    brew = Path(folder) / "brew"
    brew.write_text(f"#!{shutil.which('bash')}\n[ \"$1\" = install ] && echo \"$@\" >{folder}/installed || [ \"$3\" = cmake ]\n")
    brew.chmod(0o755)
    refused = run("--dry-run")
    assert refused.returncode == 1
    assert "Homebrew has no XNNPACK, expected --upstream" in refused.stderr
    ran = run("--upstream", "--dry-run")
    assert ran.returncode == 0, ran.stderr
    lines = dict(line.split(": ", 1) for line in ran.stdout.splitlines())
    names = lines["would install to build"].split()
    assert "nlohmann-json" in names and "cmake" not in names
    assert not (Path(folder) / "installed").exists()
    ran = run("--upstream")
    assert ran.returncode == 0, ran.stderr
    assert "Installing by brew, to build XNNPACK: llvm" in ran.stdout
    assert (Path(folder) / "installed").read_text() == "install --quiet llvm\n"
print("8 passed, 0 failed")
