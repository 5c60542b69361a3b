#!/usr/bin/env python3
"""Time of a chunk of the embedded world on the CPU, the program against eager Python torch, in one run.

Alternates both, so that whatever else the machine does hits them alike; the window is full before anything is counted.

    chunk_period.py --wander build/release/bin/wander --python PYTHON_WITH_TORCH_2.11 [--rounds 2] [--precision fp32 bf16]

The program's figure is the median period between finished chunks (headless, nothing written); the twin's is the median of
the same work in sequence. Prints a Markdown table and the ratio; exits 1 when the ratio is below 1.5.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILL = 26  # chunks until sink and window of 24 latents are full


def run_wander(options, precision, cache):
    with tempfile.TemporaryDirectory() as folder:
        metrics = os.path.join(folder, "metrics.json")
        command = [options.wander, "--headless", "--device", "cpu", "--threads", str(options.threads), "--precision", precision]
        command += ["--cache", cache, "--controls", f"right-{FILL + options.chunks}", "--chunks", str(FILL + options.chunks)]
        subprocess.run(command + ["--seed", "1", "--metrics", metrics], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(metrics) as file:
            chunks = json.load(file)["chunks"][FILL:]
    return [c["ms"]["period"] for c in chunks], [c["ms"] for c in chunks]


def run_twin(options, precision):
    command = [options.python, os.path.join(ROOT, "tests/bench/eager_twin.py"), "--world", os.path.join(ROOT, "assets/world")]
    command += ["--chunks", str(options.chunks), "--threads", str(options.threads), "--precision", precision]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["median_ms"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wander", required=True)
    parser.add_argument("--python", default=sys.executable, help="a Python that can import torch 2.11")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--chunks", type=int, default=30, help="timed chunks a round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"])
    options = parser.parse_args()
    slow = False
    print("| precision | cache | median period ms | p99 | denoise | context | decode | eager twin ms | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for precision in options.precision:
        periods, stages, twins = {}, {}, []
        for _ in range(options.rounds):
            for cache in ("bf16", "int2"):
                found, ms = run_wander(options, precision, cache)
                periods.setdefault(cache, []).extend(found)
                stages.setdefault(cache, []).extend(ms)
            twins.append(run_twin(options, precision)["total"])
        twin = statistics.median(twins)
        for cache, found in periods.items():
            median = statistics.median(found)
            p99 = sorted(found)[min(len(found) - 1, int(0.99 * len(found)))]
            stage = {k: statistics.median(s[k] for s in stages[cache]) for k in ("denoise", "context", "decode")}
            ratio = twin / median
            slow = slow or ratio < 1.5
            print(
                f"| {precision} | {cache} | {median:.1f} | {p99:.1f} | {stage['denoise']:.1f} | {stage['context']:.1f} "
                f"| {stage['decode']:.1f} | {twin:.1f} | {ratio:.2f} |",
                flush=True,
            )
    sys.exit(1 if slow else 0)


if __name__ == "__main__":
    main()
