"""The questions that a run asks phase by phase: what ends the baseline, the fault and the recovery."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.exposure import ArmSample, Sample
from chaos.observation import AlertsRead, Delivered, DeliveriesRead, LoadRead, ProbeReading, ProbesRead
from chaos.plans import PlannedEffect
from chaos.progress import Progress
from chaos.progress.questions import baseline_problems, decided, harmed, unread, unsettled, waiting_for
from tests.progress.observations import (
    EVERYTHING,
    LABELS,
    NAN,
    WALL,
    after,
    alerts,
    counted,
    proxies,
    reading,
    second,
    told,
)
from tests.worlds import ACCURACY, ALERT, DRIFT, PLAN, with_effects

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
    assert baseline_problems(after(*seen)) == ([problem] if problem else [])


def test_only_what_is_judged_before_keeps_a_baseline_from_being_met():
    later = replace(PLAN, probes=(replace(ACCURACY, judged=("during", "after")),))
    assert baseline_problems(after(reading(0.5), plan=later)) == []
    assert not unread(after(plan=later))
    assert unread(after())


def test_each_series_is_a_multiple_of_its_own_baseline():
    twice = replace(ACCURACY, minimum=None, maximum="2x baseline")
    labels = ({"group": "a"}, {"group": "b"})

    def seen(*values: float) -> ProbesRead:
        return ProbesRead((ProbeReading("accuracy", "phase", 30.0, WALL, values, 400.0, labels),))

    progress = after(seen(0.1, 0.4), plan=replace(PLAN, probes=(twice,)))
    assert baseline_problems(progress) == []
    progress.keep_baseline()
    progress.learn(seen(0.15, 0.7), 1.0)
    assert not harmed(progress, "accuracy")
    progress.learn(seen(0.25, 0.7), 2.0)
    assert harmed(progress, "accuracy")


# --- under fault ------------------------------------------------------------------------------------------------------


def test_a_fault_may_end_when_the_harm_is_seen_and_the_receiver_is_told():
    assert decided(after(*EVERYTHING))
    assert waiting_for(after(*EVERYTHING)) == []


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
    assert not decided(progress)
    assert waiting_for(progress) == waits


def test_what_happened_before_the_first_effect_answers_nothing():
    early = after(
        proxies(first_effect=WALL),
        reading(0.80),
        alerts("ModelAccuracyLow", active_at=WALL - 30),
        told("firing", at=WALL - 20),
    )
    assert waiting_for(early) == ["ModelAccuracyLow to fire"]


def test_an_alert_of_other_labels_or_another_receiver_answers_nothing():
    assert not decided(after(*EVERYTHING[:2], alerts("ModelAccuracyLow", labels={"severity": "ticket"}), EVERYTHING[3]))
    assert not decided(after(*EVERYTHING[:3], told("firing", receiver="tickets")))


def test_a_harm_on_too_few_events_is_open():
    assert not decided(after(EVERYTHING[0], reading(0.5, count=3.0), *EVERYTHING[2:]))


HELD = replace(PLAN, arms_held=True)
ANSWERED = (proxies(first_effect=WALL + 4), alerts("ModelAccuracyLow"), reading(0.8), told("firing"))


def test_arms_that_are_asked_to_hold_keep_a_fault_on_until_they_are_told_apart_or_alike():
    few, many = [counted(5 + at, wrong=8) for at in range(1)], [counted(5 + at, wrong=8) for at in range(6)]
    assert decided(after(*ANSWERED, *few, plan=PLAN)), "nobody asked"
    waiting = after(*ANSWERED, *few, plan=HELD)
    assert not decided(waiting)
    assert waiting_for(waiting) == ["treatment and control to be told apart, or alike, in mistakes"]
    for seen in many[1:]:
        waiting.learn(seen, 9.0)
    assert decided(waiting)
    assert waiting_for(waiting) == []


def test_what_the_arms_did_before_the_first_effect_answers_nothing_even_where_the_effect_is_told_of_late():
    early = [counted(-2 - at, wrong=8) for at in range(6)]
    assert not decided(after(*early, *ANSWERED, plan=HELD))
    same_seconds_after = [counted(5 + at, wrong=8) for at in range(6)]
    assert decided(after(*same_seconds_after, *ANSWERED, plan=HELD)), "samples came before the look at the proxies"


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
        assert decided(progress) is baseline_begins


def test_a_plan_in_which_nothing_can_be_decided_under_fault_runs_its_time():
    assert not decided(after(*EVERYTHING, plan=replace(PLAN, alerts=()))), "a harm that was seen, and nothing else"
    assert not decided(after(*EVERYTHING, plan=replace(PLAN, alerts=(), harms=())))


ARMS_ALONE = replace(PLAN, arms_held=True, alerts=(), harms=())


def test_a_fault_of_which_only_the_arms_are_asked_ends_when_they_are_told_apart():
    told_apart = [counted(5 + at, wrong=8) for at in range(6)]
    assert not decided(after(proxies(first_effect=WALL + 4), told_apart[0], plan=ARMS_ALONE))
    assert decided(after(proxies(first_effect=WALL + 4), *told_apart, plan=ARMS_ALONE))


def test_it_goes_on_for_a_harm_that_is_asked_for_too_and_never_for_what_holds():
    told_apart = [counted(5 + at, wrong=8) for at in range(6)]
    harmed = replace(ARMS_ALONE, harms=("accuracy",))
    assert not decided(after(proxies(first_effect=WALL + 4), *told_apart, plan=harmed))
    assert decided(after(proxies(first_effect=WALL + 4), *told_apart, reading(0.8), plan=harmed))
    holding = replace(ARMS_ALONE, holds=("accuracy",))
    assert decided(after(proxies(first_effect=WALL + 4), *told_apart, plan=holding)), "nobody is hurt longer for it"


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
    assert not decided(after(proxies(first_effect=WALL + 4), *told_apart, plan=later))
    assert decided(
        after(proxies(first_effect=WALL + 4), *told_apart, plan=replace(later, effects=(*PLAN.effects, DRIFT)))
    )


def test_without_a_receiver_firing_decides():
    assert decided(after(*EVERYTHING[:3], plan=replace(PLAN, alerts=(replace(ALERT, delivered_to=None),))))


def test_an_alert_that_only_its_sink_knows_is_decided_by_what_the_sink_hears():
    sink = replace(PLAN, alerts=(replace(ALERT, via="sink"),), harms=())
    assert not decided(after(proxies(first_effect=WALL), plan=sink))
    assert waiting_for(after(proxies(first_effect=WALL), plan=sink)) == ["ModelAccuracyLow to reach oncall"]
    assert decided(after(proxies(first_effect=WALL), told("firing"), plan=sink))


# --- recovery ---------------------------------------------------------------------------------------------------------

SETTLED = (
    *EVERYTHING,
    reading(0.93, scope="sliding"),
    AlertsRead(WALL + 20, ()),
    told("resolved", at=WALL + 20),
    proxies(untouched=20),
)


def test_a_system_has_settled_when_everything_is_back():
    assert unsettled(after(*SETTLED)) == []


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
    assert unsettled(after(*SETTLED[:missing], instead, *SETTLED[missing + 1 :])) == [waits]


def test_a_recovery_waits_for_requests_that_the_load_sent_untouched_after_its_last_deed():
    progress = after(second(30, deeds=1), second(12), plan=with_effects(DRIFT))
    assert "20 untouched treatment requests of the load (12 so far)" in unsettled(progress)
    progress.learn(second(8), 2.0)
    assert not any("untouched" in one for one in unsettled(progress))
    progress.learn(second(8, deeds=1), 3.0)
    assert "20 untouched treatment requests of the load (0 so far)" in unsettled(progress)


@pytest.mark.parametrize(("judged", "waits"), [(("before",), False), (("after",), True), (("eventually",), True)])
def test_a_recovery_waits_only_for_bounds_that_are_judged_after_it_began(judged: tuple[str, ...], waits: bool):
    plan = replace(PLAN, probes=(replace(ACCURACY, judged=judged),))
    waiting = unsettled(after(reading(0.5, scope="sliding"), plan=plan))
    assert ("accuracy to be back within its bound" in waiting) is waits


def test_an_alert_that_flaps_is_settled_only_when_the_receiver_was_told_last_that_it_is_resolved():
    seen = Progress(PLAN)
    seen.effect_seen(WALL)

    def hears(*told: tuple[float, str]) -> bool:
        seen.learn(
            DeliveriesRead(tuple(Delivered("oncall", WALL + at, status, "one", LABELS, WALL) for at, status in told)),
            0.0,
        )
        return any("to hear that" in what for what in unsettled(seen))

    assert hears((5, "firing"))
    assert not hears((9, "resolved"))
    assert hears((12, "firing"))
    assert not hears((15, "resolved"))


def test_what_the_receiver_hears_of_an_instance_with_other_labels_decides_and_settles_nothing():
    other = {**LABELS, "severity": "ticket"}
    sink = replace(PLAN, alerts=(replace(ALERT, via="sink", labels={"severity": "page"}),), harms=())
    assert decided(after(proxies(first_effect=WALL), told("firing"), plan=sink))
    assert not decided(after(proxies(first_effect=WALL), told("firing", labels=other), plan=sink))
    waits = "oncall to hear that ModelAccuracyLow is resolved"
    assert waits in unsettled(after(proxies(first_effect=WALL), told("firing"), plan=sink))
    assert waits not in unsettled(after(proxies(first_effect=WALL), told("firing", labels=other), plan=sink))


def test_an_alert_that_tells_by_silence_is_on_all_the_time_and_decides_nothing_early():
    plan = replace(PLAN, alerts=(replace(ALERT, via="silence", silent_for_s=20.0),), harms=(), probes=())
    always = after(proxies(first_effect=WALL), alerts(ALERT.alert), told("firing"), plan=plan)
    assert baseline_problems(always) == []
    assert not decided(always)
    assert waiting_for(always) == ["oncall to hear no more of ModelAccuracyLow"]
    assert not [what for what in unsettled(always) if "ModelAccuracyLow" in what]
