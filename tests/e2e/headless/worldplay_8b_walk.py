#!/usr/bin/env python3
"""A small HY-WorldPlay 8B from files as people download them: its instruction, steered, packed, saved, resumed, rewound.

    worldplay_8b_walk.py PATH_TO_WANDER PATH_TO_MAKE_MODEL_FOLDER
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from short_walk import read_png
from worldplay_walk import CHUNKS, WALK, Failed, SmallModel, check, goes_on_under_its_context, goes_on_with_its_decoder, psnr, walks_with_the_tiny_decoder

STREET = ("--prompt", "A quiet street.")


def main():
    wander, make_model_folder = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        small = SmallModel(wander, make_model_folder, "worldplay-8b", root)
        run, walk = small.run, small.walk

        def program(*words):
            return subprocess.run([wander, *words], capture_output=True, text=True, env=small.environment)

        # Without the instruction there is no walk, and the message says how to get it.
        done = run("--chunks", "1")
        check("the instruction is wanted", done.returncode != 0 and "--system-prompt-from" in done.stderr, done.stderr)
        check("info says so", "in the way" in program("info", str(small.model)).stdout)
        done = program("convert", str(small.model), "--system-prompt-from", __file__)
        check("not out of any file", done.returncode == 2 and "does not hold" in done.stderr, done.stderr)
        done = program("convert", str(small.model), "--system-prompt-from", str(small.model / "code/text_encoders.py"))
        check("taken", done.returncode == 0, done.stderr)
        told = program("info", str(small.model)).stdout
        check("info: can run", "can run         yes" in told and "3 layers of 256 channels" in told, told)

        full, full_state = walk("full", *STREET, "--frames", str(root / "full"))
        check("thirteen frames, then sixteen a chunk", [c["frames"] for c in full["chunks"]] == [13] + [16] * (CHUNKS - 1), full["frames"])
        held = [c["cache_bytes"] for c in full["chunks"]]
        check("the context ends at 20 latents", held[-1] == held[-2] == max(held) > held[3], held)
        check("the picture's view is kept", {"view", "picture", "latents"} <= full_state.keys(), full_state.keys())
        again, again_state = walk("again", *STREET)
        check("the same walk again", again["frames_sha256"] == full["frames_sha256"] and again_state == full_state)
        streamed, _ = walk("streamed", *STREET, "--text-encoder", "streamed")
        check("wherever the text side is", streamed["frames_sha256"] == full["frames_sha256"])
        for name, words, controls in (
            ("still", STREET, []),
            ("lake", ("--prompt", "A lake."), WALK),
            ("quoted", ("--prompt", 'A quiet street "street".'), WALK),
            ("unquoted", ("--prompt", "A quiet street street."), WALK),
            ("lamps", (*STREET, "--start", "winter_lamps"), WALK),
            ("picture", (*STREET, "--start", str(root / "full" / "000040.png")), WALK),
            ("fast", (*STREET, "--fast-context"), WALK),
            ("short_context", (*STREET, "--context", "12"), WALK),
        ):
            other, _ = walk(name, *words, controls=controls)
            check(f"{name}: another walk", other["frames_sha256"] != full["frames_sha256"])
            check(f"{name}: its frames", other["frames"] == full["frames"], other["frames"])

        switch = WALK + [{"chunk": 5, "cache": "bf16"}]
        for cache in ("fp8", "int2"):
            packed, _ = walk(cache, *STREET, "--cache", cache, controls=switch)
            ratio = full["chunks"][4]["cache_bytes"] / packed["chunks"][4]["cache_bytes"]
            check(f"{cache} packs the whole context", ratio > (3.9 if cache == "fp8" else 12), ratio)  # of 4-byte values here
            check(f"{cache}: back to BF16", packed["chunks"][6]["cache_bytes"] == held[6], packed["chunks"][6])
        change, _ = walk("change", *STREET, controls=[*WALK[:2], {**WALK[2], "prompt": "A lake."}])
        texts = [c["prompt"] for c in change["chunks"]]
        check("the prompt changes at its chunk", texts == ["A quiet street."] * 4 + ["A lake."] * 3, texts)
        check("and shows", change["frames_sha256"] != full["frames_sha256"])

        walk("half", *STREET, controls=WALK[:2], chunks=4)
        # The start picture that is named by no option here comes out of the file, its view too.
        rest, rest_state = walk("rest", "--resume", str(root / "half.walk"), "--frames", str(root / "rest"), controls=[{**WALK[2], "chunk": 0}], chunks=3)
        check("a resumed walk goes on bit for bit", rest_state == full_state)
        detour = [*WALK[:2], {"chunk": 4, "hold": ["yaw_left"]}, {"chunk": 6, "hold": ["back", "left"], "rewind": 2}]
        _, back_state = walk("back", *STREET, controls=detour, chunks=9)
        check("and so does a rewound one", back_state == full_state)
        anew = [{"chunk": 0, "hold": ["left"], "rewind": 9}, *({**line, "chunk": line["chunk"] + 1} for line in WALK)]
        anew[1]["rewind"] = 9
        _, anew_state = walk("anew", "--resume", str(root / "half.walk"), controls=anew, chunks=CHUNKS + 1)
        check("or a resumed one that is rewound to its start", anew_state == full_state)
        # Frames of the resumed walk: four of the last latent before it, then 48. From the third latent on the decoder has caught up.
        for frame in (8, 20, 47):
            _, _, true, _ = read_png(root / "full" / f"{61 + frame:06}.png")
            _, _, resumed, _ = read_png(root / "rest" / f"{4 + frame:06}.png")
            check("the decoder catches up", psnr(true, resumed) >= 40, frame, psnr(true, resumed))

        check("the prompt's keys and values are counted", full["cache"]["text_bytes"] > 0, full["cache"])
        goes_on_with_its_decoder(small, root, STREET, full_state)
        walks_with_the_tiny_decoder(small, root, STREET, full, full_state, "lighttaehy1_5.safetensors")
        goes_on_under_its_context(small, root, STREET, {"context_12": ("--context", "12", "--fast-context")}, full_state)

        for words, message in (
            (("--start", "none"), "go on from a picture"),
            (("--start", "nowhere"), "winter_lamps"),
            (("--resume", str(root / "half.walk"), "--size", "256x128"), "take the same --size"),
            (("--size", "200x128"), "multiples of 16"),
            (("--context", "8"), "at least 12"),
        ):
            done = run("--chunks", "1", *words)
            check(f"{words} is refused", done.returncode == 2 and message in done.stderr, done.returncode, done.stderr)
    print("worldplay_8b_walk: all as it should be")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"worldplay_8b_walk: {failure}")
