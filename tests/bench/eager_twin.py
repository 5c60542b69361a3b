#!/usr/bin/env python3
"""The embedded world in eager Python torch: the baseline that the program's chunk time is compared with.

The same network, passes and decode, one after the other: rotate the window and embed the pose, two denoise passes, the context pass,
decode. K and V of the window are kept un-rotated and rotated once a chunk, which is what a careful Python author would write.

    eager_twin.py --world assets/world --chunks 12 --threads 2 --precision fp32     prints one JSON line with ms a chunk by stage
    eager_twin.py --world assets/world --check tests/data/world/golden              compares its latents with the golden roll-out
"""

import argparse
import contextlib
import json
import math
import os
import statistics
import struct
import time


def load_safetensors(path):
    with open(path, "rb") as file:
        data = file.read()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    kinds = {"F16": torch.float16, "F32": torch.float32, "I32": torch.int32, "I64": torch.int64}
    out = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        raw = bytearray(data[8 + size + begin : 8 + size + end])
        out[name] = torch.frombuffer(raw, dtype=kinds[entry["dtype"]]).reshape(entry["shape"]).float()
    return out


def sinusoidal(value, width):
    half = width // 2
    angle = value * torch.exp(-math.log(10000.0) * torch.arange(half) / half)
    return torch.cat([angle.cos(), angle.sin()])


class Dit:
    def __init__(self, folder, world):
        self.config = world["dit"]
        self.world = world
        self.weights = load_safetensors(os.path.join(folder, "dit.safetensors"))
        self.rows, self.cols = self.config["tokens"]
        self.tokens = self.rows * self.cols
        self.heads, self.width = self.config["heads"], self.config["head_dim"]
        self.temb = {}
        self.focal = (world["focal_over_width"], world["focal_over_width"] * world["width"] / world["height"])

    def linear(self, name, x):
        return F.linear(x, self.weights[name + ".weight"], self.weights.get(name + ".bias"))

    def norm(self, x):
        return F.layer_norm(x, (x.shape[-1],), eps=self.config["eps"])

    def rms(self, x, name):
        x = x.float()
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.config["eps"]) * self.weights[name]

    def read_map(self, name, world_id, points):
        table = F.pad(self.weights[name][world_id][None], (0, 1, 0, 1), mode="circular")
        grid = (points / self.world["period"]) % 1.0 * 2 - 1
        return F.grid_sample(table, grid[None], align_corners=True)[0].permute(1, 2, 0).flatten(1)

    def pose_tokens(self, pose, world_id):
        x, z, yaw, pitch = (torch.tensor(float(v)) for v in pose)
        fx, fy = self.focal
        v, u = torch.meshgrid(
            ((torch.arange(self.rows) + 0.5) / self.rows - 0.5) / fy,
            ((torch.arange(self.cols) + 0.5) / self.cols - 0.5) / fx,
            indexing="ij",
        )
        u, v = u.flatten(), v.flatten()
        du, dv = 0.25 / self.cols / fx, 0.25 / self.rows / fy
        cp, sp = pitch.cos(), pitch.sin()
        down, ahead = cp * v - sp, sp * v + cp
        phi, elevation = yaw + torch.atan2(u, ahead), torch.atan2(-down, torch.hypot(u, ahead))
        parts = [f(k * phi) for k in (1, 2, 3, 4, 6, 8) for f in (torch.sin, torch.cos)]
        parts += [f(k * elevation) for k in (1, 2, 4) for f in (torch.sin, torch.cos)]
        for k in (1, 2, 4, 8):
            a, b = 2 * math.pi * k * x / self.world["period"], 2 * math.pi * k * z / self.world["period"]
            parts += [q.expand(self.tokens) for q in (a.sin(), b.sin(), a.cos(), b.cos())]
        here = torch.stack([x, z]).expand(self.tokens, 1, 2)

        def along(direction, radius):
            return torch.stack([x + radius * direction.sin()[:, None], z + radius * direction.cos()[:, None]], -1)

        fine, coarse = [here], []
        for shift in (-du, du):
            direction = yaw + torch.atan2(u + shift, ahead)
            fine.append(along(direction, torch.tensor(self.config["fine_distances"])))
            coarse.append(along(direction, torch.tensor(self.config["coarse_distances"])))
        for b in (-dv, dv):
            for a in (-du, du):
                y, w = cp * (v + b) - sp, sp * (v + b) + cp
                radius = torch.where(y > 0.0488, self.world["eye_height"] * torch.hypot(u + a, w) / y.clamp(min=0.04), torch.full_like(y, 13.0))
                fine.append(along(yaw + torch.atan2(u + a, w), radius.clamp(max=13.0)[:, None]))
        inputs = torch.cat(
            [
                torch.stack(parts, -1),
                self.read_map("map_embedding.fine", world_id, torch.cat(fine, 1)),
                self.read_map("map_embedding.coarse", world_id, torch.cat(coarse, 1)),
            ],
            -1,
        )
        hidden = self.linear("pose_embedding.0", inputs) + self.weights["pose_embedding.world"][world_id]
        return self.linear("pose_embedding.4", F.silu(self.linear("pose_embedding.2", F.silu(hidden))))

    def cameras(self, poses, anchor):
        period = self.world["period"]
        poses = torch.tensor(poses, dtype=torch.float64)
        anchor = torch.tensor(anchor, dtype=torch.float64)
        delta = poses[:, :2] - anchor[:2]
        delta = (delta - period * torch.round(delta / period)) * self.world["translation_scale"]
        cy, sy, cp, sp = poses[:, 2].cos(), poses[:, 2].sin(), poses[:, 3].cos(), poses[:, 3].sin()
        zero = torch.zeros_like(cy)
        rotation = torch.stack([cy, sy * sp, sy * cp, zero, cp, -sp, -sy, cy * sp, cy * cp], -1).reshape(-1, 3, 3)
        shift = torch.stack([delta[:, 0], zero, delta[:, 1]], -1)
        camera = torch.eye(4, dtype=torch.float64).repeat(len(poses), 1, 1)
        camera[:, :3, :3] = rotation.transpose(1, 2)
        camera[:, :3, 3] = -(rotation.transpose(1, 2) @ shift[..., None])[..., 0]
        projection = torch.diag(torch.tensor([*self.focal, 1.0, 1.0], dtype=torch.float64)) @ camera
        return projection.float(), torch.linalg.inv(projection).float()

    def rope_tables(self, positions):
        time_c, row_c, col_c = self.config["rope_split"]

        def frequencies(channels):
            return self.config["rope_theta"] ** (-torch.arange(0, channels, 2) / channels)

        row, col = torch.meshgrid(torch.arange(float(self.rows)), torch.arange(float(self.cols)), indexing="ij")
        space = torch.cat([row.reshape(-1, 1) * frequencies(row_c), col.reshape(-1, 1) * frequencies(col_c)], 1)
        time_part = positions[:, None] * frequencies(time_c)
        n = len(positions)
        angle = torch.cat([time_part[:, None].expand(n, self.tokens, -1), space.expand(n, -1, -1)], -1)
        return angle.cos()[:, :, None], angle.sin()[:, :, None]  # [n, tokens, 1, pairs]

    @staticmethod
    def rope(x, tables):
        cos, sin = tables
        a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
        return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)

    @staticmethod
    def project(x, matrices):  # matrices [n, 4, 4] times every group of 4 channels of x [n, tokens, heads, width]
        groups = x.float().unflatten(-1, (-1, 4))
        return torch.einsum("nij,nthgj->nthgi", matrices, groups).flatten(-2)


