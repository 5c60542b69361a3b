#!/usr/bin/env python3
"""A training that kill -9 ended goes on: the next 50 steps' mean loss is within 2 % of an uninterrupted run's. Ctrl+C writes everything and
ends with 0, and while walks are drawn at once; two processes train as one; without the full checkpoint the portable one is enough.

Usage: goes_on.py PATH_OF_WANDER
"""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from training import SMALL, command, log_of, losses, train

WORDS = ["--themes", "village", "--walks", "8", "--steps", "120", "--log-steps", "1", *SMALL]


def wait_for(done, process, seconds=300):
    end = time.monotonic() + seconds
    while not done():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def logged(out):
    log = Path(out) / "training.jsonl"
    return len(log.read_text().splitlines()) if log.is_file() else 0


def main(wander):
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        result = train(wander, whole, *WORDS)
        assert result.returncode == 0, result.stderr

        # A checkpoint every half second; killed in the middle of whatever it does then.
        killed = Path(folder) / "killed"
        process = subprocess.Popen(command(wander, killed, *WORDS, "--save-minutes", "0.008"), stderr=subprocess.PIPE, text=True)
        wait_for(lambda: (killed / "checkpoint.safetensors").is_file() and logged(killed) >= 40, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        resumed = train(wander, killed, "--resume", str(killed), "--log-steps", "1", "--look-minutes", "0", "--look-seconds", "0")
        assert resumed.returncode == 0, resumed.stderr
        curve, other = losses(whole), losses(killed)
        begin = int(resumed.stderr.split("at step ")[1].split()[0])
        assert 1 <= begin < 70, begin
        steps = range(begin + 1, begin + 51)
        mean, other_mean = (sum(c[s] for s in steps) / 50 for c in (curve, other))
        print(f"killed and resumed at step {begin}: mean loss of the next 50 steps {other_mean:.5f}, uninterrupted {mean:.5f}")
        assert abs(other_mean / mean - 1) <= 0.02, (other_mean, mean)
        assert [line["step"] for line in log_of(killed) if "loss" in line] == list(range(1, 121)), "the log has gaps or doubles"

        # A finished training is finished, and none is written over by another's end.
        assert train(wander, killed, "--resume", str(killed)).returncode == 2
        foreign = train(wander, whole, "--resume", str(killed))
        assert foreign.returncode == 2 and "holds a training already" in foreign.stderr, foreign.stderr

        # Ctrl+C while the walks are drawn, of which there are many.
        drawing = Path(folder) / "drawing"
        words = [word if word != "8" else "5000" for word in WORDS]
        process = subprocess.Popen(command(wander, drawing, *words), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert any(line.startswith("drawing walks") for line in process.stderr), process.wait()
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=60)
        assert process.returncode == 0 and "nothing is learnt yet" in out, (process.returncode, out, told)
        assert not (drawing / "checkpoint.safetensors").exists()

        # Ctrl+C, then the portable checkpoint alone.
        stopped = Path(folder) / "stopped"
        process = subprocess.Popen(command(wander, stopped, *WORDS), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        wait_for(lambda: logged(stopped) >= 20, process)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0, process.returncode
        assert "--resume" in out, out
        (stopped / "checkpoint.safetensors").unlink()
        carried = Path(folder) / "carried"
        shutil.copytree(stopped, carried)
        result = train(wander, carried, "--resume", str(carried), "--log-steps", "1", "--look-seconds", "0", "--look-minutes", "0")
        assert result.returncode == 0, result.stderr
        tail = [loss for step, loss in losses(carried).items() if step > 100]
        end = [loss for step, loss in losses(whole).items() if step > 100]
        ratio = sum(tail) / sum(end)
        print(f"from the portable checkpoint alone: loss at the end {ratio:.3f} of the uninterrupted run's")
        assert ratio < 1.1, ratio

        # Two processes, each with its own walks and clips.
        pair = Path(folder) / "pair"
        words = [word if word != "120" else "20" for word in WORDS]
        result = train(wander, pair, *words, "--gpus", "2")
        assert result.returncode == 0, result.stderr
        assert sorted(losses(pair)) == list(range(1, 21))


main(sys.argv[1])
