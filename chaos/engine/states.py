"""The states of a run and what moves it from one to the next: the table below is all there is to know about them. Pure."""

from __future__ import annotations

from enum import StrEnum

from chaos.events import State


class Trigger(StrEnum):
    """Why the machine moves."""

    ready = "the load runs and the proxies are held"
    warm = "the warm-up is over"
    met = "the baseline is met"
    unmet = "the baseline is not met"
    decided = "every question is answered"
    over = "the time is over"
    stopped = "a stop, a guard or an error"
    clean = "every effect is undone"
    never_hurt = "every hold is released and nothing was hurt"
    interrupted = "every effect is undone and somebody wants to leave"
    lost = "something could not be undone"
    settled = "the system has settled"
    collected = "the evidence is collected"


TRANSITIONS: dict[tuple[State, Trigger], State] = {
    (State.preflight, Trigger.ready): State.warmup,
    (State.preflight, Trigger.stopped): State.undo,
    (State.warmup, Trigger.warm): State.baseline,
    (State.warmup, Trigger.stopped): State.undo,
    (State.baseline, Trigger.met): State.inject,
    (State.baseline, Trigger.unmet): State.undo,
    (State.baseline, Trigger.stopped): State.undo,
    (State.inject, Trigger.decided): State.undo,
    (State.inject, Trigger.over): State.undo,
    (State.inject, Trigger.stopped): State.undo,
    (State.undo, Trigger.clean): State.recovery,
    (State.undo, Trigger.never_hurt): State.collect,
    (State.undo, Trigger.interrupted): State.collect,
    (State.undo, Trigger.lost): State.collect,
    (State.recovery, Trigger.settled): State.collect,
    (State.recovery, Trigger.over): State.collect,
    (State.recovery, Trigger.stopped): State.collect,
    (State.collect, Trigger.collected): State.ended,
}


def picture() -> str:
    """The state machine as a Mermaid diagram, from the table."""
    lines = ["stateDiagram-v2", "    [*] --> preflight"]
    lines += [f"    {source} --> {target}: {trigger.value}" for (source, trigger), target in TRANSITIONS.items()]
    return "\n".join([*lines, "    ended --> [*]"]) + "\n"
