"""Who holds this proxy: one run, or several whose slices are provably disjoint, each under a lease. No I/O; time comes in.

Everything that is armed is one tuple of immutable objects, swapped as a whole: the data plane reads one attribute, and sees a change
of one run or of many either not at all or whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from chaos.arms import HeaderValues
from chaos.proxy.armed import MOST_UNTOUCHED, Armed, RunState, armed_with
from chaos.proxy.arming import Arming, Refusal
from chaos.slices import conflict

REMEMBERED_S = 600.0
"""How long a run's counts can be read after it was disarmed."""
MOST_PROVING = 16
"""Removals that are proven at a time: each costs every request a look. The oldest is left alone first."""

Delay = tuple[str, int]
"""Whoever waits does so for a run, and for the fault with this place in its experiment."""


class Registry:
    """`active` is what the data plane reads; `monotonic` is the clock of leases."""

    def __init__(self, monotonic: Callable[[], float], protocol: str = "auto") -> None:
        self._monotonic = monotonic
        self._protocol = protocol
        """What an arming means that says `auto`; `auto` itself: told by each request's path."""
        self.active: tuple[Armed, ...] = ()
        """What every run that holds the proxy has armed, the oldest hold first. A request is in the slice of one at most."""
        self.holders: dict[str, RunState] = {}
        """The runs of `active`, in its order."""
        self.runs: dict[str, RunState] = {}
        self.expiries = 0
        self.half_taken_until_s = 0.0
        """The editing of large answers so far is half of all time up to then, on the monotonic clock."""
        self.removals: dict[str, RunState] = {}
        """The runs that have ended and whose removal is still being proven; empty, and idle costs nothing more."""
        self.waiting: dict[Callable[[], None], Delay | None] = {}
        """What lets go whoever waits in a delay, and in which: called once that one is off; None: with the next change."""

    # --- the control API ----------------------------------------------------------------------------------------------

    def arm(self, run: str, arming: Arming) -> RunState:
        """This run has armed exactly this, beside every other that holds the proxy. Raises Refusal, and then all is as before."""
        now_s = self._monotonic()
        self.expire()
        state = self.runs.get(run) or RunState(run, begun_s=now_s)
        if state.state == "expired":
            raise Refusal(409, ["this run has expired at this proxy; its runner was silent for longer than its lease"])
        if state.deadline_s and now_s - state.begun_s > state.deadline_s:
            raise Refusal(409, ["this run's deadline at this proxy is over; start a new run"])
        built = armed_with(
            arming,
            state,
            generation=state.generation + 1,
            since_s=state.since_s,
            protocol=self._protocol,
            now_s=now_s,
        )
        self._refuse_beside(built)
        state.adopt(built)
        state.deadline_s = min(state.deadline_s or arming.deadline_s, arming.deadline_s)
        state.lease_s, state.renewed_s, state.last_arming = arming.lease_s, now_s, arming
        self.runs[run] = state
        self._swap({one.run: one for one in (*self.active, built)}.values())
        self._forget(now_s)
        return state

    def _refuse_beside(self, built: Armed) -> None:
        """Raises Refusal when a request might be both this run's and another's that holds the proxy."""
        others = {one.run: one.slice for one in self.active if one.run != built.run}
        told = conflict(built.slice, others)
        if told is not None:
            longest_s = max(self.holders[run].lease_s for run in others)
            raise Refusal(
                409, [f"this proxy is held by {told} (a lease ends within {longest_s:g}s of its runner's death)"]
            )

    def renew(self, run: str) -> RunState | None:
        """The lease lives on; None when the run does not hold this proxy any more."""
        self.expire()
        state = self.holders.get(run)
        if state is not None:
            state.renewed_s = self._monotonic()
        return state

    def disarm(self, run: str | None) -> None:
        """No new request can be touched by this run (None: by any), and whoever waits for it is let go. Idempotent."""
        self._swap(one for one in self.active if run is not None and one.run != run)

    def expire(self) -> None:
        """Every run whose lease or deadline is over is disarmed by itself; the others go on."""
        now_s = self._monotonic()
        over = {run for run, state in self.holders.items() if state.over(now_s)}
        if over:
            self.expiries += len(over)
            self._swap((one for one in self.active if one.run not in over), ended="expired")

    def _swap(self, active: Iterable[Armed], *, ended: Literal["disarmed", "expired"] = "disarmed") -> None:
        """Exactly these are armed from now on. Runs that are not among them any more have ended, in this way."""
        before = self.holders
        self.active = tuple(active)
        self.holders = {one.run: self.runs[one.run] for one in self.active}
        now_s = self._monotonic()
        for run, state in before.items():
            if run not in self.holders:
                state.state, state.ended_s, state.untouched = ended, now_s, 0
                state.memories = {}
                self.removals[run] = state
        for run in self.holders:
            self.removals.pop(run, None)
        while len(self.removals) > MOST_PROVING:
            del self.removals[next(iter(self.removals))]
        self._release()

    def _release(self) -> None:
        """Whoever waits in a delay that is off goes on; other delays last as long as they do."""
        on = {(armed.run, fault.index) for armed in self.active for fault in armed.faults}
        for release in [release for release, delay in self.waiting.items() if delay not in on]:
            self.waiting.pop(release, None)
            release()

    def _forget(self, now_s: float) -> None:
        for name, state in list(self.runs.items()):
            if state.ended_s is not None and now_s - state.ended_s > REMEMBERED_S:
                del self.runs[name]

    # --- the data plane -----------------------------------------------------------------------------------------------

    def current(self) -> tuple[Armed, ...]:
        """What the data plane must obey right now: nothing whose lease is over, even if no timer has run yet."""
        if not self.active:
            return ()
        now_s = self._monotonic()
        for state in self.holders.values():
            if state.over(now_s):
                self.expire()
                break
        return self.active

    def holder_of(self, run: str) -> RunState | None:
        """The run's counters while it holds the proxy."""
        return self.holders.get(run)

    def obeys(self, armed: Armed, index: int) -> bool:
        """Whether the fault with this index is on right now, of the run that `armed` is of: no other run's is meant by it."""
        for one in self.current():
            if one.run == armed.run:
                return one.has(index)
        return False

    def asks_bodies(self) -> bool:
        """Whether a removal is being proven of a run whose arms are told by bodies."""
        return any(
            state.last_armed is not None and state.last_armed.arm_needs_body() for state in self.removals.values()
        )

    def passed(self, headers: HeaderValues, body: bytes | None, target: str = "", *, apart: bool = False) -> None:
        """A request goes by that no run touches: where it would have been in an arm of a run that has ended, that is counted.

        These counts prove removals, also while other runs hold the proxy. `body` is None when nobody has read it: such a request
        tells nothing where bodies tell the arm. Where it comes `apart`, the request has passed without it before.
        """
        for state in self.proving():
            armed = state.last_armed
            asks = armed is not None and armed.arm_needs_body()
            if armed is None or (asks and body is None) or (apart and not asks):
                continue
            group, _ = armed.group_of(headers, body or b"", target)
            counts = state.arms[group]
            counts.untouched_since_disarm = min(counts.untouched_since_disarm + 1, MOST_UNTOUCHED)
            state.untouched += group == "treatment"

    def proving(self) -> tuple[RunState, ...]:
        """The runs that have ended and whose removal is still being proven, in the order of their ends."""
        if not self.removals:
            return ()
        now_s = self._monotonic()
        for run, state in list(self.removals.items()):
            over = state.ended_s is None or now_s - state.ended_s > REMEMBERED_S
            if over or state.untouched >= MOST_UNTOUCHED:
                del self.removals[run]  # from here on, idle costs nothing again
        return tuple(self.removals.values())

    def lately(self) -> RunState | None:
        """The run that ended last of those whose removal is still being proven; None while anybody holds the proxy."""
        proving = self.proving() if not self.holders else ()
        return proving[-1] if proving else None
