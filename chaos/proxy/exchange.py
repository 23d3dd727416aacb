"""One request and its answer on their way through the proxy: which arm, which faults, what to keep. No sockets.

The data plane moves bytes; this decides and counts. An exchange looks at what was armed when it began: a fault applies to
requests that come after its arming, and a disarmed one touches no answer any more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from chaos.arms import ATTEMPT_HEADER, REQUEST_HEADER
from chaos.faults.base import Action, Answer, Redirect, Reset, Wait
from chaos.protocols.base import Streaming
from chaos.proxy import wire
from chaos.proxy.armed import Armed, ArmedFault, Group, RunState
from chaos.proxy.documents import DocumentFaults
from chaos.proxy.handed import Handed, Hurt
from chaos.proxy.hurting import SAMPLED_ROWS, counting
from chaos.proxy.observe import LARGEST_OBSERVED, copied
from chaos.proxy.shadow import ShadowAnswer
from chaos.proxy.streams import StreamedAnswer, TextFaults

if TYPE_CHECKING:
    from chaos.proxy.observe import Observer
    from chaos.proxy.route import Route

log = logging.getLogger("chaos.proxy")

LARGEST_PROOF = 256 * 1024
"""Bytes of a request's body that is read in passing, to prove the removal of a run with a slice over bodies."""


