"""The run as a state machine: events in, commands out, no I/O, no clock.

The table below is all there is to know about its states; `picture()` draws it for the docs. An effect counts as active
from the moment its Apply is issued. It counts as undone when the Apply call has ended *and* an Undo that was issued after
that has shown the state before: a late Apply may land after the first Undo, so until then the Undo is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from chaos.events import (
    Applied,
    Apply,
    ApplyFailed,
    Collect,
    Collected,
    Command,
    EffectLost,
    Event,
    Failed,
    Finish,
    GuardBreached,
    LoadStarted,
    LoadStopped,
    Note,
    Observed,
    PhaseWindow,
    Query,
    QueryFailed,
    Question,
    Renew,
    Renewed,
    StartLoad,
    State,
    StateEntered,
    StopLoad,
    StopRequested,
    Ticked,
    Undo,
    UndoFailed,
    Undone,
)
from chaos.plans import Plan, PlannedEffect
from chaos.progress import Progress


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

POLL_S = 1.0
GUARD_POLL_S = 0.25
"""Guards are read so much more often: what one sees is to be undone within a second of the moment from which it can be seen."""
APPLY_DEAD_S = 21.0
"""After this an Apply call has ended, one way or another: what it waits for beforehand (the disk, the warden) and every driver call's
time-out are shorter together. An undo that begins then still ends within the undo's deadline."""
MAY_LAND_S = 10.0
"""A call that was given up without an answer may take hold for so long: its effect is undone again and again."""
THAWED_S = 3.0
"""So long after a server's first answer nothing that it was asked before comes any more."""
UNDO_AGAIN_S = 0.5
UNDO_CALL_S = 10.0
"""An Undo call that has not ended by then is tried again beside it."""
SETTLED_S = 5.0
"""The system has come back when everything has been within its bounds for so long: a share that rises towards its bound crosses it
more than once, and judged at the first time it would be out of it a moment later.
"""
FIRST_READING_S = 10.0
"""How long after the baseline its first readings are waited for."""
RENEW_AGAIN_S = 0.5
COLLECT_S = 60.0
PREFLIGHT_S = 60.0


def picture() -> str:
    """The state machine as a Mermaid diagram, from the table."""
    lines = ["stateDiagram-v2", "    [*] --> preflight"]
    lines += [f"    {source} --> {target}: {trigger.value}" for (source, trigger), target in TRANSITIONS.items()]
    return "\n".join([*lines, "    ended --> [*]"]) + "\n"


@dataclass
class _Effect:
    planned: PlannedEffect
    issued_at_s: float | None = None
    applied_at_s: float | None = None
    apply_ended: bool = False
    undo_answered: bool = False
    may_land_until_s: float | None = None
    """The Apply call was given up without an answer: until then it may still take hold."""
    undo_attempt: int = 0
    undo_issued_at_s: float | None = None
    undo_running: bool = False
    covering_from: int | None = None
    """The first Undo that was issued after the Apply call had ended: its success, or a later one's, counts."""
    wanted_gone_since_s: float | None = None
    undone: bool = False
    lost: bool = False
    renewed_at_s: float | None = None
    renew_issued_at_s: float | None = None
    renewing: bool = False

    def active(self) -> bool:
        """From the moment its Apply is issued until it is undone."""
        return self.issued_at_s is not None and not self.undone

    def leased(self) -> bool:
        return self.planned.lease() is not None


Output = Command | Note


