#!/usr/bin/env python3
"""A small HY-WorldPlay in the window, with real keys: walk, go back, save, walk elsewhere, go on from what was saved, with another decoder.

    worldplay.py PATH_TO_WANDER PATH_TO_MAKE_MODEL_FOLDER [PICTURE_FOLDER]       needs DISPLAY and xdotool
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from screenshots import facts_on_screen
from text_model import PANEL_X, PROMPT_Y, click, find_window, wait_for, xdotool

CONTEXT = {"wan-5b": 16, "worldplay-8b": 20}
SESSION_TAB = (1059, 465)  # of the 1280 x 720 window
TINY_BOX = (1077, 616)  # in that panel, below the prompt


class InTheWindow:
    """A small model in a folder of its own, and the program that walks through it in a window."""

    def __init__(self, model, root):
        self.wander, make_model_folder = sys.argv[1:3]
        self.pictures = Path(sys.argv[3]) if len(sys.argv) > 3 else None
        self.model, self.root, self.folder = model, root, root / "model"
        self.records, self.session_file = root / "records", root / "session.json"
        self.environment = {**os.environ, **{f"XDG_{kind}_HOME": str(root / kind.lower()) for kind in ("CACHE", "CONFIG")}}
        subprocess.run([make_model_folder, str(self.folder), "--model", model, "--small"], check=True, capture_output=True)
        if model == "worldplay-8b":
            subprocess.run([self.wander, "convert", str(self.folder), "--system-prompt-from", str(self.folder / "code/text_encoders.py")],
                           check=True, capture_output=True, env=self.environment)

    def fail(self, what, *facts):
        sys.exit(f"worldplay ({self.model}): {what}: {facts}")

    def picture(self, name):
        if self.pictures:
            subprocess.run(["import", "-window", "root", str(self.pictures / f"{self.model}_{name}.png")], check=True)

    def open(self, *words):
        self.process = subprocess.Popen([self.wander, "--model", str(self.folder), "--device", "cpu", "--session-out", str(self.session_file),
                                         "--record-dir", str(self.records), *words], env=self.environment, stderr=subprocess.PIPE, text=True)
        window = wait_for("a window", lambda: find_window(self.process), 60)
        xdotool("windowfocus", "--sync", window)
        return window

    def chunk_on_screen(self):
        return int(facts_on_screen(self.records, lambda what, check: wait_for(what, check, 60)).get("chunk", -1))

    def wait_for_chunks(self, count):
        """However slow the machine is."""
        first = self.chunk_on_screen()

        def walked():
            time.sleep(0.5)
            return self.chunk_on_screen() >= first + count

        wait_for(f"{count} more chunks behind {first}", walked, 60)

    def end(self):
        xdotool("key", "ctrl+q")
        self.process.wait(30)
        if self.process.returncode != 0:
            self.fail(f"wander ended with {self.process.returncode}", self.process.stderr.read())
        return json.loads(self.session_file.read_text())

    def saved(self):
        return sorted(self.records.glob("*.walk")) if self.records.is_dir() else []


def walk_and_go_back(it):
    window = it.open()
    it.wait_for_chunks(1)
    it.picture("first")
    xdotool("keydown", "w", "keydown", "Right")
    it.wait_for_chunks(3)
    it.picture("walking")
    xdotool("keyup", "w", "keyup", "Right")
    xdotool("key", "space")  # pause: what follows acts at once all the same
    time.sleep(2)
    xdotool("key", "ctrl+s")
    wait_for("a saved walk", it.saved, 10)
    xdotool("key", "BackSpace")
    time.sleep(2)
    xdotool("key", "BackSpace")
    time.sleep(2)
    it.picture("back")
    xdotool("key", "space")
    xdotool("keydown", "s")
    it.wait_for_chunks(3)
    xdotool("keyup", "s")
    xdotool("key", "c")  # BF16 <-> INT2
    it.wait_for_chunks(2)
    it.picture("packed")
    click(window, *SESSION_TAB)
    click(window, PANEL_X, PROMPT_Y)
    for word, key in (("keydown", "ctrl"), ("keydown", "a"), ("keyup", "a"), ("keyup", "ctrl")):
        xdotool(word, key)  # as slowly as a hand: all in one drawn frame are no shortcut
        time.sleep(0.2)
    xdotool("type", "--delay", "40", "A wide lake.")
    time.sleep(0.5)
    xdotool("key", "Return")
    it.wait_for_chunks(4)
    it.picture("prompt")
    session = it.end()
    held = {name for entry in session["controls"] for name in entry.get("hold", [])}
    if not {"forward", "yaw_right", "back"} <= held:
        it.fail("the keys never reached a chunk", session["controls"])
    if sum(entry.get("rewind", 0) for entry in session["controls"]) != 2:
        it.fail("it did not go back by two chunks", session["controls"])
    if not any("cache" in entry for entry in session["controls"]):
        it.fail("the cache was not switched", session["controls"])
    if not any(entry.get("prompt") == "A wide lake." for entry in session["controls"]):
        it.fail("no chunk was made under the new prompt", session["controls"])
    if session["decoder"] != "full":
        it.fail("the full decoder was not asked for", session)


def go_on(it):
    """The walk was walked with the published context, and goes on so."""
    walk = it.saved()[0]
    it.open("--resume", str(walk), "--context", "12")
    it.wait_for_chunks(2)
    it.picture("resumed")
    session = it.end()
    if session["resume"] != str(walk) or session["chunks"] < 2:
        it.fail("the saved walk did not go on", session)
    if session["context"] != CONTEXT[it.model] or session["fast_context"]:
        it.fail("the saved walk went on with another context", session)


def choose_the_tiny_decoder(it):
    window = it.open()
    time.sleep(3)
    click(window, *SESSION_TAB)
    click(window, *TINY_BOX)
    time.sleep(4)
    it.picture("tiny")
    session = it.end()
    if session["decoder"] != "tiny" or session["chunks"] < 1:
        it.fail("the walk did not begin anew with the tiny decoder", session)


def main(model="wan-5b"):
    with tempfile.TemporaryDirectory() as folder:
        it = InTheWindow(model, Path(folder))
        try:
            walk_and_go_back(it)
            go_on(it)
            choose_the_tiny_decoder(it)
        finally:
            it.process.kill()
    print(f"worldplay ({model}): walked, went back, saved, went on, and took the other decoder")


if __name__ == "__main__":
    main()
