"""Fixtures that the Python tests share."""

import json
from pathlib import Path

import pytest

import cpubone

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


@pytest.fixture(scope="session")
def golden():
    """Facts of a network by name."""

    def load(name):
        return json.loads((FIXTURES / "golden" / f"{name}.json").read_text())

    return load


@pytest.fixture(scope="session")
def measured():
    """A short measurement of this machine, whose values nobody relies on."""
    ops = {str(node.op) for node in cpubone.network("mobileone-s0").executed().nodes}
    return cpubone.profile(ops=sorted(ops), networks=["nano"], budget_s=4, progress=False)


@pytest.fixture(scope="session")
def profile():
    """Of a device that reaches 10 GMACpS and 5 GB/s, with 1 us an operator: no measurement."""
    # Every class of operators of the zoo.
    names = ("b0", "nano", "lowformer-b0", "mobileone-s4", "fasternet-t0", "resnet18", "mobilenetv3-small-100")
    names += ("shufflenetv2-x1-0", "ghostnet-130", "efficientnet-b0", "mobilenetv4-conv-small", "repvit-m0-9")
    samples = cpubone.SearchSpace.default().sample(25, seed=2)
    networks = [cpubone.network(what) for what in (*names, *samples)]
    ops = {str(node.op): node.op for network in networks for node in network.executed().nodes}

    def record(op):
        ns = 1000 + op.macs / 10 + (op.weight_bytes + op.input_bytes + op.output_bytes) / 5
        return {
            "op": str(op),
            "engine": "xnnpack",
            "median_ns": ns,
            "low_ns": ns,
            "high_ns": ns,
            "mdape": 0.0,
            "samples_ns": [ns] * 5,
            "runs_per_sample": 1,
            "disturbed": False,
        }

    device = {
        "name": "paper",
        "cpu": "Paper CPU",
        "architecture": "x86_64",
        "features": ["avx2"],
        "cores": 4,
        "l1d_bytes": 32768,
        "l2_bytes": 524288,
        "llc_bytes": 4194304,
        "memory_bytes": 0,
        "runtime": "none",
        "runtime_hash": "",
        "kernel": "",
        "governor": "",
        "frequency_mhz": 0,
        "compiler": "",
    }
    values = {
        "schema": "cpubone/profile/1",
        "fingerprint": "75c727d49be4f5b6",
        "device": device,
        "settings": {"threads": 1, "precision": "f32", "cache": "cold", "cpus": []},
        "tool_version": cpubone.__version__,
        "created": "2026-01-31T12:00:00Z",
        "seconds": 0.0,
        "ops": [record(op) for op in ops.values()],
        "networks": [],
        "warnings": [],
    }
    return cpubone.Profile.from_json(json.dumps(values))


@pytest.fixture(scope="session")
def predictor(profile):
    return cpubone.Predictor.fit(profile)
