"""Scenarios side by side in virtual time: none knows of another, and each sample is where a scrape would have put it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.rehearsal.alteration import Alteration, Course, Played, play
from chaos.rehearsal.of_runs import measured
from chaos.rehearsal.timeline import WEEK_S, Timeline, openmetrics, series_text, timeline
from tests.rehearsal.telemetry import START_S, grown, recording, series

COURSE = Course(warmup=5, baseline=5, fault=10, recovery=5)


def alteration() -> Alteration:
    errors: list[float | None] = [None] * 20 + [float(place) for place in range(1, 11)] + [10.0] * 10
    found = [
        series("n_total", grown([10] * 40)), series("errors_total", errors, code="500"),
        series("at_seconds", [START_S + second - 7 for second in range(40)], "gauge"),
    ]  # fmt: skip
    return measured(recording(found, 40, effect_s=19.5, removal_s=29.5))


def line(found: Alteration, count: int, window_s: float = 30.0, evaluation_s: float = 1.0, *more_s: float) -> Timeline:
    return timeline(
        found,
        COURSE,
        count,
        window_s=window_s,
        evaluation_s=evaluation_s,
        evaluated_wall_s=START_S + 0.4,
        intervals_s=more_s,
    )


def samples(found: Alteration, made: Timeline, played: list[Played]) -> dict[str, list[tuple[float, float]]]:
    by: dict[str, list[tuple[float, float]]] = {}
    *rows, end = "".join(openmetrics(found, made, played)).splitlines()
    assert end == "# EOF"
    for text in rows:
        name, value, at = text.rsplit(" ", 2)
        by.setdefault(name.partition("{")[0], []).append((round(float(at), 3), float(value)))
    return by


@given(st.floats(0, 3600), st.integers(1, 50), st.sampled_from([0.5, 1, 5, 15, 60]), st.sampled_from([1, 7, 30]))
def test_between_two_scenarios_lies_more_than_any_rule_looks_back_over(
    window_s: float, count: int, every_s: float, other_s: float
) -> None:
    made = line(alteration(), count, window_s, every_s, other_s)
    for place in range(min(count, 3)):
        assert made.begin(place + 1) - made.end(place) > window_s
    assert made.end(count - 1) < START_S - WEEK_S + made.length_s


def test_every_scenario_has_the_recordings_phases() -> None:
    """Of scrapes and of the evaluations of every rule, and the weekday and hour of the recording at its beginning."""
    found = alteration()
    made = line(found, 8, 30.0, 5.0, 15.0)
    for place in range(8):
        for interval in (1.0, 5.0, 15.0):
            assert (made.begin(place) - made.begin(0)) % interval == 0
    assert (found.baseline.start_wall_s - made.begin(0)) % WEEK_S == pytest.approx(0, abs=1e-3)


def test_evaluations_are_at_their_phase_and_within_their_scenario() -> None:
    made = line(alteration(), 3, 30.0, 5.0)
    slow = made.evaluated(15.0, START_S + 2.25)
    for one, phase, every in ((made, 0.4, 5.0), (slow, 2.25, 15.0)):
        moments = one.evaluations(1)
        assert moments
        assert all(round((at - START_S - phase) / every, 6).is_integer() for at in moments)
        assert one.begin(1) - 1e-3 <= moments[0] < one.begin(1) + every
        assert one.end(1) - every < moments[-1] <= one.end(1) + 1e-3


def test_intervals_without_a_common_multiple_do_not_stretch_it_for_days() -> None:
    assert line(alteration(), 2, 30.0, 1.0, 14.999).length_s < 100


def test_a_counter_begins_at_each_scenario_and_only_grows() -> None:
    found = alteration()
    chance = np.random.default_rng(0)
    played = [play(found, COURSE, 0.5, chance) for _ in range(3)]
    made = line(found, 3)
    shown = samples(found, made, played)["n_total"]
    for place in range(3):
        values = [value for at, value in shown if made.begin(place) < at <= made.end(place) + 1e-3]
        assert len(values) == COURSE.slots
        assert values == sorted(values)
        assert values[0] < 30


def test_a_series_of_the_fault_alone_is_born_with_its_first_event() -> None:
    found = alteration()
    chance = np.random.default_rng(0)
    played = [play(found, COURSE, severity, chance) for severity in (0.0, 1.0)]
    made = line(found, 2)
    shown = samples(found, made, played)["errors_total"]
    assert all(made.effect(1, played[1]) - 1 < at <= made.end(1) + 1e-3 for at, _ in shown)
    assert shown[0][1] > 0
    assert len(shown) >= COURSE.fault - 1


def test_a_gauge_that_holds_a_time_runs_with_the_scenarios_clock() -> None:
    found = alteration()
    made = line(found, 1)
    shown = samples(found, made, [play(found, COURSE, 0.0, np.random.default_rng(0))])["at_seconds"]
    assert all(at - value == pytest.approx(7, abs=0.1) for at, value in shown)


def test_a_gauge_that_holds_a_moment_stands_still_until_the_fault_makes_it_another() -> None:
    """A process' start: `changes()` sees nothing of a baseline, and one change of a restart."""
    begun = [START_S - 500.0] * 20 + [START_S + 20.0] * 20
    found = measured(
        recording(
            [series("n_total", grown([10] * 40)), series("begun_seconds", begun, "gauge")],
            40,
            effect_s=19.5,
            removal_s=29.5,
        )
    )
    chance = np.random.default_rng(0)
    made = line(found, 2)
    shown = samples(found, made, [play(found, COURSE, 0.0, chance), play(found, COURSE, 1.0, chance)])["begun_seconds"]
    quiet = {value for at, value in shown if at < made.begin(1)}
    hurt = sorted({value for at, value in shown if at >= made.begin(1)})
    assert len(quiet) == 1
    assert np.diff(hurt).tolist() == [520.0]
    assert made.begin(1) - hurt[0] == pytest.approx(500, abs=20)


@given(st.dictionaries(st.sampled_from("abc"), st.text(), max_size=3))
def test_labels_are_written_so_that_they_are_read_again(labels: dict[str, str]) -> None:
    text = series_text({"__name__": "m", **labels})
    assert "\n" not in text
    inside = text.removeprefix("m").removeprefix("{").removesuffix("}")
    read = {}
    while inside:
        name, _, rest = inside.partition('="')
        value, place = [], 0
        while rest[place] != '"':
            if rest[place] == "\\":
                place += 1
                value.append({"n": "\n"}.get(rest[place], rest[place]))
            else:
                value.append(rest[place])
            place += 1
        read[name] = "".join(value)
        inside = rest[place + 1 :].removeprefix(",")
    assert read == labels


def test_each_target_is_scraped_when_it_was_scraped() -> None:
    """One after the other within an interval: so a server knows of one sooner than of another."""
    found = measured(
        recording(
            [series(name, grown([10] * 40)) for name in "ab"]
            + [series("late", grown([10] * 40), offset_s=0.6, instance="b")],
            40,
            effect_s=19.5,
            removal_s=29.5,
        )
    )
    made = line(found, 1)
    shown = samples(found, made, [play(found, COURSE, 0.0, np.random.default_rng(0))])
    apart = {round((one - other) % 1, 2) for (one, _), (other, _) in zip(shown["late"], shown["a"], strict=True)}
    assert apart == {0.6}
