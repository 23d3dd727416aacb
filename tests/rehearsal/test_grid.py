"""A recording as slots of one scrape: what was gained, who was there, and histograms taken apart and put together again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.rehearsal.grid import Clock, grid, slot_of, together
from tests.rehearsal.telemetry import START_S, grown, recording, series

steps = st.lists(st.integers(0, 50), min_size=6, max_size=30)


@given(steps, st.integers(0, 10**9))
def test_slots_hold_the_increments_and_not_where_the_counter_stood(gains: list[int], start: int) -> None:
    made = grid(recording([series("m", grown(gains, start))], len(gains) + 0.5))
    assert made.change[0].tolist() == gains[: made.slots]
    assert made.whole[0]


def test_a_counter_that_begins_anew_has_gained_what_it_shows() -> None:
    made = grid(recording([series("m", [10, 12, 3, 4, 4])], 4.5))
    assert made.change[0].tolist() == [2, 3, 1, 0]


def test_a_series_that_is_born_later_gains_what_it_shows_first() -> None:
    made = grid(recording([series("m", [1, 2, 3, 4, 5]), series("n", [None, None, 7, 8, 8], code="500")], 4.5))
    row = [one["__name__"] for one in made.series].index("n")
    assert made.change[row].tolist() == [0, 7, 1, 0]
    assert made.there[row].tolist() == [False, True, True, True]


def test_where_a_counter_of_another_target_stood_at_the_beginning_is_no_gain() -> None:
    """Its first scrape comes after the first slot's beginning."""
    other = series("m", grown([2] * 6, 50_000), offset_s=0.6, instance="b")
    first = [series(name, grown([1] * 6)) for name in "ab"]
    made = grid(recording([*first, other], 6.5))
    row = [one["instance"] for one in made.series].index("b")
    assert made.change[row].max() <= 2


@pytest.mark.parametrize("offset_s", [0.0, 0.1, 0.5, 0.9])
def test_a_failed_scrape_is_seen_in_its_own_slot_whenever_the_target_is_scraped(offset_s: float) -> None:
    usual = [series(name, grown([1] * 12)) for name in "ab"]
    shown: list[float | None] = [1.0] * 12
    shown[6] = None
    made = grid(recording([*usual, series("g", shown, "gauge", offset_s=offset_s, instance="b")], 11.5))
    row = [one["__name__"] for one in made.series].index("g")
    assert int((~made.there[row][1:]).sum()) == 1


def test_scrapes_that_come_some_milliseconds_late_are_all_there() -> None:
    late = np.random.default_rng(0).uniform(0, 0.01, 60)
    one = series("g", [1.0] * 60, "gauge")
    jittered = tuple((at + more, value) for (at, value), more in zip(one.samples, late, strict=True))
    made = grid(recording([type(one)(one.labels, one.kind, jittered)], 59.5))
    assert made.slot_s == 1.0
    assert made.there.all()


def test_the_slot_is_the_longest_interval_of_a_target_and_not_that_of_a_series_that_is_seldom_there() -> None:
    seldom: list[float | None] = [1.0 if place % 5 == 0 else None for place in range(60)]
    assert slot_of(recording([series("a", [1.0] * 60), series("b", seldom)], 60)) == 1.0
    slow = series("c", [1.0] * 20, every_s=15.003, instance="slow")
    assert slot_of(recording([series("a", [1.0] * 60), slow], 300)) == 15.0


def test_a_gauge_that_holds_a_time_is_kept_relative_to_the_clock() -> None:
    made = grid(recording([series("t", [START_S + second - 30 for second in range(10)], "gauge")], 9.5))
    assert made.clock[0] == Clock.runs
    assert np.allclose(made.change[0], -30)


def test_a_gauge_that_holds_a_moment_is_kept_relative_to_the_recordings_beginning() -> None:
    """A process that has started anew: two moments, and in between nothing moves."""
    made = grid(recording([series("t", [START_S - 500.0] * 8 + [START_S + 8.0] * 8, "gauge")], 15.5))
    assert made.clock[0] == Clock.stands
    assert len(np.unique(made.change[0])) == 2
    assert np.diff(np.unique(made.change[0])).tolist() == [508.0]


buckets = st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=6, max_size=20)


@given(buckets)
def test_a_histogram_taken_apart_is_put_together_again(events: list[tuple[int, int, int]]) -> None:
    """Each bucket alone has its own events; together they are cumulative, and the count says what +Inf says."""
    cumulative = np.cumsum(np.array(events), axis=1)
    found = [
        series("h_bucket", grown(cumulative[:, place]), le=bound) for place, bound in enumerate(["0.1", "10", "+Inf"])
    ]
    found.append(series("h_count", grown(cumulative[:, 2])))
    made = grid(recording(found[::-1], len(events) + 0.5))
    by = {(one["__name__"], one.get("le")): row for row, one in enumerate(made.series)}
    for place, bound in enumerate(["0.1", "10", "+Inf"]):
        assert made.change[by["h_bucket", bound]].tolist() == [one[place] for one in events]
    whole = together(made.change, made.below, made.copies)
    assert whole[by["h_bucket", "+Inf"]].tolist() == cumulative[:, 2].tolist() == whole[by["h_count", None]].tolist()
    assert np.all(whole[by["h_bucket", "0.1"]] <= whole[by["h_bucket", "10"]])


def test_whoever_wants_the_count_gets_the_buckets_that_it_is_made_of() -> None:
    found = [series("h_bucket", grown([1] * 8), le=bound) for bound in ("1", "+Inf")] + [
        series("h_count", grown([1] * 8))
    ]
    made = grid(recording([*found, series("other", grown([1] * 8))], 8.5))
    count = next(row for row, one in enumerate(made.series) if one["__name__"] == "h_count")
    kept = made.only(made.whole_histograms([count]))
    assert sorted(one["__name__"] for one in kept.series) == ["h_bucket", "h_bucket", "h_count"]
    assert together(kept.change, kept.below, kept.copies)[-1].tolist() == [1] * kept.slots


def test_a_counter_of_seconds_is_no_counter_of_events() -> None:
    made = grid(recording([series("seconds_total", [0, 0.5, 1.2, 3, 4.5])], 4.5))
    assert not made.whole[0]
