"""Runs scripts/mutate on a project of few functions, of which one is not tested.

    mutate_test.py MUTATE
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FILES = {
    ".gitignore": "/build/\n",
    "CMakeLists.txt": """cmake_minimum_required(VERSION 3.20)
project(tiny LANGUAGES CXX)
enable_testing()
add_library(sum STATIC graph/sum.cpp)
add_executable(test_sum tests/sum_test.cpp)
target_link_libraries(test_sum PRIVATE sum)
add_test(NAME sum COMMAND test_sum)
""",
    "graph/sum.cpp": """#define ONE 1  // + 3
bool none(const char* text) { return !*text; }
int tested(int a, int b) { return a + b; }
int untested(int a, int b) { return a - b; }
void empty(volatile unsigned* n) {
  while (*n > 0) --*n;
}
int same(int a) { return a | 0 * a; }
const char* nothing() { return 0; }
const char* words() { return "1 + 2"; }
""",
    "tests/sum_test.cpp": """bool none(const char*);
int tested(int, int);
void empty(volatile unsigned*);
int main() {
  volatile unsigned n = 3;
  empty(&n);
  return none("") && tested(2, 3) == 5 && n == 0 ? 0 : 1;
}
""",
}
EXPECTED = {
    "2: ! -> nothing: caught by sum",
    "3: + -> -: caught by sum",
    "4: - -> +: SURVIVED",
    "6: > -> >=: caught by sum (too slow)",
    "6: 0 -> 1: caught by sum",
    "8: 0 -> 1: no effect",
    "8: * -> /: no effect",
    "9: 0 -> 1: not built",
}


def mutate(folder):
    ran = subprocess.run([folder / "scripts/mutate", "100", "7"], check=True, stdout=subprocess.PIPE, text=True)
    return ran.stdout.splitlines()


def main(script):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, text in FILES.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(text)
        (folder / "scripts").mkdir()
        shutil.copy(script, folder / "scripts/mutate")
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)

        *lines, summary = mutate(folder)
        told = {re.sub(r"graph/sum\.cpp:(\d+):\d+", r"\1", line) for line in lines}
        assert told == EXPECTED, told ^ EXPECTED
        assert (
            summary == "seed 7: 8 changes, 1 not built, 2 without effect; 4 of 5 caught (80 %), 1 survived"
        ), summary
        assert (folder / "graph/sum.cpp").read_text() == FILES["graph/sum.cpp"]

        # What is known is not found out again.
        log = folder / "build/mutate/log.jsonl"
        before = log.read_text()
        assert mutate(folder) == [*lines, summary]
        assert log.read_text() == before

        # Another test may catch what survived.
        test = folder / "tests/sum_test.cpp"
        text = test.read_text().replace("int main", "int untested(int, int);\nint main")
        test.write_text(text.replace("n == 0", "n == 0 && untested(3, 1) == 2"))
        assert any(line.endswith("- -> +: caught by sum") for line in mutate(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
