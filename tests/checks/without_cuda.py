#!/usr/bin/env python3
"""Compiles, as a build without CUDA would, our files that ask for it or include its headers, and remembers those that were fine.

Usage: without_cuda.py --root DIR --build DIR --cache DIR [--jobs N]

The words are those of the build's compile_commands.json, with the project's warnings, less CUDA's headers and what only a build with
CUDA defines. The precompiled header of torch was made with WANDER_CUDA=1 and knows nothing of it: a second header after it says 0, so
that it still serves. Where CUDA's headers lie among the system's, dropping their folder does not hide them: headers of their names come
first that refuse to be included. Assembly text is made and thrown away: with -fsyntax-only GCC does not say which functions nobody uses.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

import source_files

ASKS = re.compile(rb"WANDER_CUDA|#\s*include\s*<(cuda|cudnn|cublas|c10/cuda/|ATen/cuda/)")
# Not in a build without CUDA: programs of GPU tests, and what lies beside a bench.
GPU_ALONE = re.compile(r"^tests/.*/gpu/|^tests/bench/.*/")
HEADERS = ("cuda.h", "cuda_runtime.h", "cuda_runtime_api.h", "cuda_bf16.h", "cuda_fp16.h", "cudaTypedefs.h", "cuda_profiler_api.h", "cublas_v2.h", "cublasLt.h", "cudnn.h")
DEFINED = "-DWANDER_CUDA=1"
DROPPED_PAIRS = {"-o", "-MF", "-MT", "-MQ"}
DROPPED = {"-c", "-MD", "-DWANDER_CUDNN_FP8=1"}


def asks(path, root):
    """Whether the file, or a header of ours that it includes directly, asks for CUDA."""
    text = path.read_bytes()
    headers = (root / name.decode() for name in source_files.INCLUDE.findall(text))
    return bool(ASKS.search(text)) or any(header.is_file() and ASKS.search(header.read_bytes()) for header in headers)


def without_cuda_headers(words):
    result = []
    for word in words:
        if result and result[-1] == "-isystem" and (Path(word) / "cuda_runtime_api.h").is_file():
            result.pop()
        else:
            result.append(word)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    root, build = arguments.root.resolve(), arguments.build.resolve()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    off = arguments.cache / "no_cuda.hpp"
    files = {off: "#undef WANDER_CUDA\n#define WANDER_CUDA 0\n"}
    refusing = arguments.cache / "no_cuda_headers"
    refusing.mkdir(exist_ok=True)
    files.update({refusing / name: f"#error a build without CUDA has no {name}\n" for name in HEADERS})
    for file, text in files.items():
        if not file.is_file() or file.read_text() != text:
            file.write_text(text)

    salt = Path(__file__).read_text() + Path(source_files.__file__).read_text()
    versions, work, skipped, with_cuda = {}, {}, 0, False
    for path, entry in source_files.our_sources(build, root, (*source_files.ROOMS, "tests")):
        if GPU_ALONE.search(path.relative_to(root).as_posix()):
            continue
        words = without_cuda_headers(source_files.compiler_words(entry, DROPPED_PAIRS, DROPPED))
        if DEFINED not in words:
            continue
        with_cuda = True
        if not asks(path, root):
            continue
        if words[0] not in versions:
            versions[words[0]] = subprocess.run([words[0], "--version"], capture_output=True, text=True, check=True).stdout
        stamp = arguments.cache / source_files.file_key(path, words, root, salt + versions[words[0]])
        if stamp.exists():
            skipped += 1
        else:
            work[path] = ([words[0], "-I", str(refusing), *words[1:], "-include", str(off), "-S", "-o", "/dev/null", str(path)], stamp)
    if not with_cuda:
        print("without_cuda: skipped, this build is one without CUDA")
        return
    if not work and not skipped:
        sys.exit(f"without_cuda: no source file of ours asks for CUDA")

    def check(path):
        words, stamp = work[path]
        run = subprocess.run(words, capture_output=True, text=True, check=False, cwd=build)
        if run.returncode == 0:
            stamp.touch()
        return run

    failed = source_files.count_failures(check, work, arguments.jobs, root)
    print(f"without_cuda: {len(work)} files compiled, {skipped} unchanged since they were fine, {failed} with errors")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
