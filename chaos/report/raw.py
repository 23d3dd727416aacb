"""The journal as it is, within the page: whole when it fits, else its first and last lines and how many were left out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chaos.journal import Line, to_text

ROOM = 1_000_000
"""Bytes of the page for the journal: with everything else a page stays below 1.5 MB."""


@dataclass(frozen=True, slots=True)
class Raw:
    """The journal's text: `first`, then `left_out` lines that are not here, then `last`."""

    first: str
    last: str
    lines: int
    left_out: int


def raw(lines: Sequence[Line], room: int = ROOM) -> Raw:
    """As much of the journal as fits into so many bytes of HTML: all of it, or about as much of its begin as of its end."""
    texts = [to_text(line) for line in lines]
    if sum(size(text) for text in texts) <= room:
        return Raw("\n".join(texts), "", len(texts), 0)
    first = _within(texts, room // 2)
    last = _within(texts[len(first) :][::-1], room // 2)[::-1]
    return Raw("\n".join(first), "\n".join(last), len(texts), len(texts) - len(first) - len(last))


def size(text: str) -> int:
    """Bytes of this line in a page: `&`, `<` and `>` are written out there."""
    return len(text.encode("utf-8", "replace")) + 4 * text.count("&") + 3 * (text.count("<") + text.count(">")) + 1


def _within(texts: Sequence[str], room: int) -> list[str]:
    kept: list[str] = []
    for text in texts:
        room -= size(text)
        if room < 0:
            break
        kept.append(text)
    return kept
