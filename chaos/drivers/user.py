"""Who runs this process, as people write it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path


def user() -> str:
    """The name of the user whose process this is; in a container that has no entry for it, `uid 65532`."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        return f"uid {os.getuid()}"


def who() -> str:
    """The user and the machine: `anna@runner-1`."""
    return f"{user()}@{os.uname().nodename}"


def as_user(command: str) -> str:
    """The command as anybody may type it who is allowed to be this user: it finds the state of runs that this process has."""
    state = os.environ.get("CHAOS_STATE")
    if not state:
        return command
    name = user()
    name = f"#{os.getuid()}" if name.startswith("uid ") else name
    return f"sudo -u {shlex.quote(name)} CHAOS_STATE={shlex.quote(str(Path(state).absolute()))} {command}"
