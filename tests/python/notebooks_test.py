"""Runs the notebooks on a prepared profile of this machine, with small budgets."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cpubone

NOTEBOOKS = Path(__file__).resolve().parent.parent.parent / "python" / "notebooks"
MISSING = [name for name in ("nbclient", "nbformat", "ipykernel", "pandas") if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}"),
    pytest.mark.skipif(not cpubone._core.has_xnnpack, reason="built without XNNPACK"),
]

RUN = """
import sys, nbformat, nbclient
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
for cell in notebook.cells:
    for output in cell.get("outputs", []):
        print(sorted(output.get("data", {})))
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory, profile):
    """A cache folder where this machine has a profile: the paper device's numbers under its own description."""
    here = json.loads(cpubone.profile(ops=cpubone.operators(count=1), budget_s=0.05, progress=False).json())
    here.update(ops=json.loads(profile.json())["ops"], warnings=[])
    folder = tmp_path_factory.mktemp("cache")
    settings = cpubone._core.MeasureSettings(threads=1, dtype="f32", cache="cold", cpus=[])
    name = Path(cpubone._core.host_profile_path(settings)).name
    (folder / "cpubone").mkdir()
    (folder / "cpubone" / name).write_text(json.dumps(here))
    return folder


@pytest.mark.parametrize("name", sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")))
def test_a_notebook_runs(name, cache, tmp_path):
    if "pytorch" in name and importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    if "shelf" in name and importlib.util.find_spec("distributed") is None:
        pytest.skip("dask.distributed is not installed")
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(cache),
        "CPUBONE_NOTEBOOK_BUDGET_S": "3",
        "CPUBONE_NOTEBOOK_EVALUATIONS": "2000",
        "CPUBONE_NOTEBOOK_MEASURE_S": "0",
        "CPUBONE_NOTEBOOK_FOLDER": str(tmp_path / "out"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "PYTHONPATH": str(Path(cpubone.__file__).absolute().parent.parent),
        "PYTHONWARNINGS": "ignore",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    command = [sys.executable, "-c", RUN, str(NOTEBOOKS / f"{name}.ipynb")]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stderr[-4000:]
    if name == "explore_and_report":
        assert "application/vnd.vegalite.v5+json" in result.stdout
        assert (tmp_path / "out" / "report.html").exists()


def test_notebooks_are_stored_without_outputs():
    for path in NOTEBOOKS.glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in cells), path.name
