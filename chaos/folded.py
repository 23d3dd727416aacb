"""Lines that fit a width: what is wider goes on in the next line, a little to the right of where it began. Pure."""

from __future__ import annotations

import re

HANGING = "    "
_PIECE = re.compile(r"(?:`[^`]*`|\S)+")


def folded(text: str, width: int, hanging: str = HANGING) -> str:
    """Each line of the text in lines of at most `width`; those that go on begin with the line's own indentation and `hanging`.

    What stands between backticks stays together where it fits, for it may be copied. A word that is longer than a line stays whole.
    """
    return "\n".join(one for line in text.split("\n") for one in _lines(line, width, hanging))


def _lines(line: str, width: int, hanging: str) -> list[str]:
    if len(line) <= width:
        return [line]
    own = line[: len(line) - len(line.lstrip(" "))]
    found: list[str] = []
    now = ""
    for piece in _pieces(line, width - len(own) - len(hanging)):
        indented = f"{own}{hanging}{piece}" if found or now else f"{own}{piece}"
        if not now:
            now = indented
        elif len(now) + 1 + len(piece) <= width:
            now = f"{now} {piece}"
        else:
            found.append(now)
            now = indented
    return [*found, now]


def _pieces(line: str, room: int) -> list[str]:
    """The words of the line; what stands between backticks is one of them, unless it fits no line."""
    found: list[str] = []
    for piece in _PIECE.findall(line):
        found += [piece] if len(piece) <= room else piece.split()
    return found
