#!/usr/bin/env python3
"""Compiles the kernels for Hopper alone (sm_90a) once more and fails where ptxas says that asynchronous products wait for each other.

Such a kernel is right but slow, which only a GPU would show. What leads to it: too few registers, a call in between, a branch around products.
Registers are each compiler's own business, so what others than the one say that the kernels were measured with is only reported.

Usage: hopper_products.py --build DIR
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

MEASURED_WITH = "release 13.0"
SERIALIZED = re.compile(r"wgmma\S* instructions are serialized")


def compile_again(entry, folder):
    words = shlex.split(entry["command"])
    at = words.index("-o")
    words[at + 1] = str(Path(folder) / (Path(entry["file"]).name + ".o"))
    return subprocess.run([*words, "-Xptxas", "-v"], cwd=entry["directory"], capture_output=True, text=True)


def measured(entry):
    version = subprocess.run([shlex.split(entry["command"])[0], "--version"], capture_output=True, text=True, check=True)
    return MEASURED_WITH in version.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    build = parser.parse_args().build
    kernels = [entry for entry in json.loads((build / "compile_commands.json").read_text()) if entry["file"].endswith(".cu") and "sm_90a" in entry["command"]]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for entry in kernels:
            run = compile_again(entry, folder)
            said = run.stdout + run.stderr
            slow = [line.strip() for line in said.splitlines() if SERIALIZED.search(line)]
            if run.returncode or slow:
                print(f"{entry['file']}:\n" + ("\n".join(slow) or said))
                failed += bool(run.returncode) or measured(entry)
    print(f"hopper_products: {len(kernels)} files for sm_90a, {failed} failed" if kernels else "hopper_products: this build has no kernels for sm_90a")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
