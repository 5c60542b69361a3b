#!/usr/bin/env python3
"""A small HY-WorldPlay in the window, with real keys: walk, go back, save, walk elsewhere, go on from what was saved.

    worldplay.py PATH_TO_WANDER PATH_TO_MAKE_MODEL_FOLDER [PICTURE_FOLDER]       needs DISPLAY and xdotool
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from text_model import find_window, wait_for, xdotool


def main():
    wander, make_model_folder = sys.argv[1:3]
    pictures = Path(sys.argv[3]) if len(sys.argv) > 3 else None

    def picture(name):
        if pictures:
            subprocess.run(["import", "-window", "root", str(pictures / f"{name}.png")], check=True)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        records = root / "records"
        environment = {**os.environ, **{f"XDG_{kind}_HOME": str(root / kind.lower()) for kind in ("CACHE", "CONFIG")}}
        subprocess.run([make_model_folder, str(root / "model"), "--model", "wan-5b", "--small"], check=True, capture_output=True)
        session_file = root / "session.json"

        def run(*words):
            return subprocess.Popen([wander, "--model", str(root / "model"), "--device", "cpu", "--session-out", str(session_file), "--record-dir",
                                     str(records), *words], env=environment, stderr=subprocess.PIPE, text=True)

        def end(process):
            xdotool("key", "ctrl+q")
            process.wait(30)
            if process.returncode != 0:
                sys.exit(f"worldplay: wander ended with {process.returncode}: {process.stderr.read()}")
            return json.loads(session_file.read_text())

        def saved():
            return sorted(records.glob("*.walk")) if records.is_dir() else []

        process = run()
        try:
            window = wait_for("a window", lambda: find_window(process), 60)
            xdotool("windowfocus", "--sync", window)
            time.sleep(6)  # loading, the first chunks
            picture("worldplay_first")
            xdotool("keydown", "w", "keydown", "Right")
            time.sleep(4)
            picture("worldplay_walking")
            xdotool("keyup", "w", "keyup", "Right")
            xdotool("key", "space")  # pause: what follows acts at once all the same
            time.sleep(2)
            xdotool("key", "ctrl+s")
            wait_for("a saved walk", saved, 10)
            xdotool("key", "BackSpace")
            time.sleep(2)
            xdotool("key", "BackSpace")
            time.sleep(2)
            picture("worldplay_back")
            xdotool("key", "space")
            xdotool("keydown", "s")
            time.sleep(4)
            xdotool("keyup", "s")
            xdotool("key", "c")  # BF16 <-> INT2
            time.sleep(3)
            picture("worldplay_packed")
            session = end(process)
        finally:
            process.kill()
        held = {name for entry in session["controls"] for name in entry.get("hold", [])}
        if not {"forward", "yaw_right", "back"} <= held:
            sys.exit(f"worldplay: the keys never reached a chunk: {session['controls']}")
        if sum(entry.get("rewind", 0) for entry in session["controls"]) != 2:
            sys.exit(f"worldplay: it did not go back by two chunks: {session['controls']}")
        if not any("cache" in entry for entry in session["controls"]):
            sys.exit(f"worldplay: the cache was not switched: {session['controls']}")

        walk = saved()[0]
        process = run("--resume", str(walk), "--context", "12")  # the walk was walked with 16, and goes on so
        try:
            window = wait_for("a window", lambda: find_window(process), 60)
            xdotool("windowfocus", "--sync", window)
            time.sleep(8)
            picture("worldplay_resumed")
            session = end(process)
        finally:
            process.kill()
        if session["resume"] != str(walk) or session["chunks"] < 2:
            sys.exit(f"worldplay: the saved walk did not go on: {session}")
        if session["context"] != 16 or session["fast_context"]:
            sys.exit(f"worldplay: the saved walk went on with another context: {session}")
    print("worldplay: walked, went back, saved and went on")


if __name__ == "__main__":
    main()
