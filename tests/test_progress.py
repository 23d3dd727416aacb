"""What a run has seen so far: what ends the baseline, the fault, the recovery, and the run at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.exposure import ArmSample, Sample, Touched
from chaos.observation import (
    AlertSeen,
    AlertsRead,
    ArmTraffic,
    Delivered,
    DeliveriesRead,
    FaultTraffic,
    LoadRead,
    ProbeReading,
    ProbesRead,
    ProxyRead,
    RoutedRead,
)
from chaos.plans import PlannedEffect, PlannedGuard
from chaos.progress import Progress, broken_bound, carries, enough, values_of
from tests.worlds import ACCURACY, ALERT, DRIFT, PLAN, with_effects

WALL = 1_000.0
LABELS = {"alertname": "ModelAccuracyLow", "severity": "page", "service": "loan"}
NAN = float("nan")
NOTHING = ArmTraffic()
GUARD = PlannedGuard(
    "accuracy (min 80%)", replace(ACCURACY, title="guard:accuracy", minimum="80%", steady=False), for_s=5.0
)


def reading(*values: float, count: float | None = 400.0, scope: str = "phase", probe: str = "accuracy") -> ProbesRead:
    return ProbesRead((ProbeReading(probe, scope, 30.0, WALL, values, count),))  # type: ignore[arg-type]


def alerts(
    *names: str, state: str = "firing", active_at: float = WALL + 5, labels: dict[str, str] = LABELS
) -> AlertsRead:
    seen = tuple(AlertSeen(name, {**labels, "alertname": name}, state, active_at) for name in names)  # type: ignore[arg-type]
    return AlertsRead(WALL + 6, seen)


def told(
    status: str, *, at: float = WALL + 7, receiver: str = "oncall", labels: dict[str, str] = LABELS
) -> DeliveriesRead:
    return DeliveriesRead((Delivered(receiver, at, status, "f", labels, at),))  # type: ignore[arg-type]


def proxies(control: ArmTraffic = NOTHING, *, untouched: int = 0, first_effect: float | None = None) -> ProxyRead:
    faults = (FaultTraffic(0, 1, 1, 1, first_effect_wall_s=first_effect),)
    return ProxyRead("model", WALL, "armed", control=control, faults=faults, untouched=untouched)


def after(*seen: object, plan=PLAN) -> Progress:
    progress = Progress(plan)
    for at_s, one in enumerate(seen):
        progress.learn(one, float(at_s))  # type: ignore[arg-type]
    return progress


# --- bounds and missing data ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minimum", "maximum", "value", "baseline", "why"),
    [
        ("88%", None, 0.88, None, None),
        ("88%", None, 0.8799, None, "below 88%"),
        ("88%", None, NAN, None, "below 88%"),
        (None, "250ms", 0.25, None, None),
        (None, "250ms", 0.251, None, "above 250ms"),
        (None, "250ms", NAN, None, "above 250ms"),
        (None, "2x baseline", 0.5, 0.2, "above 2x baseline"),
        (None, "2x baseline", 0.4, 0.2, None),
        (None, "2x baseline", 99.0, None, None),
        ("1.0", "3.0", 2.0, None, None),
        ("1.0", "3.0", 0.5, None, "below 1"),
        (None, None, 7.0, None, None),
    ],
)
def test_a_bound_is_met_up_to_itself(
    minimum: str | None, maximum: str | None, value: float, baseline: float | None, why: str | None
):  # fmt: skip
    assert broken_bound(replace(ACCURACY, minimum=minimum, maximum=maximum), value, baseline) == why


def test_no_data_is_missing_or_zero_by_the_probes_own_rule():
    for nothing in ((), (NAN,), (NAN, NAN)):
        assert values_of(ACCURACY, reading(*nothing).readings[0]) == ()
        assert values_of(replace(ACCURACY, when_missing="zero"), reading(*nothing).readings[0]) == (0.0,)
    assert values_of(ACCURACY, reading(0.9, NAN, 0.8).readings[0]) == (0.9, 0.8)


@pytest.mark.parametrize(("count", "is_enough"), [(30.0, True), (29.9, False), (None, False), (NAN, False)])
def test_a_reading_rests_on_enough_events_or_says_nothing(count: float | None, *, is_enough: bool):
    assert enough(ACCURACY, reading(0.9, count=count).readings[0]) is is_enough
    assert enough(replace(ACCURACY, needs=0), reading(0.9, count=count).readings[0])


def test_labels_carry_all_of_the_wanted_ones():
    assert carries(LABELS, {})
    assert carries(LABELS, {"severity": "page"})
    assert not carries(LABELS, {"severity": "ticket"})
    assert not carries(LABELS, {"team": "page"})


# --- the baseline -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "problem"),
    [
        ((reading(0.93),), None),
        ((), "accuracy has no data"),
        ((reading(NAN),), "accuracy has no data"),
        ((reading(0.93, scope="sliding"),), "accuracy has no data"),
        ((reading(0.93, count=12.0),), "accuracy rests on 12 events and needs 30"),
        ((reading(0.93, count=None),), "accuracy rests on 0 events and needs 30"),
        ((reading(0.85),), "accuracy is 0.85, below 88%"),
        ((reading(0.93, 0.7),), "accuracy is 0.7, below 88%"),
        ((reading(0.93, NAN),), "accuracy has no data for one of its series"),
        ((reading(0.93), alerts("ModelAccuracyLow", state="pending")), "ModelAccuracyLow is already pending"),
        ((reading(0.93), alerts("ModelAccuracyLow"), AlertsRead(WALL, ())), None),
        ((reading(0.93), alerts("DiskFull")), None),
    ],
)
def test_a_baseline_is_met_on_enough_good_data_and_silent_alerts(seen: tuple, problem: str | None):
    assert after(*seen).baseline_problems() == ([problem] if problem else [])


def test_only_what_is_judged_before_keeps_a_baseline_from_being_met():
    later = replace(PLAN, probes=(replace(ACCURACY, judged=("during", "after")),))
    assert after(reading(0.5), plan=later).baseline_problems() == []
    assert not after(plan=later).unread()
    assert after().unread()


def test_each_series_is_a_multiple_of_its_own_baseline():
    twice = replace(ACCURACY, minimum=None, maximum="2x baseline")
    labels = ({"group": "a"}, {"group": "b"})

    def seen(*values: float) -> ProbesRead:
        return ProbesRead((ProbeReading("accuracy", "phase", 30.0, WALL, values, 400.0, labels),))

    progress = after(seen(0.1, 0.4), plan=replace(PLAN, probes=(twice,)))
    assert progress.baseline_problems() == []
    progress.learn(seen(0.15, 0.7), 1.0)
    assert not progress.harmed("accuracy")
    progress.learn(seen(0.25, 0.7), 2.0)
    assert progress.harmed("accuracy")


def test_an_alert_with_a_firing_and_a_pending_instance_is_firing():
    mixed = AlertsRead(WALL, (*alerts("A").alerts, *alerts("A", state="pending").alerts))
    assert after(mixed).active == {"A": "firing"}


# --- under fault ------------------------------------------------------------------------------------------------------

EVERYTHING = (proxies(first_effect=WALL), reading(0.80), alerts("ModelAccuracyLow"), told("firing"))


def test_a_fault_may_end_when_the_harm_is_seen_and_the_receiver_is_told():
    assert after(*EVERYTHING).decided()
    assert after(*EVERYTHING).waiting_for() == []


@pytest.mark.parametrize(
    ("missing", "waits"),
    [
        (0, ["the first effect"]),
        (1, ["accuracy to leave its bound"]),
        (2, ["ModelAccuracyLow to fire"]),
        (3, ["ModelAccuracyLow to reach oncall"]),
    ],
)
def test_a_fault_goes_on_while_anything_is_open(missing: int, waits: list[str]):
    progress = after(*EVERYTHING[:missing], *EVERYTHING[missing + 1 :])
    assert not progress.decided()
    assert progress.waiting_for() == waits


def test_what_happened_before_the_first_effect_answers_nothing():
    early = after(
        proxies(first_effect=WALL),
        reading(0.80),
        alerts("ModelAccuracyLow", active_at=WALL - 30),
        told("firing", at=WALL - 20),
    )
    assert early.waiting_for() == ["ModelAccuracyLow to fire"]


def test_an_alert_of_other_labels_or_another_receiver_answers_nothing():
    assert not after(
        *EVERYTHING[:2], alerts("ModelAccuracyLow", labels={"severity": "ticket"}), EVERYTHING[3]
    ).decided()
    assert not after(*EVERYTHING[:3], told("firing", receiver="tickets")).decided()


def test_a_harm_on_too_few_events_is_open():
    assert not after(EVERYTHING[0], reading(0.5, count=3.0), *EVERYTHING[2:]).decided()


def counted(at: float, wrong: int) -> LoadRead:
    """One second in which so many of twenty answers of the treatment arm were wrong, and one of the control arm's."""
    arms = {
        "treatment": ArmSample(first=20, labelled=20, wrong=wrong),
        "control": ArmSample(first=20, labelled=20, wrong=1),
    }
    return LoadRead((Sample(int(at), WALL + at, 40.0, 40, 0, 0, 0.0, arms),))


