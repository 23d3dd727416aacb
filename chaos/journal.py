"""The append-only record of a run: one JSON object a line, each with the hash of the line before.

    record ─▶ write_line() ─▶ text ─▶ read() ─▶ [Line]        a cut or altered journal is noticed

A verdict is computed from the lines alone; a bug report is a journal; a regression test is a journal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from chaos.errors import ChaosError
from chaos.events import Record

_RECORD: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="kind")])


class BrokenJournal(ChaosError):
    """A journal was cut in its middle or altered, or is none."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `at_s` counts from the run's begin, `wall_s` from the epoch; `previous` hashes the line before."""

    sequence: int
    at_s: float
    wall_s: float
    previous: str
    record: Record


def digest(text: str) -> str:
    """What the next line says of this one (without its line break)."""
    return sha256(text.encode()).hexdigest()[:16]


def to_text(line: Line) -> str:
    """The line as it stands in the file, without its line break."""
    row = {
        "sequence": line.sequence,
        "at_s": round(line.at_s, 6),
        "wall_s": round(line.wall_s, 6),
        "previous": line.previous,
        "record": asdict(line.record),
    }
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False)


def from_text(text: str) -> Line:
    """The line of `to_text`. Raises BrokenJournal when it is none."""
    try:
        row = json.loads(text)
        return Line(
            row["sequence"], row["at_s"], row["wall_s"], row["previous"], _RECORD.validate_python(row["record"])
        )
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
        raise BrokenJournal(f"this is no line of a journal: {text[:80]!r}") from error


def chain(records: Iterable[tuple[float, float, Record]]) -> Iterator[str]:
    """Texts of lines for (at_s, wall_s, record), chained from the first on."""
    previous = ""
    for sequence, (at_s, wall_s, record) in enumerate(records, 1):
        text = to_text(Line(sequence, at_s, wall_s, previous, record))
        previous = digest(text)
        yield text


def read(text: str) -> list[Line]:
    """Every line, in order. A last line that a crash cut is left out; any other damage raises BrokenJournal."""
    rows = text.split("\n")
    whole, rest = rows[:-1], rows[-1]
    lines: list[Line] = []
    previous = ""
    for number, row in enumerate(whole, 1):
        line = from_text(row)
        if line.previous != previous or line.sequence != number:
            raise BrokenJournal(f"line {number} does not follow the line before: the journal was cut or altered there")
        previous = digest(row)
        lines.append(line)
    if rest:  # no line break after it: the crash came while it was written
        try:
            line = from_text(rest)
        except BrokenJournal:
            return lines
        if line.previous == previous:
            lines.append(line)
    return lines
