#!/usr/bin/env python3
"""A short headless walk of the embedded world into every kind of file, looked at with other programs' eyes (ffprobe, ffmpeg, zlib).

Usage: short_walk.py PATH_OF_WANDER
"""

import hashlib
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

CHUNKS = 6
FRAMES = 1 + 4 * CHUNKS
CONTROLS = [
    {"chunk": 0, "hold": ["forward"]},
    {"chunk": 1, "mouse": [-0.25, 0.0625]},
    {"chunk": 3, "hold": ["forward", "yaw_right"], "cache": "int2"},
]
# H.264 at CRF 18, chroma at half size, small pictures full of detail: measured 3.4.
MAX_MEAN_ERROR = 5.0


def read_png(path):
    """Width, height, RGB rows and iTXt facts of an RGB8 PNG, without any picture library."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", path
    at, packed, facts = 8, b"", {}
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0], (path, kind)
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert (depth, colour) == (8, 2), path
        elif kind == b"IDAT":
            packed += body
        elif kind == b"iTXt":
            key, rest = body.split(b"\0", 1)
            facts[key.decode()] = rest[4:].decode()
        at += 12 + length
    raw, stride, rows = zlib.decompress(packed), width * 3, []
    previous = bytearray(stride)
    for y in range(height):
        mode, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1 : (y + 1) * (stride + 1)])
        for i in range(stride):
            left = line[i - 3] if i >= 3 else 0
            up, corner = previous[i], previous[i - 3] if i >= 3 else 0
            if mode == 1:
                guess = left
            elif mode == 2:
                guess = up
            elif mode == 3:
                guess = (left + up) // 2
            elif mode == 4:
                p = left + up - corner
                guess = min((abs(p - left), 0, left), (abs(p - up), 1, up), (abs(p - corner), 2, corner))[2]
            else:
                guess = 0
            line[i] = (line[i] + guess) & 255
        rows.append(bytes(line))
        previous = line
    return width, height, b"".join(rows), facts


def walk(program, folder, name, *more):
    controls = folder / "controls.jsonl"
    controls.write_text("\n".join(json.dumps(line) for line in CONTROLS))
    metrics = folder / f"{name}.json"
    words = ["--headless", "--controls", controls, "--chunks", CHUNKS, "--seed", 11, "--start", "village_fountain", "--device", "cpu"]
    done = subprocess.run([program, *map(str, words), "--metrics", metrics, *map(str, more)], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return json.loads(metrics.read_text())


def check_pictures(folder, metrics):
    pictures = sorted(folder.iterdir())
    assert [p.name for p in pictures] == [f"{i:06d}.png" for i in range(FRAMES)], [p.name for p in pictures]
    digest = hashlib.sha256()
    for index, path in enumerate(pictures):
        width, height, rgb, facts = read_png(path)
        assert (width, height) == (metrics["width"], metrics["height"])
        assert facts["seed"] == "11" and facts["model"] == metrics["model"] and facts["frame"] == str(index), facts
        digest.update(rgb)
    assert digest.hexdigest() == metrics["frames_sha256"], "the PNGs are not the frames that were hashed"
    return rgb


def check_video(path, metrics, last_picture):
    probe = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json", path]
    report = json.loads(subprocess.run(probe, capture_output=True, text=True, check=True).stdout)
    (stream,) = report["streams"]
    assert int(stream["nb_read_frames"]) == FRAMES, stream
    assert (stream["codec_name"], stream["pix_fmt"]) == ("h264", "yuv420p"), stream
    assert (stream["color_space"], stream["color_range"], stream["color_primaries"]) == ("bt709", "tv", "bt709"), stream
    assert stream["avg_frame_rate"] == "16/1", stream
    tags = report["format"]["tags"]
    assert tags["seed"] == "11" and tags["model"] == metrics["model"] and tags["version"] == metrics["version"], tags
    assert json.loads(tags["controls"])[-1]["cache"] == "int2", tags
    decode = ["ffmpeg", "-v", "error", "-i", path, "-vf", "scale=in_color_matrix=bt709:in_range=tv", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(decode, capture_output=True, check=True).stdout
    last = raw[-len(last_picture) :]
    error = sum(abs(a - b) for a, b in zip(last, last_picture)) / len(last)
    assert error < MAX_MEAN_ERROR, f"mean error of the last frame: {error}"
    return error


def main():
    program = str(Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory(prefix="wander-e2e-") as name:
        folder = Path(name)
        record = shutil.which("ffprobe") is not None
        video = ["--out", folder / "walk.mp4"] if record else []
        metrics = walk(program, folder, "first", "--frames", folder / "frames", "--session-out", folder / "session.json", *video)
        assert metrics["frames"] == FRAMES and len(metrics["chunks"]) == CHUNKS
        assert metrics["cache"]["format"] == "int2" and metrics["chunks"][0]["format"] == "bf16"
        assert metrics["chunks"][0]["hold"] == ["forward"] and metrics["chunks"][5]["hold"] == ["forward", "yaw_right"]
        assert metrics["chunks"][1]["mouse"] == [-0.25, 0.0625] and metrics["chunks"][2]["mouse"] == [0, 0]
        turned = [metrics["chunks"][i]["pose"]["yaw"] - metrics["chunks"][i - 1]["pose"]["yaw"] for i in (1, 2)]
        assert turned[0] < -0.1 and turned[1] < -0.05 and abs(sum(turned) + 0.25) < 1e-5, f"the mouse turned {turned}"
        assert all(chunk["ms"]["total"] > 0 for chunk in metrics["chunks"])
        last = check_pictures(folder / "frames", metrics)
        error = check_video(folder / "walk.mp4", metrics, last) if record else None
        session = json.loads((folder / "session.json").read_text())
        assert session["controls"] == CONTROLS, session
        again = walk(program, folder, "again")
        assert again["frames_sha256"] == metrics["frames_sha256"], "the same walk gave other frames"
        left = sorted(p.name for p in folder.iterdir())
        assert not [name for name in left if name.endswith(".part")], left
    print(f"{FRAMES} frames, {metrics['fps']:.1f} fps, start {metrics['start_ms']:.0f} ms, mean error of the video {error}")


if __name__ == "__main__":
    main()
