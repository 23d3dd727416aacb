"""One answer on its way to its client, part by part, as faults ask for it. No sockets, no clock.

    the answer's bytes, as the client would get them ─▶ head · pieces or events ─▶ what do the faults say? ─▶ framed anew ─▶ client

What goes in has been edited already, so that delivery needs to know nothing of rows, texts or documents: it reads the answer's framing
as a client does.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from chaos.faults.base import Call, Part
from chaos.faults.base import Delivery as Action
from chaos.proxy import wire
from chaos.proxy.armed import ArmedFault
from chaos.proxy.hurting import counting
from chaos.proxy.streams import EventReader, TooLarge

log = logging.getLogger("chaos.proxy")

LARGEST_PIECE = 16 * 1024
"""Bytes of a body that go out as one part."""
MOST_HELD = 64 * 1024
"""Bytes that wait for a fault before the upstream is told to slow down."""


class Delivery:
    """The parts of one answer that have not gone out yet, and what the faults that selected it say about the next one.

    `faults` come with the call that they are asked with for every part: its share is that of the answer's beginning. `obeys` says
    whether a fault is still on: one that was taken off says nothing any more.
    """

    def __init__(
        self, method: str, faults: Sequence[tuple[ArmedFault, Call]], obeys: Callable[[ArmedFault], bool]
    ) -> None:
        self.size = 0
        """Bytes that are held."""
        self.part: Part | None = None
        """What is about to go out; None at the end of a chunked answer."""
        self.data = b""
        """The part's bytes."""
        self.then: Callable[[], None] | None = None
        """What happens once everything is out; None while more of the answer is to come."""
        self._method = method
        self._faults = list(faults)
        self._obeys = obeys
        self._actions: Iterator[tuple[ArmedFault, Action]] | None = None
        self._parts: deque[tuple[Part | None, bytes]] = deque()
        self._head: wire.Head | None = None
        self._body: wire.Body = wire.NOTHING
        self._events: EventReader | None = None
        self._counts = {"piece": 0, "event": 0}
        self._before = 0
        self._ended = False

    # --- what comes in ------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """More of the answer, as the client would get it; the first bytes are its whole head."""
        place = 0
        if self._head is None:
            head = wire.answer_in(data, self._method)
            assert head is not None
            self._begin(head)
            place = len(head.raw)
        if place < len(data) and not self._body.done:
            self._take(data, self._body.take(data, place), place)
        if self._body.done:
            self._finish()

    def _begin(self, head: wire.Head) -> None:
        self._head, self._body = head, wire.answer_body(head, collect=True)
        # Events that are compressed cannot be told from each other.
        if head.streams and head.headers.get("content-encoding", "identity") == "identity":
            self._events = EventReader()
        self._hold(Part("head", 0, len(head.raw), 0), head.raw)

    def _take(self, data: bytes, end: int, place: int) -> None:
        payload = data[place:end]
        if isinstance(self._body, wire.ChunkedBody) and self._body.payload is not None:
            payload = b"".join(self._body.payload)
            self._body.payload.clear()
        if self._events is None:
            self._cut(payload)
            return
        try:
            for event in self._events.feed(payload):
                self._hold_body("event", event)
        except TooLarge:
            rest, self._events = self._events.rest, None
            self._cut(rest)

    def _cut(self, payload: bytes) -> None:
        for start in range(0, len(payload), LARGEST_PIECE):
            self._hold_body("piece", payload[start : start + LARGEST_PIECE])

    def _hold_body(self, kind: str, data: bytes) -> None:
        part = Part("event" if kind == "event" else "piece", self._counts[kind], len(data), self._before)
        self._counts[kind] += 1
        self._before += len(data)
        self._hold(part, data)

    def _hold(self, part: Part | None, data: bytes) -> None:
        self._parts.append((part, data))
        self.size += len(data)

    def _finish(self) -> None:
        if self._ended:
            return
        self.flush()
        self._ended = True
        if isinstance(self._body, wire.ChunkedBody):
            self._hold(None, b"0\r\n" + self._body.trailers)

    def flush(self) -> None:
        """No more will come: what has come of an event that never became whole is a piece."""
        if self._events is not None:
            rest, self._events = self._events.rest, None
            self._cut(rest)

    # --- what goes out ------------------------------------------------------------------------------------------------

    def next(self) -> bool:
        """Whether there is a part to go out: it is `part` and `data` then, and its faults are lined up."""
        if self._actions is not None:
            return True  # a fault has waited within it
        if not self._parts:
            return False
        self.part, self.data = self._parts.popleft()
        self._actions = self._line_up(self.part) if self.part is not None else iter(())
        return True

    def _line_up(self, part: Part) -> Iterator[tuple[ArmedFault, Action]]:
        for fault, call in list(self._faults):
            if not self._obeys(fault):
                continue
            try:
                asked = iter(fault.fault.deliver(part, call))
                earlier = fault.counted_early or fault.fault.edits_bodies
                for action in asked if earlier or part.kind != "head" else counting(asked, fault.memory):
                    if not self._obeys(fault):
                        break  # it was taken off while it waited
                    yield fault, action
            except Exception as error:  # the code of others: traffic goes on
                log.debug("%s could not be done to an answer", fault.name, exc_info=error)
                fault.counts.undecodable += 1
                self._faults = [one for one in self._faults if one[0] is not fault]

    def action(self) -> tuple[ArmedFault, Action] | None:
        """What is to happen next, before the part goes out, and which fault says so; None when it can go out now."""
        assert self._actions is not None
        return next(self._actions, None)

    def taken(self, size: int | None = None) -> bytes:
        """The part in its framing, or its first bytes; it is not held any more."""
        self._actions = None
        self.size -= len(self.data)
        data = self.data if size is None else self.data[:size]
        chunk = self.part is not None and self.part.kind != "head" and isinstance(self._body, wire.ChunkedBody)
        return b"%x\r\n%s\r\n" % (len(data), data) if chunk and data else data

    def drop(self) -> None:
        """Nothing more goes out. What refers back to itself is let go: it has bodies, and must not wait for a garbage collector."""
        self._actions = self.then = None
        self._parts.clear()

    def ends_well(self, size: int) -> bool:
        """Whether the answer can be ended after so many bytes of this part so that its client takes it for whole."""
        if self.part is None or (self.part.kind == "head" and size < len(self.data)):
            return False
        if self._head is None or self._head.chunked:
            return True
        before = 0 if self.part.kind == "head" else self.part.before + min(size, len(self.data))
        return self._head.length is None or self._head.length == before

    @property
    def last(self) -> bytes:
        """What ends a chunked answer; nothing for another one."""
        return b"0\r\n\r\n" if isinstance(self._body, wire.ChunkedBody) else b""
