r"""Regular expressions as Prometheus and Alertmanager read them: those of Go, which are RE2's. Pure.

Python's own differ (`(?i:…)` in the middle, `\pL`, `\z`, `\Q…\E` mean nothing to it, and look-around nothing to RE2), and take
exponential time on some; RE2 itself is asked, so that nothing is translated.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

KNOWN = 1024
"""Expressions that are kept compiled: those of one configuration."""


@lru_cache(KNOWN)
def _compiled(expression: str) -> Any:
    options = re2.Options()
    options.log_errors = False  # it would write to stderr by itself
    try:
        return re2.compile(expression, options)
    except re2.error:
        return None


def matches(expression: str, text: str) -> bool | None:
    """Whether the whole text is what the expression says; None when it is none that a server would take, so that nobody can tell."""
    compiled = _compiled(expression)
    return None if compiled is None else compiled.fullmatch(text) is not None
