#!/usr/bin/env python3
"""A small text model from files as people download them: prompts that change, keys that become words, windows, both decoders.

    text_walk.py PATH_TO_WANDER PATH_TO_MAKE_MODEL_FOLDER
"""

import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

CHUNKS = 6


def pixels(path):
    """What a PNG shows; facts beside it tell chunk and controls."""
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        packed += data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    return zlib.decompress(packed)


class Failed(Exception):
    pass


def check(what, condition, *facts):
    if not condition:
        raise Failed(f"{what}: {facts}")


def main():
    wander, make_model_folder = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        environment = {**os.environ, "XDG_CACHE_HOME": str(root / "cache"), "XDG_CONFIG_HOME": str(root / "config")}
        model = root / "model"
        subprocess.run([make_model_folder, str(model), "--small"], check=True, capture_output=True)

        def walk(name, *words, controls=(), chunks=CHUNKS):
            script = root / f"{name}.jsonl"
            script.write_text("\n".join(json.dumps(line) for line in controls))
            files = {kind: root / f"{name}.{kind}.json" for kind in ("metrics", "session")}
            command = [wander, "--headless", "--model", str(model), "--device", "cpu", "--precision", "fp32", "--seed", "5", "--chunks", str(chunks),
                       "--metrics", str(files["metrics"]), "--session-out", str(files["session"]), *words]
            if controls:
                command += ["--controls", str(script)]
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            check(f"{name} walks", done.returncode == 0, done.stderr)
            return json.loads(files["metrics"].read_text()), json.loads(files["session"].read_text())

        plain, session = walk("plain", "--prompt", "A quiet street.")
        check("frames", plain["frames"] == 12 * CHUNKS - 3, plain["frames"])
        check("prompt in the session", session["prompt"] == "A quiet street.", session["prompt"])
        check("every chunk says its text", all(c["prompt"] == "A quiet street." for c in plain["chunks"]))

        again, _ = walk("again", "--prompt", "A quiet street.")
        check("the same walk, the prompt from the cache", again["frames_sha256"] == plain["frames_sha256"])
        other, _ = walk("other", "--prompt", "A lake.")
        check("another prompt, another walk", other["frames_sha256"] != plain["frames_sha256"])

        change = [{"chunk": 3, "prompt": "A lake."}]
        changed, session = walk("changed", "--prompt", "A quiet street.", controls=change)
        texts = [c["prompt"] for c in changed["chunks"]]
        check("the prompt changes at its chunk", texts == ["A quiet street."] * 3 + ["A lake."] * 3, texts)
        check("and is in the session", session["controls"] == [{"chunk": 3, "prompt": "A lake."}], session["controls"])
        check("and is seen", changed["frames_sha256"] not in (plain["frames_sha256"], other["frames_sha256"]))
        rebuilt, _ = walk("rebuilt", "--prompt", "A quiet street.", "--rebuild-history", controls=change)
        check("history under the new prompt differs", rebuilt["frames_sha256"] != changed["frames_sha256"])
        unchanged, _ = walk("unchanged", "--prompt", "A quiet street.", "--rebuild-history")
        check("without a change it does not", unchanged["frames_sha256"] == plain["frames_sha256"])

        keys = [{"chunk": 0, "hold": ["forward"]}, {"chunk": 3, "hold": []}]
        steered, _ = walk("steered", "--prompt", "A quiet street.", controls=keys)
        texts = [c["prompt"] for c in steered["chunks"]]
        check("keys become words", texts == ["A quiet street. The camera moves steadily forward."] * 3 + ["A quiet street."] * 3, texts)
        silent, _ = walk("silent", "--prompt", "A quiet street.", "--no-camera-words", controls=keys)
        check("unless they shall not", silent["frames_sha256"] == plain["frames_sha256"])

        rolled, session = walk("rolling", "--window", "9+3", chunks=12)
        held = [c["cache_bytes"] for c in rolled["chunks"]]
        check("a window holds no more for ever", held[-1] == held[5] and held[-1] == max(held), held)
        check("the window is in the session", session["window"] == "9+3", session["window"])
        single, _ = walk("single", "--chunk-latents", "1", "--window", "7+1")
        check("frame by frame", single["frames"] == 4 * CHUNKS - 3, single["frames"])

        # Two windows full of latents and more are kept; the prompt and the window are the walk's own.
        rolling = ("--prompt", "A lake.", "--window", "9+3")
        file = root / "lake.walk"
        walk("kept", *rolling, "--walk-out", str(file), chunks=9)
        on, session = walk("on", "--resume", str(file), "--window", "21", chunks=2)
        check("a saved walk goes on with its prompt and window", session["prompt"] == "A lake." and session["window"] == "9+3" and session["resume"] == str(file), session)
        again, _ = walk("on_again", "--resume", str(file), chunks=2)
        check("the same each time", again["frames_sha256"] == on["frames_sha256"])
        frames = root / "frames"
        walk("detour", *rolling, "--frames", str(frames), controls=[{"chunk": 9, "prompt": "A quiet street."}, {"chunk": 10, "prompt": "A lake.", "rewind": 1}], chunks=12)
        walk("on_frames", "--resume", str(file), "--frames", str(root / "on"), chunks=2)
        tails = [[pixels(path) for path in sorted(folder.iterdir())[-24:]] for folder in (frames, root / "on")]
        check("as it does behind a detour that was taken back", tails[0] == tails[1])
        refused = subprocess.run([wander, "--headless", "--device", "cpu", "--chunks", "1", "--resume", str(file)], capture_output=True, text=True, env=environment)
        check("another model refuses it", refused.returncode == 2 and "open that model first" in refused.stderr, refused.stderr)

        tiny, _ = walk("tiny", "--prompt", "A quiet street.", "--decoder", "tiny")
        check("the tiny decoder makes other pictures of the same walk", tiny["frames"] == plain["frames"] and tiny["frames_sha256"] != plain["frames_sha256"])

        packed, _ = walk("packed", "--prompt", "A quiet street.", "--cache", "int8", chunks=10)
        check("packed pages", packed["cache"]["packed_bytes"] > 0)
    print("text_walk: all as it should be")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"text_walk: {failure}")
