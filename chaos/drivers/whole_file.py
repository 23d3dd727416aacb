"""Files that others read at any moment: whole, or as they were before."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from chaos.errors import ChaosError

READABLE = 0o644
"""Who collects metrics is another user."""


def write_whole(path: Path, text: str, mode: int = READABLE) -> None:
    """The file has this text. Whoever reads it meanwhile gets the old one or this one, never a part. Raises OSError.

    It is written beside its place first, under a name that no collector takes for one of its files.
    """
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def write_asked(path: Path, text: str) -> None:
    """The file that a person asked for has this text. Raises ChaosError, which says what to do."""
    try:
        write_whole(path, text)
    except OSError as error:
        raise ChaosError(
            f"{path} cannot be written: {error.strerror}; name a file in a folder that is there"
        ) from error
