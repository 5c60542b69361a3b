#!/usr/bin/env python3
"""Every wrong command line ends with its exit code and one line that says what, where and what to do, and writes nothing.

Usage: bad_input.py PATH_OF_WANDER
"""

import subprocess
import sys
import tempfile
from pathlib import Path

TINY_CONTROLS = '{"chunk": 0, "hold": ["forward"]}\n'


def cases(folder):
    def file(name, text):
        path = folder / name
        path.write_text(text)
        return str(path)

    empty_model = folder / "empty-model"
    empty_model.mkdir()
    damaged_model = folder / "damaged-model"
    damaged_model.mkdir()
    (damaged_model / "config.json").write_text("{ not json")
    picture = file("picture.png", "not a picture")
    # command line, exit code, part of the message
    return [
        (["--no-such-flag"], 2, "--no-such-flag"),
        (["walk"], 2, "walk"),
        (["--headless", "--chunks", "0"], 2, "--chunks"),
        (["--headless", "--seed", "-1"], 2, "--seed"),
        (["--headless", "--device", "tpu"], 2, "--device"),
        (["--headless", "--precision", "fp8"], 2, "--precision"),
        (["--headless", "--start-pose", "village,1"], 2, "WORLD,X,Z,YAW,PITCH"),
        (["--metrics", "m.json"], 2, "--headless"),
        (["--headless", "--out", "walk.avi"], 2, ".mp4"),
        (["--headless", "--controls", "jump-4"], 2, "jump"),
        (["--headless", "--controls", "w--4"], 2, "w--4"),
        (["--headless", "--controls", "/no/such/walk.jsonl"], 2, "/no/such/walk.jsonl"),
        (["--headless", "--controls", file("a.jsonl", '{"chunk": 0, "hold": ["jump"]}')], 2, 'a.jsonl, line 1: unknown action "jump"'),
        (["--headless", "--controls", file("b.jsonl", TINY_CONTROLS + "nonsense")], 2, "b.jsonl, line 2"),
        (["--headless", "--controls", file("c.jsonl", '{"chunk": 0, "cache": "int3"}')], 2, "int3"),
        (["--headless", "--metrics", "/no/such/folder/m.json"], 2, "/no/such/folder/m.json"),
        (["--headless", "--out", "/no/such/folder/walk.mp4"], 2, "/no/such/folder/walk.mp4"),
        (["--headless", "--session-out", str(folder)], 2, "folder"),
        (["--headless", "--frames", "/dev/null/frames"], 2, "/dev/null/frames"),
        (["--headless", "--cache", "int3"], 2, "int3"),
        (["--headless", "--cache-layers", "0-1"], 2, "--cache-layers"),
        (["--headless", "--cache-layers", "0-1:int3"], 2, "int3"),
        (["--headless", "--cache-layers", "0-99:int2"], 2, "0-99"),
        (["--headless", "--keep-recent", "-1"], 2, "--keep-recent"),
        (["--headless", "--controls", file("d.jsonl", TINY_CONTROLS + '{"chunk": 1, "cache_layers": "9:int2"}')], 2, "d.jsonl, line 2"),
        (["--headless", "--start", "nowhere"], 2, "village_fountain"),
        (["--headless", "--start", picture], 2, "--start-pose"),
        (["--headless", "--start", picture, "--start-pose", "village,8,8,0,0"], 2, "picture.png"),
        (["--headless", "--start", "/no/such/picture.png", "--start-pose", "village,8,8,0,0"], 2, "/no/such/picture.png"),
        (["--headless", "--model", "/no/such/model"], 2, "/no/such/model"),
        (["--headless", "--model", str(empty_model)], 2, "empty-model"),
        (["--headless", "--model", str(damaged_model)], 2, "config.json"),
    ] + ([] if Path("/dev/nvidia0").exists() else [(["--headless", "--device", "cuda"], 2, "cuda")])


def check(program, words, code, part, folder):
    before = sorted(folder.rglob("*"))
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=60, cwd=folder)
    lines = [line for line in done.stderr.splitlines() if line]
    problems = []
    if done.returncode != code:
        problems.append(f"exit code {done.returncode}, not {code}")
    if len(lines) != 1:
        problems.append(f"{len(lines)} lines instead of one")
    if part.lower() not in done.stderr.lower():
        problems.append(f"message lacks '{part}'")
    if sorted(folder.rglob("*")) != before:
        problems.append("left files behind")
    if problems:
        print(f"wander {' '.join(words)}: {'; '.join(problems)}\n    {done.stderr.strip()}")
    return not problems


def main():
    program = str(Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory(prefix="wander-e2e-") as name:
        folder = Path(name)
        table = cases(folder)
        good = sum(check(program, words, code, part, folder) for words, code, part in table)
    print(f"{good} of {len(table)} command lines refused as they should be")
    sys.exit(good != len(table))


if __name__ == "__main__":
    main()