class Walk:
    def __init__(self, dit, window, sink, world_id):
        self.dit, self.window, self.sink, self.world_id = dit, window, sink, world_id
        self.keys = [[] for _ in range(dit.config["layers"])]
        self.values = [[] for _ in range(dit.config["layers"])]
        self.poses = []

    def begin(self, pose):
        dit = self.dit
        self.pose = pose
        self.bias = dit.pose_tokens(pose, self.world_id)
        self.p, self.p_inv = dit.cameras([pose], pose)
        n = len(self.poses)
        self.tables = dit.rope_tables(torch.tensor([float(n)]))
        self.history = []
        if n == 0:
            return
        tables = dit.rope_tables(torch.arange(float(n)))
        _, inverse = dit.cameras(self.poses, pose)
        for keys, values in zip(self.keys, self.values):
            k, v = torch.stack(keys), torch.stack(values)
            k = torch.cat([dit.rope(k, tables), dit.project(k, inverse)], 2).to(k.dtype)
            v = torch.cat([v, dit.project(v, inverse).to(v.dtype)], 2)
            shape = (1, n * dit.tokens, 2 * dit.heads, dit.width)
            k, v = (a.reshape(shape).transpose(1, 2) for a in (k, v))
            room = dit.tokens
            self.history.append([torch.cat([a, a.new_empty(1, a.shape[1], room, a.shape[3])], 2) for a in (k, v)])

    def run(self, latent, timestep, label, store=False):
        dit, config = self.dit, self.dit.config
        w = dit.weights
        x = F.conv2d(latent[None], w["patch_embedding.weight"][:, :, 0], w["patch_embedding.bias"], stride=2)
        x = x.flatten(2)[0].T.float() + self.bias
        freq = config["freq_dim"]
        temb = dit.linear("time_embedding.2", F.silu(dit.linear("time_embedding.0", sinusoidal(timestep, freq))))
        temb = temb + dit.linear("action_in.mlp.2", F.silu(dit.linear("action_in.mlp.0", sinusoidal(float(label), freq))))
        six = dit.linear("time_projection.1", F.silu(temb)).reshape(6, -1).float()
        for layer in range(config["layers"]):
            b = f"blocks.{layer}."
            e = six + w[b + "modulation"][0]
            h = dit.norm(x) * (1 + e[1]) + e[0]
            split = lambda a: a.reshape(1, dit.tokens, dit.heads, dit.width)
            q = split(dit.rms(dit.linear(b + "self_attn.q", h), b + "self_attn.norm_q.weight"))
            k = split(dit.rms(dit.linear(b + "self_attn.k", h), b + "self_attn.norm_k.weight"))
            v = split(dit.linear(b + "self_attn.v", h))
            if store:
                self.keys[layer].append(k[0].to(v.dtype))
                self.values[layer].append(v[0])
                if layer == config["layers"] - 1:
                    self.poses.append(self.pose)
                    while len(self.poses) > self.sink + self.window:
                        del self.poses[self.sink]
                        for cache in (self.keys, self.values):
                            for entries in cache:
                                del entries[self.sink]
                    return None
            q2 = torch.cat([dit.rope(q, self.tables), dit.project(q, self.p.transpose(1, 2))], 2).to(v.dtype).transpose(1, 2)
            k2 = torch.cat([dit.rope(k, self.tables), dit.project(k, self.p_inv)], 2).to(v.dtype).transpose(1, 2)
            v2 = torch.cat([v, dit.project(v, self.p_inv).to(v.dtype)], 2).transpose(1, 2)
            if self.history:
                keys, values = self.history[layer]
                keys[:, :, -dit.tokens :] = k2
                values[:, :, -dit.tokens :] = v2
                k2, v2 = keys, values
            out = F.scaled_dot_product_attention(q2, k2, v2).transpose(1, 2)
            first = out[:, :, : dit.heads].reshape(dit.tokens, -1)
            second = dit.project(out[:, :, dit.heads :], self.p).to(v.dtype).reshape(dit.tokens, -1)
            x = x + e[2] * (dit.linear(b + "self_attn.o", first) + dit.linear(b + "self_attn.prope_proj", second))
            h = dit.norm(x) * (1 + e[4]) + e[3]
            x = x + e[5] * dit.linear(b + "ffn.2", F.gelu(dit.linear(b + "ffn.0", h), approximate="tanh"))
        m = w["head.modulation"][0] + temb
        y = dit.linear("head.head", dit.norm(x) * (1 + m[1]) + m[0]).float()
        return y.reshape(dit.rows, dit.cols, 2, 2, 16).permute(4, 0, 2, 1, 3).reshape(16, 2 * dit.rows, 2 * dit.cols)