class Exchange(Handed):
    """The state of one request and its answer. What most exchanges never need stands here once, for all of them."""

    asked_s = 0.0
    """When the upstream was asked, on the monotonic clock."""
    sent = False
    """Whether the upstream was asked: it may have acted, so it is never asked again."""
    request_body: wire.Body = wire.NOTHING
    pending: bytes | bytearray = b""
    """What is to be sent to the upstream once it is asked, from the head on."""
    collecting = False
    """Whether the arm cannot be told, or the model not be asked, without the body, which is not whole yet."""
    decided = False
    """Whether it is known whose request it is."""
    proof: bytearray | None = None
    """A copy of the body that goes on, where it may prove the removal of a run."""
    continued = False
    waiting = False
    wait_since_s = 0.0
    own_status = 0
    instead: bytes | None = None
    answer_buffer = b""
    answer_whole = False
    """Whether the answer has gone out before the request was whole, whose rest still goes on."""
    answer_body: wire.Body | None
    copying = False
    """Whether the answer passes untouched while a copy is kept, up to `_most_copied` bytes."""
    looking = False
    """Whether something is to be done with the answer once it is on its way."""
    going_out = False
    """Whether the upstream has said the whole answer, or as much as will come, while not all of it is out."""
    orphaned = False
    """Whether the client's own upstream has ended meanwhile."""
    kept_size = 0
    _first = True
    _actions: Iterator[tuple[ArmedFault, Action]] | None = None
    _counted = False
    _counted_in: Sequence[tuple[RunState, Group, bool]] = ()
    """Every run that held the proxy, what this request is to it, and whether it is the first of its subject."""
    _waiting_for: ArmedFault | None = None
    _observing = False
    _casts = False
    _most_copied = 0
    _copied = 0
    _copies: list[bytes]
    _after: bytes | None = None
    _stream: StreamedAnswer | None = None
    _texts: TextFaults | None = None
    _event_documents: DocumentFaults | None = None
    _event_s: float | None = None

    def __init__(self, head: wire.Head, runs: tuple[Armed, ...], begun_s: float) -> None:
        self.head = head
        self.runs = runs
        self.begun_s = begun_s
        self.answer_body = None

    # --- the request --------------------------------------------------------------------------------------------------

    def wants_body(self) -> bool:
        """Whether the arm cannot be told without the body."""
        return any(run.needs_body() for run in self.runs)

    def stays_open(self) -> bool:
        """Whether the client's connection can serve another request after an answer of the proxy's own."""
        return self.head.keep_alive and (self.request_body.done or not self.head.expects_continue)

    def waits_for(self) -> tuple[str, int] | None:
        """The run, and the index of its fault, in whose delay this request waits."""
        return (self.armed.run, self._waiting_for.index) if self.armed and self._waiting_for is not None else None

    def request_payload(self) -> bytes:
        """The collected body, out of its chunks."""
        if isinstance(self.request_body, wire.ChunkedBody):
            return b"".join(self.request_body.payload or [])
        return bytes(self.pending[len(self.head.raw) :])

    def decide(self, body: bytes | None, route: Route) -> None:
        """Whose request it is and in which arm is known, every run has counted it, and its faults are lined up.

        `body` is None when it has not been read, because no run that holds the proxy asks for it.
        """
        registry, headers = route.registry, self.head
        self.decided = True
        self._first = headers.get(ATTEMPT_HEADER) in (None, "1")
        self._counted_in = counted_in = []
        for armed in self.runs:
            state = registry.holder_of(armed.run)
            if state is None:
                continue  # disarmed while the body was on its way
            group, subject = armed.group_of(headers, body or b"", headers.target)
            if self.group is None or self.group == "outside":
                self.armed, self._state, self.group, self.subject = armed, state, group, subject
            else:
                group = "outside"  # slices are disjoint: it is another run's already
            counts = state.arms[group]
            counts.requests += 1
            counts.subjects_unknown += subject is None
            counts.first_attempts += self._first
            met = self._first and group != "outside" and subject is not None and state.meets(subject)
            counted_in.append((state, group, met))
        if self.group != "treatment" or self.armed is None:
            if registry.removals:
                registry.passed(headers, body, headers.target)
                if body is None and not self.head.chunked and registry.asks_bodies():
                    self.proof = bytearray()
            return
        self._body, self.question = body or b"", body
        if self.armed.request_faults:
            self._actions = self._line_up(route, self.armed)

    def read(self, body: bytes, route: Route) -> None:
        """The collected body is there, or as much of it as may be kept."""
        if self.decided:
            self._body = self.question = body
        else:
            self.decide(body, route)
        if not self.request_body.done:
            self.question = None

    def ask_otherwise(self, route: Route, largest: int) -> None:
        """What is to be sent to the model is what the faults that edit inputs make of it, if it is not too large for that."""
        if self.asks_otherwise():
            whole = self.asked_otherwise(route, largest)
            if whole is not None:
                self.pending = whole

    def prove(self, piece: bytes, route: Route) -> None:
        """A piece of the body has gone on; once all of it has, it is known whether it proves a removal. Large ones prove nothing."""
        assert self.proof is not None
        self.proof += piece
        if len(self.proof) > LARGEST_PROOF:
            self.proof = None
        elif self.request_body.done:
            body, self.proof = bytes(self.proof), None
            route.registry.passed(self.head, body, self.head.target, apart=True)

    def _line_up(self, route: Route, armed: Armed) -> Iterator[tuple[ArmedFault, Action]]:
        for fault in armed.request_faults:
            if not fault.acts:
                continue
            call = self._call(fault)
            if self._obeys(fault, route) and call.selected() and self._may_hurt():
                fault.counts.selected_requests += 1
                route.counters.selected[fault.name, "treatment"] += 1
                try:
                    for action in counting(iter(fault.fault.act(call)), fault.memory):
                        yield fault, action
                except Exception as error:  # the code of others: traffic goes on
                    self._not_done(fault, error)

    def next_action(self, route: Route) -> Hurt | None:
        """The next thing that a request fault asks for; None when the model is to be asked. Disarmed faults ask nothing."""
        if self._actions is None:
            return None
        for fault, action in self._actions:
            if not self._obeys(fault, route):
                continue
            try:
                if isinstance(action, Redirect):
                    self._go_elsewhere(fault, action)
                    continue
                hurt = self._performed(action, route)
            except Exception as error:  # the code of others: traffic goes on
                self._not_done(fault, error)
                continue
            if hurt.wait_s is None:
                self._injected(fault, route)
                self.no_more_actions()
            else:
                self.waits_in(fault)
            return hurt
        self.no_more_actions()
        return self._asked_elsewhere(route)

    def no_more_actions(self) -> None:
        """No request fault is asked any more. What refers back to the exchange is let go: it has bodies, and collecting them as
        garbage could take until there are hundreds.
        """
        self._actions = None

    def _performed(self, action: Action, route: Route) -> Hurt:
        """What the data plane is to do for this action."""
        match action:
            case Wait(seconds=seconds):
                return Hurt(wait_s=max(0.0, float(seconds)))
            case Answer():
                return Hurt(answer=self._own(action, route), status=action.status)
            case Reset():
                return Hurt()
        raise TypeError("an action that is none")

    def _not_done(self, fault: ArmedFault, error: Exception) -> None:
        log.debug("%s could not be done to a request", fault.name, exc_info=error)
        fault.counts.undecodable += 1

    def _own(self, action: Answer, route: Route) -> bytes:
        protocol = self._protocol(route)
        body, headers = action.body, dict(action.headers)
        if not body and protocol is not None:
            body, told = protocol.error(action.status, "the model is not available")
            headers = {**told, **headers}
        keep = self.stays_open()
        return wire.answer(action.status, headers, body, keep_alive=keep, head_only=self.head.method == "HEAD")

    def waits_in(self, fault: ArmedFault) -> None:
        """A delay of this fault begins."""
        self._waiting_for = fault
        fault.counts.happened(time.time(), time.monotonic())

    def waited(self, route: Route, seconds: float) -> None:
        """A delay is over, or was released."""
        if self._waiting_for is not None:
            self._waiting_for.counts.delayed_s += seconds
            route.counters.delay_s[self._waiting_for.name] += seconds
            self._waiting_for = None

    # --- the answer ---------------------------------------------------------------------------------------------------

    def answered(self, head: wire.Head, largest: int, route: Route) -> bool:
        """The answer's head is there: whether it goes on as it comes, and nobody looks at it.

        Else its body is kept, for a fault or as a copy, which that of a streamed one never is, or it goes out part by part.
        """
        self.answer_head = head
        observer = route.observer
        self.streaming = head.streams and head.length != 0
        if self.group != "treatment" and observer is None:
            return not self.streaming
        armed = self.armed
        edit = (
            self.group == "treatment"
            and not self.streaming
            and armed is not None
            and any(one.edits_answers for one in armed.answer_faults)
            and head.status == 200
            and self.head.method == "POST"
            and head.length != 0
        )
        if edit and head.length is not None and head.length > largest:
            self._undecodable()
            edit = False
        if edit and not self._shadows():
            self.editing = True
            self.kept = []
        shadow = edit and not self.editing
        if self.group == "treatment" and armed is not None:
            if armed.body_faults:
                self._keep_for_bodies(head, armed, largest, route, rows=edit)
            if armed.delivery_faults:
                self._begin_delivery(armed, route)
        if edit or observer is not None:
            self._look_later(observer, head, shadow=shadow, largest=largest)
        return not (self.editing or self.streaming or self.copying) and self.delivery is None

    # --- copies: what is only looked at, by the observer or for a shadow ----------------------------------------------

    def _look_later(self, observer: Observer | None, head: wire.Head, *, shadow: bool, largest: int) -> None:
        """Decides whether the answer is looked at once it is on its way, and whether that takes a copy of it."""
        self._casts, self._observing = shadow, observer is not None and observer.wants(self.head)
        self.looking = shadow or self._observing
        self.copying = shadow or (self._observing and not self.editing and copied(head))
        self._most_copied = largest if shadow else LARGEST_OBSERVED
        self._copies = []

    def copy(self, piece: bytes) -> None:
        """A piece of an answer that passes; beyond the limit, no copy is kept and the answer counts as unread."""
        self._copied += len(piece)
        if self._copied > self._most_copied:
            self.copying, self._copies = False, []
            if self.answer_body is not None:
                self.answer_body.forget()
        elif not isinstance(self.answer_body, wire.ChunkedBody):
            self._copies.append(piece)

    def look(self, route: Route) -> None:
        """The answer is on its way: its copy is hurt where a shadow falls, and what the client got is observed."""
        payload = self._payload(self._copies) if self.copying else None
        self._copies = []
        if self._casts and payload is None:
            self._undecodable()
        elif self._casts and payload is not None:
            made = self._hurt(payload, route)
            self._to_consumer(route, payload if made is None else made[0], changed=made is not None)
        if self._observing and route.observer is not None and self.answer_head is not None:
            seen = self._after if self._after is not None else payload
            route.observer.see(route.name, self.head, self.answer_head, None if seen is None else self._message(seen))

    def _message(self, payload: bytes) -> bytes | None:
        """What the protocol reads of the payload; None when it cannot be read."""
        return payload

    def _to_consumer(self, route: Route, body: bytes, *, changed: bool) -> None:
        if route.consumer is not None and self.armed is not None and self.answer_head is not None:
            request, kind = self.head, self.answer_head.headers.get("content-type", "application/octet-stream")
            told = {
                "content-type": kind, "x-chaos-shadow": self.armed.run, "x-chaos-route": route.name,
                "x-chaos-path": request.target.split("?", 1)[0], "x-chaos-changed": "1" if changed else "0",
                REQUEST_HEADER: request.headers.get(REQUEST_HEADER, "")[:100],
            }  # fmt: skip
            if "content-encoding" in self.answer_head.headers:
                told["content-encoding"] = self.answer_head.headers["content-encoding"]
            route.consumer.send(ShadowAnswer(self.armed.run, told, body))

    def _payload(self, pieces: Sequence[bytes]) -> bytes:
        """The answer's body as the model meant it, out of its chunks where it has some."""
        if isinstance(self.answer_body, wire.ChunkedBody):
            return b"".join(self.answer_body.payload or [])
        return b"".join(pieces)

    def answer_done(self) -> bool:
        """Whether the answer is whole."""
        return self.answer_body is not None and self.answer_body.done

    def give_up_editing(self) -> None:
        """The answer is too large to be edited: what was kept of it goes on untouched, and so does the rest."""
        self.editing = False
        if self.answer_body is not None:
            self.answer_body.forget()
        if self._edits_rows:
            self._undecodable()
        self._bodies_undecodable()

    def let_go(self) -> bytes:
        """The head and what was kept of the body, as they came; nothing is kept any more."""
        assert self.answer_head is not None
        whole = self.answer_head.raw + b"".join(self.kept)
        self.kept = []
        return whole

    def edited(self, route: Route) -> bytes:
        """The whole answer as the client gets it: edited, or as it came when nothing is to be changed in it."""
        assert self.answer_head is not None
        payload = self._payload(self.kept)
        made = self._hurt(payload, route) if self._edits_rows else None
        if self._bodies:
            made = self._with_other_body(payload if made is None else made[0], made, route)
        self._after = payload if made is None else made[0]
        if made is None:
            return self.answer_head.raw + b"".join(self.kept)
        body, head = made
        return wire.with_body(head, body)

    def cut(self, fault: ArmedFault, route: Route, status: int) -> None:
        """The fault has ended the answer before its time; with `status` (0: its connection was reset), it is counted as answered."""
        self._injected(fault, route)
        self.stream_ended(route, "cut")
        self.count_answer(route, status)
        self.no_more_delivery()

    # --- streamed answers ---------------------------------------------------------------------------------------------

    def stream(self, piece: bytes, route: Route) -> bytes:
        """What the client gets now of a streamed answer: every event at once, edited where a fault hurts its text."""
        if self._stream is None:
            assert self.answer_body is not None
            editor, copy = self._text_editor(route), self._shadows() and route.consumer is not None
            self._stream = StreamedAnswer(
                self.answer_body, editor, self._text_undecodable, copy=copy and editor is not None
            )
        out, events = self._stream.feed(piece)
        if events:
            now_s, last_s = time.monotonic(), self._event_s
            first_s = now_s - self.begun_s if last_s is None else None
            route.counters.streamed(
                route.name, self.group or "none", events, first_s=first_s, gap_s=now_s - (last_s or now_s)
            )
            self._event_s = now_s
        return piece if self._shadows() else out

    def stream_ended(self, route: Route, how: str) -> bytes:
        """The streamed answer is `whole`, `broken` by the upstream, `left` by the client, or `cut` by a fault; what was held of it."""
        if not self.streaming:
            return b""
        self.streaming = False
        route.counters.stream_ended(route.name, self.group or "none", how)
        rest = self._stream.end() if self._stream is not None else b""
        changes = self._changes_of_stream()
        if changes is not None and self._stream is not None and self._state is not None:
            bodies = self._stream.before.hexdigest()[:16], self._stream.after.hexdigest()[:16]
            kept = changes and self._state.samples(time.monotonic())
            for row, labels in changes[:SAMPLED_ROWS] if kept else ():
                self._state.note_change(self._change(route, row, labels, bodies))
            if self._shadows() and how == "whole" and self._stream.copy is not None:
                self._to_consumer(route, b"".join(self._stream.copy), changed=bool(changes))
        self._stream = self._texts = self._event_documents = (
            None  # they refer back to the exchange: see `no_more_actions`
        )
        return b"" if self._shadows() else rest

    def _changes_of_stream(self) -> list[tuple[int, list[object]]] | None:
        """The changed rows, with what names their texts before and after; None when nobody edits this stream.

        Where other values than texts have changed alone, that is one row without a text.
        """
        texts, documents = self._texts, self._event_documents
        if texts is None and documents is None:
            return None
        found: list[tuple[int, list[object]]] = []
        for row, before, after in texts.changes() if texts is not None else ():
            found.append((row, [f"sha256:{before}", f"sha256:{after}"]))
        if not found and documents is not None and documents.changes():
            found.append((0, [None, None]))
        return found

    def _text_editor(self, route: Route) -> Callable[[str], str] | None:
        """What edits the data of this answer's events; None when no fault can. Faults that know rows only are counted."""
        head, armed = self.answer_head, self.armed
        treated = self.group == "treatment" and self.head.method == "POST"
        if head is None or armed is None or not treated or head.status != 200:
            return None
        for fault in armed.answer_faults:
            known = fault.fault.edits_text or fault.fault.edits_documents
            fault.counts.undecodable += fault.edits_answers and not known
        faults = [(one, self._call(one)) for one in armed.answer_faults if one.fault.edits_text]
        self._calls = {fault.index: call for fault, call in faults}
        self._event_documents = documents = self._documents(route)
        if not faults:
            return self._document_editor(head, documents)
        self._texts = TextFaults(
            faults, lambda fault: self._obeys(fault, route), route.counters, self._counted_as(), self._may_hurt
        )
        try:
            protocol = self._protocol(route)
            plain = head.headers.get("content-encoding", "identity") == "identity"
            # An answer that said its length beforehand cannot change it any more.
            if plain and head.length is None and isinstance(protocol, Streaming):
                feed = protocol.open_stream(armed.output, self._texts.edit).feed
                return feed if documents is None else documents.after(feed)
        except Exception:  # the code of others: traffic goes on
            log.debug("a protocol could not open a stream", exc_info=True)
        self._text_undecodable()
        return None

    def _document_editor(self, head: wire.Head, documents: DocumentFaults | None) -> Callable[[str], str] | None:
        """What edits the JSON of this answer's events, where no fault edits its text; None when it cannot be edited."""
        if documents is None:
            return None
        if head.headers.get("content-encoding", "identity") == "identity" and head.length is None:
            return documents.edit_event
        self._text_undecodable()
        return None

    def _text_undecodable(self) -> None:
        armed = self.armed
        if armed is None:
            return
        for fault in armed.faults:
            fault.counts.undecodable += fault.fault.edits_text or fault.fault.edits_documents

    def count_answer(self, route: Route, status: int) -> None:
        """The answer is on its way to the client (status 0: the connection was reset)."""
        if self._counted:
            return
        self._counted = True
        route.counters.answered(route.name, self.group or "none", status)
        if not self._counted_in or not self._first:
            return
        failed = status >= 500 or status == 0
        seconds, now_s = time.monotonic() - self.begun_s, time.time()
        for state, group, met in self._counted_in:
            state.answered(group, seconds, now_s, failed=failed, met=met)
