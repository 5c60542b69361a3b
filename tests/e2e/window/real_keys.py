#!/usr/bin/env python3
"""The program in a window, driven by real key events: walk, look, toggle, record, screenshot, go back, save, go on from what was saved, quit.

    real_keys.py PATH_TO_WANDER [PICTURE_FOLDER]       needs DISPLAY, xdotool and libX11
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from screenshots import facts_on_screen
from xdnd import DragSource


def wait_for(what, check, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.2)
    sys.exit(f"real_keys: {what} did not happen within {seconds} s")


def xdotool(*words):
    return subprocess.run(["xdotool", *words], check=True, capture_output=True, text=True).stdout


def find_window(process):
    assert process.poll() is None, "wander ended"
    found = subprocess.run(["xdotool", "search", "--name", "^Wander$"], capture_output=True, text=True).stdout.split()
    return found[0] if found else None


def hold(key, seconds):
    xdotool("keydown", key)
    time.sleep(seconds)
    xdotool("keyup", key)


def drag_right(window, pixels):
    xdotool("mousemove", "--window", window, "1100", "300")  # over a panel
    time.sleep(0.5)
    xdotool("mousemove", "--window", window, "300", "300", "mousedown", "3")  # at once, with no frame drawn in between
    time.sleep(0.5)  # the cursor is captured with the next drawn frame
    for _ in range(pixels // 10):
        xdotool("mousemove_relative", "10", "0")
        time.sleep(0.05)
    xdotool("mouseup", "3")
    time.sleep(1)


def count_frames(movie):
    words = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", str(movie)]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip().strip(","))


def main():
    wander = sys.argv[1]
    pictures = Path(sys.argv[2]) if len(sys.argv) > 2 else None

    def picture_of(name):
        if pictures:
            subprocess.run(["import", "-window", "root", str(pictures / f"keys_{name}.png")], check=True)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        session = root / "session.json"
        environment = dict(os.environ, XDG_CONFIG_HOME=str(root / "config"))
        records = root / "records"
        words = [wander, "--record-dir", str(root / "records"), "--session-out", str(session), "--device", "cpu", "--seed", "3"]
        process = subprocess.Popen(words, env=environment)
        try:
            window = wait_for("the window", lambda: find_window(process), 30)
            xdotool("windowfocus", window)
            time.sleep(6)  # the first chunks
            xdotool("key", "F9")
            hold("w", 2)
            hold("Right", 2)
            xdotool("key", "c")  # remembered or default INT2 -> BF16
            hold("w", 2)
            drag_right(window, 60)
            xdotool("key", "F12")
            time.sleep(1)
            xdotool("key", "F9")
            movie = wait_for("the finished recording", lambda: list((root / "records").glob("*.mp4")), 20)[0]
            picture = wait_for("the screenshot", lambda: list((root / "records").glob("*.png")), 10)[0]
            xdotool("key", "ctrl+s")
            saved = wait_for("a saved walk", lambda: list(records.glob("*.walk")), 20)[0]
            picture_of("saved")
            for _ in range(2):
                xdotool("key", "BackSpace")
                time.sleep(2)
            picture_of("back")
            hold("s", 2)
            picture_of("elsewhere")
            assert DragSource().drop(int(window), [saved], 480, 360), "the saved walk was not accepted"
            time.sleep(3)
            picture_of("dropped")
            xdotool("key", "ctrl+q")
            code = process.wait(timeout=30)
        finally:
            process.kill()
        assert code == 0, f"exit code {code}"
        assert picture.read_bytes().startswith(b"\x89PNG"), "the screenshot is no PNG"
        frames = count_frames(movie)
        assert frames >= 16, f"only {frames} frames in seven seconds"
        facts = json.loads(session.read_text())
        held = {action for change in facts["controls"] for action in (change.get("hold") or [])}
        caches = [change["cache"] for change in facts["controls"] if change.get("cache")]
        assert {"forward", "yaw_right"} <= held, f"keys that arrived: {held}"
        assert "bf16" in caches, f"cache switches: {caches}"
        travel = sum(change["mouse"][0] for change in facts["controls"] if change.get("mouse"))
        assert travel > 0.01, f"mouse travel that arrived: {travel}"
        assert facts["seed"] == 3 and facts["chunks"] > 8, facts
        assert sum(change.get("rewind", 0) for change in facts["controls"]) == 2, f"it did not go back by two chunks: {facts['controls']}"
        settings = json.loads((root / "config/wander/settings.json").read_text())
        assert settings["cache_format"] == "bf16", "the chosen format was not remembered"

        process = subprocess.Popen([*words, "--resume", str(saved)], env=environment)
        try:
            window = wait_for("the window", lambda: find_window(process), 30)
            xdotool("windowfocus", window)
            xdotool("keydown", "w")

            def walks():
                time.sleep(1)
                return int(facts_on_screen(records, lambda what, check: wait_for(what, check, 60)).get("chunk", -1)) >= 1

            wait_for("a chunk of the resumed walk", walks, 60)
            xdotool("keyup", "w")
            picture_of("resumed")
            xdotool("key", "ctrl+q")
            code = process.wait(timeout=30)
        finally:
            process.kill()
        assert code == 0, f"exit code {code}"
        on = json.loads(session.read_text())
        assert on["resume"] == str(saved) and on["chunks"] > 1 and on["seed"] == 3, f"the saved walk did not go on: {on}"
        print(f"real_keys: {facts['chunks']} chunks, {frames} frames recorded, keys {sorted(held)}, mouse {travel:.3f} rad, cache {caches}, {facts['measured']}")


if __name__ == "__main__":
    main()
