#!/usr/bin/env python3
"""The same as worldplay.py with a small HY-WorldPlay 8B.

    worldplay_8b.py PATH_TO_WANDER PATH_TO_MAKE_MODEL_FOLDER [PICTURE_FOLDER]       needs DISPLAY and xdotool
"""

import worldplay

if __name__ == "__main__":
    worldplay.main("worldplay-8b")
