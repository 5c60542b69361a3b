"""Makes the cases taehv-wan22, taehv-wan22-light and taehv-hunyuan-light: the public tiny decoders with patches.

    taehv_cases.py TAEHV_CHECKOUT LIGHTX2V_CHECKOUT OUTPUT_FOLDER

Checkouts of github.com/madebyollin/taehv and github.com/ModelTC/LightX2V; their code runs as it is, in float32 on a CPU, with
synthetic weights (../README.md has the formula). Needs torch, numpy, safetensors, tqdm.
"""
import importlib.util
import json
import math
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

SEED = 8180
ROWS, COLS, LATENTS = 2, 2, 3
M = (1 << 64) - 1


def splitmix(z):
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def synthetic(name, entry):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & M
    start, count = np.uint64(h ^ SEED), math.prod(entry["shape"])
    u = lambda i: (splitmix(start + i) >> np.uint64(40)).astype(np.float64)
    with np.errstate(over="ignore"):
        i = np.arange(count, dtype=np.uint64)
        if entry.get("gaussian"):
            u1, u2 = (u(i * np.uint64(2)) + 0.5) * 2.0**-24, u(i * np.uint64(2) + np.uint64(1)) * 2.0**-24
            values = entry["offset"] + entry["scale"] * np.sqrt(-2 * np.log(u1)) * np.cos(2 * math.pi * u2)
        else:
            values = entry["offset"] + entry["scale"] * (2 * u(i) * 2.0**-24 - 1)
    return torch.from_numpy(values.astype(np.float32).reshape(entry["shape"]))


def manifest(name, shape, grey):
    if name.endswith("bias"):
        return {"shape": shape, "scale": 0.1, "offset": grey if name == "decoder.22.bias" else 0.0}
    scale = math.sqrt(3 / math.prod(shape[1:])) * (0.8 if ".conv.4." in name else 0.9 if name == "decoder.22.weight" else 1)
    return {"shape": shape, "scale": float(f"{scale:.6g}"), "offset": 0.0}