HELD = replace(PLAN, arms_held=True)
ANSWERED = (proxies(first_effect=WALL + 4), alerts("ModelAccuracyLow"), reading(0.8), told("firing"))


def test_arms_that_are_asked_to_hold_keep_a_fault_on_until_they_are_told_apart_or_alike():
    few, many = [counted(5 + at, wrong=8) for at in range(1)], [counted(5 + at, wrong=8) for at in range(6)]
    assert after(*ANSWERED, *few, plan=PLAN).decided(), "nobody asked"
    waiting = after(*ANSWERED, *few, plan=HELD)
    assert not waiting.decided()
    assert waiting.waiting_for() == ["treatment and control to be told apart, or alike, in mistakes"]
    for seen in many[1:]:
        waiting.learn(seen, 9.0)
    assert waiting.decided()
    assert waiting.waiting_for() == []


def test_what_the_arms_did_before_the_first_effect_answers_nothing_even_where_the_effect_is_told_of_late():
    early = [counted(-2 - at, wrong=8) for at in range(6)]
    assert not after(*early, *ANSWERED, plan=HELD).decided()
    same_seconds_after = [counted(5 + at, wrong=8) for at in range(6)]
    assert after(*same_seconds_after, *ANSWERED, plan=HELD).decided(), "samples came before the look at the proxies"


