#!/usr/bin/env python3
"""`wander evaluate`: a second of every place of a world folder, its files, and wrong command lines. The folder also answers `wander
info` and walks.

Usage: evaluate_command.py PATH_OF_WANDER ASSETS
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def run(wander, *words):
    return subprocess.run([wander, *(str(word) for word in words)], capture_output=True, text=True, timeout=200, check=False)


def check_world(wander, world, folder):
    out = folder / "out"
    words = ["evaluate", "--model", world.parent, "--device", "cpu", "--quick", "--seconds", "1", "--free-walk-only", "--out", out]
    done = run(wander, *words)
    assert done.returncode == 0, done.stderr
    found = json.loads((out / "evaluation.json").read_text())
    assert found["kind"] == "wander-evaluation" and found["world"] == "trained", found
    shipped = json.loads((world / "world.json").read_text())
    assert [place["name"] for place in found["places"]] == [place["name"] for place in shipped["worlds"]]
    card = shipped["figures"]["free_walk"]
    assert card["seconds"][0] == 1 and abs(found["all"]["free_walk"][0]["psnr_db"] - card["psnr_db"][0]) < 2, (found["all"], card)
    assert "| village |" in (out / "evaluation.md").read_text()
    for picture in ("sheet.png", "psnr.png"):
        assert (out / picture).read_bytes().startswith(b"\x89PNG"), picture

    info = run(wander, "info", world.parent)
    assert info.returncode == 0 and "village_fountain" in info.stdout and "can run         yes" in info.stdout, info.stdout
    walked = run(wander, "--headless", "--model", world.parent, "--controls", "w-2", "--start", "neon_avenue", "--device", "cpu", "--metrics", folder / "m.json")
    assert walked.returncode == 0, walked.stderr
    metrics = json.loads((folder / "m.json").read_text())
    shipped = run(wander, "--headless", "--controls", "w-2", "--start", "neon_avenue", "--device", "cpu", "--metrics", folder / "s.json")
    assert shipped.returncode == 0, shipped.stderr
    assert metrics["model"] == "trained" and metrics["frames_sha256"] == json.loads((folder / "s.json").read_text())["frames_sha256"]


def check_refusals(wander, world, folder):
    out = folder / "none"
    cases = [
        (["evaluate"], "--out"),
        (["evaluate", "--out", out, "--seconds", "61"], "--seconds"),
        (["evaluate", "--out", out, "--formats", "int2,int3"], "int3"),
        (["evaluate", "--out", out, "--model", folder / "nowhere"], "nowhere"),
        (["evaluate", "--out", "/proc/none"], "/proc/none"),
        (["evaluate", "--out", out, "--colour"], "--colour"),
        (["convert", world], "ready as it is"),
        (["--headless", "--model", world, "--controls", "w-1", "--start", "moon"], "village_fountain"),
    ]
    for words, reason in cases:
        refused = run(wander, *words)
        assert refused.returncode == 2, (words, refused.returncode, refused.stderr)
        assert reason in refused.stderr and len(refused.stderr.strip().splitlines()) == 1, (words, refused.stderr)
    (world / "dit.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    for words in (["--headless", "--model", world, "--controls", "w-1"], ["evaluate", "--model", world, "--out", out]):
        refused = run(wander, *words)
        assert refused.returncode == 2 and "dit.safetensors" in refused.stderr, (words, refused.stderr)
    info = run(wander, "info", world)
    assert "in the way" in info.stdout and "can run         no" in info.stdout, info.stdout


def main():
    wander, assets = sys.argv[1], Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = folder / "trained/world"
        shutil.copytree(assets / "world", world)
        (world / "themes").mkdir()
        for place in json.loads((world / "world.json").read_text())["worlds"]:
            shutil.copy(assets / f"themes/{place['name']}.json", world / "themes")
        check_world(wander, world, folder)
        check_refusals(wander, world, folder)
    print("evaluate_command: all as it should be")


if __name__ == "__main__":
    main()
