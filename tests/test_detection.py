"""Staged detection: each outcome from hand-made histories, with exact times, and laws over generated ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.detection import FAILURE, AlertHistory, Detection, Gate, Times, detect
from chaos.observation import AlertSeen, AlertsRead, Delivered, RoutedAlert, RoutedRead, SeriesRead
from tests.worlds import ALERT

EFFECT = 1_000.0
TIMES = Times(baseline=970.0, effect=EFFECT, removal=1_030.0, end=1_100.0, scrape_s=1.0, evaluation_s=1.0)
LABELS = {"alertname": "ModelAccuracyLow", "severity": "page", "instance": "a"}
UNTOLD = replace(ALERT, delivered_to=None)


def read(samples: Iterable[tuple[float, float]], labels: dict[str, str] | None = None) -> SeriesRead:
    """The left side of a rule."""
    return SeriesRead("signal:ModelAccuracyLow", "accuracy", labels or {}, tuple(samples))


def signal(low_from: float | None, low_until: float = 1_030.0, *, low: float = 0.80) -> SeriesRead:
    """A rule's left side once a second: 0.94 with a little noise, and `low` for a while."""
    return read(
        (float(at), low if low_from is not None and low_from <= at < low_until else 0.94 + 0.001 * (at % 3))
        for at in range(970, 1_100)
    )


def looks(begin: float, end: float, *seen: AlertsRead) -> tuple[AlertsRead, ...]:
    """A look at Prometheus in each second, all of which show nothing, but for those that were `seen`."""
    quiet = (AlertsRead(begin + 0.4 + step, ()) for step in range(int(end - begin)))
    taken = {int(one.at_wall_s) for one in seen}
    return (*seen, *(one for one in quiet if int(one.at_wall_s) not in taken))


def held(begin: float, end: float) -> tuple[RoutedRead, ...]:
    """A look at Alertmanager in each second, which holds nothing."""
    return tuple(RoutedRead(begin + 0.6 + step, ()) for step in range(int(end - begin)))


def alerts(begin: float, end: float) -> tuple[tuple[float, float], ...]:
    """Samples of ALERTS, one per evaluation."""
    return tuple((begin + step, 1.0) for step in range(int(end - begin)))


def polled(at: float, state: str, active_at: float, labels: dict[str, str] = LABELS) -> AlertsRead:
    return AlertsRead(at, (AlertSeen(labels["alertname"], labels, state, active_at, 0.8),))  # type: ignore[arg-type]


def routed(at: float, state: str = "active", starts: float = 1_008.5, **why: tuple[str, ...]) -> RoutedRead:
    return RoutedRead(at, (RoutedAlert("f1", LABELS, state, starts, receivers=("oncall",), **why),))


def told(at: float, status: str = "firing", receiver: str = "oncall", fingerprint: str = "f1") -> Delivered:
    return Delivered(receiver, at, status, fingerprint, LABELS, at)  # type: ignore[arg-type]


WELL = AlertHistory(
    signal=(signal(1_002.0),),
    pending=(alerts(1_003.5, 1_008.5),),
    firing=(alerts(1_008.5, 1_035.5),),
    polled=looks(
        970.0,
        1_100.0,
        *(polled(at + 0.4, "pending", 1_003.5) for at in range(1_004, 1_009)),
        *(polled(at + 0.4, "firing", 1_003.5) for at in range(1_009, 1_036)),
    ),
    routed=(routed(1_009.25),),
    deliveries=(told(1_010.0), told(1_037.0, "resolved")),
)
"""Low from 2 s after the effect, pending at 3.5 s, firing at 8.5 s, told at 10 s, resolved 7 s after the removal."""


def found(history: AlertHistory = WELL, alert=ALERT, times: Times = TIMES) -> Detection:
    return detect(alert, history, times)


def stage_times(detection: Detection) -> dict[str, float | None]:
    return {stage.gate.value: stage.after_s for stage in detection.stages}


# --- told -------------------------------------------------------------------------------------------------------------


def test_a_detected_alert_has_the_time_and_the_error_of_every_stage():
    detection = found()
    assert (detection.outcome, detection.failed_gate) == ("detected", None)
    assert stage_times(detection) == {
        "signal": 2.0, "pending": 3.5, "firing": 8.5, "active": 9.25, "delivered": 10.0, "reset": 7.0,
    }  # fmt: skip
    errors = {stage.gate.value: stage.error_s for stage in detection.stages}
    assert errors == {"signal": 2.0, "pending": 1.0, "firing": 1.0, "active": 1.0, "delivered": 0.1, "reset": 1.0}
    assert (detection.told_after_s, detection.resolved_after_s, detection.within_s) == (10.0, 7.0, 60.0)
    assert detection.explanation == "told after 10.0s"


