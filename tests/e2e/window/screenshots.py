"""What the program says of the frame on its screen, in a screenshot of its own (F12): model, start point, chunk and more as text."""

import subprocess
import time

from x11 import png_texts


def facts_on_screen(records, wait_for):
    """wait_for(what, check): as long as the test allows. Every look puts a message into the window."""
    before = set(records.glob("*.png"))
    pressed_at = -10.0

    def taken():
        nonlocal pressed_at
        if time.monotonic() > pressed_at + 5:  # a key before the first picture takes none
            pressed_at = time.monotonic()
            subprocess.run(["xdotool", "key", "F12"], check=True, capture_output=True)
        return set(records.glob("*.png")) - before

    new = wait_for("a screenshot", taken)
    return png_texts(max(new, key=lambda file: file.stat().st_mtime_ns).read_bytes())
