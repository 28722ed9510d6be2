#!/usr/bin/env python3
"""Checks that no file of the product has grown beyond what can be read in one go."""
import pathlib
import sys

MOST_LINES = 450
FOLDERS = ("graph", "records", "runtime", "space", "profiler", "predictor", "explorer", "reports", "cli", "python")
SUFFIXES = (".cpp", ".hpp", ".py", ".js")
# Still to be split; nothing may be added.
EXCEPTIONS = {
    "explorer/accuracy.cpp",
    "graph/onnx.cpp",
    "graph/schema.cpp",
    "python/cpubone/torch.py",
}


def errors(root: pathlib.Path):
    excepted = set()
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in SUFFIXES or "node_modules" in path.parts:
                continue
            lines = len(path.read_text(encoding="utf-8").splitlines())
            name = path.relative_to(root).as_posix()
            if lines <= MOST_LINES:
                continue
            if name in EXCEPTIONS:
                excepted.add(name)
            else:
                yield f"{name}: {lines} lines, expected at most {MOST_LINES}: split it by topic"
    for name in sorted(EXCEPTIONS - excepted):
        yield f"{name}: is short now; take it off the EXCEPTIONS in tests/check_sizes.py"


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    found = list(errors(root))
    print("\n".join(found) or f"no file has more than {MOST_LINES} lines")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
