"""Streamed answers: server-sent events found in bytes, measured, and edited one by one. No sockets.

An event ends with an empty line; its data are its `data` lines, joined. Everything else (comments, event names, ids, unknown
fields, the spelling of line ends) is nobody's business here and keeps its bytes. Whoever only measures holds nothing back;
whoever edits holds back no more than the one event that is not whole yet, and a bounded one.

Source: HTML Living Standard, section 9.2, "Server-sent events".
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from chaos.faults.base import Call
from chaos.proxy import wire
from chaos.proxy.armed import ArmedFault
from chaos.proxy.counters import Counters
from chaos.rows import Piece, TextSoFar

if TYPE_CHECKING:
    from hashlib import _Hash as Digest

LARGEST_EVENT = 4 * 1024 * 1024
"""Bytes of one event that are held until it is whole; a larger one, and what follows it, is not edited."""
_EVENT_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_LINE = re.compile(rb"[^\r\n]+")
_MARK = b"\xef\xbb\xbf"


class TooLarge(ValueError):
    """An event that does not end in time."""


# --- events in bytes --------------------------------------------------------------------------------------------------


class EventReader:
    """Cuts bytes into whole events. Nothing is lost: the events and `rest` are the bytes that came."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._seen = 0

    @property
    def rest(self) -> bytes:
        """What has come of the next event."""
        return bytes(self._held)

    def feed(self, data: bytes) -> list[bytes]:
        """The events that are whole now, each with the empty line that ends it; a stray empty line is one of its own.

        Raises TooLarge; `rest` then has everything that was not returned.
        """
        held = self._held
        held += data
        events: list[bytes] = []
        start, look = 0, max(0, self._seen - 3)  # an end of four bytes may have begun in the last read
        while start < len(held):
            if held[start] in b"\r\n":
                end = start + 2 if held[start : start + 2] == b"\r\n" else start + 1
            else:
                found = _EVENT_END.search(held, max(start, look))
                if found is None:
                    break
                end = found.end()
            events.append(bytes(held[start:end]))
            start = end
        del held[:start]
        self._seen = len(held)
        if len(held) > LARGEST_EVENT and not events:
            raise TooLarge("an event of more than 4 MB")
        return events


def _data_places(event: bytes) -> list[tuple[int, int]]:
    """Where the values of the event's `data` lines stand."""
    places: list[tuple[int, int]] = []
    for line in _LINE.finditer(event):
        start, end = line.span()
        if start == 0 and event.startswith(_MARK):
            start = len(_MARK)
        if event.startswith(b"data:", start):
            start += 6 if event.startswith(b"data: ", start) else 5
            places.append((start, end))
        elif event[start:end] == b"data":
            places.append((end, end))
    return places


def data_of(event: bytes) -> str | None:
    """The event's data; None when it has none, or when they are not UTF-8."""
    places = _data_places(event)
    try:
        return b"\n".join(event[start:end] for start, end in places).decode("utf-8") if places else None
    except UnicodeDecodeError:
        return None


def with_data(event: bytes, data: str) -> bytes:
    """The event with other data on the same lines; everything else keeps its bytes. Raises ValueError when the lines differ in number."""
    pieces: list[bytes] = []
    place = 0
    for (start, end), line in zip(_data_places(event), data.split("\n"), strict=True):
        pieces += [event[place:start], line.encode("utf-8")]
        place = end
    return b"".join([*pieces, event[place:]])


class EventMeter:
    """Counts events that carry data, however the bytes are cut into reads, and holds nothing: six bytes at most."""

    def __init__(self) -> None:
        self._line = b""
        self._data = False
        self._after_return = False

    def feed(self, data: bytes) -> int:
        """How many events with data ended in these bytes."""
        count = 0
        if self._after_return and data.startswith(b"\n"):
            data = data[1:]
            self._after_return = False
        if data:
            self._after_return = data.endswith(b"\r")
        for line in data.splitlines(keepends=True):
            bare = line.rstrip(b"\r\n")
            begun = self._line + bare[:6]
            if len(bare) == len(line):
                self._line = begun[:6]
                break
            self._line = b""
            if not begun:
                count += self._data
                self._data = False
            elif begun == b"data" or begun.startswith(b"data:"):
                self._data = True
        return count


# --- one answer -------------------------------------------------------------------------------------------------------


