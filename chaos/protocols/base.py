"""What every serving protocol can do: tell its traffic, decode an answer into rows, and put changed rows back.

Rows outside the selection keep every byte: a protocol replaces the bytes of what changed, and never encodes anew what it
did not change. Number formatting, key order and white space of the rest stay as the server wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol as Interface

from chaos.rows import Label, Row


@dataclass(frozen=True, slots=True)
class Output:
    """What the system file says about a target's answers where the protocol cannot: names, classes, threshold.

    `label` and `scores` name the output (V2) or the path that holds them; `classes` in the order of the scores.
    """

    label: str | None = None
    scores: str | None = None
    classes: tuple[Label, ...] = ()


class Undecodable(ValueError):
    """The body is not what the protocol promises; it is passed on untouched and counted."""


class Protocol(Interface):
    """One serving protocol. Stateless: everything comes in as an argument."""

    name: str

    def detect(self, path: str, request_headers: Mapping[str, str]) -> bool:
        """Whether a request to this path looks like a prediction in this protocol."""
        ...

    def rows(self, body: bytes, headers: Mapping[str, str], output: Output) -> Sequence[Row]:
        """The rows of an answer. Raises Undecodable when the body is not an answer of this protocol."""
        ...

    def encode(
        self, body: bytes, headers: Mapping[str, str], output: Output, before: Sequence[Row], after: Sequence[Row]
    ) -> tuple[bytes, Mapping[str, str]]:
        """The body with only the changed rows replaced, and headers whose values change with it (lengths aside)."""
        ...

    def error(self, status: int, message: str) -> tuple[bytes, Mapping[str, str]]:
        """Body and headers of an error in the protocol's own shape."""
        ...
