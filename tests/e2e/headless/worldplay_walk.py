#!/usr/bin/env python3
"""A small HY-WorldPlay WAN-5B from files as people download them: steered, packed, saved, resumed, rewound.

    worldplay_walk.py PATH_TO_WANDER PATH_TO_MAKE_MODEL_FOLDER
"""

import json
import math
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from short_walk import read_png

CHUNKS = 7
WALK = [{"chunk": 0, "hold": ["forward"]}, {"chunk": 2, "hold": ["yaw_right"], "mouse": [0.3, 0.05]}, {"chunk": 4, "hold": ["back", "left"]}]


class Failed(Exception):
    pass


def check(what, condition, *facts):
    if not condition:
        raise Failed(f"{what}: {facts}")


def tensors(path):
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__")
    return {name: data[8 + length + entry["data_offsets"][0] : 8 + length + entry["data_offsets"][1]] for name, entry in header.items()}


def without_facts(source, target, names):
    """The same file as it was written before it had these facts."""
    data = source.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    for name in names:
        del header["__metadata__"][name]
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    target.write_bytes(struct.pack("<Q", len(head)) + head + data[8 + length :])


def goes_on_under_its_context(small, root, words, contexts, full):
    """A walk keeps the context that it was walked with, whatever a resume says."""
    for name, context in contexts.items():
        _, whole = small.walk(name, *words, *context)
        check(f"{name}: another walk", whole != full)
        half = root / f"{name}_half.walk"
        small.walk(half.stem, *words, *context, controls=WALK[:2], chunks=4)
        script = root / f"{name}_rest.jsonl"
        script.write_text(json.dumps({**WALK[2], "chunk": 0}))
        rest = ("--resume", str(half), "--controls", str(script), "--chunks", "3", "--walk-out", str(root / "rest_of_it.walk"))
        other = "20" if "12" in context else "12"
        for given in ((), ("--context", other)):
            done = small.run(*rest, "--session-out", str(root / "rest_of_it.json"), *given)
            check(f"{name}: resumed with {given}", done.returncode == 0 and tensors(root / "rest_of_it.walk") == whole, done.stderr)
            check(f"{name}: and it is said", "was walked with --context" in done.stderr and "goes on so" in done.stderr, done.stderr)
            session = json.loads((root / "rest_of_it.json").read_text())
            check(f"{name}: session", session["fast_context"] == ("--fast-context" in context), session)
        done = small.run(*rest, *context)
        check(f"{name}: no word where it is asked for", done.returncode == 0 and "goes on so" not in done.stderr, done.stderr)
        without_facts(half, root / "old.walk", ("context", "fast_context"))
        done = small.run("--resume", str(root / "old.walk"), *rest[2:], *context)
        check(f"{name}: an old file goes on as asked", done.returncode == 0 and tensors(root / "rest_of_it.walk") == whole, done.stderr)


def goes_on_with_its_decoder(small, root, words, full):
    """With the decoder's state in the file the pictures go on bit for bit, not only the latents."""
    walk = small.walk
    _, state = walk("decoder_half", *words, "--walk-decoder", controls=WALK[:2], chunks=4)
    check("the decoder's state is there", any(name.startswith("decoder/") for name in state), state.keys())
    # Its own walk again holds the state of its own end, and the pictures are those of the walk in one piece.
    _, rest = walk("decoder_rest", "--resume", str(root / "decoder_half.walk"), "--frames", str(root / "decoder_rest"), controls=[{**WALK[2], "chunk": 0}], chunks=3)
    check("not asked for, not kept", not any(name.startswith("decoder/") for name in rest), rest.keys())
    first = len(list((root / "full").iterdir())) - 48
    for frame in range(48):
        true, resumed = root / "full" / f"{first + frame:06}.png", root / "decoder_rest" / f"{4 + frame:06}.png"
        check("the same picture", read_png(true)[2] == read_png(resumed)[2], frame)
    check("and the same latents", rest == full)


