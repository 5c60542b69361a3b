#!/usr/bin/env python3
"""A small text model in the window, with real keys and a real mouse: type a prompt, hold a key, choose a window, keep the session.

    text_model.py PATH_TO_WANDER PATH_TO_MAKE_MODEL_FOLDER [PICTURE_FOLDER]       needs DISPLAY and xdotool
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PANEL_X = 1100  # of the 1280 wide window: the column of panels
PROMPT_Y = 550  # in the text field of the Session panel


def xdotool(*words):
    return subprocess.run(["xdotool", *words], check=True, capture_output=True, text=True).stdout


def find_window(process):
    if process.poll() is not None:
        sys.exit(f"text_model: wander ended with {process.returncode}")
    found = subprocess.run(["xdotool", "search", "--name", "^Wander$"], capture_output=True, text=True).stdout.split()
    return found[0] if found else None


def wait_for(what, check, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.2)
    sys.exit(f"text_model: {what} did not happen within {seconds} s")


def click(window, x, y):
    xdotool("mousemove", "--window", window, str(x), str(y))
    time.sleep(0.3)
    xdotool("click", "1")
    time.sleep(0.3)


def main():
    wander, make_model_folder = sys.argv[1:3]
    pictures = Path(sys.argv[3]) if len(sys.argv) > 3 else None

    def picture(name):
        if pictures:
            subprocess.run(["import", "-window", "root", str(pictures / f"{name}.png")], check=True)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        environment = {**os.environ, **{f"XDG_{kind}_HOME": str(root / kind.lower()) for kind in ("CACHE", "CONFIG")}}
        subprocess.run([make_model_folder, str(root / "model"), "--small"], check=True, capture_output=True)
        session_file = root / "session.json"
        process = subprocess.Popen([wander, "--model", str(root / "model"), "--device", "cpu", "--session-out", str(session_file),
                                    "--record-dir", str(root / "records")], env=environment, stderr=subprocess.PIPE, text=True)
        try:
            window = wait_for("a window", lambda: find_window(process), 60)
            xdotool("windowfocus", "--sync", window)
            time.sleep(6)  # loading, the first chunks
            picture("text_first")
            click(window, PANEL_X, PROMPT_Y)
            for word, key in (("keydown", "ctrl"), ("keydown", "a"), ("keyup", "a"), ("keyup", "ctrl")):
                xdotool(word, key)  # as slowly as a hand: all in one drawn frame are no shortcut
                time.sleep(0.2)
            xdotool("type", "--delay", "40", "A wide lake at dawn.")
            time.sleep(0.5)
            picture("text_typed")
            xdotool("key", "Return")
            time.sleep(4)
            picture("text_applied")
            click(window, 400, 300)  # away from the text field: letters steer again
            xdotool("keydown", "w")
            time.sleep(5)
            picture("text_forward")
            xdotool("keyup", "w")
            time.sleep(4)
            xdotool("key", "ctrl+q")
            process.wait(30)
        finally:
            process.kill()
        if process.returncode != 0:
            sys.exit(f"text_model: wander ended with {process.returncode}: {process.stderr.read()}")
        session = json.loads(session_file.read_text())
        texts = [session["prompt"]] + [entry["prompt"] for entry in session["controls"] if "prompt" in entry]
        for wanted in ("A wide lake at dawn.", "A wide lake at dawn. The camera moves steadily forward."):
            if wanted not in texts:
                sys.exit(f"text_model: no chunk was made under '{wanted}': {texts}")
        if session["window"] != "anchored" or session["camera_words"]:
            sys.exit(f"text_model: the session says window {session['window']}, camera_words {session['camera_words']}")
        settings = json.loads((root / "config/wander/settings.json").read_text())
        if settings["recent_models"] != [str(root / "model")]:
            sys.exit(f"text_model: recent models are {settings['recent_models']}")
    print("text_model: typed, steered and written down")


if __name__ == "__main__":
    main()