def test_slow_requests_are_slow_by_the_baseline_and_not_by_the_warm_up():
    latency = replace(ACCURACY, title="latency", signal="latency")
    plan = replace(PLAN, arms_held=True, probes=(latency,), harms=())

    def taking(at: float, treatment: int, control: int) -> LoadRead:
        arms = {
            name: ArmSample(first=20, latency_le={"0.1": fast, "1": 20})
            for name, fast in (("treatment", treatment), ("control", control))
        }
        return LoadRead((Sample(1, WALL + at, 40.0, 40, 0, 0, 0.0, arms),))

    for baseline_begins in (True, False):
        progress = after(taking(0, 0, 0), plan=plan)
        if baseline_begins:
            progress.arms.baseline_begins()
        seen = [taking(at, 20, 20) for at in (1, 2, 3)] + [taking(5 + at, 5, 20) for at in range(5)]
        for one in (*seen, *ANSWERED):
            progress.learn(one, 9.0)
        assert progress.decided() is baseline_begins


def test_a_plan_in_which_nothing_can_be_decided_under_fault_runs_its_time():
    assert not after(*EVERYTHING, plan=replace(PLAN, alerts=())).decided(), "a harm that was seen, and nothing else"
    assert not after(*EVERYTHING, plan=replace(PLAN, alerts=(), harms=())).decided()


ARMS_ALONE = replace(PLAN, arms_held=True, alerts=(), harms=())


def test_a_fault_of_which_only_the_arms_are_asked_ends_when_they_are_told_apart():
    told_apart = [counted(5 + at, wrong=8) for at in range(6)]
    assert not after(proxies(first_effect=WALL + 4), told_apart[0], plan=ARMS_ALONE).decided()
    assert after(proxies(first_effect=WALL + 4), *told_apart, plan=ARMS_ALONE).decided()


