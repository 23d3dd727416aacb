"""One request and its answer as faults see them: in which arm, what they select, what they change, and the record of it.

What is changed is the answer itself or a copy of it (`mode: shadow`); the record is the same, and says which.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from operator import is_not
from typing import TYPE_CHECKING, TypeVar

from chaos.arms import REQUEST_HEADER
from chaos.faults.base import Call, Memory
from chaos.protocols import sniff
from chaos.protocols.base import Protocol, Undecodable
from chaos.proxy import coding, wire
from chaos.proxy.armed import Armed, ArmedFault, Group, RunState, hashed
from chaos.proxy.documents import DocumentFaults
from chaos.rows import Label, Row, TextSoFar

if TYPE_CHECKING:
    from chaos.proxy.route import Route

log = logging.getLogger("chaos.proxy")
Asked = TypeVar("Asked")

QUICK = 32 * 1024
"""Answers of at most so many bytes, as they came and not compressed, are edited whenever they come: that takes a millisecond or two."""
AHEAD_S = 0.1
"""How far the others may run ahead of their half of the time: answers come in bursts, and mostly nobody else wants it. Together with
one more answer, this must be well below what makes a worker silent (`workers.SILENT_S`).
"""
LONGEST_LABEL = 40
"""Characters of a label that nobody has named as a class; a longer one, or several words, may be what somebody wrote."""
SAMPLED_ROWS = 100
"""Changed rows of one answer that are kept as ground truth."""


class Hurting:
    """What the armed faults need to know of one request and its answer."""

    head: wire.Head
    runs: tuple[Armed, ...]
    """Every run that held the proxy when the request came."""
    armed: Armed | None = None
    """The run whose arms the request is counted in; None while that is not known, and when nobody holds the proxy."""
    group: Group | None = None
    subject: str | None = None
    answer_head: wire.Head | None = None
    _body = b""
    _state: RunState | None = None
    _free_text = False
    _within_cap = False
    """Whether this request is one of those that the run's cap lets be hurt."""
    _changed: list[tuple[ArmedFault, int]]
    """How many rows which fault has changed in this answer."""
    _calls: dict[int, Call]
    """The calls of this answer, by the fault's index, of faults that edit its rows and its document."""

    def _obeys(self, fault: ArmedFault, route: Route) -> bool:
        """Whether the fault may still touch this request: its run holds the proxy and has not taken it off."""
        return self.armed is not None and route.registry.obeys(self.armed, fault.index)

    def _may_hurt(self, predictions: int = 1) -> bool:
        """Whether the run's cap lets this request, and so many more of its predictions, be hurt; then they count as hurt.

        Asked before anything that was selected is hurt. A retry counts anew: it hurts anew.
        """
        cap = self._state.cap if self._state is not None else None
        if cap is None:
            return True
        if cap.what == "predictions":
            return cap.takes(predictions)
        if not self._within_cap:
            self._within_cap = cap.takes(1)
        return self._within_cap

    def _shadows(self) -> bool:
        """Whether faults happen to a copy, and the client gets what the model said."""
        return self.armed is not None and self.armed.shadow

    def _call(self, fault: ArmedFault) -> Call:
        assert self.armed is not None
        now_s = time.monotonic()
        share, elapsed_s = fault.share(now_s), max(0.0, now_s - fault.since_s)
        subject = self.subject or ""
        return Call(self.armed.arms.seed, fault.index, subject, share, self.head, self._body, elapsed_s, fault.memory)

    def _protocol(self, route: Route, answer_body: bytes | None = None) -> Protocol | None:
        """What the answer is read as: what the arming says, or with `auto` what the traffic looks like."""
        assert self.armed is not None
        if self.armed.protocol is not None:
            return self.armed.protocol
        path = self.head.target.split("?", 1)[0]
        found = sniff(path, self.head, answer_body, self.armed.output)
        if found is not None:
            taken_for(route.name, found.name)
        return found

    def _undecodable(self) -> None:
        for fault in self.armed.answer_faults if self.armed is not None else ():
            fault.counts.undecodable += fault.edits_answers

    def _hurt(self, payload: bytes, route: Route) -> tuple[bytes, wire.Head] | None:
        """The body after every armed answer fault, and the head that goes with it; None when nothing is to be changed.

        A large answer takes time that everybody else waits for. Once those have taken more than half of it, the next passes
        untouched and is counted, so that traffic, leases and the kill switch always get theirs; below that, every one is edited.
        """
        if self.answer_head is None or (len(payload) <= QUICK and "content-encoding" not in self.answer_head.headers):
            return self._changed_answer(payload, route)
        if not self._has_time(route):
            self._undecodable()
            return None
        begun_s = time.monotonic()
        made = self._changed_answer(payload, route)
        self._took(route, begun_s)
        return made

    def _has_time(self, route: Route) -> bool:
        """Whether large answers have not taken more than their half of the time."""
        return route.registry.half_taken_until_s - time.monotonic() <= AHEAD_S

    def _took(self, route: Route, begun_s: float) -> None:
        """A large answer has taken the time since then, and leaves as much to everybody else."""
        registry = route.registry
        took_s = time.monotonic() - begun_s
        registry.half_taken_until_s = max(registry.half_taken_until_s, begun_s) + 2 * took_s

    def _changed_answer(self, payload: bytes, route: Route) -> tuple[bytes, wire.Head] | None:
        """What cannot be put back into the answer has not happened, and is not counted as if it had."""
        if self.armed is None or self.answer_head is None:
            return None
        coded = self.answer_head.headers.get("content-encoding")
        rows: Sequence[Row] = ()
        after: Sequence[Row] = ()
        self._calls, self._changed = {}, []
        try:
            plain = payload if coded is None else coding.opened(payload, coded)
            body, head = plain, self.answer_head
            if any(fault.edits_rows for fault in self.armed.answer_faults):
                rows, after, body, head = self._with_rows(plain, head, route)
            documents = self._documents(route)
            if documents is not None:
                body = documents.edit(body)
                documents.count()
            if body is plain:
                return None
            whole = body if coded is None else coding.closed(body, coded)
        except (
            Exception
        ):  # the protocol's Undecodable, and whatever a protocol or a fault of others raises: traffic goes on
            self._undecodable()
            return None
        self._note(rows, after, plain, body, route)
        return whole, head

    def _with_rows(
        self, plain: bytes, head: wire.Head, route: Route
    ) -> tuple[Sequence[Row], Sequence[Row], bytes, wire.Head]:
        """The rows before and after every armed fault, and the body and head that say the latter; the same when none changed."""
        assert self.armed is not None
        headers, output = head.headers, self.armed.output
        protocol = self._protocol(route, plain)
        if protocol is None:
            raise Undecodable("no protocol reads this answer")
        self._free_text = getattr(protocol, "free_text", False)
        rows = protocol.rows(plain, headers, output)
        after = self._edit(rows, route)
        if after is rows:
            return rows, rows, plain, head
        body, changed = protocol.encode(plain, headers, output, rows, after)
        if not isinstance(body, bytes):
            raise Undecodable("a protocol that makes something else of a body")
        return rows, after, body, wire.with_headers(head, changed)

    def _documents(self, route: Route) -> DocumentFaults | None:
        """What edits this answer's JSON beyond its rows; None when no armed fault does."""
        armed = self.armed
        if armed is None or not armed.document_faults:
            return None
        calls = [(fault, self._calls.get(fault.index) or self._call(fault)) for fault in armed.document_faults]
        return DocumentFaults(
            calls, lambda fault: self._obeys(fault, route), route.counters, self._counted_as(), self._may_hurt
        )

    def _edit(self, rows: Sequence[Row], route: Route) -> Sequence[Row]:
        """The rows after every armed answer fault; the very same sequence when none changed a row. Noted in `_changed`."""
        assert self.armed is not None
        edited = rows
        self._changed = []
        for fault in self.armed.answer_faults:
            if not fault.edits_rows or not self._obeys(fault, route):
                continue
            call = self._call(fault)
            selected = len(edited) if call.share >= 1 else sum(call.selected(row.index) for row in edited)
            if not selected or not self._may_hurt(selected):
                continue
            fault.counts.selected_requests += not fault.acts  # then it was counted when it acted
            fault.counts.selected_rows += selected
            route.counters.selected[fault.name, self._counted_as()] += selected
            after = fault.fault.edit(edited, call)
            fault.memory.selected += not fault.acts
            changed = sum(map(is_not, after, edited))
            if changed and fault.fault.edits_documents:
                _note_texts(call.texts, edited, after)
                self._calls[fault.index] = call
            if changed:
                self._changed.append((fault, changed))
                edited = after
        return edited

    def _counted_as(self) -> str:
        """The arm, as `/metrics` says it: what happened to copies is not taken for what happened to people."""
        return "shadow" if self._shadows() else "treatment"

    def _note(self, before: Sequence[Row], after: Sequence[Row], payload: bytes, body: bytes, route: Route) -> None:
        """What was changed is counted. It is kept as ground truth, of so many answers a second and so many rows of one answer."""
        assert self._state is not None
        for fault, changed in self._changed:
            fault.counts.changed_rows += changed
            fault.counts.happened(time.time(), time.monotonic())
            route.counters.changed[fault.name, self._counted_as()] += changed
        if not self._state.samples(time.monotonic()):
            return
        hashes = hashed(payload), hashed(body)
        pairs = ((old, new) for old, new in zip(before, after, strict=False) if old is not new)
        for old, new in islice(pairs, SAMPLED_ROWS):
            labels = [_told(row.label, row.classes, free_text=self._free_text) for row in (old, new)]
            change = self._change(route, old.index, labels, hashes)
            if route.record_bodies:
                change["body_before"], change["body_after"] = payload.decode("latin-1"), body.decode("latin-1")
            self._state.note_change(change)
        if not self._changed:  # values in the answer's JSON did, which are no row
            self._state.note_change(self._change(route, 0, [None, None], hashes))

    def _change(self, route: Route, row: int, labels: Sequence[object], bodies: tuple[str, str]) -> dict[str, object]:
        """The ground truth about one row, before and after; bodies and free text only by what they hash to."""
        shadow = {"shadow": True} if self._shadows() else {}
        return {
            **shadow,
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


def counting(asked: Iterator[Asked], memory: Memory) -> Iterator[Asked]:
    """The same actions of a fault; its memory counts the request once the fault has said the first of them, or that there is none."""
    action = next(asked, None)
    memory.selected += 1
    while action is not None:
        yield action
        action = next(asked, None)


def _note_texts(texts: dict[int, TextSoFar], before: Sequence[Row], after: Sequence[Row]) -> None:
    """What became of the text of each row that has one."""
    for old, new in zip(before, after, strict=True):
        if isinstance(old.label, str):
            texts.setdefault(old.index, TextSoFar()).add(old.label, str(new.label))


def _told(label: Label | None, classes: Sequence[Label], *, free_text: bool) -> object:
    """The label as the ground truth may keep it: what people and models wrote to each other only by what it hashes to."""
    if not isinstance(label, str) or label in classes:
        return label
    if not free_text and len(label) <= LONGEST_LABEL and not any(map(str.isspace, label)):
        return label
    return f"sha256:{hashed(label.encode('utf-8', 'surrogatepass'))}"


@cache
def taken_for(route: str, protocol: str) -> None:
    """The log says it once per route and protocol, so that a wrong guess can be found out."""
    log.info("route %s: with `protocol: auto` this traffic is taken for %s", route, protocol)
