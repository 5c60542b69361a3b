#!/usr/bin/env python3
"""`wander world`: lists the themes, draws start points and walks, reads its own walk again, refuses wrong command lines.

Usage: world_command.py PATH_OF_WANDER
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ASSETS = Path(__file__).resolve().parents[3] / "assets"


def run(wander, *words):
    return subprocess.run([wander, "world", *words], capture_output=True, text=True, timeout=100, check=False)


def drawn(wander, out, *words):
    result = run(wander, "render", "--size", "48x28", "--out", str(out), *words)
    assert result.returncode == 0, result.stderr
    return {path.name: path.read_bytes() for path in out.glob("*.png")}


def check_drawing(wander, folder):
    listed = run(wander, "list")
    assert listed.returncode == 0, listed.stderr
    for name in ("village", "winter", "neon", "harbour", "mushrooms", "chess"):
        assert f"{name} " in listed.stdout, listed.stdout
    assert listed.stdout.count(" % of the ground is free") == len(listed.stdout.splitlines()), listed.stdout
    assert "16 lights" in listed.stdout, listed.stdout

    starts = drawn(wander, folder / "starts", "--theme", "harbour")
    assert sorted(starts) == ["harbour_lagoon.png", "harbour_lighthouse.png"], starts.keys()

    walked = drawn(wander, folder / "walk", "--theme", "village", "--walk", "w-3,right-2")
    assert len(walked) == 21 and "000020.png" in walked, walked.keys()
    walk = json.loads((folder / "walk/walk.json").read_text())
    assert walk["labels"] == [0, 9, 9, 9, 1, 1], walk["labels"]
    assert abs(walk["poses"][3][1] - (-3.35 + 0.66)) < 1e-5, walk["poses"]
    again = drawn(wander, folder / "again", "--theme", "village", "--walk", str(folder / "walk/walk.json"), "--threads", "1")
    assert again == walked, "the walk's own file draws other pictures"

    controls = folder / "controls.jsonl"
    controls.write_text('{"chunk": 0, "hold": ["forward"]}\n{"chunk": 3, "hold": ["yaw_right"]}\n{"chunk": 4, "hold": ["yaw_right"]}\n')
    assert drawn(wander, folder / "controls", "--theme", "village", "--walk", str(controls)) == walked, "a controls file walks differently"

    one = drawn(wander, folder / "one", "--theme", "neon", "--random", "4", "--chunks", "2")
    two = drawn(wander, folder / "two", "--theme", "neon", "--random", "5", "--chunks", "2")
    assert len(one) == 9 and one != two


def check_free_ground(wander, folder):
    """Any file tells its parts and free ground; little of it is worth a word on stderr, and no more than that."""
    theme = json.loads((ASSETS / "themes/chess.json").read_text())
    theme["place"] = theme["place"][:3]
    theme["starts"] = theme["starts"][:1]
    file = folder / "mine.json"
    words = ["render", "--size", "16x16", "--theme", str(file), "--out", str(folder / "mine")]
    file.write_text(json.dumps(theme))
    enough = run(wander, *words)
    assert enough.returncode == 0 and not enough.stderr, enough.stderr
    assert enough.stdout.startswith("chess: 35 parts, 90 % of the ground is free"), enough.stdout
    theme["objects"]["knight"]["parts"][0]["keep_away"] = 3.9
    theme["objects"]["rook"]["parts"][0]["keep_away"] = 4
    theme["objects"]["king"]["parts"][0]["keep_away"] = 4
    file.write_text(json.dumps(theme))
    little = run(wander, *words)
    assert little.returncode == 0, little.stderr
    percent = int(little.stdout.split(" % of the ground")[0].split()[-1])
    assert percent < 50 and f"only {percent} % of the ground is free" in little.stderr, (little.stdout, little.stderr)
    assert len(little.stderr.splitlines()) == 1, little.stderr


def check_refusals(wander, folder):
    theme = folder / "wrong.json"
    theme.write_text('{"kind": "wander-theme", "colour": 1}')
    out = folder / "none"
    cases = [
        ([], "subcommand"),
        (["paint"], "subcommand"),
        (["render", "--theme", "village"], "--out"),
        (["render", "--out", str(out)], "--theme"),
        (["render", "--theme", "atlantis", "--out", str(out)], "atlantis"),
        (["render", "--theme", str(theme), "--out", str(out)], "colour"),
        (["render", "--theme", "village", "--out", str(out), "--size", "192"], "--size"),
        (["render", "--theme", "village", "--out", str(out), "--walk", "jump-3"], "jump"),
        (["render", "--theme", "village", "--out", str(out), "--walk", "w-3", "--random", "1"], "--random"),
        (["render", "--theme", "village", "--out", str(out), "--start", "0,0,0,0", "--walk", "w-1"], "free ground"),
        (["render", "--theme", "village", "--out", str(out), "--start", "nowhere", "--walk", "w-1"], "village_fountain"),
    ]
    for words, part in cases:
        result = run(wander, *words)
        lines = result.stderr.strip().splitlines()
        assert result.returncode == 2, (words, result.returncode, result.stderr)
        assert len(lines) == 1 and part in lines[0], (words, lines)


def main():
    with tempfile.TemporaryDirectory() as name:
        check_drawing(sys.argv[1], Path(name))
        check_free_ground(sys.argv[1], Path(name))
        check_refusals(sys.argv[1], Path(name))
    print("world command: all as expected")


if __name__ == "__main__":
    main()
