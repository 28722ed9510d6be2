#!/usr/bin/env python3
"""Checks that folders include each other only along the arrows of docs/architecture.md."""
import pathlib
import re
import sys

ALLOWED = {
    "graph": set(),
    "records": {"graph"},
    "runtime": {"graph"},
    "space": {"graph"},
    "profiler": {"graph", "records", "runtime", "space"},
    "predictor": {"graph", "records", "runtime", "space"},
    "explorer": {"graph", "records", "runtime", "space", "predictor"},
    "reports": {"graph", "records"},
}
# On top of all.
for front in ("cli", "python", "benchmarks"):
    ALLOWED[front] = set(ALLOWED) | {"cli"}
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def errors(root: pathlib.Path):
    for folder, allowed in ALLOWED.items():
        for path in sorted((root / folder).rglob("*.[ch]pp")):
            for quoted, angled in INCLUDE.findall(path.read_text(encoding="utf-8")):
                top = quoted.split("/")[0]
                if quoted and top in ALLOWED and top != folder and top not in allowed:
                    yield f"{path.relative_to(root)}: {folder} must not include {quoted}"
                name = quoted or angled
                if name == "xnnpack.h" and not (folder == "runtime" and path.name.startswith("xnnpack_")):
                    yield f"{path.relative_to(root)}: only runtime/xnnpack_* includes xnnpack.h"
                if name.startswith("CL/") and path.parent != root / "runtime/opencl":
                    yield f"{path.relative_to(root)}: only runtime/opencl includes {name}"


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    found = list(errors(root))
    print("\n".join(found) or "includes follow the architecture")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
