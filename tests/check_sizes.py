#!/usr/bin/env python3
"""Checks that no file of the product has grown beyond what can be read in one go."""
import pathlib
import sys

MOST_LINES = 450
FOLDERS = ("graph", "records", "runtime", "space", "profiler", "predictor", "explorer", "reports", "cli", "python")
SUFFIXES = (".cpp", ".hpp", ".py", ".js")


def errors(root: pathlib.Path):
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in SUFFIXES or "node_modules" in path.parts:
                continue
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > MOST_LINES:
                yield f"{path.relative_to(root)}: {lines} lines, expected at most {MOST_LINES}: split it by topic"


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    found = list(errors(root))
    print("\n".join(found) or f"no file has more than {MOST_LINES} lines")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
