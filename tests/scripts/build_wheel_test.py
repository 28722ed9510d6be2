"""scripts/build-wheel says what it makes and from what, refuses a Python that it cannot build for, and what it packs is what
pyproject.toml promises. It builds nothing here: that takes minutes."""

import ast
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

script = Path(sys.argv[1])
root = script.parent.parent


def run(*arguments, **more):
    return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False, **more)


def refusal(folder, about, *arguments, **more):
    """What the script says of a Python that says this of itself."""
    python = Path(folder) / "python"
    python.write_text(f"#!/bin/sh\necho '{json.dumps(about)}'\n")
    python.chmod(0o755)
    ran = run(python, "-o", Path(folder) / "dist", *arguments, **more)
    assert ran.returncode == 1 and not (Path(folder) / "dist").exists(), ran
    return ran.stderr


def test_help_tells_what_is_made_and_of_what():
    ran = run("--help")
    assert ran.returncode == 0
    for word in ("PYTHON", "--xnnpack", "--aarch64", "--output", "CMAKE_ARGS", "auditwheel", "glibc"):
        assert word in ran.stdout, word


def test_an_unknown_xnnpack_is_wrong_usage():
    ran = run("--xnnpack", "newest")
    assert ran.returncode == 2
    assert "'upstream', 'system'" in ran.stderr


def test_a_python_that_cannot_be_built_for_is_refused_with_what_it_lacks():
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Python.h").touch()
        assert "is Python 3.8, expected 3.9 or newer" in refusal(folder, [[3, 8], "cpython-38", folder, True])
        assert "install its headers (python3-dev on Debian)" in refusal(folder, [[3, 9], "cpython-39", "/nowhere", True])
        assert "(python3-venv on Debian)" in refusal(folder, [[3, 9], "cpython-39", folder, None])
    ran = run("/nowhere/python")
    assert ran.returncode == 1
    assert "/nowhere/python is no Python that runs" in ran.stderr


def test_a_wheel_for_arm_is_refused_with_what_is_not_installed():
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Python.h").touch()
        about = [[3, 11], "cpython-311", folder, True]
        nothing = {"PATH": folder}
        assert "no aarch64-linux-gnu-g++ here: install g++-aarch64-linux-gnu" in refusal(folder, about, "--aarch64", env=nothing)
        (Path(folder) / "aarch64-linux-gnu-g++").symlink_to(sys.executable)
        assert "no qemu-aarch64 here: install qemu-user" in refusal(folder, about, "--aarch64", env=nothing)


def test_every_tool_is_a_command_of_the_wheel_and_packed_into_it():
    project = (root / "pyproject.toml").read_text()
    commands = dict(re.findall(r'^cpubone-(\w+) = "cpubone\.__main__:(\w+)"$', project, re.MULTILINE))
    main = ast.parse((root / "python/cpubone/__main__.py").read_text())
    functions = {node.name for node in main.body if isinstance(node, ast.FunctionDef)}
    tools = set(re.findall(r"^ *cpubone_tool\((\w+)", (root / "cli/CMakeLists.txt").read_text(), re.MULTILINE))
    assert set(commands) == tools
    assert set(commands.values()) <= functions
    packed = (root / "python/CMakeLists.txt").read_text().split("if(SKBUILD)")[1]
    assert all(f"cpubone-{tool}" in packed for tool in tools)


tests = [test for name, test in list(globals().items()) if name.startswith("test_")]
for test in tests:
    test()
print(f"{len(tests)} passed, 0 failed")