def test_without_a_wanted_receiver_firing_is_telling():
    detection = found(replace(WELL, routed=(), deliveries=()), UNTOLD)
    assert (detection.outcome, detection.told_after_s) == ("detected", 8.5)
    assert stage_times(detection)["reset"] == 5.5  # the last sample at 34.5, and one evaluation


@pytest.mark.parametrize(("within_s", "outcome"), [(10.0, "detected"), (9.9, "late"), (None, "detected")])
def test_late_begins_right_after_the_time_asked_for(within_s: float | None, outcome: str):
    detection = found(alert=replace(ALERT, within_s=within_s))
    assert detection.outcome == outcome
    assert (detection.failed_gate, detection.told_after_s) == (None, 10.0)


def test_the_first_of_several_notifications_counts():
    detection = found(replace(WELL, deliveries=(told(1_020.0), told(1_010.0), told(1_037.0, "resolved"))))
    assert detection.told_after_s == 10.0


# --- the first gate that failed ---------------------------------------------------------------------------------------

SILENT = AlertHistory(signal=(signal(None),), polled=looks(970.0, 1_100.0))
UNDETECTED: dict[str, tuple[AlertHistory, Gate]] = {
    "the signal never left its band": (SILENT, Gate.signal),
    "it never crossed the threshold": (replace(SILENT, signal=(signal(1_002.0, low=0.89),)), Gate.pending),
    "`for` was never over": (
        replace(SILENT, signal=(signal(1_002.0, 1_005.0),), pending=(alerts(1_003.5, 1_006.5),)), Gate.firing,
    ),
}  # fmt: skip


@pytest.mark.parametrize("why", UNDETECTED)
@pytest.mark.parametrize("alert", [ALERT, UNTOLD], ids=["with receiver", "without"])
def test_an_undetected_fault_names_the_first_gate_that_failed(why: str, alert):
    history, gate = UNDETECTED[why]
    detection = found(history, alert)
    assert (detection.outcome, detection.failed_gate, detection.explanation) == ("undetected", gate, FAILURE[gate])
    assert (detection.told_after_s, detection.resolved_after_s) == (None, None)


def test_a_signal_that_moved_away_from_the_threshold_has_not_moved_towards_it():
    risen = replace(SILENT, signal=(signal(1_002.0, low=0.99),))
    assert found(risen).failed_gate is Gate.signal
    assert found(risen, replace(ALERT, operator=">")).failed_gate is Gate.pending


UNDELIVERED: dict[str, tuple[AlertHistory, Gate, str]] = {
    "not sent": (replace(WELL, routed=held(1_000.0, 1_040.0), deliveries=()), Gate.active, "silenced, or not sent"),
    "silenced": (
        replace(WELL, routed=(routed(1_009.0, "suppressed", silenced_by=("s-17",)),), deliveries=()), Gate.active, "silenced by silence s-17",
    ),
    "inhibited": (
        replace(WELL, routed=(routed(1_009.0, "suppressed", inhibited_by=("f9",)),), deliveries=()), Gate.active, "inhibited by f9",
    ),
    "not delivered": (replace(WELL, deliveries=()), Gate.delivered, "delivery failed"),
    "routed elsewhere": (replace(WELL, deliveries=(told(1_010.0, receiver="tickets"),)), Gate.delivered, "routed elsewhere"),
}  # fmt: skip


@pytest.mark.parametrize("why", UNDELIVERED)
def test_an_alert_that_fired_and_reached_nobody_is_undelivered_and_says_where_it_stuck(why: str):
    history, gate, says = UNDELIVERED[why]
    detection = found(history)
    assert (detection.outcome, detection.failed_gate) == ("undelivered", gate)
    assert says in detection.explanation
    assert stage_times(detection)["firing"] == 8.5


def test_another_alerts_silence_explains_nothing():
    elsewhere = RoutedAlert("f2", {**LABELS, "severity": "ticket"}, "suppressed", 1_008.5, ("s-17",))
    history = replace(WELL, routed=(RoutedRead(1_009.0, (elsewhere,)),), deliveries=())
    assert "s-17" not in found(history).explanation


def test_an_alert_with_other_labels_is_not_the_expected_one():
    ticket = {**LABELS, "severity": "ticket"}
    history = replace(
        SILENT, polled=looks(970.0, 1_100.0, polled(1_009.4, "firing", 1_003.5, ticket)),
        deliveries=(Delivered("oncall", 1_010.0, "firing", "f2", ticket, 1_010.0),),
    )  # fmt: skip
    detection = found(history)
    assert (detection.outcome, detection.failed_gate) == ("wrong_alert", Gate.signal)
    assert (
        'ModelAccuracyLow{severity="ticket"} (active 3.5s after the first effect) fired instead'
        in detection.explanation
    )


