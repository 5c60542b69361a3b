"""What the checks that read every source file share: our files as the build compiles them, and a memory of the clean ones."""

import concurrent.futures
import hashlib
import json
import re
import shlex
from pathlib import Path

ROOMS = ("app", "gui", "render", "generator", "quant")
INCLUDE = re.compile(rb'^\s*#\s*include\s*"([^"]+)"', re.M)


def our_sources(build, root, folders=ROOMS):
    """(path, entry of compile_commands.json) of every C++ file of the rooms, or of these folders."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = Path(entry["file"])
        if path.suffix == ".cpp" and path.is_relative_to(root) and path.relative_to(root).parts[0] in folders:
            yield path, entry


def compiler_words(entry, dropped_pairs, dropped):
    """The compiler's words without the launcher and the source; without those of `dropped_pairs` and the word after each."""
    words = shlex.split(entry["command"])
    start = next(i for i, word in enumerate(words) if re.search(r"(c\+\+|g\+\+|clang\+\+)[\d.-]*$", word))
    result, skip = [], 0
    for word in words[start:]:
        if skip:
            skip -= 1
        elif word in dropped_pairs:
            skip = 1
        elif word not in dropped:
            result.append(word)
    return [word for word in result if word != entry["file"]]


def own_text(path, root, seen):
    """Feeds path and every header of ours that it reaches into `seen` (path -> digest)."""
    if path in seen or not path.is_file():
        return
    text = path.read_bytes()
    seen[path] = hashlib.sha256(text).hexdigest()
    for name in INCLUDE.findall(text):
        own_text(root / name.decode(), root, seen)


def file_key(path, arguments, root, salt):
    """Changes with the file's text, that of every header of ours that it can reach, its flags and `salt`."""
    seen = {}
    own_text(path, root, seen)
    parts = [salt, " ".join(arguments).replace(str(root), ".")] + [f"{p.relative_to(root)} {d}" for p, d in sorted(seen.items()) if p.is_relative_to(root)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def count_failures(check, work, jobs, root):
    """Runs check(path), which gives a finished process, for all of `work`, and prints what the failed ones said."""
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for path, run in zip(work, pool.map(check, work)):
            if run.returncode:
                failed += 1
                print(f"--- {path.relative_to(root)}\n{run.stdout or run.stderr}", flush=True)
    return failed
