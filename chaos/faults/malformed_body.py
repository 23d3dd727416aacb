"""malformed_body: the answer comes with status 200 and cannot be parsed.

In real life: a serialiser that met a value it does not know, a debug line printed into the answer, a gateway's HTML page in place of
JSON, an answer that was cut and got a length that fits. Everything that counts statuses is content; whoever parses fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Example, Fault
from chaos.units import format_share

PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>\r\n"
STRUCTURE = b'{}[]:,"'


class MalformedBody(Fault):
    """Selected answers have a body that is no JSON any more; status and headers stay, and the length fits."""

    acts_on = "answer"
    changes_bytes = True
    edits_bodies = True
    breaks_protocol = True
    family = "errors"
    must = "answers that cannot be parsed; error ratio, as clients count it"
    quiet = "errors by status: the status says 200"
    examples: ClassVar = (
        Example(
            "{fault: malformed_body, target: loan-model, share: 20%, duration: 60s}",
            does="20% of the treatment arm's answers of loan-model have one byte of their structure replaced",
        ),
        Example(
            "{fault: malformed_body, target: loan-model, how: page, duration: 60s}",
            does="100% of the treatment arm's answers of loan-model have an HTML page for a body",
        ),
        Example("{fault: malformed_body, target: loan-model, share: 20, duration: 60s}", refused="write 20%"),
    )

    fault: Literal["malformed_body"] = "malformed_body"
    how: Literal["byte", "cut", "page", "empty"] = Field(
        "byte",
        description="`byte`: a brace, bracket, colon, comma or quote is another byte; `cut`: it ends in its middle; "
        "`page`: it is an HTML page; `empty`: there is none",
    )

    def explain(self) -> str:
        """One plain sentence."""
        told = {
            "byte": "have one byte of their structure replaced",
            "cut": "have a body that ends in its middle",
            "page": "have an HTML page for a body",
            "empty": "have an empty body",
        }
        return f"{format_share(self.share)} of the treatment arm's answers of {self.target} {told[self.how]}"

    def edit_body(self, body: bytes, call: Call) -> bytes:
        """A body that no longer parses; the same one for the same request."""
        match self.how:
            case "page":
                return PAGE
            case "empty":
                return b""
            case "cut":
                return body[: max(0, len(body.rstrip()) - 1) * 2 // 3]
            case _:
                return _with_other_byte(body, call.chance(0, "malformed_body"))


def _with_other_byte(body: bytes, chance: float) -> bytes:
    """The body with one of its structural bytes replaced by one that JSON knows nowhere outside of strings, nor in them."""
    places = list(_structure(body)) or list(range(len(body)))
    if not places:
        return body
    place = places[int(chance * len(places))]
    return body[:place] + b"\x00" + body[place + 1 :]


def _structure(body: bytes) -> Iterator[int]:
    return (place for place, byte in enumerate(body) if byte in STRUCTURE)
