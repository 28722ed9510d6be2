#!/usr/bin/env python3
"""Checks that folders include each other only along the arrows of docs/architecture.md, and what is Linux's is in one file."""
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
# What only runtime/system_linux.cpp may use: other systems do not have it.
LINUX = re.compile(
    r"cpu_set_t|sched_[gs]etaffinity|malloc\.h|sys/auxv|asm/|mallopt|mallinfo|malloc_trim|pipe2|madvise|sigtimedwait|fdatasync"
    r"|/proc/self/(?:exe|maps)|_SC_LEVEL|getauxval|memfd_create|prctl|epoll|eventfd|perf_event|sys/syscall|sysinfo"
)
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def errors(root: pathlib.Path):
    for folder, allowed in ALLOWED.items():
        for path in sorted((root / folder).rglob("*.[ch]pp")):
            text = path.read_text(encoding="utf-8")
            if folder != "benchmarks" and path != root / "runtime/system_linux.cpp":
                for word in sorted(set(LINUX.findall(text))):
                    yield f"{path.relative_to(root)}: only runtime/system_linux.cpp uses {word}"
            for quoted, angled in INCLUDE.findall(text):
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
