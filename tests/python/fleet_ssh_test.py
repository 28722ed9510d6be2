"""Boards behind a real sshd of this machine, which measures for them."""

import sys
import time
from pathlib import Path

import pytest

import cpubone
from cpubone.__main__ import tool_path

pytest.importorskip("distributed")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import sshd  # noqa: E402
from cpubone import fleet  # noqa: E402
from cpubone.fleet import _boards, _tasks  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not sshd.is_here(), reason="no sshd here"),
    pytest.mark.skipif(tool_path("profile") is None, reason="built without XNNPACK"),
]
OPS = [f"conv2d 1x14x14x{16 * i}->1x14x14x16 k1x1 s1 p0,0,0,0 g1 f32" for i in range(1, 14)]


@pytest.fixture
def device(tmp_path, monkeypatch):
    device = sshd.Sshd(tmp_path)
    monkeypatch.setenv("CPUBONE_SSH", device.ssh())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    yield device
    device.stop()


def test_a_board_whose_connection_is_cut_is_waited_for(device, capfd):
    url = device.url()
    said = []
    cut = []

    def watch(table):
        said.append(capfd.readouterr().err)
        if not cut and list(device.remote_tmp.iterdir()):  # the agent is there
            time.sleep(1.0)  # it measures by then; cut before that it would be a connection that was never made
            device.cut()
            cut.append(True)
        elif cut and device.process is None and "went away" in "".join(said):
            device.start()
        rows[:] = table

    rows = []
    # One machine measures now and then at another pace, which is not what is tested.
    shelf = fleet.profile({"bench": [url]}, ops=OPS, budget_s=1, tolerance=9.0, patience_s=60.0, progress=watch)["bench"]
    text = "".join(said) + capfd.readouterr().err
    assert cut and f"bench: {url} went away; others take its work, or it does when it is back (" in text
    assert "connection lost: " in text and f"bench: {url} is back" in text
    assert sorted(str(record.op) for record in shelf.profile.ops) == sorted(OPS)  # each once
    assert not shelf.set_aside and list(shelf.boards) == [url] and rows[0].rejected == 0
    assert _boards.temperature_c(url) is None or abs(_boards.temperature_c(url) - _tasks.temperature_c()) < 20
    device.nothing_is_left()


def test_a_board_that_is_never_reached_is_named(device):
    device.cut()
    with pytest.raises(cpubone.Error, match="no board is left to measure 13 of 13 .*connection lost: .*refused"):
        fleet.profile({"bench": [device.url()]}, ops=OPS, budget_s=1, patience_s=1.0, progress=False)


def test_the_hottest_zone_is_told():
    assert _tasks.hottest_c(["47000\n", "no number", "51500\n"]) == 51.5
    assert _tasks.hottest_c([]) is None
