"""Every command and code block of README and docs is run as it stands, page by page, on a machine that has a profile.

A block that cannot run here has the line `<!-- not run: reason -->` before it.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cpubone
from cpubone import _core
from cpubone.__main__ import tool_path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "python" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Where a page leaves to defaults how long something takes, it takes seconds here.
QUICK = """import functools, cpubone
cpubone.explore = functools.partial(cpubone.explore, evaluations=3000)
measure = cpubone.profile
cpubone.profile = lambda *what, budget_s, **how: measure(*what, budget_s=min(budget_s, 3), **how)
"""
BLOCK = re.compile(r"^(?P<before>[^\n]*)\n```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"\n\n    (?:\$ )?(?:cpubone-\w+|make|cmake|scripts/\S+|pip|python3?|import) .*")


def blocks(page):
    """Language and text of the blocks that are to be run."""
    return [
        (block["language"], block["text"])
        for block in BLOCK.finditer(page.read_text())
        if not block["before"].startswith("<!-- not run: ")
    ]


@pytest.fixture(scope="module")
def cache(tmp_path_factory, profile):
    """A cache with a profile of this machine, whose operators were not measured: that takes minutes."""
    op = str(next(iter(cpubone.network("nano").executed().nodes)).op)
    here = json.loads(cpubone.profile(ops=[op], budget_s=1, progress=False).json())
    here["ops"] = json.loads(profile.json())["ops"]
    folder = tmp_path_factory.mktemp("cache")
    name = Path(_core.host_profile_path(_core.MeasureSettings(threads=1, dtype="f32", cache="cold", cpus=[]))).name
    (folder / "cpubone").mkdir()
    (folder / "cpubone" / name).write_text(json.dumps(here))
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory, cache):
    """The tools as a user has them, but that what takes minutes takes seconds, and that pictures of charts, which take longer
    than a search, are not drawn: without a PATH tools find no node. `tests/reports` and `exploring_test` draw them."""
    folder = tmp_path_factory.mktemp("bin")
    for tool, less in {
        "explore": {"--budget": "10s", "--evaluations": "3000"},
        "profile": {"--budget": "5s"},
        "predict": {},
        "report": {},
    }.items():
        lines = [f'[[ " $* " == *" {option} "* ]] || set -- "$@" {option} {value}' for option, value in less.items()]
        program = folder / f"cpubone-{tool}"
        program.write_text("\n".join(["#!/usr/bin/env bash", *lines, f'PATH= exec "{tool_path(tool)}" "$@"', ""]))
        program.chmod(0o755)
    (folder / "python3").symlink_to(sys.executable)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(cache)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_run_as_they_stand(page, environment, tmp_path):
    for language, text in blocks(page):
        if language == "json":
            json.loads(text)
        if language not in ("sh", "python"):
            continue
        command = ["bash", "-euo", "pipefail", "-c", text] if language == "sh" else ["python3", "-c", QUICK + text]
        ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{text}\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_stand_in_blocks_of_their_language(page):
    assert INDENTED.findall(page.read_text()) == []


def test_the_site_builds(tmp_path):
    ran = subprocess.run(
        ["/usr/bin/mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (tmp_path / "tutorial" / "index.html").is_file()