def test_a_sink_that_nobody_could_ask_is_not_observed():
    assert found(replace(WELL, deliveries=(), sink_asked_wall_s=1_020.0)).outcome == "not_observed"


# --- resolved or not --------------------------------------------------------------------------------------------------


def test_an_alert_that_never_resolves_is_unresolved():
    detection = found(replace(WELL, deliveries=(told(1_010.0),)))
    assert (detection.outcome, detection.failed_gate, detection.resolved_after_s) == ("unresolved", Gate.reset, None)


@pytest.mark.parametrize(("asked_s", "outcome"), [(7.0, "detected"), (6.9, "unresolved"), (None, "detected")])
def test_unresolved_begins_right_after_the_time_asked_for(asked_s: float | None, outcome: str):
    assert found(alert=replace(ALERT, resolved_within_s=asked_s)).outcome == outcome


def test_a_resolve_is_open_while_it_was_not_watched_for_long_enough():
    detection = found(replace(WELL, deliveries=(told(1_010.0),)), times=replace(TIMES, end=1_040.0))
    assert (detection.outcome, detection.resolved_after_s) == ("undecided", None)
    assert "watched for 10s" in detection.explanation


def test_a_resolve_is_open_while_the_fault_was_never_removed():
    detection = found(times=replace(TIMES, removal=None))
    assert (detection.outcome, detection.resolved_after_s) == ("undecided", None)


def test_every_instance_that_was_told_must_resolve():
    two = (told(1_010.0), told(1_011.0, fingerprint="f2"), told(1_037.0, "resolved"))
    assert found(replace(WELL, deliveries=two)).outcome == "unresolved"
    both = (*two, told(1_050.0, "resolved", fingerprint="f2"))
    assert found(replace(WELL, deliveries=both)).resolved_after_s == 20.0


def test_an_alert_that_came_back_after_its_resolve_is_not_resolved():
    again = (*WELL.deliveries, told(1_045.0))
    assert found(replace(WELL, deliveries=again)).outcome == "unresolved"


def test_a_resolve_that_another_receiver_got_says_nothing():
    assert (
        found(replace(WELL, deliveries=(told(1_010.0), told(1_037.0, "resolved", "tickets")))).outcome == "unresolved"
    )


# --- not the fault's doing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "history",
    [
        replace(WELL, polled=(polled(1_002.0, "firing", 985.0),)),
        replace(WELL, polled=(polled(1_002.0, "pending", 998.0),)),
        replace(WELL, firing=(alerts(980.5, 1_035.5),), polled=()),
        replace(WELL, firing=(alerts(980.5, 985.5), alerts(1_008.5, 1_035.5)), polled=()),
    ],
    ids=["firing since the baseline", "pending since before", "by its samples", "fired and went again"],
)
def test_an_alert_that_was_on_before_the_first_effect_makes_the_run_invalid(history: AlertHistory):
    detection = found(history)
    assert (detection.outcome, detection.failed_gate, detection.told_after_s) == ("invalid", Gate.alive, None)
    assert "before the first effect" in detection.explanation


def test_a_pending_that_was_over_before_the_first_effect_says_nothing():
    assert found(replace(WELL, polled=(polled(985.0, "pending", 984.5), *WELL.polled))).outcome == "detected"


def test_a_rule_that_cannot_be_evaluated_is_nobodys_miss():
    detection = found(replace(SILENT, unhealthy="many-to-many matching not allowed"))
    assert (detection.outcome, detection.failed_gate) == ("invalid", Gate.alive)
    assert "many-to-many matching not allowed" in detection.explanation


def test_a_prometheus_that_did_not_answer_is_nobodys_miss():
    assert (found(replace(SILENT, looked=False)).outcome, found(SILENT).outcome) == ("invalid", "undetected")


@pytest.mark.parametrize(("on_s", "outcome"), [(7.9, "undecided"), (8.0, "undetected")])
def test_a_fault_shorter_than_anybody_can_notice_proves_nothing(on_s: float, outcome: str):
    assert found(SILENT, times=replace(TIMES, removal=EFFECT + on_s)).outcome == outcome
    assert found(SILENT, times=replace(TIMES, removal=None, end=EFFECT + on_s)).outcome == outcome


def test_what_was_told_before_the_first_effect_was_told_by_something_else():
    earlier = (told(960.0), told(965.0, "resolved"))
    assert found(replace(SILENT, deliveries=earlier)).outcome == "undetected"


