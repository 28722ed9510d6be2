#!/usr/bin/env python3
"""Kills cpubone-profile at random moments, resumes it, and checks that nothing is lost or torn."""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time


def records(path: pathlib.Path) -> list:
    profile = json.loads(path.read_text(encoding="utf-8"))
    assert profile["schema"] == "cpubone/profile/1", profile["schema"]
    return sorted(record["op"] for record in profile["ops"])


def whole_lines(journal: pathlib.Path) -> list:
    text = journal.read_bytes() if journal.exists() else b""
    return [json.loads(line) for line in text.split(b"\n")[:-1]]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("ops")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--budget", default="30s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=0, help="seconds before a kill; 0: a run's")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        command = [arguments.tool, "--ops", arguments.ops, "--budget", arguments.budget, "--quiet",
                   "--format", "csv"]
        reference = pathlib.Path(folder, "reference.json")
        begin = time.monotonic()
        subprocess.run(command + ["-o", reference], check=True, stdout=subprocess.DEVNULL)
        longest = arguments.longest or time.monotonic() - begin
        expected = records(reference)
        killed = 0
        resumed_samples = 0
        for i in range(arguments.times):
            output = pathlib.Path(folder, f"{i}.json")
            journal = pathlib.Path(folder, f"{i}.json.journal")
            run = subprocess.Popen(command + ["-o", output], stdout=subprocess.DEVNULL)
            try:
                run.wait(chance.uniform(0, longest))
            except subprocess.TimeoutExpired:
                run.kill()
                killed += 1
            run.wait()
            rounds = whole_lines(journal)[1:]
            seconds = rounds[-1]["seconds"] if rounds else 0
            resumed_samples += sum(len(line["samples"]) for line in rounds)
            subprocess.run(command + ["-o", output, "--resume"], check=True,
                           stdout=subprocess.DEVNULL)
            assert records(output) == expected, f"run {i}: other records"
            assert not journal.exists(), f"run {i}: the journal is left"
            profile = json.loads(output.read_text(encoding="utf-8"))
            assert profile["seconds"] >= seconds, f"run {i}: the killed run does not count"
            assert not list(pathlib.Path(folder).glob(f"{i}.json.??????")), f"run {i}: files left"
    print(f"{killed} of {arguments.times} runs killed, {resumed_samples} samples taken over, "
          f"{len(expected)} records in each")
    return 0


if __name__ == "__main__":
    sys.exit(main())
