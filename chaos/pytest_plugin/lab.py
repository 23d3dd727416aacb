"""The lab of a test session: one for all its workers, and gone with the last of them, unless it was up before."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.lab import places
from chaos.lab.processes import LabStatus

NAME = "lab"


@contextmanager
def session_lab(root: Path) -> Iterator[LabStatus]:
    """The lab is up in the block.

    `users` is locked by every worker that uses the lab, shared; whoever can lock it alone afterwards was the last one. `begins` is
    locked by whoever brings the lab up or looks whether it was the last.
    """
    state = root / ".chaos"
    state.mkdir(exist_ok=True)
    with (state / "pytest-lab.users").open("a+") as users:
        with _alone(state / "pytest-lab.begins"):
            mark, alone = state / "pytest-lab.ours", _last(users)
            fcntl.flock(users, fcntl.LOCK_SH)
            if not places.status(NAME, state).up:
                mark.touch()
                places.up(NAME, state, print)
            elif alone:  # nobody of a session has it: it is somebody's own, whatever a session that was killed has left
                mark.unlink(missing_ok=True)
        try:
            yield places.status(NAME, state)
        finally:
            with _alone(state / "pytest-lab.begins"):
                if mark.exists() and _last(users):
                    mark.unlink()
                    places.down(NAME, state, print)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _last(users: object) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[arg-type]
    except OSError:
        return False
    return True
