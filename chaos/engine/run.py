"""The machine itself: it hears one event at a time, and says what is to be performed and what to note. Pure."""

from __future__ import annotations

from typing import assert_never

from chaos.engine.effects import MAY_LAND_S, Effect
from chaos.engine.states import TRANSITIONS, Trigger
from chaos.engine.windows import Windows
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
from chaos.plans import Plan
from chaos.progress import Progress
from chaos.progress.guards import breached
from chaos.progress.questions import baseline_problems, decided, unread, unsettled

POLL_S = 1.0
GUARD_POLL_S = 0.25
"""Guards are read so much more often: what one sees is to be undone within a second of the moment from which it can be seen."""
SETTLED_S = 5.0
"""The system has come back when everything has been within its bounds for so long: a share that rises towards its bound crosses it
more than once, and judged at the first time it would be out of it a moment later.
"""
FIRST_READING_S = 10.0
"""How long after the baseline its first readings are waited for."""
COLLECT_S = 60.0
PREFLIGHT_S = 60.0


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
        self.effects = {effect.id: Effect(effect) for effect in plan.effects}
        self._begun = False
        self._load_running = plan.load is None
        self._load_asked = False
        self._load_stopped = plan.load is None
        self._stop_asked = False
        self._asked: dict[Question, float] = {}
        self._last_asked: dict[Question, float] = {}
        self._breaking: dict[str, float] = {}
        self._wall_s = 0.0
        self._windows = Windows()
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
                    self.effects[name].apply_has_ended(at_s)
                self._stop(f"{name} could not be applied: {error}")
            case Undone(effect=name, attempt=attempt, at_wall_s=wall_s):
                self._heard_undone(self.effects[name], attempt, wall_s, at_s)
            case UndoFailed(effect=name, attempt=attempt):
                self.effects[name].heard_undo_failed(attempt, at_s, self.plan.lease_s)
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

    def _heard_applied(self, effect: Effect, wall_s: float, at_s: float) -> None:
        effect.heard_applied(at_s)
        if effect.planned.kind == "container":
            self.progress.effect_seen(wall_s)

    def _heard_undone(self, effect: Effect, attempt: int, wall_s: float, at_s: float) -> None:
        if effect.heard_undone(attempt, at_s) and effect.planned.kind != "hold":
            wall_s = self.progress.gone_since(effect.planned, wall_s)
            last = self.progress.removed_wall_s
            self.progress.removed_wall_s = wall_s if last is None else max(last, wall_s)

    def _heard_renewed(self, effect: Effect, error: str | None, at_s: float) -> None:
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
        self._windows.left(self.state, self._wall_s)
        self.state, self.entered_at_s = target, at_s
        self._note(StateEntered(target, self.why))
        self._windows.entered(target, self._wall_s)
        if target is State.baseline:
            self.progress.arms.baseline_begins()
        self.progress.phase.clear()

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
        self.progress.keep_baseline()
        problems = baseline_problems(self.progress)
        if problems:
            # The last readings may be a poll late; a baseline that is not met gets a few evaluations of grace, no more. The first ones take
            # longer on a busy machine, and until they are there nobody knows whether it is met.
            grace_s = 3 * self.plan.evaluation_s
            grace_s = max(grace_s, FIRST_READING_S) if unread(self.progress) else grace_s
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
        elif not full and all(effect.issued_at_s is not None for effect in faults) and decided(self.progress):
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
        if not (gone and fresh) or unsettled(self.progress):
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
            self._say(Collect(self._windows.of(self.progress, self._wall_s)))
        done = (self._collected and self._load_stopped) or at_s - self.entered_at_s > COLLECT_S
        if self._everything_gone(at_s) and done:
            self._enter(Trigger.collected, at_s)

    # --- parts of moving ---------------------------------------------------------------------------------------------

    def _guard(self, at_s: float) -> bool:
        broken = breached(self.progress, at_s, self._breaking)
        if broken is None:
            return False
        self.breached = GuardBreached(*broken)
        self._note(self.breached)
        self._enter(Trigger.stopped, at_s, f"guard {broken[0]}: {broken[1]}")
        return True

    def _apply(self, effect: Effect, at_s: float) -> None:
        effect.issued_at_s = at_s
        if effect.planned.kind == "external":
            self.progress.await_external(effect.planned)
        self._say(Apply(effect.planned.id))

    def _undo(self, effect: Effect, at_s: float) -> None:
        attempt = effect.next_undo(at_s)
        if attempt is not None:
            self._say(Undo(effect.planned.id, attempt))

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
            if effect.renewal_due(at_s, self.plan.lease_s) and effect.planned.lease() not in renewed:
                renewed.add(effect.planned.lease())
                effect.renewing = True
                effect.renew_issued_at_s = at_s
                self._say(Renew(effect.planned.id))
