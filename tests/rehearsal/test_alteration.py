"""Scenarios: without the fault the baseline's law, at the measured severity the fault's, and in between the mixture of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.promql import selected
from chaos.rehearsal.alteration import Alteration, Course, Played, _wholly, play
from chaos.rehearsal.grid import together
from chaos.rehearsal.of_runs import measured
from tests.rehearsal.telemetry import grown, recording, series

COURSE = Course(warmup=20, baseline=40, fault=60, recovery=40)
RIGHT, WRONG = 0.9, 0.5


def altered(severity: float = 1.0, seed: int = 0) -> Alteration:
    """Two minutes at 100 a second of which nine in ten are right, then one of which half are: the counters of a run."""
    chance = np.random.default_rng(seed)
    shares = [RIGHT] * 120 + [WRONG] * 60 + [RIGHT] * 60
    total = chance.poisson(100, len(shares))
    right = chance.binomial(total, shares)
    queue = [5.0] * 121 + [25.0] * 60 + [5.0] * 60
    found = [
        series("seen_total", grown(right), result="right"),
        series("seen_total", grown(total - right), result="wrong"),
        series("seen_count", grown(total)),
        series("queue", queue, "gauge"),
    ]
    return measured(recording(found, len(shares), effect_s=120.06, removal_s=180.06, severity=severity))


def row(alteration: Alteration, **labels: str) -> int:
    return next(place for place, one in enumerate(alteration.fault.series) if labels.items() <= one.items())


def share(alteration: Alteration, played: list[Played], at: slice) -> float:
    """The share of right ones in these slots of all scenarios."""
    right, wrong = row(alteration, result="right"), row(alteration, result="wrong")
    kept = sum(one.change[right, at].sum() for one in played)
    return float(kept / (kept + sum(one.change[wrong, at].sum() for one in played)))


def many(alteration: Alteration, severity: float, count: int = 40) -> list[Played]:
    chance = np.random.default_rng(1)
    return [play(alteration, COURSE, severity, chance) for _ in range(count)]


HURT = slice(COURSE.effect + 1, COURSE.removal)


@pytest.mark.parametrize(("severity", "expected"), [(0.0, RIGHT), (0.25, 0.8), (0.5, 0.7), (1.0, WRONG)])
def test_a_ratio_under_the_fault_is_the_mixture_of_both(severity: float, expected: float) -> None:
    alteration = altered()
    played = many(alteration, severity)
    assert share(alteration, played, HURT) == pytest.approx(expected, abs=0.015)
    assert share(alteration, played, slice(0, COURSE.effect)) == pytest.approx(RIGHT, abs=0.01)


def test_at_the_severity_that_was_measured_it_is_what_was_measured() -> None:
    alteration = altered(severity=0.5)
    assert share(alteration, many(alteration, 0.5), HURT) == pytest.approx(WRONG, abs=0.015)
    assert share(alteration, many(alteration, 0.25), HURT) == pytest.approx((WRONG + RIGHT) / 2, abs=0.015)


def test_above_what_was_measured_nobody_can_say() -> None:
    with pytest.raises(ValueError, match="more than what was measured"):
        play(altered(severity=0.5), COURSE, 0.6, np.random.default_rng(0))


@settings(max_examples=25)
@given(st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_events_stay_whole_and_nothing_is_taken_back(severity: float, seed: int) -> None:
    alteration = altered()
    one = play(alteration, COURSE, severity, np.random.default_rng(seed))
    counters = one.change[alteration.fault.counter]
    assert np.array_equal(counters, np.round(counters))
    assert counters.min() >= 0


def test_events_that_come_seldom_are_not_lost_when_the_fault_begins_in_another_moment() -> None:
    """Half of an event in each of two slots is still an event."""
    gains = [0] * 60 + [1, 0] * 30 + [0] * 40
    alteration = measured(recording([series("n_total", grown(gains))], 160, effect_s=60.06, removal_s=120.06))
    totals = [one.change[0, COURSE.effect : COURSE.removal].sum() for one in many(alteration, 1.0, 60)]
    assert np.mean(totals) == pytest.approx(30, rel=0.15)


def test_the_same_seed_plays_the_same_scenario() -> None:
    one, other = (play(altered(), COURSE, 0.5, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one.change, other.change)
    assert one.phase == other.phase


def test_two_scenarios_differ_as_much_as_two_runs_with_one_of_them_unknown() -> None:
    """The total over the fault: chance of the recorded run and of the one to come, so twice the variance of one."""
    alteration = altered()
    right = row(alteration, result="right")
    totals = [one.change[right, HURT].sum() for one in many(alteration, 1.0, 400)]
    expected = np.sqrt(2 * 100 * WRONG * (HURT.stop - HURT.start))
    assert 0.6 * expected < np.std(totals) < 1.4 * expected


def test_what_two_counters_have_in_common_stays_common() -> None:
    """All of them and the parts of them: other chance, but the same in both."""
    alteration = altered()
    both = [row(alteration, result="right"), row(alteration, result="wrong")]
    whole = row(alteration, __name__="seen_count")
    for one in many(alteration, 1.0, 20):
        parts, total = one.change[both, HURT].sum(), one.change[whole, HURT].sum()
        assert parts == pytest.approx(total, rel=0.01)


def test_the_fault_begins_in_the_moment_of_its_slot_that_the_scenario_says() -> None:
    """Of the slot in which it begins, only the part after that moment is hurt."""
    alteration = altered()
    right, wrong = row(alteration, result="right"), row(alteration, result="wrong")
    for early in (True, False):
        played = [
            one for one in many(alteration, 1.0, 300) if (one.phase < 0.3) == early and (early or one.phase > 0.7)
        ]
        kept = sum(one.change[right, COURSE.effect] for one in played)
        all_ = kept + sum(one.change[wrong, COURSE.effect] for one in played)
        hurt = 1 - float(np.mean([one.phase for one in played]))
        assert kept / all_ == pytest.approx(RIGHT + hurt * (WRONG - RIGHT), abs=0.03)


def test_a_gauge_is_mixed_in_proportion_and_said_to_be() -> None:
    alteration = altered()
    queue = row(alteration, __name__="queue")
    (one,) = many(alteration, 0.25, 1)
    assert np.allclose(one.change[queue, COURSE.effect : COURSE.removal], 10.0)
    assert np.allclose(one.change[queue, : COURSE.effect], 5.0)
    assert alteration.mixes() == ("queue",)


def test_what_a_fault_takes_away_is_gone_while_it_is_on() -> None:
    shown: list[float | None] = [1.0] * 30 + [None] * 20 + [1.0] * 30
    found = [series("steady", grown([1] * 79)), series("up", shown, "gauge", instance="b")]
    alteration = measured(recording(found, 80, effect_s=29.5, removal_s=49.5))
    (one,) = many(alteration, 1.0, 1)
    up = row(alteration, __name__="up")
    assert not one.there[up, COURSE.effect : COURSE.removal].any()
    assert one.there[up, : COURSE.effect].all()
    assert one.there[up, COURSE.removal + 1 :].all()


def test_what_has_no_value_under_the_fault_has_none_at_full_severity() -> None:
    shown = [1.0] * 30 + [float("nan")] * 20 + [1.0] * 30
    alteration = measured(recording([series("score", shown, "gauge")], 80, effect_s=29.5, removal_s=49.5))
    (one,) = many(alteration, 1.0, 1)
    assert np.isnan(one.change[0, COURSE.effect : COURSE.removal]).all()
    assert one.there[0].all()


def test_what_has_a_value_only_under_the_fault_has_it_then() -> None:
    shown = [float("nan")] * 31 + [2.0] * 20 + [float("nan")] * 30
    alteration = measured(recording([series("score", shown, "gauge")], 80, effect_s=29.5, removal_s=49.5))
    (one,) = many(alteration, 1.0, 1)
    assert np.isnan(one.change[0, : COURSE.effect]).all()
    assert np.nanmedian(one.change[0, COURSE.effect : COURSE.removal]) == 2.0


def test_a_histogram_stays_cumulative_at_every_severity() -> None:
    chance = np.random.default_rng(3)
    fast = np.concatenate([chance.poisson(50, 60), chance.poisson(5, 40), chance.poisson(50, 40)])
    slow = np.concatenate([chance.poisson(2, 60), chance.poisson(40, 40), chance.poisson(2, 40)])
    found = [
        series("h_bucket", grown(fast), le="0.1"), series("h_bucket", grown(fast + slow), le="+Inf"),
        series("h_count", grown(fast + slow)),
    ]  # fmt: skip
    alteration = measured(recording(found, 140, effect_s=60, removal_s=100)).read_by(selected("rate(h_count[1m])"))
    for one in many(alteration, 0.3, 5):
        whole = together(one.change, alteration.fault.below, alteration.fault.copies)
        by = [row(alteration, le="0.1"), row(alteration, le="+Inf"), row(alteration, __name__="h_count")]
        assert np.all(whole[by[0]] <= whole[by[1]])
        assert np.array_equal(whole[by[1]], whole[by[2]])


def test_a_fault_that_was_recorded_for_a_short_time_goes_on_as_its_later_half() -> None:
    chance = np.random.default_rng(0)
    gains = np.concatenate([chance.poisson(100, 60), chance.poisson(10, 10), chance.poisson(100, 40)])
    alteration = measured(recording([series("n_total", grown(gains))], 110, effect_s=60, removal_s=70))
    played = many(alteration, 1.0, 20)
    assert np.mean([one.change[0, COURSE.effect + 15 : COURSE.removal] for one in played]) == pytest.approx(10, abs=1.5)


def test_a_model_shows_at_each_slot_what_it_makes_of_that_slot_of_the_baseline() -> None:
    """So the traffic of a mixture is the baseline's, whatever it was then."""
    traffic = np.arange(100, 300)
    base = measured(recording([series("n_total", grown(traffic))], 200, effect_s=100, removal_s=150)).baseline
    alteration = Alteration(base, replace(base, change=base.change * 3), None, measured=False, source="tripled")
    one = play(alteration, COURSE, 1.0, np.random.default_rng(0))
    assert one.change[0, COURSE.effect + 1 : COURSE.removal].min() >= 299


