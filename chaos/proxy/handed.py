"""One request and its answer, as far as faults look at neither rows nor texts: who is asked, what body comes, how it is delivered."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaos.drivers.serving import split_address
from chaos.faults.base import Call, Redirect
from chaos.proxy import wire
from chaos.proxy.armed import Armed, ArmedFault, hashed
from chaos.proxy.asking import Questioned
from chaos.proxy.bodies import with_other_body
from chaos.proxy.delivery import Delivery
from chaos.proxy.hurting import QUICK

if TYPE_CHECKING:
    from chaos.proxy.route import Route


@dataclass(frozen=True, slots=True)
class Hurt:
    """What the data plane is to do to a request: wait, answer itself, ask elsewhere, or (nothing of it) reset the connection."""

    wait_s: float | None = None
    answer: bytes | None = None
    status: int = 0
    elsewhere: tuple[str, int] | None = None
    """Host and port."""


class Handed(Questioned):
    """What was asked of whom, and what is handed to the client."""

    apart = False
    """Whether it is asked of somebody else, or its answer goes out part by part."""
    redirected = False
    """Whether somebody else than the route's upstream was asked."""
    editing = False
    """Whether the answer is kept until it is whole, for a fault."""
    streaming = False
    kept: list[bytes]
    delivery: Delivery | None = None
    """How the answer reaches the client, where faults decide about that, until all of it is out."""
    _redirect: tuple[ArmedFault, tuple[str, int]] | None = None
    _edits_rows = True
    """Of an answer that is kept: whether a protocol is to read it."""
    _bodies: Sequence[tuple[ArmedFault, Call]] = ()
    """What makes another body of it."""

    def _chosen(self, faults: Sequence[ArmedFault], route: Route) -> list[tuple[ArmedFault, Call]]:
        """Those of these faults that have selected the answer, each with the call that it is asked with."""
        calls = [(fault, self._call(fault)) for fault in faults if self._obeys(fault, route)]
        return [(fault, call) for fault, call in calls if call.selected() and self._may_hurt()]

    # --- who is asked --------------------------------------------------------------------------------------------------

    def _go_elsewhere(self, fault: ArmedFault, action: Redirect) -> None:
        """Once no fault has anything more to say, this address is asked; of several, the first. Raises ValueError for none."""
        scheme, _, where = action.address.partition("://")
        if scheme != "http":
            raise ValueError(f"{action.address!r} is no address; write http://HOST:PORT")
        if self._redirect is None:
            self._redirect = fault, split_address(where.rstrip("/"))

    def _asked_elsewhere(self, route: Route) -> Hurt | None:
        """Where to ask, if not the upstream: the fault may have been taken off while others waited."""
        if self._redirect is None:
            return None
        fault, where = self._redirect
        self._redirect = None
        if not self._obeys(fault, route):
            return None
        self.redirected = self.apart = True
        self._injected(fault, route)
        return Hurt(elsewhere=where)

    def _injected(self, fault: ArmedFault, route: Route) -> None:
        """The client gets something else than the model's answer, or not all of it."""
        fault.counts.injected += 1
        route.counters.injected[fault.name] += 1
        fault.counts.happened(time.time(), time.monotonic())

    # --- other bodies -------------------------------------------------------------------------------------------------

    def _keep_for_bodies(self, head: wire.Head, armed: Armed, largest: int, route: Route, *, rows: bool) -> None:
        """The answer is kept, too, where a fault that makes another body of it has selected it; `rows`: others keep it anyway."""
        chosen = self._chosen(armed.body_faults, route)
        if not chosen or head.length == 0:
            return
        self._bodies = chosen
        if self.streaming or (head.length is not None and head.length > largest):
            self._bodies_undecodable()
            return
        self._edits_rows = rows
        if not self.editing:
            self.editing, self.kept = True, []

    def _bodies_undecodable(self) -> None:
        for fault, _ in self._bodies:
            fault.counts.undecodable += 1
        self._bodies = ()

    def _with_other_body(
        self, body: bytes, made: tuple[bytes, wire.Head] | None, route: Route
    ) -> tuple[bytes, wire.Head] | None:
        """The body after the faults that make another one of it, and its head; `made` where none did, what rows became before."""
        assert self.answer_head is not None
        chosen = [(fault, call) for fault, call in self._bodies if self._obeys(fault, route)]
        coded = self.answer_head.headers.get("content-encoding")
        begun_s = time.monotonic()
        large = len(body) > QUICK or coded is not None
        if large and not self._has_time(route):
            self._bodies_undecodable()
            return made
        for fault, _ in chosen:
            fault.counts.selected_requests += not fault.counted_early
            route.counters.selected[fault.name, "treatment"] += 1
        after, changed = with_other_body(body, coded, chosen)
        for fault, _ in chosen:
            fault.memory.selected += not fault.counted_early
        if large:
            self._took(route, begun_s)
        for fault in changed:
            self._injected(fault, route)
        if not changed:
            return made
        if self._state is not None and self._state.samples(time.monotonic()):
            self._state.note_change(self._change(route, 0, [None, None], (hashed(body), hashed(after))))
        return after, (self.answer_head if made is None else made[1])

    # --- delivery -----------------------------------------------------------------------------------------------------

    def _begin_delivery(self, armed: Armed, route: Route) -> None:
        """Where a fault that decides how answers reach their clients has selected this one, it goes out part by part."""
        chosen = self._chosen(armed.delivery_faults, route)
        for fault, _ in chosen:
            fault.counts.selected_requests += not (fault.counted_early or fault.fault.edits_bodies)
            route.counters.selected[fault.name, "treatment"] += 1
        if chosen:
            self.apart = True
            self.delivery = Delivery(self.head.method, chosen, lambda fault: self._obeys(fault, route))

    def no_more_delivery(self) -> None:
        """Nothing more of the answer goes out, or all of it has."""
        if self.delivery is not None:
            self.delivery.drop()
            self.delivery = None
