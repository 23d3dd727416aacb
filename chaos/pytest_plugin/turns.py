"""One run at a time on a system, however many workers a test session has."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.drivers.state import State

LOOK_S = 0.2
_MINE: set[str] = set()
"""The turns that this process has: a fixture inside of a fixture waits for nobody."""


@contextmanager
def turn(system: Path, say: Callable[[str], None] = print) -> Iterator[None]:
    """No other process of this user runs tests on this system until the block ends; waits for its turn, and says so once."""
    name = f"pytest {system.resolve()}"
    if name in _MINE:
        yield
        return
    state, said = State.of_user(), False
    while (lock := state.lock(name, f"pytest {os.getpid()}")) is None:
        if not said:
            say(f"waiting until {state.holder(name) or 'another session'} is done with {system}")
            said = True
        time.sleep(LOOK_S)
    _MINE.add(name)
    try:
        yield
    finally:
        _MINE.discard(name)
        lock.release()