def test_nothing_is_played_that_no_rule_reads() -> None:
    read = altered().read_by(selected('rate(seen_total{result="wrong"}[1m]) > 1'))
    assert [one["result"] for one in read.fault.series] == ["wrong"]
    assert len(read.baseline.series) == 1


def test_a_sample_that_comes_before_the_fault_in_its_slot_does_not_know_of_it() -> None:
    """A target that is scraped early in a slot shows a fault that begins late in it only with its next sample."""
    found = [series(name, grown([1] * 80)) for name in "ab"]
    found.append(series("level", [1.0] * 30 + [9.0] * 51, "gauge", offset_s=0.3, instance="b"))
    alteration = measured(recording(found, 80.5, effect_s=29.6, removal_s=60))
    level = row(alteration, __name__="level")
    for one in many(alteration, 1.0, 60):
        knows = one.phase < 1 - alteration.fault.age[level]
        assert one.change[level, COURSE.effect] == (9.0 if knows else 1.0)
        assert one.change[level, COURSE.effect + 1] == 9.0


parts = st.lists(st.floats(0.0, 50.0), min_size=1, max_size=30)


@given(parts, st.floats(0.0, 0.999))
def test_parts_of_events_become_whole_ones_and_less_than_one_is_lost_or_made_at_any_time(
    gained: list[float], start: float
) -> None:
    change = np.array([gained, gained])
    whole = _wholly(change, start)
    assert (whole == np.round(whole)).all()
    assert (whole >= 0).all()
    assert (whole[0] == whole[1]).all(), "what two series count of the same events stays the same"
    apart = np.cumsum(whole[0]) - np.cumsum(gained)
    assert (np.abs(apart) < 1.0).all()


def test_on_average_over_where_it_starts_no_event_is_lost_or_made() -> None:
    starts = (np.arange(1000) + 0.5) / 1000
    for gained in (0.25, 0.5, 3.9):
        first = [_wholly(np.array([[gained]]), start)[0, 0] for start in starts]
        assert np.mean(first) == pytest.approx(gained, abs=0.002)


def test_events_that_a_fault_brings_seldom_are_as_many_in_the_scenarios_as_were_measured() -> None:
    """One in five seconds, moved within its slot and smoothed: parts of an event that were rounded one by one would all be lost."""
    errors = [0] * 120 + [1, 0, 0, 0, 0] * 12 + [0] * 60
    found = [series("seen_total", grown([100] * 240)), series("errors_total", grown(errors))]
    alteration = measured(recording(found, 240, effect_s=120.06, removal_s=180.06))
    place = next(at for at, one in enumerate(alteration.fault.series) if one["__name__"] == "errors_total")
    during = np.array([one.change[place, HURT] for one in many(alteration, 1.0, 200)])
    assert during.mean() == pytest.approx(0.2, abs=0.02)
