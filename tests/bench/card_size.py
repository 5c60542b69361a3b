#!/usr/bin/env python3
"""Does a whole walk of a text model, prompt encoding included, fit on a card of a given size? (NVIDIA GPU)

Holds so much of the GPU that only CARD GiB are left, walks until the window is full and a few chunks more, changing the prompt on the way,
and prints what the driver counted, by chunk, against what the forecast said from chunk 5 on. Fails when the walk does not fit, or when the forecast
was off by more than 2 % of the memory in use at the end.

    card_size.py --wander build/release/bin/wander --model DIR --card 12 --latents 42 [--cache int2] [--decoder tiny] [--sink 3]
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

GIB = 2**30
# Through the driver's own library: nothing else is needed to hold memory.
HOLDER = """
import ctypes, sys
driver = ctypes.CDLL("libcuda.so.1")
def call(name, *words):
    status = getattr(driver, name)(*words)
    if status:
        sys.exit(f"card_size: {name} answers {status}")
device, context, free, total, piece = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t(), ctypes.c_uint64()
call("cuInit", 0)
call("cuDeviceGet", ctypes.byref(device), 0)
call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
call("cuCtxSetCurrent", context)
call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
left = free.value - int(float(sys.argv[1]) * 2**30)
while left > 0:
    call("cuMemAlloc_v2", ctypes.byref(piece), ctypes.c_size_t(min(left, 2**30)))
    left -= 2**30
call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
print(total.value - free.value, flush=True)
sys.stdin.readline()
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wander", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--card", type=float, required=True, help="GiB left free")
    parser.add_argument("--latents", type=int, required=True, help="in view")
    parser.add_argument("--sink", type=int, default=3)
    parser.add_argument("--cache", default="int2")
    parser.add_argument("--decoder", default="tiny")
    options = parser.parse_args()
    chunks = options.latents // 3 + 6
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(options.card)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    answer = holder.stdout.readline()
    if not answer:
        sys.exit("card_size: the memory could not be held")
    held = int(answer)
    try:
        with tempfile.TemporaryDirectory() as folder:
            metrics, controls = pathlib.Path(folder) / "metrics.json", pathlib.Path(folder) / "controls.jsonl"
            controls.write_text(json.dumps({"chunk": 3, "prompt": "Another street."}) + "\n" + json.dumps({"chunk": 6, "hold": ["forward"]}) + "\n")
            subprocess.run([options.wander, "--headless", "--model", options.model, "--device", "cuda", "--chunks", str(chunks), "--cache", options.cache,
                            "--decoder", options.decoder, "--text-encoder", "streamed", "--window", f"{options.latents}+{options.sink}",
                            "--prompt", f"A street that was never seen before, {held}.", "--controls", str(controls), "--metrics", str(metrics)],
                           check=True, stdout=subprocess.DEVNULL)
            run = json.loads(metrics.read_text())
    finally:
        holder.communicate("\n")
    own = [chunk["device_used_bytes"] - held for chunk in run["chunks"]]
    forecast = [chunk["forecast_device_bytes"] - held for chunk in run["chunks"]]
    last = own[-1]
    print(f"{run['device_name']}, {options.card} GiB left free, {options.latents} latents in view, cache {options.cache}, decoder {options.decoder}")
    print(f"in use at the end {last / GIB:.2f} GiB, at most {max(own) / GIB:.2f} GiB; cache {run['chunks'][-1]['cache_bytes'] / GIB:.2f} GiB")
    rest = [(chunk["device_used_bytes"] - held - chunk["cache_bytes"]) / GIB for chunk in run["chunks"]]
    print("beside the cache, GiB:", " ".join(f"{value:.2f}" for value in rest))
    worst = max(abs(f - last) / last for f in forecast[5:])
    print(f"forecast from chunk 5 on: {forecast[5] / GIB:.2f} GiB, at worst {100 * worst:.1f} % off; last chunk {run['chunks'][-1]['ms']['period']:.0f} ms")
    if max(own) > options.card * GIB or worst > 0.02:
        sys.exit("card_size: does not fit, or the forecast was wrong")


if __name__ == "__main__":
    main()
