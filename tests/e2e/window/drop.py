#!/usr/bin/env python3
"""Things dropped on the window by the X protocol itself: a world, a picture, a model's file, and what is none of these.

    drop.py PATH_TO_WANDER PATH_TO_MAKE_MODEL_FOLDER ASSETS [PICTURE_FOLDER]       needs DISPLAY, xdotool and libX11

Where a walk stands is read out of screenshots (F12), which carry model, start point and chunk as text.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from screenshots import facts_on_screen
from text_model import find_window, xdotool
from x11 import Display, write_png
from xdnd import DragSource

WARNING, ERROR = (224, 177, 94), (232, 84, 84)  # the edge of a message: gui/theme.hpp
MESSAGES = (300, 30, 985, 420)  # of the 1280 x 720 window: the part of the world's picture where messages come
WORLD = (40, 430, 960, 600)  # a part that no message covers
DROP_AT = (480, 360)
LIMIT_SECONDS = 90  # for what takes a second or two on a free machine
NAME = "Größe & Wälder 100% #1"


class Window:
    """The program in a window, and what a person sees there."""

    def __init__(self, root, name, pictures, *words):
        self.pictures, self.records, self.session_file = pictures, root / f"{name}-records", root / f"{name}.json"
        environment = {**os.environ, **{f"XDG_{kind}_HOME": str(root / kind.lower()) for kind in ("CACHE", "CONFIG")}}
        self.errors = open(root / f"{name}.txt", "w+")
        self.process = subprocess.Popen([*words, "--device", "cpu", "--session-out", str(self.session_file), "--record-dir", str(self.records)],
                                        env=environment, stderr=self.errors)
        self.display, self.source = Display(), DragSource()
        self.chunk = -1
        self.window = int(self.wait_for("a window", lambda: find_window(self.process)))
        xdotool("windowfocus", "--sync", str(self.window))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.kill()
        self.process.wait()
        if kind not in (None, SystemExit):
            self.errors.seek(0)
            print(f"wander ended with {self.process.returncode} and said: {self.errors.read()}", file=sys.stderr)
        self.errors.close()
        self.display.close()

    def fail(self, what):
        if self.process.poll() is None:
            self.picture("failed")
        self.errors.seek(0)
        sys.exit(f"drop: {what}\n{self.errors.read()}")

    def wait_for(self, what, check):
        end = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                self.fail(f"wander ended with {self.process.returncode} before {what}")
            found = check()
            if found:
                return found
            time.sleep(0.2)
        self.fail(f"{what} did not happen within {LIMIT_SECONDS} s")

    def picture(self, name):
        if self.pictures:
            self.display.picture(self.window).save(self.pictures / f"drop_{name}.png")

    def drop(self, *things):
        if not self.source.drop(self.window, things, *DROP_AT):
            self.fail(f"{things} were not accepted")

    def facts(self):
        return facts_on_screen(self.records, self.wait_for)

    def walks(self, what, model=None, start=None):
        """Waits until it walks in this model from this start, at a later chunk than any seen before; a new walk begins its chunks anew."""

        def there():
            facts = self.facts()
            at = int(facts.get("chunk", -1))
            if (model and facts["model"] != model) or (start and facts["start"] != start) or at <= self.chunk:
                time.sleep(1)  # every look puts a message into the window
                return None
            return at, facts

        self.chunk, facts = self.wait_for(what, there)
        return facts

    def moves(self, what):
        """The picture itself goes on, while a key turns the camera."""
        first = self.display.picture(self.window).rows(*WORLD)
        self.wait_for(f"another picture after {what}", lambda: self.display.picture(self.window).rows(*WORLD) != first)

    def messages(self, colour):
        """How many messages with an edge of this colour stand in the window."""
        left, top, right, bottom = MESSAGES
        picture = self.display.picture(self.window)
        return max(sum(run >= 20 for run in picture.column_runs(x, colour, top, bottom)) for x in range(left, right))

    def refuses(self, name, thing, colour=WARNING):
        """It says something, in the window, and the walk goes on as if nothing had been dropped."""
        self.wait_for("room for a message", lambda: self.messages(colour) == 0)
        self.drop(thing)
        self.wait_for(f"a message about {name}", lambda: self.messages(colour) > 0)
        self.picture(name)
        self.moves(name)

    def quit(self):
        xdotool("key", "ctrl+q")
        try:
            code = self.process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.fail("it does not quit")
        if code != 0:
            self.fail(f"wander ended with {code}")
        return json.loads(self.session_file.read_text())


def make_picture(file):
    """A sky over a meadow, 320 x 180."""
    width, height = 320, 180
    lines = bytearray()
    for y in range(height):
        lines.append(0)
        for x in range(width):
            lines += bytes((60 + y // 2, 120 + y // 2, 220)) if y < height // 2 else bytes((60 + (x * 7 + y * 3) % 40, 140, 50))
    write_png(file, width, height, bytes(lines))


def things_for_a_world(root, wander, assets, pictures):
    folder = root / NAME
    folder.mkdir()
    world = folder / "Hafen für morgen"
    shutil.copytree(assets / "world", world)
    damaged = folder / "without weights"
    shutil.copytree(assets / "world", damaged)
    (damaged / "dit.safetensors").unlink()
    (folder / "leer ö").mkdir()
    (folder / "notes.txt").write_text("Bread, milk, a map.\n")
    make_picture(folder / "Müllers Garten.png")
    latin = Path(os.fsdecode(os.fsencode(folder) + b"/Tr\xfcmmer"))  # a name of the time before UTF-8
    shutil.copytree(assets / "world", latin)

    with Window(root, "world", pictures, wander) as window:
        window.walks("walking in the embedded world", "embedded")
        xdotool("keydown", "Right")
        window.refuses("text", folder / "notes.txt")
        window.walks("walking on after a text", "embedded", "village_fountain")
        window.refuses("empty_folder", folder / "leer ö")
        window.walks("walking on after an empty folder", "embedded", "village_fountain")
        window.refuses("picture_in_world", folder / "Müllers Garten.png")
        window.walks("walking on after a picture", "embedded", "village_fountain")
        window.refuses("damaged_world", damaged)
        window.walks("walking on after a damaged world", "embedded", "village_fountain")
        window.drop(latin)
        window.chunk = -1  # a walk of its own
        window.walks("walking in a world with a name in Latin-1", "Tr\ufffdmmer")
        window.picture("latin")
        window.drop(world, folder / "notes.txt")  # of several the first
        window.chunk = -1
        facts = window.walks("walking in the dropped world", world.name)
        window.moves("a world")
        window.picture("world")
        xdotool("keyup", "Right")
        session = window.quit()
    if session["model"] != world.name or session["start"] != facts["start"]:
        sys.exit(f"drop: the session is not of the dropped world: {session}")
    if not any("yaw_right" in change.get("hold", []) for change in session["controls"]):
        sys.exit(f"drop: the held key did not steer the dropped world: {session['controls']}")
    settings = json.loads((root / "config/wander/settings.json").read_text())
    if settings["recent_models"][0] != str(world):
        sys.exit(f"drop: remembered as {settings['recent_models']}")


def things_for_worldplay(root, wander, make_model_folder, pictures):
    model = root / "model"
    subprocess.run([make_model_folder, str(model), "--model", "wan-5b", "--small"], check=True, capture_output=True)
    folder = root / (NAME + " 2")
    folder.mkdir()
    garden = folder / "Müllers Garten.png"
    make_picture(garden)
    torn = folder / "torn.png"
    torn.write_bytes(garden.read_bytes()[:300])
    (folder / "no walk.walk").write_text("no walk")

    with Window(root, "worldplay", pictures, wander) as window:
        window.walks("walking in the embedded world", "embedded")
        xdotool("keydown", "Right")
        window.drop(model / "wan_distilled_model/model.pt")  # the file that everything else lies beside
        window.chunk = -1
        window.walks("walking in the dropped model", "random-small-wan5b")
        window.drop(garden)
        window.chunk = -1
        window.walks("walking from the dropped picture", None, str(garden))
        window.moves("a picture")
        window.picture("picture")
        window.refuses("torn_picture", torn)
        window.walks("walking on after a damaged picture", None, str(garden))
        window.refuses("no_walk", folder / "no walk.walk", ERROR)
        window.walks("walking on after a damaged walk", None, str(garden))
        xdotool("keyup", "Right")
        session = window.quit()
    if session["start"] != str(garden) or session["chunks"] < 3:
        sys.exit(f"drop: the session is not of the dropped picture: {session}")


def main():
    wander, make_model_folder, assets = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    pictures = Path(sys.argv[4]) if len(sys.argv) > 4 else None
    with tempfile.TemporaryDirectory() as folder:
        things_for_a_world(Path(folder), wander, assets, pictures)
        things_for_worldplay(Path(folder), wander, make_model_folder, pictures)
    print("drop: a world, a model's file and a picture were walked in; a text, an empty folder and damaged files stopped nothing")


if __name__ == "__main__":
    main()