def test_it_goes_on_for_a_harm_that_is_asked_for_too_and_never_for_what_holds():
    told_apart = [counted(5 + at, wrong=8) for at in range(6)]
    harmed = replace(ARMS_ALONE, harms=("accuracy",))
    assert not after(proxies(first_effect=WALL + 4), *told_apart, plan=harmed).decided()
    assert after(proxies(first_effect=WALL + 4), *told_apart, reading(0.8), plan=harmed).decided()
    holding = replace(ARMS_ALONE, holds=("accuracy",))
    assert after(proxies(first_effect=WALL + 4), *told_apart, plan=holding).decided(), "nobody is hurt longer for it"


@pytest.mark.parametrize(
    "more",
    [
        replace(DRIFT, start_s=10.0),
        replace(DRIFT, fault_json='{"fault":"concept_drift","target":"model","duration":"30s","shape":"ramp 20s"}'),
    ],
)
def test_arms_do_not_end_faults_that_begin_later_or_grow(more: PlannedEffect):
    """They may have been told apart, or alike, before it had done anything."""
    later = replace(ARMS_ALONE, effects=(*PLAN.effects, more))
    told_apart = [counted(5 + at, wrong=8) for at in range(6)]
    assert not after(proxies(first_effect=WALL + 4), *told_apart, plan=later).decided()
    assert after(
        proxies(first_effect=WALL + 4), *told_apart, plan=replace(later, effects=(*PLAN.effects, DRIFT))
    ).decided()


def test_without_a_receiver_firing_decides():
    assert after(*EVERYTHING[:3], plan=replace(PLAN, alerts=(replace(ALERT, delivered_to=None),))).decided()


def test_the_first_effect_is_the_earliest_that_anybody_saw():
    assert after(proxies(first_effect=WALL + 3), proxies(first_effect=WALL), proxies()).first_effect_wall_s == WALL


def test_the_load_is_counted_up():
    seconds = LoadRead(tuple(Sample(second, WALL, 40.0, 40, 0, 0, 0.0) for second in range(3)))
    assert after(seconds, RoutedRead(WALL, ()), seconds).sent == 240


# --- recovery ---------------------------------------------------------------------------------------------------------

SETTLED = (
    *EVERYTHING,
    reading(0.93, scope="sliding"),
    AlertsRead(WALL + 20, ()),
    told("resolved", at=WALL + 20),
    proxies(untouched=20),
)


def test_a_system_has_settled_when_everything_is_back():
    assert after(*SETTLED).unsettled() == []


@pytest.mark.parametrize(
    ("missing", "instead", "waits"),
    [
        (4, reading(0.80, scope="sliding"), "accuracy to be back within its bound"),
        (4, reading(NAN, scope="sliding"), "accuracy to be back within its bound"),
        (5, alerts("ModelAccuracyLow"), "ModelAccuracyLow to resolve"),
        (6, told("resolved", at=WALL + 20, receiver="tickets"), "oncall to hear that ModelAccuracyLow is resolved"),
        (7, proxies(untouched=19), "20 untouched treatment requests at model (19 so far)"),
    ],
)
def test_a_recovery_waits_for_what_is_not_back(missing: int, instead: object, waits: str):
    assert after(*SETTLED[:missing], instead, *SETTLED[missing + 1 :]).unsettled() == [waits]


def second(sent: int, *, deeds: int = 0) -> LoadRead:
    faults = {"2": Touched(shifted=deeds, first_wall_s=WALL + 3, last_wall_s=WALL + 3)} if deeds else {}
    arms = {"treatment": ArmSample(sent, faults=faults), "control": ArmSample(90)}
    return LoadRead((Sample(1, WALL, 100, 90 + sent, 0, 0, 0.0, arms),))


def test_the_first_deed_of_the_loads_own_fault_is_the_first_effect():
    progress = after(second(10), plan=with_effects(DRIFT))
    assert progress.first_effect_wall_s is None
    progress.learn(second(10, deeds=1), 1.0)
    assert progress.first_effect_wall_s == WALL + 3


