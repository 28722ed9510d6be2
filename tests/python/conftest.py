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
def profile():
    """Operators of two networks, measured here for about a second: values that nobody relies on."""
    wanted = ["b0", "mobileone-s0"]
    ops = {str(node.op) for name in wanted for node in cpubone.network(name).executed().nodes}
    return cpubone.profile(ops=sorted(ops), networks=["nano"], budget_s=1.5, progress=False)


@pytest.fixture(scope="session")
def predictor(profile):
    return cpubone.Predictor.fit(profile)