def walks_with_the_tiny_decoder(small, root, words, full, full_state, file):
    """The same latents and as many frames; half a walk goes on with and without the decoder's state in its file."""
    tiny, state = small.walk("tiny", *words, "--decoder", "tiny", "--frames", str(root / "tiny"), "--session-out", str(root / "tiny.json"))
    check("the latents do not depend on the decoder", state == full_state)
    check("as many frames a chunk", [c["frames"] for c in tiny["chunks"]] == [c["frames"] for c in full["chunks"]], tiny["chunks"])
    check("other pictures", tiny["frames"] == full["frames"] and tiny["frames_sha256"] != full["frames_sha256"])
    check("the session says so", json.loads((root / "tiny.json").read_text())["decoder"] == "tiny")
    first = len(list((root / "tiny").iterdir())) - 48
    for name, kept in (("with", ("--walk-decoder",)), ("without", ())):
        half, rest = f"tiny_half_{name}", f"tiny_rest_{name}"
        _, saved = small.walk(half, *words, "--decoder", "tiny", *kept, controls=WALK[:2], chunks=4)
        check(f"{name} the decoder's state", any(key.startswith("decoder/") for key in saved) == bool(kept), saved.keys())
        _, state = small.walk(rest, "--resume", str(root / f"{half}.walk"), "--decoder", "tiny", "--frames", str(root / rest), controls=[{**WALK[2], "chunk": 0}], chunks=3)
        check(f"{name} it the latents go on", state == full_state)
        # Its memory blocks forget within eight latents, so sixteen lead it to the same state up to rounding.
        for frame in range(48):
            _, _, true, _ = read_png(root / "tiny" / f"{first + frame:06}.png")
            _, _, resumed, _ = read_png(root / rest / f"{4 + frame:06}.png")
            check(f"{name} it the pictures go on", true == resumed if kept else psnr(true, resumed) >= 60, frame, psnr(true, resumed))
    detour = [*WALK[:2], {"chunk": 4, "hold": ["yaw_left"]}, {"chunk": 6, "hold": ["back", "left"], "rewind": 2}]
    _, back_state = small.walk("tiny_back", *words, "--decoder", "tiny", controls=detour, chunks=9)
    check("a rewound one comes to the same", back_state == full_state)
    # The other decoder cannot go on with that state, but without it.
    resume = ("--chunks", "1", "--resume")
    done = small.run(*resume, str(root / "tiny_half_with.walk"), "--decoder", "full")
    check("another decoder's state", done.returncode != 0 and "state of another decoder" in done.stderr, done.stderr)
    done = small.run(*resume, str(root / "tiny_half_without.walk"), "--decoder", "full")
    check("no state, no complaint", done.returncode == 0, done.stderr)

    place = small.model / file
    kept = place.rename(root / file)
    done = small.run("--chunks", "1", "--decoder", "tiny")
    check("missing: what and where from", done.returncode == 2 and "has none; tiny VAE: tae" in done.stderr and "madebyollin/taehv" in done.stderr, done.stderr)
    check("nobody else needs it", small.run("--chunks", "1").returncode == 0)
    kept.rename(place)


def keeps_its_context_as_published(small, root, words, full):
    """The parity mode: the third chunk is the first that reads what was packed, and a resumed walk packs the same again."""
    words = (*words, "--cache", "qvg-published")
    whole, state = small.walk("qvg", *words)
    chunk = len(full["latents"]) // CHUNKS
    check("nothing is packed yet", state["latents"][: 2 * chunk] == full["latents"][: 2 * chunk])
    check("now it is", state["latents"][2 * chunk : 3 * chunk] != full["latents"][2 * chunk : 3 * chunk])
    check("the cache itself is not", whole["cache_format"] == "qvg-published", whole["cache_format"])
    small.walk("qvg_half", *words, controls=WALK[:2], chunks=4)
    _, rest = small.walk("qvg_rest", "--resume", str(root / "qvg_half.walk"), *words[2:], controls=[{**WALK[2], "chunk": 0}], chunks=3)
    check("a resumed walk packs the same again", rest == state)


def psnr(one, other):
    error = sum((a - b) ** 2 for a, b in zip(one, other)) / len(one)
    return 10 * math.log10(255 * 255 / error) if error else math.inf


