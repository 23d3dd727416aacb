"""Lines of YAML that people can read: quoted where needed, with comments that fit. Pure."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence

from chaos.visible import visible

TODO = "TODO"
"""What marks a place that only its owner can fill in; `chaos check` says where each stands."""
WIDTH = 110
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(://[A-Za-z0-9_./:-]+)?")
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))


def scalar(text: str) -> str:
    """The text as a YAML scalar: plain where nobody could take it for anything else, else in double quotes."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and not text.endswith(":"):
        return text
    return json.dumps(visible(text), ensure_ascii=False).replace("${", "$ {")


def prose(text: str) -> str:
    """The text on one line, as a part of a longer one, where nothing in it can be taken for a variable."""
    return " ".join(visible(text).split()).replace("${", "$ {")


def comment(text: str, indent: str = "") -> list[str]:
    """The text as comment lines, none of them too long, and none that could end the comment."""
    flat = prose(text)
    return [
        f"{indent}# {line}"
        for line in textwrap.wrap(flat, WIDTH - len(indent), break_long_words=False, break_on_hyphens=False)
    ]


def name_of(text: str) -> str:
    """The text as a name with dashes: `ModelAccuracyLow` is `model-accuracy-low`."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", text)
    return re.sub(r"[^a-z0-9]+", "-", parted.lower()).strip("-")[:80] or "rule"


def joined(lines: Sequence[str]) -> str:
    """The lines as a file."""
    return "\n".join(line.rstrip() for line in lines) + "\n"


def marks(text: str) -> list[tuple[int, int, str]]:
    """Line, column (both from 1) and sentence of every mark in a file's text."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = re.search(rf"#\s*{TODO}:\s*(.+)", line)
        if match is not None:
            found.append((number, line.index(TODO) + 1, match[1].strip()))
    return found
