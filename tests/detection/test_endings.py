"""What is resolved has not always recovered: when an end counts, from hand-made histories."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.detection import Gate
from chaos.observation import AlertsRead, RuleClock
from tests.test_detection import LABELS, SILENT, TIMES, UNTOLD, WELL, alerts, found, looks, polled, read, signal, told
from tests.worlds import ALERT

UNASKED = replace(ALERT, resolved_within_s=None)
FIRING = [polled(at + 0.4, "firing", 1_003.5) for at in range(1_009, 1_036)]


def until(last: float, value: float = 0.8) -> tuple[tuple[float, float], ...]:
    """Samples of the signal, which ends at `last`."""
    return tuple((float(at), value if at >= 1_002 else 0.94 + 0.001 * (at % 3)) for at in range(970, int(last)))


def test_an_end_whose_signal_is_gone_proves_nothing() -> None:
    detection = found(replace(WELL, signal=(read(until(1_036)),)))
    assert (detection.outcome, detection.resolved_after_s) == ("undecided", None)
    assert "because what its rule reads was gone, not because it was good again" in detection.explanation


def test_not_a_number_is_no_reading_either() -> None:
    nothing = tuple((float(at), float("nan")) for at in range(1_036, 1_100))
    assert found(replace(WELL, signal=(read((*until(1_036), *nothing)),))).outcome == "undecided"


def test_an_alert_whose_end_nobody_asked_for_is_detected_and_its_end_is_told_all_the_same() -> None:
    detection = found(replace(WELL, signal=(read(until(1_036)),)), UNASKED)
    assert (detection.outcome, detection.resolved_after_s) == ("detected", None)
    assert "not because it was good again" in detection.explanation


def test_a_signal_that_comes_back_later_ends_it_then() -> None:
    back = tuple((float(at), 0.94) for at in range(1_050, 1_100))
    detection = found(replace(WELL, signal=(read((*until(1_036), *back)),)))
    assert (detection.outcome, detection.resolved_after_s) == ("detected", 20.0)
    assert "that came back later" in detection.explanation


def test_the_instances_own_series_counts_and_not_a_healthy_neighbours() -> None:
    gone, other = read(until(1_036), {"instance": "a"}), read(until(1_100, 0.94), {"instance": "b"})
    assert found(replace(WELL, signal=(gone, other))).outcome == "undecided"
    again = read(((float(at), 0.94) for at in range(1_045, 1_100)), {"instance": "c"})
    assert found(replace(WELL, signal=(gone, other, again))).resolved_after_s == 15.0
    assert found(replace(WELL, signal=(read(until(1_036), {"instance": "b"}), signal(1_002.0)))).outcome == "detected"


def test_what_is_there_only_while_something_is_wrong_is_gone_when_all_is_well() -> None:
    only = tuple((float(at), 1.0) for at in range(1_002, 1_036))
    assert found(replace(WELL, signal=(read(only),)), replace(ALERT, operator=">")).resolved_after_s == 7.0


def test_a_signal_that_was_never_read_says_nothing_against_the_end() -> None:
    assert found(replace(WELL, signal=())).resolved_after_s == 7.0


def test_an_end_before_the_removal_is_told_apart() -> None:
    early = replace(
        WELL,
        deliveries=(told(1_010.0), told(1_020.0, "resolved")),
        firing=(alerts(1_008.5, 1_019.5),),
        polled=looks(970.0, 1_100.0, *FIRING[:10]),
    )
    detection = found(early)
    assert (detection.outcome, detection.resolved_after_s) == ("detected", 0.0)
    assert detection.explanation.endswith("it had ended 10s before the fault was gone")


def test_a_resolve_that_no_look_confirms_is_open() -> None:
    """As when Prometheus dies while it fires: nobody sees the end, and Alertmanager tells one."""
    silent = [one for one in WELL.polled if one.at_wall_s < 1_035.0]
    detection = found(replace(WELL, polled=silent))
    assert (detection.outcome, detection.resolved_after_s) == ("undecided", None)
    assert "no look at Prometheus shows that it had ended" in detection.explanation


def test_a_prometheus_that_comes_back_has_the_last_word_on_the_end() -> None:
    silent = [one for one in WELL.polled if not 1_035.5 < one.at_wall_s < 1_060.0]
    detection = found(replace(WELL, polled=silent))
    assert detection.resolved_after_s == pytest.approx(1_060.4 - 1_030.0)
    assert "before Prometheus, which was silent, could know it" in detection.explanation


def test_a_few_looks_that_are_lost_make_no_end_later() -> None:
    slow = [one for one in WELL.polled if not 1_035.5 < one.at_wall_s < 1_045.0]
    assert found(replace(WELL, polled=slow)).resolved_after_s == 7.0


def test_an_alert_that_went_on_after_it_was_told_to_be_over_ended_when_it_did() -> None:
    on = [polled(at + 0.4, "firing", 1_003.5) for at in range(1_009, 1_045)]
    detection = found(replace(WELL, polled=looks(970.0, 1_100.0, *on), firing=(alerts(1_008.5, 1_045.5),)))
    assert detection.resolved_after_s == pytest.approx(1_045.5 - 1_030.0, abs=1.0)
    assert "before it ended in Prometheus" in detection.explanation


def test_a_look_while_the_evaluation_that_ends_it_is_under_way_makes_its_end_no_later() -> None:
    """Evaluations are at the half of each second; the look comes 5 ms after the one that ends it, and still has what the last one left."""

    def known(seen: AlertsRead) -> AlertsRead:
        return replace(seen, evaluated={"ModelAccuracyLow": RuleClock((seen.at_wall_s - 0.51) // 1 + 0.5, 1.0)})

    on = [polled(at + 0.4, "firing", 1_003.5) for at in range(1_009, 1_036)]
    late = polled(1_036.505, "firing", 1_003.5)
    seen = tuple(known(one) for one in looks(970.0, 1_100.0, *on, late))
    history = replace(WELL, polled=seen, firing=(alerts(1_008.5, 1_036.5),), deliveries=(), routed=())
    end = found(history, UNTOLD).stage(Gate.reset)
    assert end.at_wall_s == pytest.approx(1_036.5)
    assert found(replace(history, polled=tuple(replace(one, evaluated=None) for one in seen)), UNTOLD).stage(
        Gate.reset
    ).at_wall_s == pytest.approx(1_037.505)  # who does not know when it was evaluated can only go by the look


def test_a_prometheus_that_has_not_evaluated_since_knows_of_no_end() -> None:
    def restarted(seen: AlertsRead) -> AlertsRead:
        return replace(
            seen, evaluated={"ModelAccuracyLow": RuleClock(0.0 if seen.at_wall_s > 1_036 else seen.at_wall_s, 1.0)}
        )

    detection = found(replace(WELL, polled=tuple(restarted(seen) for seen in WELL.polled)))
    assert (detection.outcome, detection.resolved_after_s) == ("undecided", None)


def test_without_a_receiver_a_prometheus_that_died_makes_no_end() -> None:
    silent = [one for one in WELL.polled if one.at_wall_s < 1_035.0]
    history = replace(WELL, polled=silent, deliveries=(), routed=())
    assert found(history, UNTOLD).stage(Gate.reset).at_wall_s is None


def test_a_resolve_after_the_sink_was_last_asked_is_open() -> None:
    detection = found(replace(WELL, deliveries=(told(1_010.0),), sink_asked_wall_s=1_050.0))
    assert (detection.outcome, detection.failed_gate) == ("undecided", None)
    assert "watched for 22s" in detection.explanation


def test_the_last_second_before_the_end_need_not_have_been_asked_for() -> None:
    """The journal's last line is younger than the last look at the sink."""
    history = replace(WELL, deliveries=(told(1_010.0),), sink_asked_wall_s=1_089.0)
    assert found(history, times=replace(TIMES, end=1_090.0)).outcome == "unresolved"
    silent = replace(WELL, deliveries=(), sink_asked_wall_s=1_029.0)
    assert found(silent, times=replace(TIMES, end=1_030.0)).outcome == "undelivered"
    assert found(silent).outcome == "not_observed"


def test_what_never_fired_never_ends() -> None:
    assert found(SILENT).stage(Gate.reset).at_wall_s is None
    assert LABELS["alertname"] == ALERT.alert
    assert TIMES.removal is not None