def test_a_recovery_waits_for_requests_that_the_load_sent_untouched_after_its_last_deed():
    progress = after(second(30, deeds=1), second(12), plan=with_effects(DRIFT))
    assert "20 untouched treatment requests of the load (12 so far)" in progress.unsettled()
    progress.learn(second(8), 2.0)
    assert not any("untouched" in one for one in progress.unsettled())
    progress.learn(second(8, deeds=1), 3.0)
    assert "20 untouched treatment requests of the load (0 so far)" in progress.unsettled()


# --- guards -----------------------------------------------------------------------------------------------------------

GUARDED = replace(PLAN, guards=(GUARD,))


def guard_course(*values: float | None, step_s: float = 1.0, plan=GUARDED) -> list[float]:
    """When the guard was breached, in seconds, with these readings a second apart; None is no reading at all."""
    progress, since, breached = Progress(plan), {}, []
    for number, value in enumerate(values):
        at_s = number * step_s
        if value is not None:
            progress.learn(reading(value, scope="sliding", probe="guard:accuracy"), at_s)
        if progress.breached(at_s, since) is not None:
            breached.append(at_s)
    return breached


def test_a_guard_is_breached_when_its_bound_is_broken_for_as_long_as_it_allows():
    assert guard_course(*[0.93] * 3, *[0.5] * 8) == [8.0, 9.0, 10.0]
    assert guard_course(*[0.5] * 5, 0.93, *[0.5] * 5) == []


def test_a_guard_without_allowance_is_breached_at_once():
    plan = replace(PLAN, guards=(replace(GUARD, for_s=0.0),))
    assert guard_course(0.93, 0.5, 0.93, plan=plan) == [1.0]


@pytest.mark.parametrize(("for_s", "evaluation_s", "blind_s"), [(5.0, 1.0, 5.0), (0.0, 1.0, 3.0), (0.0, 4.0, 12.0)])
@pytest.mark.parametrize("nothing", [None, NAN], ids=["no answer", "no data"])
def test_a_guard_that_cannot_be_read_for_the_longer_of_its_for_and_three_evaluations_is_breached(
    for_s: float, evaluation_s: float, blind_s: float, nothing: float | None
):  # fmt: skip
    plan = replace(PLAN, guards=(replace(GUARD, for_s=for_s),), evaluation_s=evaluation_s)
    never = guard_course(*[nothing] * 20, plan=plan)
    assert never[0] == blind_s
    later = guard_course(0.93, *[nothing] * 20, plan=plan)
    # Without an answer the last reading says when it was last read; without data the first empty one does.
    assert later[0] == pytest.approx(blind_s, abs=1.0)


def test_one_reading_without_data_neither_breaches_a_guard_nor_forgives_it():
    assert guard_course(*[0.5] * 3, NAN, *[0.5] * 3) == [5.0, 6.0]
    plan = replace(PLAN, guards=(replace(GUARD, for_s=0.0),))
    assert guard_course(0.93, NAN, 0.93, plan=plan) == []


def test_a_breached_guard_says_what_it_reads():
    progress, since = Progress(replace(PLAN, guards=(replace(GUARD, for_s=0.0),))), {}
    progress.learn(reading(0.5, scope="sliding", probe="guard:accuracy"), 0.0)
    assert progress.breached(0.0, since) == ("accuracy (min 80%)", "it reads 0.5, below 80%")


def test_harm_that_the_arms_prove_ends_the_run():
    worse = PlannedGuard("mistakes of treatment (worse than 2x control)", compared="wrong", worse_than=2.0)
    told_apart = [counted(5 + at, wrong=16) for at in range(6)]
    progress = after(*told_apart, plan=replace(PLAN, guards=(worse,)))
    assert progress.breached(9.0, {}) is None, "nothing was hurt yet"
    progress.learn(proxies(first_effect=WALL + 4), 9.0)
    broken = progress.breached(9.0, {})
    assert broken is not None
    assert broken[0] == worse.title
    assert "share of mistakes" in broken[1]


