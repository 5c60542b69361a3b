#!/usr/bin/env python3
"""A small folder of each published layout: what `wander info` says, what `wander convert` writes, and what is refused.

The converted tensors are compared with the float32 ones of the diffusers files, read and rounded here.

Usage: info_and_convert.py PATH_OF_WANDER PATH_OF_MAKE_MODEL_FOLDER
"""

import array
import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path


def run(*words, code=0):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120)
    if done.returncode != code:
        raise SystemExit(f"{words}: exit code {done.returncode}, expected {code}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def expect(text, *parts):
    for part in parts:
        if part not in text:
            raise SystemExit(f"'{part}' is missing in:\n{text}")


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body = data[8 + length :]
    return {name: (entry["dtype"], entry["shape"], body[slice(*entry["data_offsets"])]) for name, entry in header.items()}


def as_bf16(raw):
    """float32 bytes rounded to bfloat16: to nearest, ties to even."""
    words = array.array("I", raw)
    return array.array("H", (((w + 0x7FFF + ((w >> 16) & 1)) >> 16) & 0xFFFF for w in words)).tobytes()


def check_values(folder):
    """Every tensor of the diffusers' VAE is in the converted file under its native name; matched by content."""
    source = read_safetensors(folder / "vae" / "diffusion_pytorch_model.safetensors")
    converted = read_safetensors(folder / "wander" / "vae.safetensors")
    assert len(source) == len(converted) == 194, (len(source), len(converted))
    contents = {(dtype, tuple(shape), raw) for dtype, shape, raw in converted.values()}
    for name, (dtype, shape, raw) in source.items():
        count = len(raw) // 4
        wanted = ("F32", tuple(shape), raw) if count == shape[0] else ("BF16", tuple(shape), as_bf16(raw))
        assert dtype == "F32" and wanted in contents, name


def worldplay(wander, maker, place):
    """HY-WorldPlay WAN-5B: both layouts of its base model, and files that are not there."""
    folders = {}
    for layout in ("diffusers", "official"):
        folder = folders[layout] = place / f"wan5b-{layout}"
        run(maker, folder, "--model", "wan-5b", "--small", "--scaffolding", "--layout", layout)
        expect(run(wander, "info", folder), "HY-WorldPlay WAN-5B", "wan_distilled_model/model.pt: torch file, entry generator, names of diffusers, 77 tensors",
               "196 tensors, F32", "22 tensors, BF16", "2 layers of 256", "192x128 (also 1280x704, 832x480)", "up to 16 earlier",
               "not done: wander convert", "can run         yes")
        expect(run(wander, "convert", folder), f"{folder}/wander/worldplay_wan5b.safetensors", f"{folder}/wander/wan22_vae.safetensors")
        expect(run(wander, "info", folder), "converted from wan_distilled_model/model.pt", "nothing left to convert")
    for file in ("worldplay_wan5b.safetensors", "wan22_vae.safetensors"):
        a, b = (read_safetensors(folder / "wander" / file) for folder in folders.values())
        assert a == b, file
    folder = folders["official"]
    (folder / "wander" / "worldplay_wan5b.safetensors").unlink()
    (folder / "wan_distilled_model" / "model.pt").unlink()
    (folder / "Wan2.2-TI2V-5B" / "models_t5_umt5-xxl-enc-bf16.pth").unlink()
    expect(run(wander, "info", folder), "missing         transformer: wan_distilled_model/model.pt (21.17 GB) of Hugging Face tencent/HY-WorldPlay",
           "text_encoder/ (all files) (11.36 GB)", "is not used", "not yet")


def main():
    wander, maker = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CACHE_HOME"] = str(Path(name) / "cache")
        folders = {}
        for layout in ("official", "diffusers"):
            folder = folders[layout] = Path(name) / layout
            run(maker, folder, "--small", "--layout", layout)
            text = run(wander, "info", folder)
            expect(text, "transformer", "96 tensors, F32", "194 tensors", "22 tensors, BF16", "tokenizer.json", "3 layers of 256",
                   "96x64 at 16 frames", "not done: wander convert", "can run         yes")
            expect(text, "files as downloaded" if layout == "official" else "names of diffusers")
            expect(run(wander, "convert", folder), "transformer: ", "VAE: ", f"{folder}/wander/dit.safetensors")
            expect(run(wander, "info", folder), "converted from", "BF16 and F32", "nothing left to convert")
            expect(run(wander, "convert", folder), "nothing to convert")
            assert not list(folder.rglob("*.part"))
        # Both layouts hold the same model, so the conversion gives the same tensors under the same names.
        for file in ("dit.safetensors", "vae.safetensors"):
            a, b = (read_safetensors(folders[layout] / "wander" / file) for layout in folders)
            assert a == b, file
        check_values(folders["diffusers"])

        official = folders["official"]
        (official / "Wan2.1_VAE.pth").unlink()
        expect(run(wander, "info", official), "the file it was made from is gone", "can run         yes")
        (official / "self_forcing_dmd.pt").write_bytes((official / "self_forcing_dmd.pt").read_bytes()[:-100])
        expect(run(wander, "info", official), "cannot be used", "self_forcing_dmd.pt: not a usable torch file", "not yet")
        expect(run(wander, "convert", official, code=2), "self_forcing_dmd.pt")
        (official / "self_forcing_dmd.pt").unlink()
        (official / "wander" / "dit.safetensors").unlink()
        expect(run(wander, "info", official), "missing", "gdhe17/Self-Forcing", "5.68 GB", f"{official}/self_forcing_dmd.pt", "not yet")

        worldplay(wander, maker, Path(name))

        empty = Path(name) / "empty"
        empty.mkdir()
        expect(run(wander, "info", empty, code=2), "no model folder", "docs/models.md")
        expect(run(wander, "info", "/no/such/folder", code=2), "/no/such/folder: no such folder")
        expect(run(wander, "info", code=2), "model is required", "wander info --help")
        expect(run(wander, "convert", empty, code=2), "no model folder")
        expect(run(wander, "convert", code=2), "wander convert --help")
        expect(run(wander, "info", official, "--colour", code=2), "--colour")
        expect(run(wander, "info", "--help"), "wander info")
        expect(run(wander, "convert", "--help"), "--system-prompt-from")
        expect(run(wander, "info", official, "--system-prompt-from", "x.py", code=2), "--system-prompt-from")
        expect(run(wander, "convert", official, "--system-prompt-from", __file__, code=2), "no folder of HY-WorldPlay 8B")
        expect(run(wander, "convert", Path(name) / "wan5b-diffusers", "--system-prompt-from", __file__, code=2), "WAN-5B needs none")
        eight = Path(name) / "eight"
        eight.mkdir()
        (eight / "wander-model.json").write_text('{"version": 1, "model": "worldplay-8b"}')
        expect(run(wander, "convert", eight, "--system-prompt-from", __file__, code=2), "SHA-256 547f3e99")
        expect(run(wander, "info", eight), "HY-WorldPlay 8B", "ar_distilled_action_model", "Qwen2.5-VL-7B", "in the way", "the instruction that the text encoder reads", "not yet")
        expect(run(wander, "info", "embedded"), "6 layers", "can run")
    print("info and convert: as expected")


if __name__ == "__main__":
    main()