class Run:
    """One run. `step` is all that is called; `state`, `progress` and `why` are there to be read."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.state = State.preflight
        self.progress = Progress(plan)
        self.why = "the plan is accepted"
        self.entered_at_s = 0.0
        self.breached: GuardBreached | None = None
        self.stop_by: str | None = None
        self.effects = {effect.id: _Effect(effect) for effect in plan.effects}
        self._begun = False
        self._load_running = plan.load is None
        self._load_asked = False
        self._load_stopped = plan.load is None
        self._stop_asked = False
        self._asked: dict[Question, float] = {}
        self._last_asked: dict[Question, float] = {}
        self._breaking: dict[str, float] = {}
        self._wall_s = 0.0
        self._windows: dict[str, tuple[float, float | None]] = {}
        self._collected = False
        self._settled_since_s: float | None = None
        self._stopping: str | None = None
        self._out: list[Output] = []

    # --- the one door ------------------------------------------------------------------------------------------------

    def step(self, event: Event, at_s: float) -> list[Output]:
        """Hears one event, `at_s` seconds into the run; says what is to be performed and what to note, in order."""
        self._out = []
        if not self._begun:
            self._begun = True
            self._note(StateEntered(self.state, self.why))
        self._hear(event, at_s)
        if self.state is not State.ended:
            self._act(at_s)
        return self._out

    def _say(self, command: Command) -> None:
        self._out.append(command)

    def _note(self, note: Note) -> None:
        self._out.append(note)

    def _hear(self, event: Event, at_s: float) -> None:
        match event:
            case Ticked(wall_s=wall_s):
                self._wall_s = wall_s
            case Observed(observation=seen, question=question):
                self._asked.pop(question or seen.kind, None)
                self.progress.learn(seen, at_s)
            case QueryFailed(question=question):
                self._asked.pop(question, None)
            case LoadStarted(error=error):
                self._load_running = error is None
                if error is not None:
                    self._stop(f"the load could not start: {error}")
            case LoadStopped(error=error):
                self._load_stopped = True
                if not self._stop_asked:
                    self._stop(f"the load ended by itself{': ' + error if error else ''}")
            case Applied(effect=name, at_wall_s=wall_s):
                self._heard_applied(self.effects[name], wall_s, at_s)
            case ApplyFailed(effect=name, error=error, may_land=may_land):
                if may_land:
                    self.effects[name].may_land_until_s = at_s + MAY_LAND_S
                else:
                    self._apply_has_ended(self.effects[name], at_s)
                self._stop(f"{name} could not be applied: {error}")
            case Undone(effect=name, attempt=attempt, at_wall_s=wall_s):
                self._heard_undone(self.effects[name], attempt, wall_s, at_s)
            case UndoFailed(effect=name, attempt=attempt):
                self._heard_undo_failed(self.effects[name], attempt, at_s)
            case Renewed(effect=name, error=error):
                self._heard_renewed(self.effects[name], error, at_s)
            case StopRequested(by=by):
                self.stop_by = self.stop_by or by
                self._stop(by)
            case Failed(error=error):
                self._stop(error)
            case Collected():
                self._collected = True
            case _:
                assert_never(event)

    def _apply_has_ended(self, effect: _Effect, at_s: float) -> None:
        if effect.apply_ended and effect.wanted_gone_since_s is not None:
            # It was given up for dead and has landed after all, perhaps after the Undo that seemed to cover it.
            effect.undone, effect.covering_from, effect.wanted_gone_since_s = False, None, at_s
        effect.apply_ended = True

    def _heard_applied(self, effect: _Effect, wall_s: float, at_s: float) -> None:
        self._apply_has_ended(effect, at_s)
        effect.applied_at_s = at_s
        effect.renewed_at_s = at_s
        if effect.planned.kind == "container":
            self.progress.effect_seen(wall_s)

    def _heard_undone(self, effect: _Effect, attempt: int, wall_s: float, at_s: float) -> None:
        if attempt == effect.undo_attempt:
            effect.undo_running = False
        if effect.may_land_until_s is not None and not effect.undo_answered:
            # A server that was frozen performs what it was asked before once it answers again: its first answer is not the last word.
            effect.may_land_until_s = max(effect.may_land_until_s, at_s + THAWED_S)
            effect.undo_answered = True
            effect.apply_ended, effect.covering_from = False, None
        if effect.covering_from is not None and attempt >= effect.covering_from and not effect.undone:
            effect.undone = True
            if effect.planned.kind != "hold":
                wall_s = self.progress.gone_since(effect.planned, wall_s)
                last = self.progress.removed_wall_s
                self.progress.removed_wall_s = wall_s if last is None else max(last, wall_s)

    def _heard_undo_failed(self, effect: _Effect, attempt: int, at_s: float) -> None:
        if attempt == effect.undo_attempt:
            effect.undo_running = False
        if not (effect.leased() and effect.apply_ended) or effect.wanted_gone_since_s is None:
            return
        # Nobody has renewed the lease since: the proxy has dropped the effect by itself, or is gone together with it.
        began_s = (effect.renewed_at_s, effect.issued_at_s, effect.may_land_until_s)
        last_s = max(effect.wanted_gone_since_s, *(at or 0.0 for at in began_s))
        if at_s - last_s > self.plan.lease_s + 1.0:
            effect.undone = True

    def _heard_renewed(self, effect: _Effect, error: str | None, at_s: float) -> None:
        effect.renewing = False
        if error is None:
            for held in self.effects.values():
                if held.planned.lease() == effect.planned.lease() and held.renewed_at_s is not None:
                    held.renewed_at_s = at_s
        elif effect.active() and at_s - (effect.renewed_at_s or 0.0) > self.plan.lease_s:
            self._stop(f"the lease of {effect.planned.id} could not be renewed: {error}")

    # --- moving ------------------------------------------------------------------------------------------------------

    def _stop(self, why: str) -> None:
        self._stopping = why

    def _enter(self, trigger: Trigger, at_s: float, why: str | None = None) -> None:
        target = TRANSITIONS[(self.state, trigger)]
        self.why = why or trigger.value
        self._close_window()
        self.state, self.entered_at_s = target, at_s
        self._note(StateEntered(target, self.why))
        if target is State.baseline:
            self._windows["baseline"] = (self._wall_s, None)
            self.progress.arms.baseline_begins()
        elif target is State.inject:
            self._windows["fault"] = (self._wall_s, None)
        elif target is State.recovery:
            self._windows["recovery"] = (self._wall_s, None)
        self.progress.phase.clear()

    def _close_window(self) -> None:
        name = {State.baseline: "baseline", State.undo: "fault", State.recovery: "recovery"}.get(self.state)
        if name is not None and name in self._windows:
            self._windows[name] = (self._windows[name][0], self._wall_s)

    def _act(self, at_s: float) -> None:
        if self._stopping is not None and (self.state, Trigger.stopped) in TRANSITIONS:
            why, self._stopping = self._stopping, None
            self._enter(Trigger.stopped, at_s, why)
        before = None
        while before is not self.state:  # a state may be left as soon as it is entered
            before = self.state
            match self.state:
                case State.preflight:
                    self._act_preflight(at_s)
                case State.warmup:
                    if at_s - self.entered_at_s >= (self.plan.load.warmup_s if self.plan.load else 0.0):
                        self._enter(Trigger.warm, at_s)
                case State.baseline:
                    self._act_baseline(at_s)
                case State.inject:
                    self._act_inject(at_s)
                case State.undo:
                    self._act_undo(at_s)
                case State.recovery:
                    self._act_recovery(at_s)
                case State.collect:
                    self._act_collect(at_s)
                case State.ended:
                    self._say(Finish())
                    return
                case _:
                    assert_never(self.state)
        if self.state not in (State.collect, State.ended):
            self._look(at_s)
        self._renew(at_s)

    def _act_preflight(self, at_s: float) -> None:
        holds = [effect for effect in self.effects.values() if effect.planned.kind == "hold"]
        for effect in holds:
            if effect.issued_at_s is None:
                self._apply(effect, at_s)
        if all(effect.applied_at_s is not None for effect in holds) and not self._load_asked and self.plan.load:
            self._load_asked = True
            self._say(StartLoad())
        if all(effect.applied_at_s is not None for effect in holds) and self._load_running:
            self._enter(Trigger.ready, at_s)
        elif at_s - self.entered_at_s > PREFLIGHT_S:
            self._enter(Trigger.stopped, at_s, "the run could not begin within a minute")

    def _act_baseline(self, at_s: float) -> None:
        if self._guard(at_s):
            return
        if at_s - self.entered_at_s < self.plan.baseline_s:
            return
        problems = self.progress.baseline_problems()
        if problems:
            # The last readings may be a poll late; a baseline that is not met gets a few evaluations of grace, no more. The first ones take
            # longer on a busy machine, and until they are there nobody knows whether it is met.
            grace_s = 3 * self.plan.evaluation_s
            grace_s = max(grace_s, FIRST_READING_S) if self.progress.unread() else grace_s
            if at_s - self.entered_at_s >= self.plan.baseline_s + grace_s:
                self._enter(Trigger.unmet, at_s, "the baseline is not met: " + "; ".join(problems))
        else:
            self._enter(Trigger.met, at_s)

    def _act_inject(self, at_s: float) -> None:
        if self._guard(at_s):
            return
        elapsed_s = at_s - self.entered_at_s
        faults = [effect for effect in self.effects.values() if effect.planned.kind != "hold"]
        for effect in faults:
            begun_s = effect.applied_at_s if effect.applied_at_s is not None else effect.issued_at_s
            if effect.issued_at_s is None and elapsed_s >= effect.planned.start_s:
                self._apply(effect, at_s)
            elif begun_s is not None and at_s - begun_s >= effect.planned.duration_s:
                self._undo(effect, at_s)
        unfinished = [effect for effect in faults if effect.issued_at_s is None or effect.wanted_gone_since_s is None]
        full = any(effect.planned.until == "full" for effect in unfinished)
        if not unfinished or elapsed_s >= self.plan.max_duration_s:
            self._enter(Trigger.over, at_s)
        elif not full and all(effect.issued_at_s is not None for effect in faults) and self.progress.decided():
            self._enter(Trigger.decided, at_s)

    def _act_undo(self, at_s: float) -> None:
        if not self._everything_gone(at_s):
            return
        if any(effect.lost for effect in self.effects.values()):
            self._enter(Trigger.lost, at_s)
        elif self.stop_by is not None:
            self._enter(Trigger.interrupted, at_s, f"stopped by {self.stop_by}")
        elif any(effect.issued_at_s is not None and effect.planned.kind != "hold" for effect in self.effects.values()):
            self._enter(Trigger.clean, at_s)
        else:
            self._enter(Trigger.never_hurt, at_s, self.why)

    def _everything_gone(self, at_s: float) -> bool:
        """Undoes what is active; whether nothing is any more, apart from what could not be undone in time."""
        for effect in self.effects.values():
            if not effect.active() or effect.lost:
                continue
            self._undo(effect, at_s)
            # A fault that ends before the others is undone while they go on; its deadline begins when nothing else is left.
            begun_s = self.entered_at_s if self.state is State.undo else 0.0
            if at_s - max(effect.wanted_gone_since_s or at_s, begun_s) > self.plan.undo_deadline_s:
                effect.lost = True
                self._note(EffectLost(effect.planned.id, self.plan.by_hand.get(effect.planned.id, "")))
        return not any(effect.active() and not effect.lost for effect in self.effects.values())

    def _act_recovery(self, at_s: float) -> None:
        gone = self._everything_gone(at_s)  # an Apply that was given up for dead may land even now
        elapsed_s = at_s - self.entered_at_s
        fresh = self.progress.alerts_at_s is not None and self.progress.alerts_at_s > self.entered_at_s + POLL_S
        if not (gone and fresh) or self.progress.unsettled():
            self._settled_since_s = None
        elif self._settled_since_s is None:
            self._settled_since_s = at_s
        if self._settled_since_s is not None and at_s - self._settled_since_s >= SETTLED_S:
            self._enter(Trigger.settled, at_s)
        elif elapsed_s >= self.plan.recovery_s:
            self._enter(Trigger.over, at_s)

    def _act_collect(self, at_s: float) -> None:
        if not self._stop_asked:
            self._stop_asked = True
            if not self._load_stopped and self._load_asked:
                self._say(StopLoad())
            else:
                self._load_stopped = True
            self._say(Collect(self._phase_windows()))
        done = (self._collected and self._load_stopped) or at_s - self.entered_at_s > COLLECT_S
        if self._everything_gone(at_s) and done:
            self._enter(Trigger.collected, at_s)

    def _phase_windows(self) -> tuple[PhaseWindow, ...]:
        windows: list[PhaseWindow] = []
        for name in ("baseline", "fault", "recovery"):
            if name not in self._windows:
                continue
            start, end = self._windows[name]
            if name == "fault":
                start = self.progress.first_effect_wall_s or start
                end = self.progress.removed_wall_s or end
            elif name == "recovery":
                # What said that the system has settled may be a moment younger than the tick that ended the phase.
                end = max(end if end is not None else self._wall_s, self.progress.read_until_wall_s())
            windows.append(PhaseWindow(name, start, max(start, end if end is not None else self._wall_s)))
        return tuple(windows)

    # --- parts of moving ---------------------------------------------------------------------------------------------

    def _guard(self, at_s: float) -> bool:
        broken = self.progress.breached(at_s, self._breaking)
        if broken is None:
            return False
        self.breached = GuardBreached(*broken)
        self._note(self.breached)
        self._enter(Trigger.stopped, at_s, f"guard {broken[0]}: {broken[1]}")
        return True

    def _apply(self, effect: _Effect, at_s: float) -> None:
        effect.issued_at_s = at_s
        if effect.planned.kind == "external":
            self.progress.await_external(effect.planned)
        self._say(Apply(effect.planned.id))

    def _undo(self, effect: _Effect, at_s: float) -> None:
        if effect.undone or effect.issued_at_s is None:
            return
        if effect.wanted_gone_since_s is None:
            effect.wanted_gone_since_s = at_s
        lands_until_s = (
            effect.issued_at_s + APPLY_DEAD_S if effect.may_land_until_s is None else effect.may_land_until_s
        )
        if not effect.apply_ended and at_s > lands_until_s:
            effect.apply_ended = True
        last_s = effect.undo_issued_at_s
        waited_s = UNDO_CALL_S if effect.undo_running else UNDO_AGAIN_S
        # An Apply that ended after the last Undo was issued needs another Undo at once, however fresh the last one is.
        overtaken = effect.apply_ended and effect.covering_from is None
        if last_s is not None and not overtaken and at_s - last_s < waited_s:
            return
        effect.undo_attempt += 1
        effect.undo_issued_at_s = at_s
        effect.undo_running = True
        if overtaken:
            effect.covering_from = effect.undo_attempt
        self._say(Undo(effect.planned.id, effect.undo_attempt))

    def _look(self, at_s: float) -> None:
        for question in self._questions():
            asked_s = self._asked.get(question)
            if asked_s is not None and at_s - asked_s < 10 * POLL_S:
                continue
            every_s = GUARD_POLL_S if question == "guards" else POLL_S
            if at_s - self._last_asked.get(question, -POLL_S) < every_s * 0.95:
                continue
            self._asked[question] = self._last_asked[question] = at_s
            self._say(Query(question, self._phase_s(at_s) if question == "probes" else None))

    def _questions(self) -> tuple[Question, ...]:
        if self.state is State.preflight:
            return ()
        asked: tuple[Question, ...] = ("probes", "alerts", "routed", "deliveries")
        if any(guard.probe is not None for guard in self.plan.guards):
            asked = ("guards", *asked)
        if any(effect.planned.kind in ("hold", "proxy") for effect in self.effects.values()):
            asked += ("proxy",)
        if self.plan.externals():
            asked += ("external",)
        return (*asked, "load") if self.plan.load is not None else asked

    def _phase_s(self, at_s: float) -> float | None:
        """The window of phase readings: since the baseline began, or since the first effect."""
        if self.state is State.baseline:
            return at_s - self.entered_at_s
        first = self.progress.first_effect_wall_s
        if self.state in (State.inject, State.undo) and first is not None:
            return max(0.0, self._wall_s - first)
        return None

    def _renew(self, at_s: float) -> None:
        if self.state in (State.undo, State.recovery, State.collect, State.ended):
            return
        renewed: set[str | None] = set()
        for effect in self.effects.values():
            due = effect.renewed_at_s is not None and at_s - effect.renewed_at_s >= self.plan.lease_s / 3
            # A renewal that failed is tried again, but not faster than this: the proxy has users to serve.
            due = due and at_s - (effect.renew_issued_at_s or 0.0) >= RENEW_AGAIN_S
            if (
                effect.active()
                and effect.leased()
                and due
                and not effect.renewing
                and effect.planned.lease() not in renewed
            ):
                renewed.add(effect.planned.lease())
                effect.renewing = True
                effect.renew_issued_at_s = at_s
                self._say(Renew(effect.planned.id))
