#!/usr/bin/env python3
"""Runs cpubone-profile over ssh against an sshd of its own on the loopback address."""
import argparse
import functools
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import sshd  # noqa: E402

SKIPPED = 77
OPS = [f"conv2d 1x14x14x{16 * i}->1x14x14x16 k1x1 s1 p0,0,0,0 g1 f32" for i in range(1, 41)]


class Cutter:
    """Forwards connections to a port; closes the second one, the first run, once some rounds of its journal came."""

    AFTER_BYTES = 12_000  # a handshake and the journal's header are less, the whole run is more

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        self.cuts = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self.target))
            limit = self.AFTER_BYTES if self.connections == 2 else None
            threading.Thread(target=self.pump, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, limit), daemon=True).start()

    def pump(self, a, b, limit):
        sent = 0
        try:
            while data := a.recv(1 << 16):
                b.sendall(data)
                sent += len(data)
                if limit and sent > limit:
                    self.cuts += 1
                    break
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Device(sshd.Sshd):
    """What `--device ssh://...` reaches."""

    def __init__(self, folder, program):
        super().__init__(folder)
        self.program = program

    def profile(self, *arguments, port=None, key="user"):
        environment = {**os.environ, "CPUBONE_SSH": self.ssh(port, key), "XDG_CACHE_HOME": str(self.folder / "cache")}
        environment.pop("SSH_AUTH_SOCK", None)
        run = subprocess.run(
            [self.program, "--device", self.url(port), "--ops", self.folder / "ops.txt", *arguments],
            env=environment, capture_output=True, text=True, timeout=120)
        return run


def ops_of(path):
    return {record["op"] for record in json.loads(pathlib.Path(path).read_text())["ops"]}


def all_are_there(run, output):
    """What was asked for is measured, or a slow machine says that it had no time for it."""
    measured = ops_of(output)
    late = len(OPS) - len(measured)
    assert measured and (late == 0 or f"the budget ended before {late} of {len(OPS)} could be" in run.stderr), run.stderr


def one_error_line(run, expected):
    lines = [line for line in run.stderr.splitlines() if line.startswith("cpubone-profile:")]
    assert run.returncode == 1, (run.returncode, run.stderr)
    assert len(lines) == 1 and expected in lines[0], run.stderr


def measures_a_profile(device):
    output = device.folder / "whole.json"
    run = device.profile("--budget", "8s", "-o", output)
    assert run.returncode == 0, run.stderr
    all_are_there(run, output)
    assert not list(device.folder.glob("whole.json.journal*"))


def goes_on_after_a_cut_connection(device):
    cutter = Cutter(device.port)
    output = device.folder / "cut.json"
    run = device.profile("--budget", "8s", "-o", output, port=cutter.port)
    assert run.returncode == 0, run.stderr
    assert cutter.cuts == 1, cutter.connections
    assert "connection lost" in run.stderr, run.stderr
    all_are_there(run, output)


def tells_of_a_full_disk(device):
    small = device.folder / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", small], capture_output=True).returncode:
        print("  (no right to mount a small disk: not tested)")
        return
    try:
        device.start(small)
        one_error_line(device.profile("--budget", "3s"), "No space left on device")
        time.sleep(0.5)
        assert not list(small.iterdir())
    finally:
        device.start(device.remote_tmp)
        subprocess.run(["umount", "-l", small], check=True)


def tells_of_a_wrong_key(device):
    one_error_line(device.profile("--budget", "3s", key="stranger"), "Permission denied")


def tells_of_an_unknown_host(device):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", device.folder / "other"], check=True)
    right = (device.folder / "host.pub").read_text()
    try:
        (device.folder / "host.pub").write_text((device.folder / "other.pub").read_text())
        one_error_line(device.profile("--budget", "3s"), "Host key verification failed")
    finally:
        (device.folder / "host.pub").write_text(right)


def tells_of_an_agent_of_another_version(device):
    agent = device.folder / "agent"
    agent.mkdir()
    (agent / "cpubone-profile").write_text("#!/bin/sh\necho 9.9.9\n")
    one_error_line(device.profile("--budget", "3s", "--agent", agent), "the agent is of version 9.9.9")


def refuses_an_emulated_agent(device, agent):
    build = pathlib.Path(agent or "").parent.parent
    program = pathlib.Path(agent or "") / "cpubone-profile"
    if not program.is_file() or not shutil.which("qemu-aarch64"):
        print("  (no aarch64 agent: not tested)")
        return
    emulated = device.folder / "emulated"
    emulated.mkdir()
    (emulated / "cpubone-profile").write_text(
        f'#!/bin/sh\nexec qemu-aarch64 -L {build}/aarch64-sysroot {program} "$@"\n')
    one_error_line(device.profile("--budget", "3s", "--agent", emulated), "emulator")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--agent", help="folder with an agent that runs under qemu-aarch64")
    arguments = parser.parse_args()
    if not sshd.is_here():
        print("no sshd here")
        return SKIPPED
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "ops.txt").write_text("\n".join(OPS) + "\n")
        device = Device(folder, arguments.program)
        try:
            for check in (measures_a_profile, goes_on_after_a_cut_connection, tells_of_a_full_disk, tells_of_a_wrong_key,
                          tells_of_an_unknown_host, tells_of_an_agent_of_another_version,
                          functools.partial(refuses_an_emulated_agent, agent=arguments.agent)):
                print(getattr(check, "func", check).__name__, flush=True)
                check(device)
                device.nothing_is_left()
        finally:
            device.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
