"""Runs `wander train` with a small network and reads what it wrote."""

import json
import subprocess
from pathlib import Path

# Two layers, small pictures, short clips of few walks: seconds on two cores. The shipped autoencoder stays as it is.
SMALL = ["--device", "cpu", "--from", "none", "--size", "112x64", "--dim", "128", "--layers", "2", "--batch", "4", "--clip-latents", "4",
         "--walk-latents", "12", "--own-share", "0", "--context-errors", "0", "--seed", "5", "--warm-up", "20", "--look-seconds", "0",
         "--look-minutes", "0"]


def command(wander, out, *words):
    return [wander, "train", "--out", str(out), *words]


def train(wander, out, *words, timeout=500):
    return subprocess.run(command(wander, out, *words), capture_output=True, text=True, timeout=timeout, check=False)


def log_of(out):
    return [json.loads(line) for line in (Path(out) / "training.jsonl").read_text().splitlines()]


def losses(out, phase="transformer"):
    """step -> loss"""
    return {line["step"]: line["loss"] for line in log_of(out) if line["phase"] == phase and "loss" in line}
