#!/usr/bin/env python3
"""The smoke run: 300 steps of a small transformer over the shipped autoencoder learn something, and what they leave is a world.

Usage: learns.py PATH_OF_WANDER
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from training import SMALL, log_of, losses, train


def main(wander):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        result = train(wander, out, "--themes", "village", "--walks", "32", "--steps", "300", "--log-steps", "20", *SMALL)
        assert result.returncode == 0, result.stderr
        curve = losses(out)
        first, last = curve[20], curve[300]
        print(f"loss {first:.4f} -> {last:.4f}")
        assert last <= 0.8 * first, f"the loss fell from {first:.4f} to {last:.4f} only"
        looked = [line for line in log_of(out) if "next_latent_error" in line][-1]
        share = looked["next_latent_error"] / looked["repeat_error"]
        print(f"next latent's error is {share:.3f} of repeating the last one's")
        assert share <= 0.9, share

        for name in ("checkpoint.safetensors", "training.png", "world/world.json", "world/dit.safetensors", "portable/weights.safetensors.index.json"):
            assert (out / name).is_file(), name
        assert not list(out.glob("*.part")), "something was left half written"
        # The portable weights of a finished run are a beginning for another.
        again = train(wander, Path(folder) / "next", "--themes", "village,winter", "--from", str(out), "--steps", "2", "--log-steps", "1", "--device", "cpu",
                      "--batch", "1", "--clip-latents", "2", "--walk-latents", "4", "--walks", "1", "--own-walks", "1", "--look-seconds", "0")
        assert again.returncode == 0, again.stderr
        assert "winter (new)" in again.stderr, again.stderr


main(sys.argv[1])
