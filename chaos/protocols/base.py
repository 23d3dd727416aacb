"""What every serving protocol can do: tell its traffic, decode an answer into rows, and put changed rows back.

Rows outside the selection keep every byte: a protocol replaces the bytes of what changed, and never encodes anew what it
did not change. Number formatting, key order and white space of the rest stay as the server wrote them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol as Interface
from typing import runtime_checkable

from chaos.rows import Input, Label, Piece, Row


@dataclass(frozen=True, slots=True)
class Output:
    """What the system file says about a target's answers where the protocol cannot: names, classes, threshold.

    `label`, `scores` and `score` name the output (V2), the key of a row's object, or the `$.path[*]` into the answer that holds
    them. `classes` are in the order of the scores. `score` is one number a row, the probability of the class `positive`; the
    decision is `positive` from `threshold` on (a share; 0.5 when None).
    """

    label: str | None = None
    scores: str | None = None
    classes: tuple[Label, ...] = ()
    score: str | None = None
    positive: Label | None = None
    threshold: float | None = None

    def paths(self) -> bool:
        """Whether it says where to look in any JSON, as `$.paths`."""
        return any(one is not None and one.startswith("$") for one in (self.label, self.scores, self.score))


@dataclass(frozen=True, slots=True)
class InputNames:
    """What the system file says about a target's requests where the protocol cannot: what the features are called, and where they are.

    `features` are in the order in which a row lists its values; a request that names its own is believed. `rows` is the
    `$.path[*]` into the request's JSON that leads to the rows, each of them a list of values or an object.
    """

    features: tuple[str, ...] = ()
    rows: str | None = None


class Undecodable(ValueError):
    """The body is not what the protocol promises; it is passed on untouched and counted."""


class Rows(list[Row]):
    """The rows of an answer, and `read`: what their protocol found out about it, for encoding, which needs the same again.

    Encoding may be handed other rows, or another answer. So a protocol looks whether `read` is its own, and of this very body.
    """

    __slots__ = ("read",)
    read: object


MOST_INPUTS = 10_000
"""Inputs of one request; one with more is not read: it would take as long as a worker may be silent."""


def bounded(count: int) -> int:
    """The number of a request's inputs. Raises Undecodable when nobody reads so many, or there are none."""
    if not 0 < count <= MOST_INPUTS:
        raise Undecodable(f"{count} inputs; from one to {MOST_INPUTS} are read")
    return count


class Inputs(list[Input]):
    """The inputs of a request, and `read`: what their protocol found out about it, as `Rows` has it of an answer."""

    __slots__ = ("read",)
    read: object


class Protocol(Interface):
    """One serving protocol. Stateless: everything comes in as an argument."""

    name: str

    def detect(self, path: str, request_headers: Mapping[str, str]) -> bool:
        """Whether a request to this path looks like a prediction in this protocol. Of its headers, it is told `content-type` alone."""
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


class TextStream(Interface):
    """One streamed answer. It remembers what was said, because servers repeat themselves at the end."""

    def feed(self, data: str) -> str:
        """The data of one event, its text edited; the very same string when nothing was. It keeps its number of lines."""
        ...


@runtime_checkable
class Streaming(Interface):
    """What a protocol offers besides, when its answers come as server-sent events."""

    def open_stream(self, output: Output, edit: Callable[[Piece], str]) -> TextStream:
        """A new answer begins; `edit` is asked about every piece of text in it, once and in order."""
        ...


@runtime_checkable
class Asking(Interface):
    """What a protocol offers besides, when it reads what a model is asked, and can ask it something else."""

    def inputs(self, body: bytes, headers: Mapping[str, str], names: InputNames) -> Sequence[Input]:
        """The inputs of a request with these headers. Raises Undecodable when the body is no request of this protocol."""
        ...

    def encode_inputs(
        self,
        body: bytes,
        headers: Mapping[str, str],
        names: InputNames,
        before: Sequence[Input],
        after: Sequence[Input],
    ) -> tuple[bytes, Mapping[str, str]]:
        """The body with only the changed inputs replaced, and headers whose values change with it (lengths aside).

        Features that an input has lost are dropped, those that it has gained stand behind the others, and one that stands at the
        place of another is that one under a new name. Raises Undecodable where the request's form cannot say so.
        """
        ...
