"""A run that ends itself with SIGKILL at a given step: a program for the tests, driven by its command line.

    victim.py EXPERIMENT RUNS [--die-at N] [--after MS] [--command WORD…]

A step is a turn of the run's loop that changed something: the state, or what is known of an effect. Without --die-at the run ends by
itself; either way every step is printed when it is reached.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from chaos.app import files, running
from chaos.engine import Run


def shape(run: Run) -> tuple[object, ...]:
    """What of the run counts as a step: its state, and where each effect is."""
    effects = [
        (name, one.issued_at_s is not None, one.apply_ended, one.undo_attempt > 0, one.undone)
        for name, one in run.effects.items()
    ]
    return run.state, *effects


class Steps:
    """Counts the steps of a run, and ends it at one."""

    def __init__(self, number: int | None, end: signal.Signals, after_s: float) -> None:
        self.number, self.end, self.after_s = number, end, after_s
        self.seen: list[tuple[object, ...]] = []

    def __call__(self, run: Run, at_s: float) -> None:
        """A turn of the loop is over."""
        now = shape(run)
        if self.seen and self.seen[-1] == now:
            return
        self.seen.append(now)
        print(f"step {len(self.seen)}: {run.state.value} at {at_s:.3f}", flush=True)
        if len(self.seen) == self.number:
            if self.after_s:
                threading.Timer(self.after_s, os.kill, (os.getpid(), self.end)).start()
            else:
                os.kill(os.getpid(), self.end)


def main() -> int:
    """The run; the exit code is its verdict's."""
    parser = argparse.ArgumentParser()
    parser.add_argument("experiment", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--at", type=int)
    parser.add_argument("--signal", default="SIGKILL")
    parser.add_argument("--after", type=float, default=0.0)
    parser.add_argument("--command", nargs=argparse.REMAINDER, default=[])
    given = parser.parse_args()
    steps = Steps(given.at, signal.Signals[given.signal], given.after)
    prepared = running.prepare(files.load(given.experiment, variables={}), seed="kills")
    ended = running.run(prepared, given.runs, steps, signals=True, command=given.command)
    print(ended.verdict.to_json())
    return ended.verdict.exit_code


if __name__ == "__main__":
    sys.exit(main())
