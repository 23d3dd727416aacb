"""A run in the middle of which somebody is killed: a program for the tests, driven by its command line.

    victim.py EXPERIMENT RUNS [--at N] [--whom run|warden|load|PID] [--after SECONDS] [--signal NAME] [--command WORD…]

At step N, or so many seconds after it, whoever is named gets the signal (SIGKILL unless another one is named): the run itself, its
warden, its load, or any process by its pid. A step is a turn of the run's loop that changed something: the state, or what is known of an
effect. Without --at nobody is killed. Every step is printed when it is reached, and so is the kill:

    step 3: inject at 1.204          seconds since the run began
    kills warden at 8123.511         seconds of the machine's monotonic clock
    nobody to kill: load             it had not begun, or was over

A run that is not killed prints its verdict at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil

from chaos.app import files, running
from chaos.engine import Run

PROGRAMS = {"warden": "chaos.app.warden", "load": "locustfile.py"}
"""What stands on the command lines of a run's children."""


def say(line: str) -> None:
    """The line is out, whole: two threads say something, and `print` writes the end of a line by itself."""
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


def shape(run: Run) -> tuple[object, ...]:
    """What of the run counts as a step: its state, and where each effect is."""
    effects = [
        (name, one.issued_at_s is not None, one.apply_ended, one.undo_attempt > 0, one.undone)
        for name, one in run.effects.items()
    ]
    return run.state, *effects


def pid_of(whom: str) -> int | None:
    """The process that is called so; None when it does not live."""
    if whom == "run":
        return os.getpid()
    if whom not in PROGRAMS:
        return int(whom)
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if any(PROGRAMS[whom] in word for word in child.cmdline()):
                return child.pid
    return None


class Steps:
    """Counts the steps of a run, and kills at one."""

    def __init__(self, number: int | None, whom: str, end: signal.Signals, after_s: float) -> None:
        self.number, self.whom, self.end, self.after_s = number, whom, end, after_s
        self.seen: list[tuple[object, ...]] = []

    def __call__(self, run: Run, at_s: float) -> None:
        """A turn of the loop is over."""
        now = shape(run)
        if self.seen and self.seen[-1] == now:
            return
        self.seen.append(now)
        say(f"step {len(self.seen)}: {run.state.value} at {at_s:.3f}")
        if len(self.seen) == self.number:
            if self.after_s:
                threading.Timer(self.after_s, self.kill).start()
            else:
                self.kill()

    def kill(self) -> None:
        """Whoever is named has got the signal, if it lives."""
        pid = pid_of(self.whom)
        if pid is None:
            say(f"nobody to kill: {self.whom}")
            return
        say(f"kills {self.whom} at {time.monotonic():.3f}")
        os.kill(pid, self.end)


def main() -> int:
    """The run; the exit code is its verdict's."""
    parser = argparse.ArgumentParser()
    parser.add_argument("experiment", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--at", type=int)
    parser.add_argument("--whom", default="run")
    parser.add_argument("--signal", default="SIGKILL")
    parser.add_argument("--after", type=float, default=0.0)
    parser.add_argument("--command", nargs=argparse.REMAINDER, default=[])
    given = parser.parse_args()
    steps = Steps(given.at, given.whom, signal.Signals[given.signal], given.after)
    prepared = running.prepare(files.load(given.experiment, variables={}), seed="kills")
    ended = running.run(prepared, running.RunOptions(given.runs, command=given.command, signals=True), steps)
    print(ended.verdict.to_json())
    return ended.verdict.exit_code


if __name__ == "__main__":
    sys.exit(main())
