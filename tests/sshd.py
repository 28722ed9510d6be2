"""An sshd of its own on the loopback address, for tests."""
import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path


def is_here():
    """Whether this machine has what it needs."""
    return bool(shutil.which("sshd") or os.path.exists("/usr/sbin/sshd")) and all(map(shutil.which, ("ssh", "ssh-keygen")))


class Sshd:
    """Keys and configuration are in a folder; what runs there has a folder for its temporary files, `remote_tmp`."""

    def __init__(self, folder):
        self.folder = folder
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.remote_tmp = folder / "remote-tmp"
        self.remote_tmp.mkdir()
        for key in ("host", "user", "stranger"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        shutil.copy(folder / "user.pub", folder / "authorized")
        (folder / "authorized").chmod(0o600)
        self.process = None
        self.start(self.remote_tmp)

    def start(self, remote_tmp=None):
        self.stop()
        config = self.folder / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\nPidFile none\n"
            f"AuthorizedKeysFile {self.folder}/authorized\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            f"SetEnv TMPDIR={remote_tmp or self.remote_tmp}\n")
        with open(self.folder / "sshd.log", "ab") as log:
            self.process = subprocess.Popen([shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", config], stderr=log)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("sshd did not start: " + (self.folder / "sshd.log").read_text())

    def stop(self):
        """Accepts no more connections; those that there are stay."""
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def cut(self):
        """Like a cable that is pulled: connections end, and none is accepted; what runs there has to notice."""
        sessions = sessions_of(self.process.pid)
        self.stop()
        for pid in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def url(self, port=None):
        return f"ssh://{getpass.getuser()}@127.0.0.1:{port or self.port}"

    def ssh(self, port=None, key="user"):
        """The command that reaches it, for $CPUBONE_SSH."""
        (self.folder / "known_hosts").write_text(
            f"[127.0.0.1]:{port or self.port} " + (self.folder / "host.pub").read_text())
        config = self.folder / "ssh_config"
        config.write_text(f"IdentityFile {self.folder}/{key}\nIdentitiesOnly yes\nStrictHostKeyChecking yes\n"
                          f"UserKnownHostsFile {self.folder}/known_hosts\nGlobalKnownHostsFile /dev/null\n")
        return f"ssh -F {config}"

    def nothing_is_left(self):
        for _ in range(100):
            if not list(self.remote_tmp.iterdir()):
                return
            time.sleep(0.1)
        raise AssertionError(f"left behind: {list(self.remote_tmp.iterdir())}")


def sessions_of(pid):
    """The processes of an sshd that serve a connection, but not what they have started."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text().startswith("sshd"):
                found += [int(child), *sessions_of(child)]
    return found
