"""`python -m cpubone explore ...` does what `cpubone-explore ...` does; `python -m cpubone timm train.py ...` runs a
script of timm's that knows the networks of `cpubone.timm`."""

from __future__ import annotations

import os
import runpy
import shutil
import sys
from pathlib import Path
from typing import List, Optional

TOOLS = {
    "explore": "find networks with a better trade-off of speed and accuracy on a CPU",
    "predict": "latency of networks before they are trained",
    "profile": "measure operators and networks on this machine",
    "report": "the page of a result",
}
SCRIPT = "run a script, such as timm's train.py, with timm knowing these networks"


def run_script(arguments: List[str]) -> int:
    """Runs a Python script with its arguments, in this process."""
    import cpubone.timm  # noqa: F401

    sys.argv = arguments
    sys.path.insert(0, str(Path(arguments[0]).absolute().parent))
    runpy.run_path(arguments[0], run_name="__main__")
    return 0


def tool_path(tool: str) -> Optional[Path]:
    """The program of a tool: in the wheel or in the build tree, else in PATH."""
    program = f"cpubone-{tool}"
    here = Path(__file__).absolute().parent
    for path in (here / "bin" / program, here.parent.parent / "cli" / program):
        if os.access(path, os.X_OK) and path.is_file():
            return path
    # Not the script of this package, which would call itself.
    if (here / "bin").is_dir():
        return None
    found = shutil.which(program)
    return None if found is None else Path(found)


def main(arguments: List[str]) -> int:
    """Runs a tool in place of this process. Returns 2 for wrong usage."""
    names = "\n".join(f"  {name:8} {purpose}" for name, purpose in {**TOOLS, "timm": SCRIPT}.items())
    usage = f"usage: python -m cpubone TOOL ...\n\n{names}\n\n`python -m cpubone TOOL --help` tells a tool's options."
    if arguments and arguments[0] in ("-h", "--help"):
        print(usage)
        return 0
    if arguments[:1] == ["timm"] and len(arguments) > 1:
        return run_script(arguments[1:])
    if not arguments or arguments[0] not in TOOLS:
        got = f'"{arguments[0]}"' if arguments else "nothing"
        print(f"cpubone: got {got}, expected one of {', '.join(TOOLS)}\n{usage}", file=sys.stderr)
        return 2
    path = tool_path(arguments[0])
    if path is None:
        print(f"cpubone: cpubone-{arguments[0]} is not installed beside this package nor in PATH", file=sys.stderr)
        return 1
    sys.stdout.flush()
    os.execv(path, [path.name, *arguments[1:]])


def explore() -> int:
    """The script cpubone-explore of a wheel."""
    return main(["explore", *sys.argv[1:]])


def predict() -> int:
    """The script cpubone-predict of a wheel."""
    return main(["predict", *sys.argv[1:]])


def profile() -> int:
    """The script cpubone-profile of a wheel."""
    return main(["profile", *sys.argv[1:]])


def report() -> int:
    """The script cpubone-report of a wheel."""
    return main(["report", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
