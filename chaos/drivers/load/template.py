"""Requests from templates, and values out of answers. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PLACE = re.compile(r"\$([A-Za-z_]\w*(?:\.\w+|\[\d+\])*)")
_STEP = re.compile(r"\.?(\w+)|\[(\d+)\]")


def dig(value: Any, path: str) -> Any:
    """What stands at `a.b[0]` in a value, or None when nothing does."""
    for name, index in _STEP.findall(path):
        try:
            value = value[int(index)] if index else value[name]
        except (LookupError, TypeError):
            return None
    return value


def at(value: Any, path: str) -> Any:
    """What stands at `$.a.b[0]` in a JSON value, or None."""
    return dig(value, path.removeprefix("$").removeprefix("."))


def fill(template: Any, known: Mapping[str, Any]) -> Any:
    """The template with its places filled: a text that is one place keeps the value's type, inside a text it is written out."""
    if isinstance(template, dict):
        return {key: fill(value, known) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, known) for value in template]
    if not isinstance(template, str):
        return template
    whole = _PLACE.fullmatch(template)
    if whole is not None:
        return dig(known, whole[1])
    return _PLACE.sub(lambda match: str(dig(known, match[1])), template)
