import subprocess
import sys

import cpubone


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "cpubone", *arguments], capture_output=True, text=True, check=False)


def test_a_tool_runs_as_it_would_alone():
    result = run("predict", "--list", "--format", "json")
    assert result.returncode == 0
    assert '"cpubone-b0"' in result.stdout
    assert f"{cpubone.__version__}" in run("report", "--version").stdout


def test_help_tells_of_scripts_of_timm():
    assert "timm" in run("--help").stdout
    assert run("timm").returncode == 2


def test_wrong_usage_is_exit_code_2():
    result = run("measure")
    assert result.returncode == 2
    assert 'got "measure", expected one of explore, predict, profile, report' in result.stderr
    assert run().returncode == 2
    assert run("predict").returncode == 2


def test_help_lists_the_tools():
    result = run("--help")
    assert result.returncode == 0
    assert all(tool in result.stdout for tool in ("explore", "predict", "profile", "report"))
