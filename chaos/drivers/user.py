"""Who runs this process, as people write it."""

from __future__ import annotations

import os


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