# --- laws over generated histories ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Truth:
    """What really happened, in seconds after the effect; and how the watchers' clocks lie."""

    crossing: float
    for_s: float
    evaluation_s: float
    phase: float
    sent_after: float
    group_wait: float
    look_phase: float
    resolves_after: float

    def pending(self) -> float:
        """The first evaluation at or after the crossing."""
        late = (self.crossing - self.phase) % self.evaluation_s
        return self.crossing + (self.evaluation_s - late if late > 0 else 0.0)

    def firing(self) -> float:
        """The first evaluation at which `for` is over."""
        evaluations = -(-self.for_s // self.evaluation_s)
        return self.pending() + evaluations * self.evaluation_s

    def history(self) -> AlertHistory:
        pending, firing, step = EFFECT + self.pending(), EFFECT + self.firing(), self.evaluation_s
        resolved = 1_500.0 + self.resolves_after
        samples = tuple((firing + n * step, 1.0) for n in range(int((resolved - firing) / step) + 1))
        waiting = tuple((pending + n * step, 1.0) for n in range(round(self.for_s / step)))
        looks = [EFFECT - 20 + self.look_phase + n for n in range(700)]
        active, delivered = firing + self.sent_after, firing + self.sent_after + self.group_wait
        return AlertHistory(
            signal=(
                read((EFFECT - 30 + n, 0.94 if EFFECT - 30 + n < EFFECT + self.crossing else 0.8) for n in range(720)),
            ),
            pending=(waiting,),
            firing=(samples,),
            polled=tuple(
                polled(at, "pending" if at < firing else "firing", pending)
                if pending <= at < resolved
                else AlertsRead(at, ())
                for at in looks
            ),
            routed=tuple(routed(at, starts=firing) if active <= at < resolved else RoutedRead(at, ()) for at in looks),
            deliveries=(told(delivered), told(resolved, "resolved")),
        )


truths = st.builds(
    Truth,
    crossing=st.floats(0.0, 100.0),
    for_s=st.sampled_from([0.0, 1.0, 5.0, 30.0, 60.0]),
    evaluation_s=st.sampled_from([0.5, 1.0, 5.0, 15.0]),
    phase=st.floats(0.0, 15.0),
    sent_after=st.floats(0.0, 2.0),
    group_wait=st.floats(0.0, 10.0),
    look_phase=st.floats(0.0, 1.0),
    resolves_after=st.floats(0.0, 60.0),
)


def times_of(truth: Truth) -> Times:
    return Times(EFFECT - 30, EFFECT, 1_500.0, 1_700.0, 1.0, truth.evaluation_s)


@settings(max_examples=60, deadline=None)
@given(truths)
def test_every_stage_lies_within_its_stated_error_of_the_truth(truth: Truth):
    detection = detect(replace(ALERT, within_s=None), truth.history(), times_of(truth))
    assert detection.outcome == "detected", detection.explanation
    at = stage_times(detection)
    assert at["pending"] == pytest.approx(truth.pending(), abs=1e-6)
    assert truth.crossing - 1e-6 <= at["pending"] <= truth.crossing + truth.evaluation_s + 1e-6
    assert at["firing"] == pytest.approx(truth.firing(), abs=1e-6)
    assert at["delivered"] == pytest.approx(truth.firing() + truth.sent_after + truth.group_wait, abs=1e-6)
    assert truth.firing() - 1e-6 <= at["active"] <= truth.firing() + truth.sent_after + 1.0 + 1e-6
    assert at["reset"] == pytest.approx(truth.resolves_after, abs=1e-6)


maybe = st.none() | st.floats(0.0, 60.0)


@settings(max_examples=150, deadline=None)
@given(st.tuples(maybe, maybe, maybe, maybe, maybe, maybe), st.sampled_from([ALERT, UNTOLD]))
def test_stage_times_never_decrease_and_never_precede_the_effect(moments: tuple[float | None, ...], alert):
    """Whatever the sources say, in whatever order."""
    low_from, pending, firing, looked, delivered, resolved = moments
    history = AlertHistory(
        signal=(signal(None if low_from is None else EFFECT + low_from),),
        pending=() if pending is None else (alerts(EFFECT + pending, EFFECT + pending + 3),),
        firing=() if firing is None else (alerts(EFFECT + firing, EFFECT + firing + 9),),
        polled=looks(970.0, 1_100.0, *(() if looked is None else (polled(EFFECT + looked, "firing", EFFECT - 0.5),))),
        routed=() if looked is None else (routed(EFFECT + looked),),
        deliveries=tuple(
            told(EFFECT + at, status)
            for at, status in ((delivered, "firing"), (resolved, "resolved"))
            if at is not None
        ),
    )
    detection = found(history, alert)
    passed = [stage.after_s for stage in detection.stages if stage.gate is not Gate.reset and stage.after_s is not None]
    assert passed == sorted(passed)
    assert all(after >= 0.0 for after in passed)
    reset = detection.stage(Gate.reset).after_s
    assert reset is None or reset >= 0.0
    if detection.outcome in ("detected", "late", "unresolved"):
        assert detection.told_after_s is not None
    if detection.failed_gate not in (None, Gate.reset, Gate.alive):
        assert detection.stage(detection.failed_gate).at_wall_s is None