class Decoder:
    """Streaming decoder; tensors are [frames, channels, height, width], channels-last in memory."""

    def __init__(self, folder, world):
        self.world = world
        self.state = {}
        self.weights = {}
        for name, value in load_safetensors(os.path.join(folder, "vae.safetensors")).items():
            if value.dim() == 5:  # causal time taps become input channels of a 2-D convolution
                value = value.permute(0, 2, 1, 3, 4).flatten(1, 2).contiguous(memory_format=torch.channels_last)
            elif value.dim() == 4 and value.shape[-1] > 1:
                value = value.contiguous(memory_format=torch.channels_last)
            self.weights[name] = value

    def taps(self, name, x):
        past = self.state.get(name)
        if past is None:
            past = x.new_zeros(2, *x.shape[1:])
        x = torch.cat([past, x])
        self.state[name] = x[-2:]
        return torch.cat([x[:-2], x[1:-1], x[2:]], 1)

    def conv(self, name, x, pad=1):
        w = self.weights[name + ".weight"]
        if w.shape[1] == 3 * x.shape[1]:
            x = self.taps(name, x)
        return F.conv2d(x, w, self.weights[name + ".bias"], padding=pad)

    def norm(self, x, name):
        gamma = self.weights[name].reshape(1, -1, 1, 1)
        return x * torch.rsqrt(x.float().square().mean(1, keepdim=True) + 1e-6).to(x.dtype) * gamma.to(x.dtype)

    def res(self, name, x):
        h = self.conv(name + ".residual.2", F.silu(self.norm(x, name + ".residual.0.gamma")))
        return x + self.conv(name + ".residual.6", F.silu(self.norm(h, name + ".residual.3.gamma")))

    def up(self, name, x, first):
        if not first:
            y = self.conv(name + ".time_conv", x, pad=0)
            x = torch.stack(y.chunk(2, 1), 1).flatten(0, 1)
        return self.conv(name + ".resample.1", F.interpolate(x, scale_factor=2))

    def decode(self, latent, first):
        vae = self.world["vae"]
        z = latent * torch.tensor(vae["latent_std"])[:, None, None] + torch.tensor(vae["latent_mean"])[:, None, None]
        x = self.conv("decoder.conv1", z[None].contiguous(memory_format=torch.channels_last))
        for i in range(8):
            name = f"decoder.upsamples.{i}"
            x = self.up(name, x, first) if i in (2, 5) else self.res(name, x)
        x = self.conv("decoder.head.2", F.silu(self.norm(x, "decoder.head.0.gamma"))).float()
        return F.pixel_shuffle(x.unflatten(1, (4, 3)).transpose(1, 2).flatten(1, 2), 2)


