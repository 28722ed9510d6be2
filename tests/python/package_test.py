import subprocess
import sys

import cpubone


def run(code, *options):
    return subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=False)


def test_every_public_name_is_there_and_documented():
    for name in cpubone.__all__:
        value = getattr(cpubone, name)
        assert name.startswith("_") or isinstance(value, int) or value.__doc__, name
    assert set(cpubone.__all__) <= set(dir(cpubone))


def test_importing_needs_neither_numpy_nor_pandas_nor_torch():
    code = "import sys, cpubone; cpubone.network('b0').macs; print([m for m in ('numpy', 'pandas', 'torch') if m in sys.modules])"
    assert run(code).stdout.strip() == "[]"


def test_a_missing_extension_asks_whether_it_was_built():
    result = run("import sys; sys.modules['cpubone._core'] = None; import cpubone")
    assert "Did you forget to build?" in result.stderr


def test_an_unknown_name_is_an_attribute_error():
    assert "has no attribute 'nothing'" in run("import cpubone; cpubone.nothing").stderr