class StreamedAnswer:
    """One streamed answer on its way: its pieces go in as they were read, and come out as the client gets them.

    Without an editor they come out as they went in, at once. With one, each whole event comes out in the read that completes it,
    and a chunked answer gets new chunks around the same or edited events, and its own trailers.
    """

    def __init__(
        self, body: wire.Body, edit: Callable[[str], str] | None, given_up: Callable[[], None], *, copy: bool = False
    ) -> None:
        self.copy: list[bytes] | None = [] if copy else None
        """The edited payload so far, when it is asked for; None once it is longer than LARGEST_EVENT."""
        self._copied = 0
        self._body = body
        self._edit = edit
        self._given_up = given_up
        self._meter = EventMeter()
        self._reader = EventReader()
        self._reframed = edit is not None
        self.before, self.after = sha256(), sha256()
        """Of the payload as the model sent it, and as the client got it."""

    def feed(self, piece: bytes) -> tuple[bytes, int]:
        """What goes to the client now, and how many events ended in this piece. `piece` was taken by the body already."""
        payload = piece
        if isinstance(self._body, wire.ChunkedBody):
            payload = b"".join(self._body.payload or [])
            if self._body.payload:
                self._body.payload.clear()
        count = self._meter.feed(payload)
        if not self._reframed:
            return piece, count
        self.before.update(payload)
        out = self._edited(payload) if self._edit is not None else payload
        return self._framed(out), count

    def end(self) -> bytes:
        """The answer is over, or broken: what was held of an event that never became whole."""
        if self._edit is None:
            return b""
        self._edit = None
        rest = self._reader.rest
        self._say(rest)
        return b"%x\r\n%s\r\n" % (len(rest), rest) if rest and self._chunked() else rest

    def _say(self, out: bytes) -> None:
        """This is part of the edited payload."""
        self.after.update(out)
        if self.copy is not None:
            self.copy.append(out)
            self._copied += len(out)
            if self._copied > LARGEST_EVENT:
                self.copy = None

    def _chunked(self) -> bool:
        return isinstance(self._body, wire.ChunkedBody)

    def _edited(self, payload: bytes) -> bytes:
        """The events that are whole now, each as the client is to get it; after anything unforeseen, all as they are."""
        out: list[bytes] = []
        try:
            events = self._reader.feed(payload)
        except TooLarge:
            return self._give_up(out, [])
        for place, event in enumerate(events):
            try:
                out.append(self._one(event))
            except Exception:  # the Undecodable of the protocol, and whatever others' code raises: traffic goes on
                return self._give_up(out, events[place:])
        return b"".join(out)

    def _one(self, event: bytes) -> bytes:
        assert self._edit is not None
        data = data_of(event)
        if data is None:
            return event
        fresh = self._edit(data)
        return event if fresh is data or fresh == data else with_data(event, fresh)

    def _give_up(self, out: list[bytes], events: list[bytes]) -> bytes:
        self._edit = None
        self._given_up()
        return b"".join([*out, *events, self._reader.rest])

    def _framed(self, out: bytes) -> bytes:
        body = self._body
        if isinstance(body, wire.ChunkedBody) and body.done:
            out += self._reader.rest if self._edit is not None else b""
            self._edit = None
        self._say(out)
        if not isinstance(body, wire.ChunkedBody):
            return out
        framed = b"%x\r\n%s\r\n" % (len(out), out) if out else b""
        return framed + b"0\r\n" + body.trailers if body.done else framed


# --- text faults ------------------------------------------------------------------------------------------------------


class TextFaults:
    """The armed faults that edit streamed text, as they hurt one answer: asked piece by piece, counted row by row.

    Each fault's share is the one of the moment the answer began, so that a row is hurt throughout or not at all. A fault that is
    taken off meanwhile hurts no further piece.
    """

    def __init__(
        self,
        faults: Sequence[tuple[ArmedFault, Call]],
        obeys: Callable[[ArmedFault], bool],
        counters: Counters,
        arm: str = "treatment",
        allows: Callable[[], bool] = lambda: True,
    ) -> None:
        self._faults = faults
        self._obeys = obeys
        self._counters = counters
        self._arm = arm
        self._allows = allows
        self._withheld: set[tuple[int, int]] = set()
        self._selected: set[tuple[int, int]] = set()
        self._changed: set[tuple[int, int]] = set()
        self._digests: dict[int, tuple[Digest, Digest]] = {}

    def edit(self, piece: Piece) -> str:
        """What the client gets instead of this piece."""
        text = piece.text
        for fault, call in self._faults:
            if not self._obeys(fault):
                continue
            so_far = call.texts.setdefault(piece.row, TextSoFar())
            if not call.selected(piece.row) or not self._allowed(fault, piece.row):
                so_far.add(text, text)
                continue
            first = self._count(self._selected, fault, piece.row)
            fresh = fault.fault.edit_text(replace(piece, text=text), call)
            so_far.add(text, fresh)
            fault.memory.selected += first
            if fresh != text:
                self._count(self._changed, fault, piece.row)
                fault.counts.happened(time.time(), time.monotonic())
                text = fresh
        before, after = self._digests.setdefault(piece.row, (sha256(), sha256()))
        before.update(piece.text.encode("utf-8", "surrogatepass"))
        after.update(text.encode("utf-8", "surrogatepass"))
        return text

    def _allowed(self, fault: ArmedFault, row: int) -> bool:
        """Whether the run's cap lets this row be hurt: throughout, or not at all."""
        place = (fault.index, row)
        if place in self._selected or place in self._withheld:
            return place in self._selected
        if not self._allows():
            self._withheld.add(place)
            return False
        return True

    def _count(self, what: set[tuple[int, int]], fault: ArmedFault, row: int) -> bool:
        """A row is counted once for each fault. Whether it is the fault's first of this answer, and the answer is counted, too."""
        if (fault.index, row) in what:
            return False
        name, first = fault.name, not fault.acts and all(index != fault.index for index, _ in what)
        what.add((fault.index, row))
        if what is self._selected:
            fault.counts.selected_requests += first
            fault.counts.selected_rows += 1
            self._counters.selected[name, self._arm] += 1
        else:
            fault.counts.changed_rows += 1
            self._counters.changed[name, self._arm] += 1
        return first

    def changes(self) -> list[tuple[int, str, str]]:
        """Every row that was changed, and names for its whole text before and after."""
        rows = sorted({row for _, row in self._changed})
        return [(row, *(digest.hexdigest()[:16] for digest in self._digests[row])) for row in rows]  # type: ignore[misc]
