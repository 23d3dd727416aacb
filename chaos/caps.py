"""The most that a run may hurt, in absolute numbers: `500 requests`, `2000 predictions`. Pure.

A cap is divided between everything that hurts: the proxies of a run, and the workers of each proxy. Every part is rounded down and
kept by one process alone, so that no two of them must agree before they hurt anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator

_FORM = re.compile(r"([0-9]{1,12})\s+(request|prediction)s?")


@dataclass(frozen=True, slots=True)
class Most:
    """At most `count` of `what` (requests or predictions) are hurt."""

    count: int
    what: str

    @staticmethod
    def parse(text: str) -> Most:
        """The cap that this text means. Raises ValueError that says what to write."""
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is no cap; write something like `500 requests` or `2000 predictions`")
        return Most(int(match[1]), f"{match[2]}s")

    def part(self, parts: int) -> Most:
        """What each of so many gets, rounded down."""
        return Most(self.count // max(1, parts), self.what)

    def __str__(self) -> str:
        return f"{self.count} {self.what}"


def _written(value: object) -> str:
    text = str(value)
    if text.isascii() and text.isdigit():
        raise ValueError(f"{text} has no unit; write `{text} requests` or `{text} predictions`")
    if Most.parse(text).count == 0:
        raise ValueError("a cap of nothing hurts nobody; write at least `1 request`")
    return text


MostText = Annotated[str, BeforeValidator(_written)]


class Cap:
    """One process's part of a run's cap, and how much of it is used. Used is what was chosen to be hurt, before it is."""

    __slots__ = ("hurt", "most", "untold", "what", "withheld")

    def __init__(self, most: Most, hurt: int = 0) -> None:
        self.most = most.count
        self.what = most.what
        self.hurt = hurt
        self.withheld = 0
        """How often a fault was held back, for the cap was used up."""
        self.untold = 0
        """The part of `hurt` that the process which answers for all of them has not heard of."""

    def takes(self, count: int) -> bool:
        """Whether so many more may be hurt; then they count as hurt."""
        if self.hurt + count > self.most:
            self.withheld += 1
            return False
        self.hurt += count
        self.untold += count
        return True
