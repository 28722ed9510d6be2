#!/usr/bin/env python3
"""Checks what cpubone-profile writes: JSON that agrees with its file, and files that grow."""
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile


def run(*command, code=0):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == code, (done.returncode, done.stderr)
    return done


def main() -> int:
    tool, ops = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder, "profile.json")
        common = [tool, "--budget", "2s", "-o", output, "--format", "json"]
        listed = json.loads(run(*common, "--network", ops / "tiny.json").stdout)
        assert [network["name"] for network in listed] == ["tiny"]
        network = listed[0]
        assert network["source"] == "measured"
        assert network["macs"] == 8 * 8 * 4 * 27 and network["params"] == 112, network
        assert network["latency_low_ms"] <= network["latency_ms"] <= network["latency_high_ms"]
        total = sum(op["latency_ms"] for op in network["ops"])
        assert math.isclose(total, network["latency_ms"], rel_tol=1e-9), total
        assert sum(op["macs"] for op in network["ops"]) == network["macs"]
        assert math.isclose(network["gmacps"], network["macs"] / network["latency_ms"] / 1e6)
        if "plain_posix" in sys.argv:  # no C library is asked what it has given out
            assert network["peak_memory_bytes"] == 0, network["peak_memory_bytes"]
            table = run(tool, "--budget", "1s", "-o", pathlib.Path(folder, "table.json"), "--network", ops / "tiny.json").stdout
            (row,) = [line.split() for line in table.splitlines() if line.startswith("tiny ")]
            assert row[7] == "–", table
        elif not {"ASAN_OPTIONS", "TSAN_OPTIONS"} & set(os.environ):  # their allocators do not count
            assert network["peak_memory_bytes"] >= 112 * 4 + 8 * 8 * 7 * 4, network["peak_memory_bytes"]

        measured = json.loads(run(*common, "--ops", ops / "three.ops").stdout)
        assert len(measured) == 3
        assert {op["engine"] for op in measured} == {"xnnpack", "eigen"}
        profile = json.loads(output.read_text(encoding="utf-8"))
        assert len(profile["ops"]) == 3 and len(profile["networks"]) == 1
        assert not pathlib.Path(f"{output}.journal").exists()

        refused = run(*common, "--ops", ops / "three.ops", "--cache", "hot", code=1).stderr
        assert 'cache mode is "hot" in one and "cold" in the other' in refused, refused
        assert profile == json.loads(output.read_text(encoding="utf-8"))

        quiet = run(*common, "--ops", ops / "three.ops", "--quiet")
        assert all(line.startswith("warning: ") for line in quiet.stderr.splitlines()), quiet.stderr
    print("profiles grow")
    return 0


if __name__ == "__main__":
    sys.exit(main())
