"""One run at a time on a system, however many workers a test session has."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.drivers.state import State

LOOK_S = 0.2


@contextmanager
def turn(system: Path) -> Iterator[None]:
    """No other item of any session of this user runs on this system until the block ends; waits for its turn."""
    name = f"pytest {system.resolve()}"
    while (lock := State.of_user().lock(name, f"pytest {os.getpid()}")) is None:
        time.sleep(LOOK_S)
    try:
        yield
    finally:
        lock.release()
