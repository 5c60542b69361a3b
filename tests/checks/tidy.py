#!/usr/bin/env python3
"""Runs clang-tidy (.clang-tidy) over our C++ files and remembers files that were clean.

Usage: tidy.py --clang-tidy PROGRAM --root DIR --build DIR --cache DIR [--jobs N] [FILE...]

A file is skipped when its own text, the text of every header of ours that it can reach, its flags, .clang-tidy and the program's version are
those of an earlier clean run. GCC's precompiled header of torch means nothing to clang: clang reads ATen.h once as a module of its own
and keeps that beside the remembered files, which saves a quarter of the time. A module might be seen otherwise than its text, so only
findings of a plain reading count: a file with any is read again without the module. One that does not stand alone is read with ATen.h
before it, as GCC does. Compiler warnings are GCC's; CUDA files are left to nvcc.
"""

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import source_files

# What only GCC knows.
DROPPED_PAIRS = {"-o", "-MF", "-MT", "-MQ", "-include"}
DROPPED = {"-fpch-preprocess", "-Winvalid-pch", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-c", "-MD"}


def aten_module(words, cache):
    """Words that make clang read ATen/ATen.h as a module; none for a file without torch."""
    header = next((Path(word) / "ATen/ATen.h" for word in words if (Path(word) / "ATen/ATen.h").is_file()), None)
    if not header:
        return []
    text = f'module wander_aten {{\n  header "{header}"\n  export *\n}}\n'
    folder = cache / "modules" / hashlib.sha256(text.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    module_map = folder / "aten.modulemap"
    # Clang compares times: the file is written once, and by a rename, since several runs may share the cache.
    if not module_map.is_file():
        part = folder / f"{os.getpid()}.part"
        part.write_text(text)
        part.replace(module_map)
    return ["-fmodules", "-fimplicit-module-maps", f"-fmodule-map-file={module_map}", f"-fmodules-cache-path={folder}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clang-tidy", required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    if not Path(arguments.clang_tidy).is_file():
        sys.exit(f"tidy: {arguments.clang_tidy} is missing: ./wander test downloads it")
    root, build = arguments.root.resolve(), arguments.build.resolve()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    version = subprocess.run([arguments.clang_tidy, "--version"], capture_output=True, text=True, check=True).stdout
    salt = version + (root / ".clang-tidy").read_text() + Path(__file__).read_text() + Path(source_files.__file__).read_text()

    wanted = [Path(name).resolve() for name in arguments.files]
    work, skipped = {}, 0
    for path, entry in source_files.our_sources(build, root):
        if wanted and path not in wanted:
            continue
        words = source_files.compiler_words(entry, DROPPED_PAIRS, DROPPED)
        stamp = arguments.cache / source_files.file_key(path, words, root, salt)
        if stamp.exists():
            skipped += 1
        else:
            work[path] = (words, aten_module(words, arguments.cache), stamp)
    if not work and not skipped:
        sys.exit("tidy: the build folder names no source file of ours")

    def check(path):
        words, module, stamp = work[path]

        def read(*more):
            command = [arguments.clang_tidy, "--quiet", str(path), "--", *more, *words[1:]]
            return subprocess.run(command, capture_output=True, text=True, check=False, cwd=build)

        before = ()
        run = read(*module)
        if run.returncode and "clang-diagnostic-error" in run.stdout and any("torch" in word for word in words):
            before = ("-include", "ATen/ATen.h")
            run = read(*before, *module)
        if run.returncode and module:
            run = read(*before)
        if run.returncode == 0:
            stamp.touch()
        return run

    failed = source_files.count_failures(check, work, arguments.jobs, root)
    print(f"tidy: {len(work)} files read, {skipped} unchanged since they were clean, {failed} with findings")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
