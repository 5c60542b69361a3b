#!/usr/bin/env python3
"""Memory that a compressed cache saves at the peak, against what its ledger says (NVIDIA GPU).

Walks the same chunks in fresh processes with the cache in BF16 and in another format, and compares saved peak_gpu_bytes with saved
cache.peak_bytes. Fails when they are further apart than max(64 MiB, 1 %).

    peak_saved.py --wander build/release/bin/wander --model DIR [--format int2] [--chunks 22] [--threads N]
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

MIB = 2**20


def walk(options, cache, metrics):
    command = [options.wander, "--headless", "--model", options.model, "--chunks", str(options.chunks), "--device", "cuda",
               "--cache", cache, "--metrics", str(metrics)]
    if options.threads:
        command += ["--threads", str(options.threads)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    run = json.loads(metrics.read_text())
    peaks = run["peak_gpu_bytes"], run["cache"]["peak_bytes"]
    print(f"{cache:8} peak_gpu {peaks[0] / MIB:9.1f} MiB   cache peak {peaks[1] / MIB:9.1f} MiB   "
          f"period of the last chunk {run['chunks'][-1]['ms']['period']:.0f} ms")
    return peaks


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wander", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--format", default="int2")
    parser.add_argument("--chunks", type=int, default=22)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        metrics = pathlib.Path(folder) / "metrics.json"
        plain = walk(options, "bf16", metrics)
        packed = walk(options, options.format, metrics)
    saved, saved_cache = plain[0] - packed[0], plain[1] - packed[1]
    limit = max(64 * MIB, saved_cache / 100)
    print(f"saved    peak_gpu {saved / MIB:9.1f} MiB   cache peak {saved_cache / MIB:9.1f} MiB   "
          f"{(saved - saved_cache) / MIB:.1f} MiB apart, limit {limit / MIB:.1f}")
    return 0 if abs(saved - saved_cache) <= limit else 1


if __name__ == "__main__":
    sys.exit(main())
