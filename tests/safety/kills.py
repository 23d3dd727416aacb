"""What the tests that kill have in common: which moments there are, what a victim said, and a note of what came of it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.kills.results import Kill, note
from tests.safety.stand import Stand, nothing_left

WHOLE = os.environ.get("CHAOS_KILLS") == "all"
"""Every step and every delay, not a seeded sample of them."""
GRACE_S = 2.0
"""Beyond the lease: for a machine with other things to do."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a victim said (see `victim.py`): the state of each step, and when somebody was killed on the monotonic clock."""

    states: tuple[str, ...]
    killed_s: float | None


def told(said: str) -> Told:
    """A victim's words, read."""
    states = re.findall(r"^step \d+: (\w+)", said, re.MULTILINE)
    killed = re.search(r"^kills \S+ at ([\d.]+)", said, re.MULTILINE)
    return Told(tuple(states), float(killed[1]) if killed else None)


def noted(kill: Kill) -> None:
    """The kill is on the list of the round that goes on, if there is one."""
    path = os.environ.get("CHAOS_KILLS_NOTES")
    if path:
        note(kill, Path(path))


@contextmanager
def judged(kill: Kill, killed_s: float) -> Iterator[None]:
    """What the block looks for shows whether anything was left; either way the kill is noted, with the time since it was made."""
    try:
        yield
    except BaseException:
        noted(replace(kill, took_s=None))
        raise
    noted(replace(kill, took_s=time.monotonic() - killed_s))


def left_nothing(stand: Stand, kill: Kill, killed_s: float, within_s: float) -> None:
    """Nothing of the run is left in time from now on, and the kill is noted."""
    with judged(kill, killed_s):
        nothing_left(stand, within_s)
