"""Slices of traffic: `json:$.region == "north"`, `header:x-group != "b"`. One pure rule for proxy and load."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FORM = re.compile(
    r"""\s*(?:json:\$((?:\.\w+|\[\d+\])+)|header:([\w-]+))\s*(==|!=)\s*("(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null)\s*"""
)


@dataclass(frozen=True, slots=True)
class Slice:
    """One condition on a request. A request that lacks what is asked for is in no slice."""

    path: tuple[str | int, ...]
    header: str | None
    equal: bool
    value: str | int | float | bool | None

    @staticmethod
    def parse(text: str) -> Slice:
        """The slice that this text means. Raises ValueError that says what to write."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(
                f'{text!r} is no slice; write something like json:$.region == "north" or header:x-group == "b"'
            )
        parts = re.findall(r"\.(\w+)|\[(\d+)\]", match[1] or "")
        path = tuple(name or int(index) for name, index in parts)
        return Slice(path, match[2].lower() if match[2] else None, match[3] == "==", json.loads(match[4]))

    @property
    def needs_body(self) -> bool:
        """Whether the request's body must be read to tell."""
        return self.header is None

    def matches(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether a request with these lower-case headers and this body is in the slice."""
        if self.header is not None:
            found: object = headers.get(self.header)
            wanted: object = self.value if isinstance(self.value, str) else json.dumps(self.value)
            return found is not None and (found == wanted) is self.equal
        try:
            value: Any = json.loads(body)
            for part in self.path:
                value = value[part]
        except (ValueError, LookupError, TypeError, RecursionError):
            return False
        same = value == self.value and isinstance(value, bool) is isinstance(self.value, bool)  # true is not 1 here
        return same is self.equal
