#!/usr/bin/env python3
"""HY-WorldPlay at full size in the program: a folder of random values is made, walked with its memory's format changed on the way, and deleted.

Each walk is steered by a controls file. Prints a table for docs/performance.md, a line after every walk, and fails where a chunk has another format
than asked, where going back to BF16 does not bring back the bytes that BF16 had, or where a walk stops. 36 to 39 GB of disk, a model at a time.
--small: the small models of the tests, on the CPU, to try the script itself; FP8 attention is left out there.

    full_size_walks.py --bin build/release/bin --room DIR [--model wan-5b --model worldplay-8b] [--walk NAME ...] [--small]
"""
import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

GIB = 2**30
KEYS = [{"chunk": 0, "hold": ["forward"]}, {"chunk": 3, "hold": ["forward", "yaw_right"]}, {"chunk": 6, "hold": ["back", "left"]}]


class Walk:
    """Words for the program, how many chunks, and the chunks at which the format changes."""

    def __init__(self, name, words, chunks, changes):
        self.name, self.words, self.chunks, self.changes = name, words, chunks, changes

    def format_of(self, chunk):
        before = [name for at, name in sorted(self.changes.items()) if at <= chunk]
        return before[-1] if before else "bf16"

    def controls(self):
        switches = {at: {"cache": name} for at, name in self.changes.items() if at > 0}
        keys = {line["chunk"]: line for line in KEYS}
        held = []
        lines = []
        for chunk in sorted({*keys, *switches}):
            held = keys.get(chunk, {}).get("hold", held)
            lines.append({"chunk": chunk, "hold": held, **switches.get(chunk, {})})
        return "\n".join(json.dumps(line) for line in lines)


WALKS = {
    "wan-5b": [
        Walk("published", [], 10, {5: "fp8", 6: "bf16", 7: "int2", 8: "bf16"}),
        Walk("fast", ["--fast-context"], 10, {5: "int2", 7: "bf16"}),
        Walk("long", ["--context", "48"], 16, {0: "int2", 14: "bf16", 15: "int2"}),
        Walk("fast-fp8", ["--fast-context", "--attention", "fp8"], 9, {}),
    ],
    "worldplay-8b": [
        Walk("published", [], 9, {5: "fp8", 7: "bf16"}),
        Walk("fast", ["--fast-context"], 10, {5: "int2", 7: "bf16"}),
        Walk("fast-fp8", ["--fast-context", "--attention", "fp8"], 9, {}),
    ],
}


def prepare(options, model, folder):
    started = time.monotonic()
    subprocess.run([f"{options.bin}/make_model_folder", folder, "--model", model, *(["--small"] if options.small else [])], check=True, stdout=subprocess.DEVNULL)
    made = time.monotonic() - started
    prompt = ["--system-prompt-from", f"{folder}/code/text_encoders.py"] if model == "worldplay-8b" else []
    subprocess.run([f"{options.bin}/wander", "convert", folder, *prompt], check=True, stdout=subprocess.DEVNULL)
    print(f"{model}: folder made in {made:.0f} s, converted in {time.monotonic() - started - made:.0f} s", flush=True)


def complaints(walk, run):
    chunks = run["chunks"]
    if len(chunks) != walk.chunks:
        yield f"{len(chunks)} chunks of {walk.chunks}"
    for number, chunk in enumerate(chunks):
        if chunk["format"] != walk.format_of(number):
            yield f"chunk {number} has {chunk['format']}, {walk.format_of(number)} was asked for"
    if "--fast-context" in walk.words:
        return # there the context turns chunk by chunk
    of_bf16 = {chunk["cache_bytes"] for number, chunk in enumerate(chunks) if number >= 5 and chunk["format"] == "bf16"}
    if len(of_bf16) > 1:
        yield f"contexts of {sorted(of_bf16)} bytes in BF16"
    packed = [chunk["cache_bytes"] for number, chunk in enumerate(chunks) if number >= 5 and chunk["format"] != "bf16"]
    if packed and of_bf16 and max(packed) > 0.6 * min(of_bf16):
        yield f"{max(packed)} bytes packed where BF16 has {min(of_bf16)}"


def walk_once(options, model, folder, walk):
    controls, metrics = folder.with_suffix(".jsonl"), folder.with_suffix(".json")
    controls.write_text(walk.controls())
    device = ["--device", "cpu"] if options.small else ["--device", "cuda"]
    started = time.monotonic()
    subprocess.run([f"{options.bin}/wander", "--headless", "--model", folder, *device, "--controls", controls, "--chunks", str(walk.chunks), "--metrics", metrics,
                    "--cache", walk.format_of(0), *walk.words], check=True, stdout=subprocess.DEVNULL)
    run = json.loads(metrics.read_text())
    shown = [f"{c['format']} {c['ms']['period']:.0f} ms {c['cache_bytes'] / 2**20:.0f} MiB" for c in run["chunks"][4:]]
    print(f"{model} {walk.name}, {time.monotonic() - started:.0f} s in all, from chunk 4 on: " + "; ".join(shown), flush=True)
    return run


def row(model, walk, run):
    last = run["chunks"][-4:]
    times = [f"{statistics.median(c['ms'][part] for c in last):.0f}" for part in ("period", "denoise", "context", "decode")]
    memory = [f"{run['peak_gpu_bytes'] / GIB:.1f}", f"{run['cache'].get('kept_row_bytes', 0) / GIB:.1f}"]
    formats = " -> ".join([walk.format_of(0), *(f"{name} at {at}" for at, name in sorted(walk.changes.items()) if at > 0)])
    return f"| {model} {' '.join(walk.words) or 'as published'} | {formats} | {' | '.join(times)} | {', '.join(memory)} |"


def chosen_walks(options, model):
    walks = [walk for walk in WALKS[model] if not (options.small and "fp8" in walk.words)]
    return [walk for walk in walks if not options.walk or walk.name in options.walk]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder of wander and make_model_folder")
    parser.add_argument("--room", required=True, type=pathlib.Path, help="where the folder of a model may lie")
    parser.add_argument("--model", action="append", choices=WALKS, help="both unless said")
    parser.add_argument("--walk", action="append", help="all of the model unless said")
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    wanted = {model: chosen_walks(options, model) for model in options.model or WALKS}
    known = {walk.name for walks in wanted.values() for walk in walks}
    for name in options.walk or []:
        if name not in known:
            sys.exit(f"full_size_walks: no walk {name} of {', '.join(wanted)}; there are {', '.join(sorted({w.name for m in wanted for w in WALKS[m]}))}")
    options.room.mkdir(parents=True, exist_ok=True)
    rows, wrong = [], []
    for model, walks in wanted.items():
        if not walks:
            continue
        folder = options.room / f"{model}-random"
        if folder.exists():
            sys.exit(f"full_size_walks: {folder} is there already; delete it or take another --room")
        try:
            prepare(options, model, folder)
            for walk in walks:
                try:
                    run = walk_once(options, model, folder, walk)
                except subprocess.CalledProcessError as failure:
                    wrong.append(f"{model} {walk.name}: {failure}")
                    continue
                rows.append(row(model, walk, run))
                wrong += [f"{model} {walk.name}: {complaint}" for complaint in complaints(walk, run)]
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            for suffix in (".jsonl", ".json"):
                folder.with_suffix(suffix).unlink(missing_ok=True)
    print("\n| walk | format | period ms | denoise | context | decode | peak GiB, kept rows beside it |\n| --- | --- | --- | --- | --- | --- | --- |")
    print("\n".join(rows))
    if wrong:
        sys.exit("full_size_walks: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