class SmallModel:
    """A small model in a folder of its own, and walks with it on the CPU."""

    def __init__(self, wander, make_model_folder, model, root):
        self.wander, self.root, self.model = wander, root, root / "model"
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(root / "cache"), "XDG_CONFIG_HOME": str(root / "config")}
        subprocess.run([make_model_folder, str(self.model), "--model", model, "--small"], check=True, capture_output=True)

    def run(self, *words):
        command = [self.wander, "--headless", "--model", str(self.model), "--device", "cpu", "--precision", "fp32", "--seed", "5", *words]
        return subprocess.run(command, capture_output=True, text=True, env=self.environment)

    def walk(self, name, *words, controls=WALK, chunks=CHUNKS):
        script = self.root / f"{name}.jsonl"
        script.write_text("\n".join(json.dumps(line) for line in controls))
        metrics, saved = self.root / f"{name}.metrics.json", self.root / f"{name}.walk"
        done = self.run("--controls", str(script), "--chunks", str(chunks), "--metrics", str(metrics), "--walk-out", str(saved), *words)
        check(f"{name} walks", done.returncode == 0, done.stderr)
        return json.loads(metrics.read_text()), tensors(saved)


def main():
    wander, make_model_folder = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        small = SmallModel(wander, make_model_folder, "wan-5b", root)
        run, walk = small.run, small.walk

        full, full_state = walk("full", "--frames", str(root / "full"), "--prompt", "A quiet street.", "--session-out", str(root / "session.json"))
        check("one frame, twelve, then sixteen a chunk", full["frames"] == 1 + 12 + 16 * (CHUNKS - 1), full["frames"])
        check("four times the rate of latents", [c["frames"] for c in full["chunks"]] == [12] + [16] * (CHUNKS - 1))
        held = [c["cache_bytes"] for c in full["chunks"]]
        check("the context ends at 16 latents", held[-1] == held[-2] == max(held) > held[1], held)
        session = json.loads((root / "session.json").read_text())
        check("session", session["size"] == "192x128" and session["context"] == 16 and session["prompt"] == "A quiet street." and session["controls"][1]["mouse"], session)
        again, _ = walk("again", "--prompt", "A quiet street.")
        check("the same walk again", again["frames_sha256"] == full["frames_sha256"])
        for name, words, controls in (
            ("still", ("--prompt", "A quiet street."), []),
            ("lake", ("--prompt", "A lake."), WALK),
            ("lamps", ("--prompt", "A quiet street.", "--start", "winter_lamps"), WALK),
            ("text alone", ("--prompt", "A quiet street.", "--start", "none"), WALK),
            ("picture", ("--prompt", "A quiet street.", "--start", str(root / "full" / "000040.png")), WALK),
        ):
            other, _ = walk(name.replace(" ", "_"), *words, controls=controls)
            check(f"{name}: another walk", other["frames_sha256"] != full["frames_sha256"])
            check(f"{name}: its frames", other["frames"] == full["frames"], other["frames"])

        # Keys choose the clip that the context gets beside the newest latents: a turn that was not foreseen makes it again.
        turns = [{"chunk": c, "hold": [("yaw_right", "yaw_left")[c % 2]], "mouse": [0.35 * (-1) ** c, 0]} for c in range(11)]
        turning, _ = walk("turning", controls=turns, chunks=11)
        made_again = [c["contexts_made_again"] for c in turning["chunks"]]
        check("only where a clip is chosen", not any(made_again[:5]) and max(made_again) <= 1, made_again)

        switch = WALK + [{"chunk": 5, "cache": "bf16"}]
        for cache in ("fp8", "int2"):
            packed, _ = walk(cache, "--prompt", "A quiet street.", "--cache", cache, controls=switch)
            ratio = full["chunks"][4]["cache_bytes"] / packed["chunks"][4]["cache_bytes"]
            check(f"{cache} packs the whole context", ratio > (3.9 if cache == "fp8" else 12), ratio)  # of 4-byte values here
            check(f"{cache}: back to BF16", packed["chunks"][6]["cache_bytes"] == held[6], packed["chunks"][6])
        keeps_its_context_as_published(small, root, ("--prompt", "A quiet street."), full_state)
        change, _ = walk("change", "--prompt", "A quiet street.", controls=[*WALK[:2], {**WALK[2], "prompt": "A lake."}])
        texts = [c["prompt"] for c in change["chunks"]]
        check("the prompt changes at its chunk", texts == ["A quiet street."] * 4 + ["A lake."] * 3, texts)

        walk("half", "--prompt", "A quiet street.", controls=WALK[:2], chunks=4)
        rest, rest_state = walk("rest", "--resume", str(root / "half.walk"), "--frames", str(root / "rest"), controls=[{**WALK[2], "chunk": 0}], chunks=3)
        check("a resumed walk goes on bit for bit", rest_state == full_state)
        detour = [*WALK[:2], {"chunk": 4, "hold": ["yaw_left"]}, {"chunk": 6, "hold": ["back", "left"], "rewind": 2}]
        back, back_state = walk("back", "--prompt", "A quiet street.", controls=detour, chunks=9)
        check("and so does a rewound one", back_state == full_state)
        check("which shows where it stands", back["frames"] == 1 + 12 + 16 * 8 + 4, back["frames"])
        _, anew_state = walk("anew", "--prompt", "A quiet street.", controls=[{"chunk": 0, "hold": ["left"]}, {**WALK[0], "chunk": 1, "rewind": 9}, *({**e, "chunk": e["chunk"] + 1} for e in WALK[1:])], chunks=CHUNKS + 1)
        check("or one rewound to its start", anew_state == full_state)
        # Frames of the resumed walk: four of the last latent before it, then 48. From the third latent on the decoder has caught up.
        for frame in (8, 20, 47):
            _, _, true, _ = read_png(root / "full" / f"{61 + frame:06}.png")
            _, _, resumed, _ = read_png(root / "rest" / f"{4 + frame:06}.png")
            check("the decoder catches up", psnr(true, resumed) >= 40, frame, psnr(true, resumed))

        goes_on_with_its_decoder(small, root, ("--prompt", "A quiet street."), full_state)
        walks_with_the_tiny_decoder(small, root, ("--prompt", "A quiet street."), full, full_state, "taew2_2.pth")
        contexts = {"short_context": ("--context", "12"), "fast_context": ("--context", "12", "--fast-context")}
        goes_on_under_its_context(small, root, ("--prompt", "A quiet street."), contexts, full_state)

        done = run("--path", "w-3,right-4,d-8", "--chunks", "4", "--path-out", str(root / "path.json"))
        check("a pose string", done.returncode == 0, done.stderr)
        poses = json.loads((root / "path.json").read_text())
        check("a camera for each latent", len(poses) == 16)
        check("w-3 goes ahead", abs(poses["3"]["extrinsic"][2][3] - 0.24) < 1e-9, poses["3"])
        check("right-4 turns", abs(math.degrees(math.acos(poses["7"]["extrinsic"][0][0])) - 12) < 1e-6, poses["7"])
        done = run("--path", str(root / "path.json"), "--chunks", "4", "--path-out", str(root / "copy.json"))
        check("a pose file", done.returncode == 0 and (root / "copy.json").read_text() == (root / "path.json").read_text(), done.stderr)

        damaged = root / "damaged.walk"
        damaged.write_bytes((root / "half.walk").read_bytes()[:-100])
        for words, message in (
            (("--resume", str(damaged)), "damaged.walk"),
            (("--resume", str(root / "half.walk"), "--size", "256x128"), "take the same --size"),
            (("--size", "200x128"), "multiples of 32"),
            (("--context", "9"), "whole chunks"),
            (("--walk-decoder",), "--walk-out"),
            (("--cache", "qvg-published", "--fast-context"), "leave one out"),
            (("--cache", "qvg-published", "--cache-layers", "0:int8"), "--cache-layers"),
            (("--start", "nowhere"), "winter_lamps"),
            (("--path", "x-3"), "--path"),
            (("--path", "missing.json"), "no such file"),
        ):
            done = run("--chunks", "1", *words)
            check(f"{words} is refused", done.returncode == 2 and message in done.stderr, done.returncode, done.stderr)
    print("worldplay_walk: all as it should be")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"worldplay_walk: {failure}")
