"""A run at one moment, in words: what every live view shows, on a terminal and on a page. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from chaos.bounds import format_value
from chaos.events import State
from chaos.plans import Plan
from chaos.progress import Progress
from chaos.progress.questions import unsettled, waiting_for
from chaos.readings import values_of

STEPS = (State.preflight, State.warmup, State.baseline, State.inject, State.undo, State.recovery, State.collect)
NAMES = {
    State.preflight: "holding the proxies, starting the load", State.warmup: "warming up", State.baseline: "measuring the baseline",
    State.inject: "the fault is on", State.undo: "undoing", State.recovery: "waiting for the system and its alerts to settle",
    State.collect: "collecting the evidence", State.ended: "over",
}  # fmt: skip


class Shown(Protocol):
    """What can be shown: a run of this process (`Run`), or one that is followed in its journal (`Followed`)."""

    plan: Plan
    progress: Progress
    state: State
    why: str
    entered_at_s: float


@dataclass(frozen=True, slots=True)
class ProbeNow:
    """One steady-state probe: its last value as text, None without data, and its bounds as they were written."""

    title: str
    value: str | None
    bounds: str


@dataclass(frozen=True, slots=True)
class Moment:
    """What there is to say now. `most_s` is the longest that the state lasts, None when nobody can say."""

    state: State
    doing: str
    elapsed_s: float
    most_s: float | None
    probes: tuple[ProbeNow, ...]
    alerts: tuple[tuple[str, str], ...]
    waiting: tuple[str, ...]


def moment(run: Shown, at_s: float) -> Moment:
    """The run `at_s` seconds after it began."""
    return Moment(
        run.state,
        NAMES[run.state],
        at_s - run.entered_at_s,
        length_s(run.plan, run.state),
        tuple(_probe(run, place) for place in range(len(run.plan.steady()))),
        tuple((name, state) for name, state in sorted(run.progress.active.items()) if name != "Watchdog"),
        tuple(_waiting(run)),
    )


def length_s(plan: Plan, state: State) -> float | None:
    """The most that a state lasts, or None when nobody can say."""
    return {
        State.warmup: plan.load.warmup_s if plan.load else 0.0,
        State.baseline: plan.baseline_s,
        State.inject: max((effect.start_s + effect.duration_s for effect in plan.faults()), default=0.0),
        State.recovery: plan.recovery_s,
    }.get(state)


def _probe(run: Shown, place: int) -> ProbeNow:
    probe = run.plan.steady()[place]
    reading = run.progress.sliding.get(probe.title)
    values = values_of(probe, reading) if reading is not None else ()
    bounds = ", ".join(
        f"{word} {bound}" for word, bound in (("min", probe.bound("minimum")), ("max", probe.bound("maximum"))) if bound
    )
    return ProbeNow(probe.title, format_value(values[0], probe.unit) if values else None, bounds)


def _waiting(run: Shown) -> list[str]:
    """What the run waits for now, in words."""
    match run.state:
        case State.inject:
            return waiting_for(run.progress)
        case State.undo:
            return [f"the external effect at {one.target} to end" for one in run.progress.externals_on()]
        case State.recovery:
            return unsettled(run.progress)
        case _:
            return []
