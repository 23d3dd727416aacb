"""What the armed faults make of a request before the model is asked: its inputs decoded, edited, and put back.

A request that cannot be read, or does not have what a fault acts on, passes as it came and is counted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from itertools import islice
from operator import is_not
from typing import TYPE_CHECKING

from chaos.faults.base import Call
from chaos.protocols import catalogue
from chaos.protocols.base import Asking, Undecodable
from chaos.proxy import coding, wire
from chaos.proxy.armed import ArmedFault, hashed
from chaos.proxy.hurting import AHEAD_S, QUICK, SAMPLED_ROWS, Hurting
from chaos.rows import Input

if TYPE_CHECKING:
    from chaos.proxy.route import Route

log = logging.getLogger("chaos.proxy")


class Questioned(Hurting):
    """What the faults that edit inputs need to know of a request, and what they make of it."""

    question: bytes | None = None
    """The request's body, out of its chunks, once its arm is known; None where it was not read whole."""

    def asks_otherwise(self) -> bool:
        """Whether a fault may change what the model is asked here. Only predictions ask, and those are posted."""
        armed = self.armed
        return (
            self.group == "treatment" and armed is not None and bool(armed.input_faults) and self.head.method == "POST"
        )

    def collects(self, largest: int) -> bool:
        """Whether the body must be kept until it is whole, because a fault may change it."""
        length = self.head.length
        return self.asks_otherwise() and (self.head.chunked or (length is not None and 0 < length <= largest))

    def asked_otherwise(self, route: Route, largest: int) -> bytes | None:
        """The whole request as the model gets it, its head now the exchange's; None when it goes on as it came."""
        question, self.question = self.question, None
        if question == b"":
            return None
        if question is None or len(question) > largest:
            self._not_asked(route)
            return None
        made = self._in_turn(question, route)
        if made is None:
            return None
        self.head, whole = made
        return whole

    def _not_asked(self, route: Route) -> None:
        """Every fault that would have looked at the inputs counts the request as one that nobody can read."""
        assert self.armed is not None
        for fault in self.armed.input_faults:
            fault.counts.undecodable += self._obeys(fault, route)

    def _in_turn(self, payload: bytes, route: Route) -> tuple[wire.Head, bytes] | None:
        """The head of the edited request, and all of it. Large requests take turns, as large answers do."""
        if len(payload) <= QUICK and self.head.get("content-encoding") is None:
            return self._changed_request(payload, route)
        registry, begun_s = route.registry, time.monotonic()
        if registry.half_taken_until_s - begun_s > AHEAD_S:
            self._not_asked(route)
            return None
        made = self._changed_request(payload, route)
        took_s = time.monotonic() - begun_s
        registry.half_taken_until_s = max(registry.half_taken_until_s, begun_s) + 2 * took_s
        return made

    def _changed_request(self, payload: bytes, route: Route) -> tuple[wire.Head, bytes] | None:
        """What cannot be put back into the request has not happened, and is not counted as if it had."""
        assert self.armed is not None
        headers, names = self.head.headers, self.armed.input_names
        coded = headers.get("content-encoding")
        try:
            plain = payload if coded is None else coding.opened(payload, coded)
            protocol = self._asking(route)
            inputs = protocol.inputs(plain, headers, names)
        except Exception:  # Undecodable, and whatever a protocol of others raises: traffic goes on
            self._not_asked(route)
            return None
        after, changed = self._edited_inputs(inputs, route)
        if not changed:
            return None
        try:
            body, told = protocol.encode_inputs(plain, headers, names, inputs, after)
            if not isinstance(body, bytes):
                raise Undecodable("a protocol that makes something else of a body")
            sent = body if coded is None else coding.closed(body, coded)
            whole = wire.with_body(wire.with_headers(self.head, told), sent)
            head = wire.parse_request(whole[: len(whole) - len(sent)])
        except Exception as error:  # the same
            log.debug("changed inputs could not be put back into their request", exc_info=error)
            for fault, _ in changed:
                fault.counts.undecodable += 1
            return None
        self._note_inputs(inputs, after, changed, plain, body, route)
        return head, whole

    def _asking(self, route: Route) -> Asking:
        """What reads the request. Raises Undecodable when nobody does."""
        assert self.armed is not None
        protocol = self._protocol(route)
        if protocol is None and self.armed.input_names.rows is not None:
            protocol = catalogue()["json"]
        if not isinstance(protocol, Asking):
            raise Undecodable("no protocol reads this request")
        return protocol

    def _edited_inputs(
        self, inputs: Sequence[Input], route: Route
    ) -> tuple[Sequence[Input], Sequence[tuple[ArmedFault, int]]]:
        """The inputs after every armed fault, and how many of them which fault has changed."""
        assert self.armed is not None
        edited, changes = inputs, []
        for fault in self.armed.input_faults:
            if not self._obeys(fault, route):
                continue
            call = self._call(fault)
            try:
                selected = _selected(fault, edited, call)
                if not selected or not self._may_hurt(selected):
                    continue
                fault.counts.selected_requests += 1
                fault.counts.selected_rows += selected
                route.counters.selected[fault.name, "treatment"] += selected
                after = fault.fault.edit_inputs(edited, call)
                if len(after) != len(edited):
                    raise Undecodable("a fault that makes more or fewer inputs")
            except (
                Exception
            ) as error:  # what it acts on is not there, and whatever the code of others raises: traffic goes on
                self._not_done_to_inputs(fault, error)
                continue
            changed = sum(map(is_not, after, edited))
            if changed:
                changes.append((fault, changed))
                edited = after
        return edited, changes

    def _not_done_to_inputs(self, fault: ArmedFault, error: Exception) -> None:
        log.debug("%s could not be done to a request's inputs", fault.name, exc_info=error)
        fault.counts.undecodable += 1

    def _note_inputs(
        self, before: Sequence[Input], after: Sequence[Input], changes: Sequence[tuple[ArmedFault, int]],
        payload: bytes, body: bytes, route: Route,
    ) -> None:  # fmt: skip
        """What was changed is counted, and kept as ground truth like changes of answers: which rows, and bodies by their hash."""
        assert self._state is not None
        for fault, changed in changes:
            fault.counts.changed_rows += changed
            fault.counts.happened(time.time(), time.monotonic())
            route.counters.changed[fault.name, "treatment"] += changed
        if not self._state.samples(time.monotonic()):
            return
        hashes = hashed(payload), hashed(body)
        rows = (old.index for old, new in zip(before, after, strict=True) if old is not new)
        for row in islice(rows, SAMPLED_ROWS):
            change = self._change(route, row, (None, None), hashes)
            change["part"] = "request"
            if route.record_bodies:
                change["body_before"], change["body_after"] = payload.decode("latin-1"), body.decode("latin-1")
            self._state.note_change(change)


def _selected(fault: ArmedFault, inputs: Sequence[Input], call: Call) -> int:
    """How many of these inputs the fault hurts."""
    if call.share >= 1:
        return len(inputs)
    if fault.fault.selects_requests():
        return len(inputs) if call.selected() else 0
    return sum(call.selected(one.index) for one in inputs)
