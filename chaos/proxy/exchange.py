"""One request and its answer on their way through the proxy: which arm, which faults, what to keep. No sockets.

The data plane moves bytes; this decides and counts. An exchange looks at what was armed when it began: a fault applies to
requests that come after its arming, and a disarmed one touches no answer any more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from chaos.arms import ATTEMPT_HEADER, REQUEST_HEADER
from chaos.faults.base import Action, Answer, Call, Reset, Wait
from chaos.protocols import sniff
from chaos.protocols.base import Protocol, Streaming, Undecodable
from chaos.proxy import wire
from chaos.proxy.armed import Armed, ArmedFault, Group, RunState, hashed
from chaos.proxy.streams import StreamedAnswer, TextFaults
from chaos.rows import Label, Row

if TYPE_CHECKING:
    from chaos.proxy.plane import Route

log = logging.getLogger("chaos.proxy")


@dataclass(frozen=True, slots=True)
class Hurt:
    """What the data plane is to do to a request: wait, answer itself, or (neither) reset the connection."""

    wait_s: float | None = None
    answer: bytes | None = None
    status: int = 0


class Exchange:
    """The state of one request and its answer."""

    def __init__(self, head: wire.Head, armed: Armed | None, begun_s: float) -> None:
        self.head = head
        self.armed = armed
        self.begun_s = begun_s
        self.asked_s = begun_s
        self.group: Group | None = None
        self.subject: str | None = None
        self.collecting = armed is not None and armed.needs_body()
        self.request_body: wire.Body = wire.request_body(head, collect=self.collecting)
        self.collected: list[bytes] = []
        self.collected_size = 0
        self.pending: list[bytes] = []
        self.pending_size = 0
        self.sent: bytes | None = None
        self.again = False
        self.waiting = False
        self.wait_since_s = 0.0
        self.connecting = False
        self.own_status = 0
        self.instead: bytes | None = None
        self.continued = False
        self.answer_buffer = b""
        self.answer_head: wire.Head | None = None
        self.answer_body: wire.Body | None = None
        self.editing = False
        self.streaming = False
        self.ended = False
        self.kept: list[bytes] = []
        self.kept_size = 0
        self._body = b""
        self._state: RunState | None = None
        self._first = False
        self._actions: Iterator[tuple[ArmedFault, Action]] = iter(())
        self._counted = False
        self._waiting_for: ArmedFault | None = None
        self._stream: StreamedAnswer | None = None
        self._texts: TextFaults | None = None
        self._event_s: float | None = None
        self._free_text = False

    # --- the request --------------------------------------------------------------------------------------------------

    def wants_body(self) -> bool:
        """Whether the arm cannot be told without the body."""
        return self.collecting

    def expects_continue(self) -> bool:
        """Whether the client waits for a 100 before it sends its body."""
        return self.head.headers.get("expect", "").lower() == "100-continue"

    def stays_open(self) -> bool:
        """Whether the client's connection can serve another request after an answer of the proxy's own."""
        return self.head.keep_alive and (self.request_body.done or not self.expects_continue())

    def waits_for(self) -> int | None:
        """The index of the fault in whose delay this request waits."""
        return self._waiting_for.index if self._waiting_for is not None else None

    def _obeys(self, fault: ArmedFault, route: Route) -> bool:
        """Whether the fault may still touch this request: its run holds the proxy and has not taken it off."""
        now = route.registry.current()
        return now is not None and self.armed is not None and now.run == self.armed.run and now.has(fault.index)

    def request_payload(self) -> bytes:
        """The collected body, out of its chunks."""
        if isinstance(self.request_body, wire.ChunkedBody):
            return b"".join(self.request_body.payload or [])
        return b"".join(self.collected)

    def decide(self, body: bytes, route: Route) -> None:
        """The arm is known, the request is counted, and its faults are lined up."""
        state = route.registry.holder
        if self.armed is None or state is None or state.run != self.armed.run:
            self._count_lately(route)
            return
        self._body = body
        self._state = state
        headers = self.head.headers
        self.group, self.subject = self.armed.group_of(headers, body)
        counts = state.arms[self.group]
        counts.requests += 1
        counts.subjects_unknown += self.subject is None
        self._first = headers.get(ATTEMPT_HEADER, "1") == "1"
        counts.first_attempts += self._first
        if self.group == "treatment" and self.armed.request_faults:
            self._actions = self._line_up(route)

    def _count_lately(self, route: Route) -> None:
        """After a disarming, requests of each arm are still counted: they prove the removal."""
        state = route.registry.lately()
        if state is None or state.last_armed is None or state.last_armed.needs_body():
            return
        group, _ = state.last_armed.group_of(self.head.headers, b"")
        counts = state.arms[group]
        counts.untouched_since_disarm = min(counts.untouched_since_disarm + 1, 1000)

    def _call(self, fault: ArmedFault) -> Call:
        assert self.armed is not None
        share = fault.fault.share * fault.fault.shape.intensity(time.monotonic() - fault.since_s)
        return Call(self.armed.arms.seed, fault.index, self.subject or "", share, self.head.headers, self._body)

    def _line_up(self, route: Route) -> Iterator[tuple[ArmedFault, Action]]:
        assert self.armed is not None
        for fault in self.armed.request_faults:
            call = self._call(fault)
            if self._obeys(fault, route) and call.selected():
                fault.counts.selected_requests += 1
                route.counters.selected[fault.fault.fault, "treatment"] += 1
                for action in fault.fault.act(call):
                    yield fault, action

    def next_action(self, route: Route) -> Hurt | None:
        """The next thing that a request fault asks for; None when the model is to be asked. Disarmed faults ask nothing."""
        for fault, action in self._actions:
            if not self._obeys(fault, route):
                continue
            match action:
                case Wait(seconds=seconds):
                    fault.counts.happened(time.time(), time.monotonic())
                    self._waiting_for = fault
                    return Hurt(wait_s=float(seconds))
                case Answer():
                    fault.counts.injected += 1
                    fault.counts.happened(time.time(), time.monotonic())
                    route.counters.injected[fault.fault.fault] += 1
                    return Hurt(answer=self._own(action, route), status=action.status)
                case Reset():
                    fault.counts.injected += 1
                    fault.counts.happened(time.time(), time.monotonic())
                    route.counters.injected[fault.fault.fault] += 1
                    return Hurt()
        return None

    def _own(self, action: Answer, route: Route) -> bytes:
        protocol = self._protocol(route)
        body, headers = action.body, dict(action.headers)
        if not body and protocol is not None:
            body, told = protocol.error(action.status, "the model is not available")
            headers = {**told, **headers}
        keep = self.stays_open()
        return wire.answer(action.status, headers, body, keep_alive=keep, head_only=self.head.method == "HEAD")

    def waited(self, route: Route, seconds: float) -> None:
        """A delay is over, or was released."""
        if self._waiting_for is not None:
            self._waiting_for.counts.delayed_s += seconds
            route.counters.delay_s[self._waiting_for.fault.fault] += seconds
            self._waiting_for = None

    # --- the answer ---------------------------------------------------------------------------------------------------

    def _protocol(self, route: Route, answer_body: bytes | None = None) -> Protocol | None:
        """What the answer is read as: what the arming says, or with `auto` what the traffic looks like."""
        assert self.armed is not None
        if self.armed.protocol is not None:
            return self.armed.protocol
        path = self.head.target.split("?", 1)[0]
        found = sniff(path, self.head.headers, answer_body, self.armed.output)
        if found is not None:
            _taken_for(route.name, found.name)
        return found

    def answered(self, head: wire.Head, largest: int) -> None:
        """The answer's head is there: whether its body must be kept for a fault. A streamed answer is never kept."""
        self.answer_head = head
        kind = head.headers.get("content-type", "")
        self.streaming = kind[:17].lower() == "text/event-stream" and head.length != 0
        edit = (
            self.group == "treatment"
            and not self.streaming
            and self.armed is not None
            and bool(self.armed.answer_faults)
            and head.status == 200
            and self.head.method == "POST"
            and (head.length is None or 0 < head.length <= largest)
        )
        self.editing = edit
        self.answer_body = wire.answer_body(head, collect=edit or self.streaming)

    def answer_done(self) -> bool:
        """Whether the answer is whole."""
        return self.ended or (self.answer_body is not None and self.answer_body.done)

    def answer_raw(self) -> bytes:
        """The answer's head as it came."""
        assert self.answer_head is not None
        return self.answer_head.raw

    def give_up_editing(self) -> None:
        """The answer is too large to be edited: it goes on untouched."""
        self.editing = False
        if self.answer_body is not None:
            self.answer_body.forget()
        self._undecodable()

    def _undecodable(self) -> None:
        for fault in self.armed.answer_faults if self.armed is not None else ():
            fault.counts.undecodable += 1

    def edited(self, route: Route) -> bytes:
        """The whole answer as the client gets it: edited, or as it came when nothing is to be changed in it."""
        assert self.answer_head is not None
        whole = self.answer_head.raw + b"".join(self.kept)
        if self.armed is None:
            return whole
        payload = b"".join(self.kept)
        if isinstance(self.answer_body, wire.ChunkedBody):
            payload = b"".join(self.answer_body.payload or [])
        try:
            protocol = self._protocol(route, payload)
            if protocol is None or self.answer_head.headers.get("content-encoding", "identity") != "identity":
                raise Undecodable("no protocol reads this answer")
            rows = protocol.rows(payload, self.answer_head.headers, self.armed.output)
            after = self._edit(rows, route)
            if after is rows:
                return whole
            body, changed = protocol.encode(payload, self.answer_head.headers, self.armed.output, rows, after)
        except (
            Exception
        ):  # the protocol's Undecodable, and whatever a protocol or a fault of others raises: traffic goes on
            self._undecodable()
            return whole
        self._free_text = getattr(protocol, "free_text", False)
        self._note(rows, after, payload, body, route)
        return wire.with_body(wire.with_headers(self.answer_head, changed), body)

    def _edit(self, rows: Sequence[Row], route: Route) -> Sequence[Row]:
        """The rows after every armed answer fault; the very same sequence when none changed a row."""
        assert self.armed is not None
        edited = rows
        for fault in self.armed.answer_faults:
            if not self._obeys(fault, route):
                continue
            call = self._call(fault)
            selected = sum(call.selected(row.index) for row in edited)
            if not selected:
                continue
            fault.counts.selected_requests += 1
            fault.counts.selected_rows += selected
            route.counters.selected[fault.fault.fault, "treatment"] += selected
            after = fault.fault.edit(edited, call)
            changed = sum(new is not old for new, old in zip(after, edited, strict=True))
            if changed:
                fault.counts.changed_rows += changed
                fault.counts.happened(time.time(), time.monotonic())
                route.counters.changed[fault.fault.fault, "treatment"] += changed
                edited = after
        return edited

    def _note(self, before: Sequence[Row], after: Sequence[Row], payload: bytes, body: bytes, route: Route) -> None:
        assert self._state is not None
        assert self.armed is not None
        hashes = hashed(payload), hashed(body)
        for old, new in zip(before, after, strict=True):
            if old is new:
                continue
            labels = [_told(row.label, row.classes, free_text=self._free_text) for row in (old, new)]
            change = self._change(route, old.index, labels, hashes)
            if route.record_bodies:
                change["body_before"], change["body_after"] = payload.decode("latin-1"), body.decode("latin-1")
            self._state.note_change(change)

    def _change(self, route: Route, row: int, labels: Sequence[object], bodies: tuple[str, str]) -> dict[str, object]:
        """The ground truth about one row, before and after; bodies and free text only by what they hash to."""
        return {
            "wall_s": time.time(),
            "subject_hash": hashed(self.subject or ""),
            "request_id": self.head.headers.get(REQUEST_HEADER, "")[:100],
            "route": route.name,
            "row": row,
            "label_before": labels[0],
            "label_after": labels[1],
            "body_sha256_before": bodies[0],
            "body_sha256_after": bodies[1],
        }

    # --- streamed answers ---------------------------------------------------------------------------------------------

    def stream(self, piece: bytes, route: Route) -> bytes:
        """What the client gets now of a streamed answer: every event at once, edited where a fault hurts its text."""
        if self._stream is None:
            assert self.answer_body is not None
            self._stream = StreamedAnswer(self.answer_body, self._text_editor(route), self._text_undecodable)
        out, events = self._stream.feed(piece)
        if events:
            now_s, last_s = time.monotonic(), self._event_s
            first_s = now_s - self.begun_s if last_s is None else None
            route.counters.streamed(
                route.name, self.group or "none", events, first_s=first_s, gap_s=now_s - (last_s or now_s)
            )
            self._event_s = now_s
        return out

    def stream_ended(self, route: Route, how: str) -> bytes:
        """The streamed answer is `whole`, `broken` by the upstream, or `left` by the client; what was held of it."""
        if not self.streaming:
            return b""
        self.streaming = False
        route.counters.stream_ended(route.name, self.group or "none", how)
        rest = self._stream.end() if self._stream is not None else b""
        if self._texts is not None and self._stream is not None and self._state is not None:
            bodies = self._stream.before.hexdigest()[:16], self._stream.after.hexdigest()[:16]
            for row, before, after in self._texts.changes():
                self._state.note_change(self._change(route, row, [f"sha256:{before}", f"sha256:{after}"], bodies))
        return rest

    def _text_editor(self, route: Route) -> Callable[[str], str] | None:
        """What edits the data of this answer's events; None when no fault can. Faults that know rows only are counted."""
        head, armed = self.answer_head, self.armed
        treated = self.group == "treatment" and self.head.method == "POST"
        if head is None or armed is None or not treated or head.status != 200:
            return None
        for fault in armed.answer_faults:
            fault.counts.undecodable += not fault.fault.edits_text
        faults = [(one, self._call(one)) for one in armed.answer_faults if one.fault.edits_text]
        if not faults:
            return None
        self._texts = TextFaults(faults, lambda fault: self._obeys(fault, route), route.counters)
        try:
            protocol = self._protocol(route)
            plain = head.headers.get("content-encoding", "identity") == "identity"
            # An answer that said its length beforehand cannot change it any more.
            if plain and head.length is None and isinstance(protocol, Streaming):
                return protocol.open_stream(armed.output, self._texts.edit).feed
        except Exception:  # the code of others: traffic goes on
            log.debug("a protocol could not open a stream", exc_info=True)
        self._text_undecodable()
        return None

    def _text_undecodable(self) -> None:
        for fault in self.armed.answer_faults if self.armed is not None else ():
            fault.counts.undecodable += fault.fault.edits_text

    def count_answer(self, route: Route, status: int) -> None:
        """The answer is on its way to the client (status 0: the connection was reset)."""
        if self._counted:
            return
        self._counted = True
        route.counters.answered(route.name, self.group or "none", status)
        if self._state is not None and self.group is not None:
            failed = status >= 500 or status == 0
            self._state.arms[self.group].answered(time.monotonic() - self.begun_s, failed=failed, first=self._first)
            if self._first:
                self._state.count_second(time.time(), self.group, failed=failed)


def _told(label: Label | None, classes: Sequence[Label], *, free_text: bool) -> object:
    """The label as the ground truth may keep it: what people and models wrote to each other only by what it hashes to."""
    if not free_text or not isinstance(label, str) or label in classes:
        return label
    return f"sha256:{hashed(label.encode('utf-8', 'surrogatepass'))}"


@cache
def _taken_for(route: str, protocol: str) -> None:
    """The log says it once per route and protocol, so that a wrong guess can be found out."""
    log.info("route %s: with `protocol: auto` this traffic is taken for %s", route, protocol)