def module(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def head(checkout):
    return subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def write(folder, source, net, decode, encode, conventions, keep, notes):
    tensors = {name: manifest(name, list(value.shape), sum(conventions["range"]) / 2) for name, value in net.state_dict().items()}
    channels = net.latent_channels
    if not encode:
        tensors = {name: entry for name, entry in tensors.items() if name.startswith("decoder.")}
    net.load_state_dict({name: synthetic(name, entry) for name, entry in tensors.items()}, strict=encode)
    inputs = {"latents": {"shape": [LATENTS, channels, ROWS, COLS], "scale": 1.2, "offset": 0.0, "gaussian": True}}
    latents = synthetic("latents", inputs["latents"])
    seen = []
    hook = net.decoder[5].register_forward_hook(lambda block, given, made: seen.append(given[0].clone()))
    decode(latents[:2])
    hook.remove()
    frames = decode(latents)
    low, high = conventions["range"]
    outputs = {"memory/decoder.5": seen[-1][-1], "decode/frame_counts": torch.tensor([1] + [4] * (LATENTS - 1))}
    outputs["decode/frames"] = frames[keep[0]:].contiguous() if keep else frames
    words = {
        "decode/frames": f"frames{f' from {keep[0]} on' if keep else ''}, clamped to the range, [n, 3, height, width]; the first 3 of the network are dropped",
        "decode/frame_counts": "int64: frames delivered after each latent when streaming",
        "memory/decoder.5": "input of the memory block decoder.5 at the second latent, [channels, height, width]"}
    config = {"lat_h": ROWS, "lat_w": COLS, "latents": LATENTS, "latent_channels": channels, "patch_size": 2,
              "frames_to_trim": net.frames_to_trim, "encoder_time_downscale": [True, True, False],
              "decoder_time_upscale": [False, True, True], "memory_layers": [5], "first_frame": keep[0] if keep else 0}
    config.update(conventions)
    if encode:
        inputs["pixels"] = {"shape": [6, 3, 16 * ROWS, 16 * COLS], "scale": 0.5, "offset": 0.5}
        outputs["encode/latents"] = encode(synthetic("pixels", inputs["pixels"]))
        outputs["encode/latent_counts"] = torch.tensor([0, 0, 0, 1, 0, 0, 1])
        words["encode/latents"] = "latents of all pixel frames, [latents, channels, height, width]"
        words["encode/latent_counts"] = "int64: latents delivered after each pixel frame when streaming, last entry: at the end"
    clamped = ((frames <= low) | (frames >= high)).float().mean().item()
    case = {"seed": SEED, "source": source, "config": config, "tensors": tensors, "inputs": inputs, "outputs": words,
            "tolerance": {"max_rel": 1e-05, "definition": "max|a-b| / max|b| per output"},
            "notes": notes + [f"float32 on a CPU. {100 * clamped:.1f} % of the values of decode/frames were clamped."]}
    folder.mkdir(parents=True, exist_ok=True)
    lines = json.dumps({**case, "tensors": None}, indent=1)
    listed = ",\n".join(f'  "{name}": {json.dumps(entry)}' for name, entry in tensors.items())
    (folder / "case.json").write_text(lines.replace('"tensors": null', '"tensors": {\n' + listed + "\n }") + "\n")
    save_file({name: value.contiguous() for name, value in outputs.items()}, folder / "out.safetensors")
    print(folder.name, tuple(frames.shape), f"clamped {clamped:.3f}", f"{frames.min().item():.3f} .. {frames.max().item():.3f}")


@torch.no_grad()
def main():
    ollin, light, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    torch.manual_seed(0)
    taehv = module("taehv", f"{ollin}/taehv.py")
    encoders = f"{light}/lightx2v/models/video_encoders/hf"
    for package in ("lightx2v", "lightx2v.models", "lightx2v.models.video_encoders", "lightx2v.models.video_encoders.hf"):
        sys.modules[package] = types.ModuleType(package)
    module("lightx2v.models.video_encoders.hf.tae", f"{encoders}/tae.py")
    hunyuan = module("lighttae_hy15", f"{encoders}/hunyuanvideo15/lighttae_hy15.py")
    wan = module("vae_tiny", f"{encoders}/wan/vae_tiny.py")
    ones = {"leak": 0, "latent_mean": [], "latent_std": [], "range": [0, 1]}

    net = taehv.TAEHV(checkpoint_path=None, patch_size=2, latent_channels=48)
    write(out / "taehv-wan22", f"madebyollin/taehv@{head(ollin)} taehv.py (TAEHV) in the layout of taew2_2", net,
          lambda z: net.decode_video(z[None], show_progress_bar=False)[0],
          lambda x: net.encode_video(x[None], show_progress_bar=False)[0], ones, None,
          ["Latents are as the sampler makes them (no mean, no deviation)."])

    version = f"ModelTC/LightX2V@{head(light)} lightx2v/models/video_encoders/hf"
    small = wan.Wan2_2_VAE_tiny(vae_path=None, dtype=torch.float32, need_scaled=True)
    write(out / "taehv-wan22-light", f"{version}/wan/vae_tiny.py (Wan2_2_VAE_tiny, need_scaled), as pipeline.py uses files called lighttae",
          small.taehv, lambda z: (small.decode(z.transpose(0, 1))[0].transpose(0, 1) + 1) / 2, None,
          {**ones, "latent_mean": small.latents_mean, "latent_std": small.latents_std}, [LATENTS * 4 - 3 - 2],
          ["The network takes latents * latent_std + latent_mean."])

    tiny = hunyuan.LightTaeHy15(vae_path=None, dtype=torch.float32)
    write(out / "taehv-hunyuan-light", f"{version}/hunyuanvideo15/lighttae_hy15.py (LightTaeHy15)", tiny.taehv,
          lambda z: tiny.decode(z.transpose(0, 1)[None], show_progress_bar=False)[0].transpose(0, 1), None,
          {"leak": 0.2, "latent_mean": [0.0] * 32, "latent_std": [1 / tiny.scaling_factor] * 32, "range": [-1, 1]}, None,
          ["LeakyReLU 0.2 everywhere; the network takes latents / 1.03682 and gives pictures in [-1, 1]."])


if __name__ == "__main__":
    main()
