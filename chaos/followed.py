"""A run seen from outside: what its journal has told so far. Pure; for those who look on from another process.

line ─▶ hear() ─▶ the state, its progress, what happened: the names of `chaos.engine.Run`
"""

from __future__ import annotations

from dataclasses import dataclass

from chaos.events import (
    Applied,
    Apply,
    ApplyFailed,
    EffectLost,
    Failed,
    GuardBreached,
    LoadStopped,
    Observed,
    Record,
    RunStarted,
    State,
    StateEntered,
    StopRequested,
    UndoFailed,
    Undone,
)
from chaos.journal import BrokenJournal, Line
from chaos.plans import Plan
from chaos.progress import Progress


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that a person wants to know of. `tone` is a colour's class: none, good, warn or bad."""

    at_s: float
    text: str
    tone: str = "none"


class Followed:
    """One run, as far as its journal was heard. Everything here is there to be read."""

    def __init__(self, first: Line) -> None:
        if not isinstance(first.record, RunStarted):
            raise BrokenJournal("the journal does not begin with the beginning of a run")
        try:
            self.plan = Plan.from_json(first.record.plan)
        except ValueError as error:
            raise BrokenJournal("the journal's plan is of another version") from error
        self.id = first.record.run
        self.progress = Progress(self.plan)
        self.state = State.preflight
        self.why = "the plan is accepted"
        self.entered_at_s = 0.0
        self.began_wall_s = first.wall_s - first.at_s
        self.sequence = first.sequence
        self.at_s = first.at_s
        self.happened: list[Happened] = []
        self._alerts: dict[str, str] = {}
        self._effect_said = False
        self._heard = 0

    def over(self) -> bool:
        """Whether the run has said everything."""
        return self.state is State.ended

    def hear(self, line: Line) -> None:
        """The next line is known."""
        self.sequence, self.at_s = line.sequence, line.at_s
        record = line.record
        match record:
            case StateEntered():
                self._entered(record, line.at_s)
            case Observed(observation=seen):
                self.progress.learn(seen, line.at_s)
            case Apply(effect=name):
                effect = self.plan.effect(name)
                if effect.kind == "external":
                    self.progress.await_external(effect)
            case Applied(effect=name, at_wall_s=wall_s):
                if self.plan.effect(name).kind == "container":
                    self.progress.effect_seen(wall_s)
            case _:
                pass
        said = _said(record, self.plan)
        if said is not None:
            self.happened.append(Happened(line.at_s, *said))
        self._changes(line.at_s)

    def _entered(self, entered: StateEntered, at_s: float) -> None:
        if entered.state is State.inject:
            self.progress.keep_baseline()
        if entered.state is State.baseline:
            self.progress.arms.baseline_begins()
        self.progress.phase.clear()
        self.state, self.why, self.entered_at_s = entered.state, entered.why, at_s

    def _changes(self, at_s: float) -> None:
        """What the observations have changed since the last line."""
        first = self.progress.first_effect_wall_s
        if first is not None and not self._effect_said:
            self._effect_said = True
            self.happened.append(Happened(max(0.0, first - self.began_wall_s), "the first proven effect", "warn"))
        now = {name: state for name, state in self.progress.active.items() if name != "Watchdog"}
        for name in sorted(now.keys() | self._alerts.keys()):
            state = now.get(name, "inactive")
            if state != self._alerts.get(name, "inactive"):
                self.happened.append(Happened(at_s, f"alert {name} is {state}", "bad" if state == "firing" else "none"))
        self._alerts = now
        for one in self.progress.deliveries[self._heard :]:
            name = one.labels.get("alertname", "an alert")
            if name != "Watchdog":
                told_s = max(0.0, one.received_at_wall_s - self.began_wall_s)
                self.happened.append(Happened(told_s, f"{one.receiver} was told: {name} is {one.status}", "good"))
        self._heard = len(self.progress.deliveries)


def _said(record: Record, plan: Plan) -> tuple[str, str] | None:
    """What a person is told of this line, and its tone; None where it is of no interest by itself."""
    match record:
        case StateEntered(state=state, why=why):
            return f"{state.value}: {why}", "none"
        case Applied(effect=name):
            return (f"on: {plan.effect(name).explain}", "warn") if plan.effect(name).kind != "hold" else None
        case ApplyFailed(effect=name, error=error):
            return f"{name} could not be applied: {error}", "bad"
        case Undone(effect=name):
            return (f"undone: {name}", "good") if plan.effect(name).kind != "hold" else None
        case UndoFailed(effect=name, error=error):
            return f"{name} could not be undone yet: {error}", "bad"
        case EffectLost(effect=name, by_hand=by_hand):
            return f"{name} could not be undone; do it by hand: {by_hand}", "bad"
        case GuardBreached(guard=guard, why=why):
            return f"guard {guard}: {why}", "bad"
        case StopRequested(by=by):
            return f"stopped by {by}", "warn"
        case Failed(error=error):
            return error, "bad"
        case LoadStopped(error=error) if error is not None:
            return f"the load ended: {error}", "bad"
        case _:
            return None