def golden_noise(name, seed, count):
    mask = 2**64 - 1

    def mix(z):
        z = (z + 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & mask
    h ^= seed
    return torch.tensor(
        [
            math.sqrt(-2 * math.log(((mix((h + 2 * i) & mask) >> 40) + 0.5) * 2**-24))
            * math.cos(2 * math.pi * (mix((h + 2 * i + 1) & mask) >> 40) * 2**-24)
            for i in range(count)
        ]
    ).float()


def chunk(walk, decoder, world, pose, label, noise, times):
    clock = [time.perf_counter()]
    mark = lambda: clock.append(time.perf_counter())
    walk.begin(pose)
    mark()
    x, steps = noise, world["sampler"]["timesteps"] + [0.0]
    for now, then in zip(steps, steps[1:]):
        x = x + walk.run(x, now, label) * ((then - now) / 1000)
    mark()
    walk.run(x, world["context_timestep"], label, store=True)
    mark()
    frames = decoder.decode(x, False)
    mark()
    for name, a, b in zip(("begin", "denoise", "context", "decode"), clock, clock[1:]):
        times.setdefault(name, []).append((b - a) * 1000)
    times.setdefault("total", []).append((clock[-1] - clock[0]) * 1000)
    return x, frames


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", required=True)
    parser.add_argument("--chunks", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--check", help="folder of a golden roll-out")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    with open(os.path.join(options.world, "world.json")) as file:
        world = json.load(file)
    starts = load_safetensors(os.path.join(options.world, "starts.safetensors"))
    dit, decoder = Dit(options.world, world), Decoder(options.world, world)

    if options.check:
        with open(os.path.join(options.check, "case.json")) as file:
            case = json.load(file)
        golden = load_safetensors(os.path.join(options.check, "out.safetensors"))
        start = next(s for s in world["starts"] if s["name"] == case["config"]["start"])
        walk = Walk(dit, case["config"]["window_latents"], case["config"]["sink_latents"], start["world"])
        walk.begin(case["poses"][0])
        walk.run(starts[start["latent"]], world["context_timestep"], 0, store=True)
        decoder.decode(starts[start["latent"]], True)
        for k in range(case["config"]["chunks"]):
            noise = golden_noise(f"noise.{k}", case["seed"], 16 * 14 * 24).reshape(16, 14, 24)
            latent, frames = chunk(walk, decoder, world, case["poses"][k + 1], case["labels"][k + 1], noise, {})
            want = golden["latents"][k]
            print(f"chunk {k}: relative error {((latent - want).abs().max() / want.abs().max()).item():.2e}")
        last = (frames.clamp(-1, 1) / 2 + 0.5).permute(0, 2, 3, 1)
        print(f"last frames: largest difference {(last - golden['frames.last_chunk']).abs().max().item():.2e}")
        return

    start = world["starts"][0]
    walk = Walk(dit, world["window_latents"], world["sink_latents"], start["world"])
    x, z, yaw, pitch = start["pose"]
    bf16 = torch.autocast("cpu", torch.bfloat16) if options.precision == "bf16" else contextlib.nullcontext()
    torch.manual_seed(0)
    times = {}
    with bf16:
        walk.begin(start["pose"])
        walk.run(starts[start["latent"]], world["context_timestep"], 0, store=True)
        decoder.decode(starts[start["latent"]], True)
        fill = world["window_latents"]
        for k in range(fill + options.chunks):  # turn on the spot; the window is full before anything is timed
            pose = [x, z, yaw + 0.13 * (k + 1), pitch]
            chunk(walk, decoder, world, pose, 1, torch.randn(16, 14, 24), times if k >= fill else {})
    print(
        json.dumps(
            {
                "precision": options.precision,
                "threads": options.threads,
                "chunks": options.chunks,
                "median_ms": {k: round(statistics.median(v), 2) for k, v in times.items()},
                "min_ms": {k: round(min(v), 2) for k, v in times.items()},
            }
        )
    )


if __name__ == "__main__":
    import torch
    import torch.nn.functional as F

    main()
