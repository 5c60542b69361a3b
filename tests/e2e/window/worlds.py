#!/usr/bin/env python3
"""The world panel with a real mouse: another place, the card, another world's folder, and walking there.

    worlds.py PATH_TO_WANDER ASSETS [PICTURE_FOLDER]       needs DISPLAY and xdotool

Things are found by where the first-run layout of 1280 x 720 has them.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from text_model import find_window, wait_for, xdotool

WORLDS = (1060, 496)  # the list of worlds
CARD = (1238, 496)
NEON = (1217, 556)  # third place, first start
WINTER_CABIN = (1111, 621)  # second place, second start
OPEN_FOLDER = (1040, 496 + 51)  # below the embedded world and a line


def click(window, place):
    xdotool("mousemove", "--window", window, *(str(number) for number in place))
    time.sleep(0.5)
    xdotool("mousedown", "1")
    time.sleep(0.2)
    xdotool("mouseup", "1")
    time.sleep(1)


def make_world(folder, assets):
    """The shipped world as if it had been trained: two places, and figures of its own."""
    shutil.copytree(assets / "world", folder / "world")
    file = folder / "world/world.json"
    world = json.loads(file.read_text())
    world["figures"] = {"steps": 12000, "minutes": 21.4, "free_walk": {"seconds": [1, 5], "psnr_db": [28.1, 26.4], "sharpness": [0.9, 0.86]}}
    file.write_text(json.dumps(world))


def main():
    wander, assets = sys.argv[1], Path(sys.argv[2])
    pictures = Path(sys.argv[3]) if len(sys.argv) > 3 else None

    def picture(name):
        if pictures:
            subprocess.run(["import", "-window", "root", str(pictures / f"{name}.png")], check=True)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_world(root / "harbour", assets)
        environment = dict(os.environ, XDG_CONFIG_HOME=str(root / "config"))

        def run(name, act, *words):
            session = root / f"{name}.json"
            process = subprocess.Popen([wander, "--session-out", str(session), "--device", "cpu", *words], env=environment, stderr=subprocess.PIPE, text=True)
            try:
                window = wait_for("a window", lambda: find_window(process), 60)
                xdotool("windowfocus", "--sync", window)
                time.sleep(6)  # loading, the first chunks
                act(window)
                xdotool("key", "ctrl+q")
                code = process.wait(timeout=60)
            finally:
                process.kill()
            assert code == 0, f"exit code {code}: {process.stderr.read()}"
            return json.loads(session.read_text())

        def choose_places(window):
            picture("worlds_first")
            click(window, CARD)
            picture("worlds_card")
            click(window, NEON)  # the card lies there: nothing happens
            click(window, CARD)
            click(window, WINTER_CABIN)
            xdotool("keydown", "w")
            time.sleep(3)
            xdotool("keyup", "w")
            picture("worlds_cabin")

        session = run("places", choose_places)
        assert session["start"] == "winter_cabin", session["start"]
        assert session["model"] == "embedded" and session["chunks"] > 2, session
        assert any("forward" in change.get("hold", []) for change in session["controls"]), session["controls"]

        def open_folder(window):
            click(window, WORLDS)
            picture("worlds_list")
            click(window, OPEN_FOLDER)
            picture("worlds_dialog")
            xdotool("type", "--delay", "20", str(root / "harbour"))
            time.sleep(1)
            xdotool("key", "Return")
            time.sleep(8)  # loading, the first chunks
            click(window, NEON)
            xdotool("keydown", "Right")
            time.sleep(3)
            xdotool("keyup", "Right")
            click(window, CARD)
            picture("worlds_trained")

        session = run("trained", open_folder)
        assert session["model"] == "harbour" and session["start"] == "neon_pyramid", session
        assert any("yaw_right" in change.get("hold", []) for change in session["controls"]), session["controls"]
        settings = json.loads((root / "config/wander/settings.json").read_text())
        assert settings["recent_models"] == [str(root / "harbour")], settings["recent_models"]

        def choose_recent(window):
            click(window, WORLDS)
            click(window, (WORLDS[0], WORLDS[1] + 46))  # the folder that was opened before
            time.sleep(7)
            picture("worlds_recent")

        session = run("recent", choose_recent)
        assert session["model"] == "harbour", session["model"]
    print("worlds: chose places, saw the card, opened a folder, found it again")


if __name__ == "__main__":
    main()