def test_an_unexpected_alert_with_the_guards_labels_ends_the_run():
    plan = replace(PLAN, guards=(PlannedGuard("any unexpected page", alert={"severity": "page"}),))
    assert after(alerts("DiskFull"), plan=plan).breached(0.0, {}) == (
        "any unexpected page",
        "DiskFull fires and nobody expected it",
    )
    for harmless in (
        alerts("ModelAccuracyLow"),
        alerts("DiskFull", state="pending"),
        alerts("DiskFull", labels={"severity": "ticket", "service": "loan"}),
        alerts("DiskFull", labels={"severity": "page", "service": "someone-elses"}),
    ):
        assert after(harmless, plan=plan).breached(0.0, {}) is None


def test_the_proxies_own_guard_breaks_when_half_of_the_control_arm_fails():
    calm = ArmTraffic(100, 100, 0)
    assert after(proxies(calm), proxies(ArmTraffic(120, 120, 10))).breached(0.0, {}) == (
        "control arm at model", "10 of 20 control requests failed",
    )  # fmt: skip
    assert after(proxies(calm), proxies(ArmTraffic(120, 120, 9))).breached(0.0, {}) is None
    assert after(proxies(calm), proxies(ArmTraffic(119, 119, 19))).breached(0.0, {}) is None  # too few to tell
    assert after(proxies(ArmTraffic(100, 100, 90)), *[proxies(ArmTraffic(200, 200, 90))] * 6).breached(0.0, {}) is None


def test_an_alert_that_only_its_sink_knows_is_decided_by_what_the_sink_hears():
    sink = replace(PLAN, alerts=(replace(ALERT, via="sink"),), harms=())
    assert not after(proxies(first_effect=WALL), plan=sink).decided()
    assert after(proxies(first_effect=WALL), plan=sink).waiting_for() == ["ModelAccuracyLow to reach oncall"]
    assert after(proxies(first_effect=WALL), told("firing"), plan=sink).decided()


@pytest.mark.parametrize(("judged", "waits"), [(("before",), False), (("after",), True), (("eventually",), True)])
def test_a_recovery_waits_only_for_bounds_that_are_judged_after_it_began(judged: tuple[str, ...], waits: bool):
    plan = replace(PLAN, probes=(replace(ACCURACY, judged=judged),))
    unsettled = after(reading(0.5, scope="sliding"), plan=plan).unsettled()
    assert ("accuracy to be back within its bound" in unsettled) is waits


def test_an_alert_that_flaps_is_settled_only_when_the_receiver_was_told_last_that_it_is_resolved():
    seen = Progress(PLAN)
    seen.effect_seen(WALL)

    def hears(*told: tuple[float, str]) -> bool:
        seen.learn(
            DeliveriesRead(tuple(Delivered("oncall", WALL + at, status, "one", LABELS, WALL) for at, status in told)),
            0.0,
        )
        return any("to hear that" in what for what in seen.unsettled())

    assert hears((5, "firing"))
    assert not hears((9, "resolved"))
    assert hears((12, "firing"))
    assert not hears((15, "resolved"))


def test_what_the_receiver_hears_of_an_instance_with_other_labels_decides_and_settles_nothing():
    other = {**LABELS, "severity": "ticket"}
    sink = replace(PLAN, alerts=(replace(ALERT, via="sink", labels={"severity": "page"}),), harms=())
    assert after(proxies(first_effect=WALL), told("firing"), plan=sink).decided()
    assert not after(proxies(first_effect=WALL), told("firing", labels=other), plan=sink).decided()
    waits = "oncall to hear that ModelAccuracyLow is resolved"
    assert waits in after(proxies(first_effect=WALL), told("firing"), plan=sink).unsettled()
    assert waits not in after(proxies(first_effect=WALL), told("firing", labels=other), plan=sink).unsettled()


def test_an_alert_that_tells_by_silence_is_on_all_the_time_and_decides_nothing_early():
    plan = replace(PLAN, alerts=(replace(ALERT, via="silence", silent_for_s=20.0),), harms=(), probes=())
    always = after(proxies(first_effect=WALL), alerts(ALERT.alert), told("firing"), plan=plan)
    assert always.baseline_problems() == []
    assert not always.decided()
    assert always.waiting_for() == ["oncall to hear no more of ModelAccuracyLow"]
    assert not [what for what in always.unsettled() if "ModelAccuracyLow" in what]
