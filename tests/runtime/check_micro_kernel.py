"""Looks whether the AVX2 kernel of convolutions keeps its accumulators in registers: one on the stack halves its speed.

Usage: check_micro_kernel.py LIBXNNPACK-MICROKERNELS-PROD.A
"""

import re
import subprocess
import sys

KERNEL = "xnn_f32_igemm_minmax_ukernel_5x16__fma3_broadcast_prfm"


def main(archive: str) -> str:
    command = ["objdump", "-d", "--no-show-raw-insn", f"--disassemble={KERNEL}", archive]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    products = [i for i, line in enumerate(lines) if "vfmadd" in line]
    if len(products) < 10:
        return f"{KERNEL}: got {len(products)} vector products, expected 10 a step"
    step = lines[products[0] : products[-1] + 1]
    spilt = [line.strip() for line in step if re.search(r"\(%r[sb]p", line)]
    return f"{KERNEL}: an accumulator is on the stack: {spilt[0]}" if spilt else ""


if __name__ == "__main__":
    wrong = main(sys.argv[1])
    print(wrong or "registers only")
    sys.exit(1 if wrong else 0)
