#!/usr/bin/env python3
"""Wrong words and folders: exit code 2 and one line that names what is wrong.

Usage: refuses.py PATH_OF_WANDER
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ASSETS = Path(__file__).resolve().parents[3] / "assets"


def main(wander):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broken = folder / "broken.json"
        broken.write_text("{")
        file = folder / "file"
        file.write_text("x")
        empty = folder / "empty"
        empty.mkdir()
        damaged = folder / "damaged"
        damaged.mkdir()
        (damaged / "checkpoint.safetensors").write_bytes(b"x" * 64)
        holds = folder / "holds"
        (holds / "portable").mkdir(parents=True)
        twin = folder / "twin.json"  # another place, with village's start points
        twin.write_text((ASSETS / "themes/village.json").read_text().replace('"name": "village"', '"name": "twin"', 1))
        out = ["--out", str(folder / "out")]
        village = ["--themes", "village"]
        cpu = ["--device", "cpu"]
        cases = [
            ([*out], "--themes"),
            ([*village], "--out"),
            (["--themes", "atlantis", *out], "atlantis"),
            (["--themes", str(broken), *out, *cpu], "broken.json"),
            (["--themes", "village,village", *out, *cpu], "twice"),
            (["--themes", f"village,{twin}", *out, *cpu], "village and twin both call a start point village_fountain"),
            ([*village, "--out", str(file / "below"), *cpu], "cannot be written"),
            ([*village, "--out", str(holds), *cpu], "--resume"),
            ([*village, *out, "--from", str(empty), *cpu], "--from"),
            ([*village, *out, "--new-vae", *cpu], "--from none"),
            ([*village, *out, "--dim", "128", *cpu], "--from none"),
            ([*village, *out, "--from", "none", "--dim", "100", *cpu], "multiple of 64"),
            ([*village, *out, "--from", "none", "--size", "100x60", *cpu], "multiples of 16"),
            ([*village, *out, "--size", "112x64", *cpu], "--from none"),
            ([*village, *out, "--minutes", "0"], "--minutes"),
            ([*village, *out, "--gpus", "0"], "--gpus"),
            (["--resume", str(empty), *cpu], "no checkpoint"),
            (["--resume", str(damaged), *cpu], "checkpoint.safetensors"),
            (["--resume", str(empty), "--from", "none", *cpu], "--from"),
            ([*village, *out, "--colour", "red"], "--colour"),
        ]
        for words, named in cases:
            result = subprocess.run([wander, "train", *words], capture_output=True, text=True, timeout=100, check=False)
            lines = result.stderr.strip().splitlines()
            assert result.returncode == 2, (words, result.returncode, result.stderr)
            assert len(lines) == 1 and lines[0].startswith("wander: ") and named in lines[0], (words, result.stderr)
        # No GPU, or one: then a training of 0.1 minutes would begin, so ask for more than there can be.
        if not Path("/dev/nvidiactl").exists():
            result = subprocess.run([wander, "train", *village, *out, "--device", "cuda"], capture_output=True, text=True, timeout=100, check=False)
            assert result.returncode == 2 and "--device cuda" in result.stderr, result.stderr
        shown = subprocess.run([wander, "train", "--help"], capture_output=True, text=True, timeout=100, check=False)
        assert shown.returncode == 0 and "--minutes" in shown.stdout


main(sys.argv[1])
