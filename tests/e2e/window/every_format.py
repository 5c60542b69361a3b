#!/usr/bin/env python3
"""Every cache format chosen in the window's drop-down while walking, with a real mouse.

    every_format.py PATH_TO_WANDER [FOLDER]     needs DISPLAY and xdotool; with FOLDER a picture of the screen for each
                                                format (needs ImageMagick's import)

The drop-down is found by where the first-run layout of 1280 x 720 has it.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMBO = (1110, 68)
FIRST_LINE = 93
LINE_HEIGHT = 21
PICTURE = (400, 300)  # closes the list where a grey line did not


def xdotool(*words):
    return subprocess.run(["xdotool", *(str(word) for word in words)], check=True, capture_output=True, text=True).stdout


def click(window, x, y):
    xdotool("mousemove", "--window", window, x, y)
    time.sleep(0.4)
    xdotool("mousedown", 1)
    time.sleep(0.2)
    xdotool("mouseup", 1)
    time.sleep(0.8)


def window_of(process):
    for _ in range(150):
        assert process.poll() is None, "wander ended"
        found = subprocess.run(["xdotool", "search", "--name", "^Wander$"], capture_output=True, text=True).stdout.split()
        if found:
            return found[0]
        time.sleep(0.2)
    sys.exit("every_format: no window within 30 s")


def names_of_formats(wander):
    refused = subprocess.run([wander, "--headless", "--cache", "?"], capture_output=True, text=True).stderr
    return re.search(r"there are: (.*)", refused).group(1).split(", ")


def is_refused(wander, name):
    """Formats that this model cannot use are grey."""
    return subprocess.run([wander, "--headless", "--cache", name, "--chunks", "1", "--device", "cpu"], capture_output=True).returncode == 2


def walk(wander, root, formats, pictures):
    session = root / "session.json"
    environment = dict(os.environ, XDG_CONFIG_HOME=str(root / "config"))
    process = subprocess.Popen([wander, "--session-out", str(session), "--device", "cpu", "--seed", "3", "--cache", "bf16"], env=environment)
    try:
        window = window_of(process)
        xdotool("windowfocus", window)
        time.sleep(6)  # the first chunks
        for place, name in enumerate(formats[1:] + formats[:1]):
            line = (place + 1) % len(formats)
            click(window, *COMBO)
            click(window, COMBO[0] - 60, FIRST_LINE + LINE_HEIGHT * line)
            click(window, *PICTURE)
            key = "w" if place % 2 else "Right"
            xdotool("keydown", key)
            time.sleep(2)
            xdotool("keyup", key)
            if pictures:
                subprocess.run(["import", "-window", "root", str(pictures / f"{name}.png")], check=True)
        time.sleep(1)
        xdotool("key", "ctrl+q")
        code = process.wait(timeout=60)
    finally:
        process.kill()
    assert code == 0, f"exit code {code}"
    return json.loads(session.read_text())


def main():
    wander = sys.argv[1]
    pictures = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
    formats = names_of_formats(wander)
    with tempfile.TemporaryDirectory() as folder:
        facts = walk(wander, Path(folder), formats, pictures)
    chosen = [change["cache"] for change in facts["controls"] if change.get("cache")]
    missing = [name for name in formats if name not in chosen and not is_refused(wander, name)]
    assert not missing, f"not chosen: {missing}, of {formats}"
    print(f"every_format: {len(set(chosen))} of {len(formats)} formats in {facts['chunks']} chunks")


if __name__ == "__main__":
    main()
