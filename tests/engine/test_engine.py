"""The run's state machine: whatever fails and whenever, every effect is undone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.engine import APPLY_DEAD_S, RENEW_AGAIN_S, TRANSITIONS, UNDO_CALL_S, Run, Trigger, picture
from chaos.events import (
    Applied,
    Apply,
    ApplyFailed,
    Collect,
    Collected,
    EffectLost,
    Failed,
    Finish,
    LoadStarted,
    LoadStopped,
    Observed,
    PhaseWindow,
    Query,
    QueryFailed,
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
from chaos.exposure import Sample
from chaos.observation import AlertsRead, ArmTraffic, FaultTraffic, LoadRead, ProbeReading, ProbesRead, ProxyRead
from tests.worlds import DRIFT, HOLD, KILL, PLAN, WRONG, with_effects

WALL = 1_700_000_000.0
STEP_S = 0.25

LATE_S = 8.0
"""How long after its driver has given up a call may still take hold."""
Fate = Literal[
    "works", "fails before effect", "fails after effect", "never returns", "never returns, takes hold", "lands late",
    "lands after it was given up", "gets no answer, lands late", "gets no answer, thaws",
]  # fmt: skip
UndoFate = Literal["works", "fails", "never returns", "works, answer lost", "works slowly"]


@dataclass
class World:
    """What is really so: which effects are on. Performs commands with drawn fates; the oracle of the tests."""

    run: Run
    apply_fates: deque[Fate] = field(default_factory=deque)
    undo_fates: deque[UndoFate] = field(default_factory=deque)
    first_reading_s: float = STEP_S
    """How long the first reading of the baseline takes."""
    read_before: bool = False
    thaws: str | None = None
    """What a frozen server was asked to do, and does soon after its first answer."""
    stop_at_s: float | None = None
    fail_at_s: float | None = None
    wall_jump: tuple[State, float] | None = None
    """From this state on, the wall clock says so many seconds more."""
    renew_error: str | None = None
    renewals: int = 0
    questions: set[str] = field(default_factory=set)
    whys: list[str] = field(default_factory=list)
    query_works: bool = True
    alerts_work: bool = False
    readings_ahead_s: float = 0.0
    """How much younger a reading is than the tick in which it is asked for."""
    windows: dict[str, PhaseWindow] = field(default_factory=dict)
    last_reading_wall_s: float = 0.0
    accuracy: float = 0.93
    accuracy_after_undo: deque[float] = field(default_factory=deque)
    """What the first readings of the recovery say."""
    on: set[str] = field(default_factory=set)
    leased_until_s: dict[str, float] = field(default_factory=dict)
    later: list[tuple[float, object]] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    applies: list[str] = field(default_factory=list)
    finished: bool = False
    at_s: float = 0.0

    def play(self, most_s: float = 600.0) -> None:
        stopped = False
        while not self.finished and self.at_s < most_s:
            jumped = self.wall_jump is not None and self.wall_jump[0] in self.states
            self.hear(Ticked(WALL + self.at_s + (self.wall_jump[1] if jumped and self.wall_jump else 0.0)))
            if self.stop_at_s is not None and self.at_s >= self.stop_at_s and not stopped:
                stopped = True
                self.hear(StopRequested("a person"))
            if self.fail_at_s is not None and self.at_s >= self.fail_at_s:
                self.fail_at_s = None
                self.hear(Failed("the disk is full"))
            due = [entry for entry in self.later if entry[0] <= self.at_s]
            self.later = [entry for entry in self.later if entry[0] > self.at_s]
            for _, what in due:
                if isinstance(what, str):
                    self.take_hold(what)  # a late Apply lands in the world, whatever anybody has heard
                else:
                    self.hear(what)
            self.at_s += STEP_S
            # A proxy drops what nobody renews; containers have no lease.
            self.on -= {name for name, until_s in self.leased_until_s.items() if self.at_s > until_s}

    def take_hold(self, name: str) -> None:
        self.on.add(name)
        if self.run.plan.effect(name).kind != "container":
            self.leased_until_s[name] = self.at_s + self.run.plan.lease_s

    def hear(self, event) -> None:
        for out in self.run.step(event, self.at_s):
            self.perform(out)

    def answer(self, event, delay_s: float = STEP_S) -> None:
        self.later.append((self.at_s + delay_s, event))

    def perform(self, out) -> None:
        if isinstance(out, Query):
            self.questions.add(out.question)
        match out:
            case StateEntered(state=state, why=why):
                self.states.append(state)
                self.whys.append(why)
            case EffectLost(effect=name):
                self.lost.add(name)
            case Apply(effect=name):
                self.applies.append(name)
                self.apply(name, self.apply_fates.popleft() if self.apply_fates else "works")
            case Undo(effect=name, attempt=attempt):
                self.undo(name, attempt, self.undo_fates.popleft() if self.undo_fates else "works")
            case Renew(effect=name) if self.renew_error is not None:
                self.renewals += 1
                self.answer(Renewed(name, self.renew_error))
            case Renew(effect=name):
                lease = self.run.plan.effect(name).lease()
                for held in (one for one in self.leased_until_s if self.run.plan.effect(one).lease() == lease):
                    self.leased_until_s[held] = self.at_s + self.run.plan.lease_s
                self.answer(Renewed(name))
            case StartLoad():
                self.answer(LoadStarted())
            case StopLoad():
                self.answer(LoadStopped())
            case Collect(windows=windows):
                self.windows = {window.phase: window for window in windows}
                self.answer(Collected())
            case Query(question="probes", phase_s=phase_s) if self.query_works:
                self.answer(Observed(self.probes(phase_s)), STEP_S if self.read_before else self.first_reading_s)
                self.read_before = self.read_before or State.baseline in self.states
            case Query(question="alerts") if self.alerts_work:
                self.answer(Observed(AlertsRead(WALL + self.at_s, (), {})))
            case Query(question="proxy") if self.query_works:
                self.answer(Observed(self.proxy()))
            case Query(question=question):
                self.answer(QueryFailed(question, "nobody there"))
            case Finish():
                self.finished = True

    def apply(self, name: str, fate: Fate) -> None:
        wall = WALL + self.at_s
        match fate:
            case "works":
                self.take_hold(name)
                self.answer(Applied(name, wall))
            case "fails before effect":
                self.answer(ApplyFailed(name, "no"))
            case "fails after effect":
                self.take_hold(name)
                self.answer(ApplyFailed(name, "no"))
            case "never returns":
                pass
            case "never returns, takes hold":
                self.take_hold(name)
            case "lands late":  # the call ends, as every driver call does, before its time-out
                self.later.append((self.at_s + 6.0, name))
                self.answer(Applied(name, wall), 6.0)
            case "gets no answer, lands late":  # the driver's time-out is over, and the engine does it after all
                self.later.append((self.at_s + 10.0 + LATE_S, name))
                self.answer(ApplyFailed(name, "no answer", may_land=True), 10.0)
            case "gets no answer, thaws":  # a second after the first Undo that is answered
                self.thaws = name
                self.answer(ApplyFailed(name, "no answer", may_land=True), 10.0)
            case "lands after it was given up":  # a driver that does not keep its time-out
                self.later.append((self.at_s + APPLY_DEAD_S + 3.0, name))
                self.answer(Applied(name, wall), APPLY_DEAD_S + 3.0)

    def undo(self, name: str, attempt: int, fate: UndoFate) -> None:
        match fate:
            case "works":
                self.on.discard(name)
                self.answer(Undone(name, attempt, WALL + self.at_s))
                if self.thaws == name:
                    self.later.append((self.at_s + 1.0, name))
                    self.thaws = None
            case "fails":
                self.answer(UndoFailed(name, attempt, "no"))
            case "works, answer lost":
                self.on.discard(name)
            case "works slowly":  # longer than a call is waited for before the next is tried beside it
                self.on.discard(name)
                self.answer(Undone(name, attempt, WALL + self.at_s), UNDO_CALL_S + 2.0)
            case "never returns":
                pass

    def probes(self, phase_s: float | None) -> ProbesRead:
        wall = self.last_reading_wall_s = WALL + self.at_s + self.readings_ahead_s
        value = (0.80 if "fault-0@model" in self.on else self.accuracy,)
        if self.accuracy_after_undo and State.recovery in self.states:
            value = (self.accuracy_after_undo.popleft(),)
        readings = [ProbeReading("accuracy", "sliding", 30.0, wall, value, 500)]
        if phase_s is not None:
            readings.append(ProbeReading("accuracy", "phase", phase_s, wall, value, 500))
        return ProbesRead(tuple(readings))

    def proxy(self) -> ProxyRead:
        wall = WALL + self.at_s
        first = wall if "fault-0@model" in self.on else None
        fault = FaultTraffic(0, 5, 5, 5, first_effect_wall_s=first)
        return ProxyRead(
            "model", wall, "armed", ArmTraffic(10, 10, 0), ArmTraffic(90, 90, 0), faults=(fault,), untouched=50
        )


def world(plan=PLAN, **changes) -> World:
    return World(Run(plan), **changes)


def test_a_system_has_come_back_only_when_it_stays_back():
    seen = world(alerts_work=True, accuracy_after_undo=deque([0.93, 0.93, 0.93, 0.80, 0.93, 0.80]))
    seen.play()
    assert "the system has settled" in seen.whys
    assert not seen.accuracy_after_undo, "every reading that flapped was waited for"


@pytest.mark.parametrize("ahead_s", [0.0, 2.0])
def test_the_recovery_is_judged_no_earlier_than_at_the_reading_that_said_it_was_over(ahead_s):
    seen = world(readings_ahead_s=ahead_s)
    seen.play()
    assert seen.states[-2:] == [State.collect, State.ended]
    assert seen.windows["recovery"].end_wall_s >= seen.last_reading_wall_s


def test_a_quiet_run_walks_through_every_state_in_order():
    seen = world()
    seen.play()
    assert seen.states == [
        State.preflight, State.warmup, State.baseline, State.inject, State.undo, State.recovery, State.collect, State.ended,
    ]  # fmt: skip
    assert seen.finished
    assert seen.on == set()


def test_nothing_is_hurt_before_the_baseline_is_met():
    seen = world(accuracy=0.80)
    seen.play()
    assert State.inject not in seen.states
    assert seen.applies == ["hold@model"]
    assert seen.on == set()


def test_the_first_readings_of_a_short_baseline_are_waited_for():
    """A machine with much to do takes seconds for the first of them; that says nothing about the system."""
    seen = world(replace(PLAN, baseline_s=0.3), first_reading_s=6.0)
    seen.play()
    assert State.inject in seen.states


def test_what_the_load_counts_in_the_warm_up_is_no_part_of_what_arms_are_compared_by():
    early, usual = (Sample(second, WALL + second, 40.0, 40, 0, 0, 0.0) for second in (3, 9))
    read = [(sample.wall_s - WALL, Observed(LoadRead((sample,)))) for sample in (early, usual)]
    seen = world(replace(PLAN, arms_held=True), later=read)
    seen.play()
    assert seen.run.progress.arms.samples == [usual]


def test_under_fault_the_readings_of_the_baseline_are_what_it_was_and_no_answer_to_anything():
    seen = world()
    while State.inject not in seen.states:
        seen.hear(Ticked(WALL + seen.at_s))
        asked, seen.later = seen.later, []
        for _, event in asked if State.inject not in seen.states else ():
            seen.hear(event)
        seen.at_s += STEP_S
    assert seen.run.progress.phase == {}
    assert {title: reading.values for title, reading in seen.run.progress.baseline.items()} == {"accuracy": (0.93,)}


def test_a_baseline_without_data_is_not_met():
    seen = world(query_works=False)
    seen.play()
    assert State.inject not in seen.states
    assert "has no data" in " ".join(entered for entered in [seen.run.why]) or seen.finished


@pytest.mark.parametrize("stop_at_s", [0.0, 0.3, 3.0, 8.0, 15.5, 17.0, 30.0, 47.0])
def test_a_stop_at_any_moment_undoes_everything_and_ends_the_run(stop_at_s):
    seen = world(with_effects(HOLD, WRONG, KILL), stop_at_s=stop_at_s)
    seen.play()
    assert seen.finished
    assert seen.on == set()
    assert seen.at_s < stop_at_s + 10


def test_a_late_apply_is_undone_after_it_has_landed():
    seen = world(apply_fates=deque(["works", "lands late"]), stop_at_s=15.75)
    seen.play()
    assert seen.finished
    assert seen.on == set()


def test_an_apply_that_lands_after_it_was_given_up_for_dead_is_undone_even_in_the_recovery():
    brief = replace(KILL, duration_s=4.0)
    seen = world(with_effects(brief), apply_fates=deque(["lands after it was given up"]))
    seen.play()
    assert seen.finished
    assert seen.on == set()
    assert seen.lost == set()
    assert seen.at_s > APPLY_DEAD_S + 3.0, "it landed before the end"


def test_an_apply_that_got_no_answer_and_takes_hold_after_its_undo_is_undone_again():
    seen = world(with_effects(KILL), apply_fates=deque(["gets no answer, lands late"]))
    seen.play()
    assert seen.finished
    assert seen.on == set()
    assert "could not be applied" in " ".join(seen.whys)


def test_the_first_answer_of_a_server_that_was_frozen_is_not_the_last_word():
    """Its queue has the Apply in it, and the Undo that is answered first may overtake that."""
    seen = world(with_effects(KILL), apply_fates=deque(["gets no answer, thaws"]), undo_fates=deque(["fails"] * 26))
    seen.play()
    assert seen.finished
    assert seen.on == set()
    assert seen.lost == set()


def test_an_undo_that_succeeds_slowly_is_not_called_lost():
    seen = world(with_effects(KILL), undo_fates=deque(["works slowly"] * 50))
    seen.play()
    assert seen.finished
    assert seen.on == set()
    assert seen.lost == set()


def test_a_renewal_that_fails_is_tried_again_at_a_measured_pace_until_the_lease_is_over():
    seen = world(renew_error="404")
    seen.play()
    assert State.undo in seen.states
    assert "could not be renewed" in seen.whys[seen.states.index(State.undo)]
    assert 5 <= seen.renewals <= PLAN.lease_s / RENEW_AGAIN_S + 2


def test_real_users_without_a_load_are_watched_through_the_proxy_too():
    plan = replace(with_effects(WRONG), load=None, subjects="users")
    seen = world(plan)
    seen.play()
    assert "proxy" in seen.questions


def test_an_error_of_our_own_ends_the_run_and_is_nobodys_wish():
    seen = world(fail_at_s=20.0)
    seen.play()
    assert seen.finished
    assert seen.on == set()
    assert seen.run.stop_by is None
    assert State.recovery in seen.states


def test_an_apply_that_failed_may_have_taken_hold_and_is_undone():
    seen = world(apply_fates=deque(["works", "fails after effect"]))
    seen.play()
    assert seen.finished
    assert seen.on == set()
    assert "could not be applied" in next(iter([seen.run.why])) or State.ended in seen.states


def test_an_undo_that_always_fails_is_reported_with_the_command_to_do_it_by_hand():
    seen = world(with_effects(KILL), undo_fates=deque(["fails"] * 500))
    seen.play()
    assert seen.finished
    assert seen.lost == {"fault-1@replica-1"}


def test_a_proxy_that_is_gone_counts_as_undone_only_after_its_lease():
    seen = world(undo_fates=deque(["fails"] * 500))
    seen.play()
    assert seen.finished
    assert seen.lost == set()
    begun = seen.states.index(State.undo)
    assert begun
    assert seen.run.effects["fault-0@model"].undone


def test_effects_of_the_load_are_renewed_beside_those_of_the_proxies_and_undone_at_their_end():
    seen = world(with_effects(HOLD, DRIFT))
    seen.play()
    assert seen.finished
    assert (seen.on, seen.lost) == (set(), set())
    effect = seen.run.effects["fault-2@load"]
    assert effect.issued_at_s is not None
    assert effect.wanted_gone_since_s is not None
    lasted_s = effect.wanted_gone_since_s - effect.issued_at_s
    assert lasted_s >= DRIFT.duration_s > PLAN.lease_s, "longer than its lease"


def test_a_renewal_of_the_proxies_says_nothing_about_the_load():
    run = Run(with_effects(HOLD, DRIFT))
    for name in ("hold@model", "fault-2@load"):
        run.effects[name].issued_at_s = run.effects[name].renewed_at_s = 0.0
    run.step(Renewed("hold@model"), 5.0)
    assert (run.effects["hold@model"].renewed_at_s, run.effects["fault-2@load"].renewed_at_s) == (5.0, 0.0)
    run.step(Renewed("fault-2@load"), 6.0)
    assert (run.effects["hold@model"].renewed_at_s, run.effects["fault-2@load"].renewed_at_s) == (5.0, 6.0)


def test_a_run_that_holds_no_proxy_asks_none():
    seen = world(with_effects(DRIFT))
    seen.play()
    assert seen.finished
    assert "load" in seen.questions
    assert "proxy" not in seen.questions


def test_effects_end_by_themselves_after_their_duration():
    seen = world(with_effects(HOLD, WRONG))
    seen.play()
    assert seen.run.progress.removed_wall_s is not None
    issued = seen.run.effects["fault-0@model"].issued_at_s
    assert issued is not None
    assert seen.run.progress.removed_wall_s - WALL - issued <= WRONG.duration_s + 3


def test_a_dead_apply_call_is_waited_for_no_longer_than_its_time_out():
    seen = world(apply_fates=deque(["works", "never returns, takes hold"]), stop_at_s=16.0)
    seen.play()
    assert seen.finished
    assert seen.on == set()
    assert seen.at_s < 16 + APPLY_DEAD_S + 10


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
@pytest.mark.parametrize("state", [state for state in State if state is not State.ended])
def test_a_wall_clock_that_jumps_changes_neither_what_is_undone_nor_when(state, jump_s):
    plan = with_effects(HOLD, WRONG, KILL)
    steady, jumping = world(plan), world(plan, wall_jump=(state, jump_s))
    steady.play()
    jumping.play()
    assert jumping.finished
    assert jumping.on == set()
    assert jumping.lost == set()
    assert (jumping.states, jumping.at_s) == (steady.states, steady.at_s)


fates: st.SearchStrategy[Fate] = st.sampled_from(
    [
        "works",
        "fails before effect",
        "fails after effect",
        "never returns",
        "never returns, takes hold",
        "lands late",
        "gets no answer, lands late",
    ]
)
undo_fates: st.SearchStrategy[UndoFate] = st.sampled_from(
    ["works", "fails", "never returns", "works, answer lost", "works slowly"]
)


@settings(max_examples=300, deadline=None)
@given(
    applies=st.lists(fates, max_size=4),
    undos=st.lists(undo_fates, max_size=12),
    stop_at_s=st.one_of(st.none(), st.floats(0, 60)),
    queries=st.booleans(),
    effects=st.sampled_from([(HOLD, WRONG), (HOLD, WRONG, KILL), (HOLD, DRIFT), (DRIFT, KILL)]),
)
def test_whatever_fails_and_whenever_every_effect_is_undone(applies, undos, stop_at_s, queries, effects):
    """Fates are drawn for every Apply and Undo; the oracle is the world's state. Nothing on, or named as lost."""
    plan = with_effects(*effects)
    seen = world(plan, apply_fates=deque(applies), undo_fates=deque(undos), stop_at_s=stop_at_s, query_works=queries)
    seen.play()
    assert seen.finished
    assert seen.on <= seen.lost
    assert not seen.later or all(not isinstance(what, str) for _, what in seen.later)


def test_every_state_can_be_left_and_every_stop_leads_to_an_undo():
    for state in State:
        if state is not State.ended:
            assert any(source is state for source, _ in TRANSITIONS)
    for state in (State.preflight, State.warmup, State.baseline, State.inject):
        assert TRANSITIONS[state, Trigger.stopped] is State.undo


def test_the_picture_has_every_transition_of_the_table():
    drawn = picture()
    assert drawn.count("-->") == len(TRANSITIONS) + 2
