"""How wide lines may be where they are printed.

Only people want them folded. Where a stream is a pipe or a file, and nobody has said COLUMNS, every line stays whole: editors and
pipelines look for `file:line:column: …`, and a search finds a sentence in one line.
"""

from __future__ import annotations

import os
from typing import IO

from chaos.folded import folded

NARROWEST = 20
"""Fewer columns are those of no terminal."""


def width_of(stream: IO[str]) -> int | None:
    """How many columns lines of this stream may have; None where they may have any number."""
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said) > 0:
        return max(NARROWEST, int(said))
    try:
        found = os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError):  # no file behind it, or no terminal that tells
        return None
    return max(NARROWEST, found) if found else None


def fold(text: str, stream: IO[str]) -> str:
    """The text as it fits this stream."""
    width = width_of(stream)
    return text if width is None else folded(text, width)
