"""One request and its answer on their way through the proxy: which arm, which faults, what to keep. No sockets.

The data plane moves bytes; this decides and counts. An exchange looks at what was armed when it began: a fault applies to
requests that come after its arming, and a disarmed one touches no answer any more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaos.arms import ATTEMPT_HEADER, REQUEST_HEADER
from chaos.faults.base import Action, Answer, Call, Reset, Wait
from chaos.protocols import catalogue as protocols
from chaos.protocols.base import Protocol, Undecodable
from chaos.proxy import wire
from chaos.proxy.armed import Armed, ArmedFault, Group, RunState, hashed
from chaos.rows import Row

if TYPE_CHECKING:
    from chaos.proxy.plane import Route


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
        self.ended = False
        self.kept: list[bytes] = []
        self.kept_size = 0
        self._body = b""
        self._state: RunState | None = None
        self._first = False
        self._actions: Iterator[tuple[ArmedFault, Action]] = iter(())
        self._counted = False
        self._waiting_for: ArmedFault | None = None

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
                    return Hurt(answer=self._own(action), status=action.status)
                case Reset():
                    fault.counts.injected += 1
                    fault.counts.happened(time.time(), time.monotonic())
                    route.counters.injected[fault.fault.fault] += 1
                    return Hurt()
        return None

    def _own(self, action: Answer) -> bytes:
        protocol = self._protocol()
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

    def _protocol(self) -> Protocol | None:
        assert self.armed is not None
        if self.armed.protocol is not None:
            return self.armed.protocol
        path = self.head.target.split("?", 1)[0]
        return next((one for one in protocols().values() if one.detect(path, self.head.headers)), None)

    def answered(self, head: wire.Head, largest: int) -> None:
        """The answer's head is there: whether its body must be kept for a fault."""
        self.answer_head = head
        edit = (
            self.group == "treatment"
            and self.armed is not None
            and bool(self.armed.answer_faults)
            and head.status == 200
            and self.head.method == "POST"
            and (head.length is None or 0 < head.length <= largest)
        )
        self.editing = edit
        self.answer_body = wire.answer_body(head, collect=edit)

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
        protocol = self._protocol()
        try:
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
        self._note(rows, after, payload, body, route)
        return wire.with_body(_with_headers(self.answer_head, dict(changed)), body)

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
            change: dict[str, object] = {
                "wall_s": time.time(),
                "subject_hash": hashed(self.subject or ""),
                "request_id": self.head.headers.get(REQUEST_HEADER, "")[:100],
                "route": route.name,
                "row": old.index,
                "label_before": old.label,
                "label_after": new.label,
                "body_sha256_before": hashes[0],
                "body_sha256_after": hashes[1],
            }
            if route.record_bodies:
                change["body_before"], change["body_after"] = payload.decode("latin-1"), body.decode("latin-1")
            self._state.note_change(change)

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


def _with_headers(head: wire.Head, changed: dict[str, str]) -> wire.Head:
    """The head with these header values changed in place; other headers keep their bytes."""
    if not changed:
        return head
    lines = head.raw[:-4].split(b"\r\n")
    for place, line in enumerate(lines[1:], 1):
        name, _, _ = line.partition(b":")
        value = changed.get(name.decode("latin-1").lower())
        if value is not None:
            lines[place] = name + b": " + value.encode("latin-1")
    raw = b"\r\n".join(lines) + b"\r\n\r\n"
    return wire.Head(
        raw, head.method, head.target, head.status, head.headers, head.length, head.chunked, head.keep_alive
    )
