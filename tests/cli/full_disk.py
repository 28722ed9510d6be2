#!/usr/bin/env python3
"""Runs a tool into folders on ever larger disks, which all fill up, and checks that it says so and leaves nothing torn.

full_disk.py TOOL ARGUMENT...: the folder is added as -o. The disks are of a mount namespace of their own.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

NAMESPACE = ["unshare", "--map-root-user", "--mount"]
SHARES = [0.005, 0.02, 0.1, 0.4, 0.9]  # of what the tool writes
SKIPPED = 77


def is_whole(file: pathlib.Path) -> bool:
    if file.suffix == ".networks":  # appended to; a checkpoint says how much of it counts
        return True
    content = file.read_bytes()
    if file.suffix == ".json":
        json.loads(content)
    ends = {".html": b"</html>\n", ".svg": b"</svg>", ".png": b"IEND\xaeB`\x82", ".csv": b"\n", ".md": b"\n", ".json": b"\n"}
    return content.endswith(ends[file.suffix])  # and no other kind, so no temporary file


def fills(size_kib: int, tool: str, *arguments: str) -> int:
    """Files that the tool wrote before the disk was full."""
    with tempfile.TemporaryDirectory() as disk:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "none", disk], check=True)
        try:
            done = subprocess.run([tool, *arguments, "-o", f"{disk}/out"], capture_output=True, text=True)
            errors = [line for line in done.stderr.splitlines() if line.startswith(pathlib.Path(tool).name)]
            assert done.returncode == 1 and len(errors) == 1, (size_kib, done)
            assert "No space left on device" in errors[0] and disk in errors[0], errors
            files = [file for file in pathlib.Path(disk).rglob("*") if file.is_file()]
            for file in files:
                assert is_whole(file), f"{file} is torn on a disk of {size_kib} KiB"
            return len(files)
        finally:
            subprocess.run(["umount", disk], check=True)


def main() -> int:
    if "CPUBONE_OWN_MOUNTS" not in os.environ:
        if subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode:
            print("skipped: no right to mount a small disk")
            return SKIPPED
        return subprocess.run([*NAMESPACE, sys.executable, *sys.argv], env={**os.environ, "CPUBONE_OWN_MOUNTS": "1"}).returncode
    tool, *arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([tool, *arguments, "-o", f"{folder}/out"], capture_output=True, check=True)
        whole_kib = sum(file.stat().st_size for file in pathlib.Path(folder).rglob("*") if file.is_file()) / 1024
    sizes_kib = [max(8, int(share * whole_kib)) for share in SHARES]
    print("whole files on disks of", ", ".join(f"{size} KiB: {fills(size, tool, *arguments)}" for size in sizes_kib))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FileNotFoundError as missing:
        print(f"skipped: {missing}")
        sys.exit(SKIPPED)
