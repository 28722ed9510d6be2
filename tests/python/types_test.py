import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")


def test_the_package_is_typed(tmp_path):
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", f"--cache-dir={tmp_path}"]
    result = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_stub_tells_what_the_extension_has(tmp_path):
    command = [sys.executable, "-m", "mypy.stubtest", "cpubone._core", "--mypy-config-file", str(SOURCE / "pyproject.toml")]
    allowed = tmp_path / "allowed"
    # Names of the stub alone, and signatures that a C function does not tell.
    allowed.write_text("cpubone._core._Path\ncpubone._core._Array\ncpubone._core._Progress\n")
    command += ["--allowlist", str(allowed), "--ignore-positional-only"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert result.returncode == 0, result.stdout + result.stderr
