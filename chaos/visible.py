"""Texts from outside as a terminal may get them: shown, never obeyed. Pure."""

from __future__ import annotations

import unicodedata

_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories that a terminal obeys or hides: controls, directions, lone surrogates, line separators."""


def visible(text: str, keep: str = "") -> str:
    """The text with every character that a terminal would obey written out, an escape as backslash, x, 1b.

    Characters in `keep` stay as they are: line breaks, where the text has lines of our own.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        one.encode("unicode_escape").decode() if one not in keep and unicodedata.category(one) in _INVISIBLE else one
        for one in text
    )
