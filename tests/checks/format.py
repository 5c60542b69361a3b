#!/usr/bin/env python3
"""Says which source files are not formatted as .clang-format wants; with --fix formats them (or only the files named).

Usage: format.py --clang-format PROGRAM [--root DIR] [--fix] [FILE...]
"""

import argparse
import subprocess
import sys
from pathlib import Path

FOLDERS = ("app", "gui", "render", "generator", "quant", "tests")
SUFFIXES = {".cpp", ".hpp", ".h", ".cu", ".cuh"}


def source_files(root):
    for folder in FOLDERS:
        yield from (path for path in sorted((root / folder).rglob("*")) if path.suffix in SUFFIXES and path.is_file())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path.home() / ".cache/wander/deps/checks-23.1.4/clang_format/data/bin/clang-format"
    parser.add_argument("--clang-format", default=str(default))
    parser.add_argument("--root", type=Path, default=Path("."))
    parser.add_argument("--fix", action="store_true")
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    if not Path(arguments.clang_format).is_file():
        sys.exit(f"format: {arguments.clang_format} is missing: ./wander test downloads it")
    files = arguments.files or [str(path) for path in source_files(arguments.root)]
    if not files:
        sys.exit(f"format: no source file below {arguments.root}")
    if arguments.fix:
        sys.exit(subprocess.run([arguments.clang_format, "-i", *files], check=False).returncode)
    result = subprocess.run([arguments.clang_format, "--dry-run", "-Werror", "--ferror-limit=1", *files], capture_output=True, text=True, check=False)
    bad = sorted({line.split(":")[0] for line in result.stderr.splitlines() if "-Wclang-format-violations" in line})
    if bad:
        print("not formatted (tests/checks/format.py --fix mends it):", *bad, sep="\n    ")
    elif result.returncode:
        print(result.stderr)
    print(f"format: {len(files)} files, {len(bad)} not formatted")
    sys.exit(1 if bad or result.returncode else 0)


if __name__ == "__main__":
    main()
