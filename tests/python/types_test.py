import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")


def test_the_package_is_typed():
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", f"--cache-dir={Path.cwd() / '.mypy_cache'}"]
    result = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_stub_tells_what_the_extension_has(tmp_path):
    config = SOURCE / "pyproject.toml"
    # pybind11's metaclass, and constructors of classes that have none or tell no signature.
    allowed = tmp_path / "allowed"
    allowed.write_text("cpubone\\._core\\.[A-Z][A-Za-z]*\ncpubone\\._core\\.[A-Z][A-Za-z]*\\.__init__\n")
    command = [sys.executable, "-m", "mypy.stubtest", "cpubone._core", "--mypy-config-file", str(config)]
    command += ["--allowlist", str(allowed), "--ignore-unused-allowlist"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
