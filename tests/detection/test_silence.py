"""A dead man's switch: silence tells, as far as somebody listened, and only where there was something to hear before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.detection import AlertHistory, Detection, Gate
from chaos.observation import Delivered
from tests.test_detection import TIMES, found
from tests.worlds import ALERT

EVERY_S = 5.0
LABELS = {"alertname": ALERT.alert, **ALERT.labels}
SWITCH = replace(
    ALERT,
    via="silence",
    silent_for_s=12.0,
    delivered_to="oncall",
    within_s=20.0,
    resolved_within_s=None,
    left=None,
    expr="",
)


def beats(first: float, last: float, **other: object) -> list[Delivered]:
    """A notification every five seconds, in seconds after the effect."""
    one = Delivered("oncall", 0.0, "firing", "w", LABELS, 0.0)
    count = int((last - first) / EVERY_S) + 1
    return [
        replace(one, received_at_wall_s=TIMES.effect + first + place * EVERY_S, **other)  # type: ignore[arg-type]
        for place in range(count)
    ]


BEFORE = beats(-23.0, -3.0)
BACK = beats(TIMES.until - TIMES.effect + 2.0, TIMES.until - TIMES.effect + 30.0)


def heard(*deliveries: Delivered, asked: float = TIMES.end, alert=SWITCH) -> Detection:
    return found(AlertHistory(deliveries=deliveries, sink_asked_wall_s=asked), alert)


def test_a_silence_tells_so_long_after_the_last_word() -> None:
    detection = heard(*BEFORE, *BACK)
    assert (detection.outcome, detection.failed_gate) == ("detected", None)
    assert detection.told_after_s == pytest.approx(12.0 - 3.0)
    assert detection.stage(Gate.firing).at_wall_s is None
    assert detection.stage(Gate.firing).source.startswith("not observed")


def test_a_receiver_that_goes_on_hearing_it_is_not_told() -> None:
    detection = heard(*beats(-23.0, TIMES.end - TIMES.effect))
    assert (detection.outcome, detection.failed_gate) == ("undetected", Gate.delivered)


def test_the_words_of_another_receiver_instance_or_end_break_no_silence() -> None:
    at = {"first": 2.0, "last": TIMES.until - TIMES.effect}
    for other in ({"receiver": "audit"}, {"labels": {**LABELS, "severity": "other"}}, {"status": "resolved"}):
        assert heard(*BEFORE, *beats(**at, **other)).outcome == "detected"  # type: ignore[arg-type]


def test_what_was_not_heard_before_or_was_silent_before_says_nothing() -> None:
    assert heard().outcome == "invalid"
    assert "did not hear it" in heard().explanation
    silent = heard(*beats(-29.0, -20.0), *BACK)
    assert (silent.outcome, silent.failed_gate) == ("invalid", Gate.alive)
    assert "write a longer `silent_for:`" in silent.explanation


def test_a_sink_that_nobody_asked_is_not_silent() -> None:
    assert heard(*BEFORE, asked=TIMES.effect + 2.0).outcome == "not_observed"


def test_a_silence_that_comes_too_late_is_late_and_a_fault_that_was_too_short_leaves_it_open() -> None:
    assert heard(*BEFORE, *beats(2.0, 7.0), alert=replace(SWITCH, within_s=15.0)).outcome == "late"
    long = replace(SWITCH, silent_for_s=TIMES.until - TIMES.effect + 1.0)
    assert heard(*beats(-200.0, TIMES.end - TIMES.effect), alert=long).outcome == "undecided"


def test_it_has_resolved_when_it_is_heard_again() -> None:
    asked = replace(SWITCH, resolved_within_s=5.0)
    detection = heard(*BEFORE, *BACK, alert=asked)
    assert detection.outcome == "detected"
    assert detection.resolved_after_s == pytest.approx(2.0)
    assert heard(*BEFORE, alert=asked).outcome == "unresolved"


def test_a_silence_that_began_after_the_fault_was_gone_is_not_its_doing() -> None:
    assert heard(*beats(-23.0, TIMES.until - TIMES.effect + 5.0)).outcome == "undetected"


WATCHED = [TIMES.effect - 40.0 + second for second in range(round(TIMES.end - TIMES.effect) + 40)]


def watched(beats: list[Delivered], looks: list[float], alert=SWITCH) -> Detection:
    """What is known where the sink answered at these moments alone, and what it would have said at others is lost."""
    said = [one for one in beats if any(look - 1.0 < one.received_at_wall_s <= look for look in looks)]
    history = AlertHistory(
        deliveries=said, sink_asked_wall_s=max(looks, default=float("-inf")), sink_looks=tuple(looks)
    )
    return found(history, alert)


def test_a_look_that_is_lost_makes_no_silence() -> None:
    heard_all_along = beats(-23.0, TIMES.end - TIMES.effect)
    assert watched(heard_all_along, WATCHED).outcome == "undetected"
    lost = [look for look in WATCHED if not TIMES.effect + 5.0 < look < TIMES.effect + 20.0]
    detection = watched(heard_all_along, lost)
    assert detection.outcome == "not_observed"
    assert "did not answer often enough" in detection.explanation
    assert watched([*BEFORE, *BACK], WATCHED).outcome == "detected"


@pytest.mark.parametrize("every_s", [13.0, 20.0, 28.0, 40.0])
@pytest.mark.parametrize("offset_s", [0.0, 3.0, 6.0, 9.0, 12.0])
def test_a_switch_that_is_silent_by_itself_tells_of_nothing(every_s: float, offset_s: float) -> None:
    one = beats(0.0, 0.0)[0]
    steady = [
        replace(one, received_at_wall_s=TIMES.effect - 200.0 + offset_s + place * every_s)
        for place in range(int(400 / every_s))
    ]
    assert heard(*steady).outcome == "invalid"


def test_one_word_in_the_baseline_says_nothing_of_how_often_it_comes() -> None:
    once = heard(*beats(-5.0, -5.0), *BACK)
    assert (once.outcome, once.failed_gate) == ("invalid", Gate.alive)
    assert "less than twice in the baseline" in once.explanation


@pytest.mark.parametrize("lost", [False, True])
def test_silence_counts_from_the_baseline_on_whether_an_earlier_word_was_heard_or_lost(lost: bool) -> None:
    earlier = [] if lost else beats(-35.0, -35.0)
    assert heard(*earlier, *BEFORE, *BACK).outcome == "detected"
    late = beats(-17.0, -2.0)  # the baseline is thirty seconds long, and thirteen of them were silent
    assert heard(*earlier, *late, *BACK).outcome == "invalid"


@given(
    st.lists(st.integers(-35, round(TIMES.end - TIMES.effect)), max_size=30),
    st.lists(st.tuples(st.integers(0, len(WATCHED)), st.integers(1, 20)), max_size=5),
    st.sampled_from([None, 8.0, 20.0]),
)
def test_what_is_lost_never_improves_what_is_told(
    at: list[int], spans: list[tuple[int, int]], within: float | None
) -> None:
    alert = replace(SWITCH, within_s=within)
    one = Delivered("oncall", 0.0, "firing", "w", LABELS, 0.0)
    said = [replace(one, received_at_wall_s=TIMES.effect + moment) for moment in (-23, -13, -3, *at)]
    lost = {look for begin, count in spans for look in WATCHED[begin : begin + count]}
    if watched(said, [look for look in WATCHED if look not in lost], alert).outcome == "detected":
        assert watched(said, WATCHED, alert).outcome == "detected"
