"""A stated fault: so many events move from good to bad that the signal reads what was stated; a delay moves a histogram's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.faults.base import Signal
from chaos.rehearsal.grid import Grid, grid, together
from chaos.rehearsal.models import NoModel, Statement, altered, value_of
from tests.rehearsal.telemetry import grown, recording, series

RIGHT = 'sum(increase(seen_total{result="right"}[1m])) / sum(increase(seen_total[1m]))'
SLOW = "histogram_quantile(0.95, sum by (le) (rate(t_bucket[1m])))"


def counted(right: int = 90, wrong: int = 10) -> Grid:
    found = [series("seen_total", grown([right] * 100), result="right")]
    found += [series("seen_total", grown([wrong] * 100), result="wrong")] if wrong else []
    return grid(recording(found, 100))


@settings(max_examples=30)
@given(st.floats(0.02, 1.0))
def test_the_signal_reads_what_was_stated_and_no_event_is_lost(treated: float) -> None:
    before = counted()
    after = altered(before, [Statement(Signal.accuracy, RIGHT, treated)])
    read = value_of(after, RIGHT)
    assert read is not None
    assert read == pytest.approx(treated, abs=0.02)
    assert after.change.sum(axis=0).tolist() == before.change.sum(axis=0).tolist()
    assert after.change.min() >= 0


def test_what_shows_late_does_not_show_before() -> None:
    after = altered(counted(), [Statement(Signal.accuracy, RIGHT, 0.1, lag_s=10.0)])
    assert value_of(after.slice(0, 10), RIGHT) == pytest.approx(0.9)
    assert value_of(after.slice(10, 100), RIGHT) == pytest.approx(0.1, abs=0.02)


def test_where_no_event_was_bad_yet_a_series_of_bad_ones_is_made() -> None:
    codes = grid(recording([series("n_total", grown([100] * 50), code="200")], 50))
    query = 'sum(increase(n_total{code!~"5.."}[1m])) / sum(increase(n_total[1m]))'
    after = altered(codes, [Statement(Signal.availability, query, 0.7)])
    (made,) = [one for one in after.series if one["code"] != "200"]
    assert made["code"].startswith("5")
    assert made["instance"] == "a"
    assert value_of(after, query) == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("query", ["up", "sum(rate(nothing_total[1m])) / sum(rate(nothing_total[1m]))"])
def test_what_is_no_ratio_of_counters_that_were_seen_cannot_be_stated(query: str) -> None:
    with pytest.raises(NoModel, match="no ratio of counters"):
        altered(counted(), [Statement(Signal.accuracy, query, 0.5)])


def latency() -> Grid:
    total = np.cumsum([[50, 40, 10]], axis=1)[0]
    found = [
        series("t_bucket", grown([int(total[place])] * 50), le=bound)
        for place, bound in enumerate(["0.1", "0.5", "+Inf"])
    ]
    found += [series("t_count", grown([100] * 50)), series("t_sum", grown([20.0] * 50))]
    return grid(recording(found, 50))


def test_a_delay_moves_events_to_larger_buckets_and_the_sum_with_them() -> None:
    before = latency()
    after = altered(before, [Statement(Signal.latency, SLOW, later_s=0.2)])
    rows = {one.get("le", one["__name__"]): place for place, one in enumerate(after.series)}
    whole = together(after.change, after.below, after.copies)
    assert whole[rows["+Inf"]].tolist() == [100] * after.slots == whole[rows["t_count"]].tolist()
    assert whole[rows["0.1"]].tolist() == [0] * after.slots
    assert np.allclose(after.change[rows["0.5"]], 50 + 40 * 0.5)  # half of (0.1, 0.5] lands in (0.3, 0.5]
    assert np.allclose(after.change[rows["t_sum"]], 20.0 + 0.2 * 100)


def test_a_delay_of_a_part_moves_that_part() -> None:
    after = altered(latency(), [Statement(Signal.latency, SLOW, later_s=10.0, share=0.3)])
    rows = {one.get("le", one["__name__"]): place for place, one in enumerate(after.series)}
    assert np.allclose(after.change[rows["0.1"]], 35)
    assert np.allclose(after.change[rows["+Inf"]], 10 + 0.3 * 90)


def test_a_delay_without_a_histogram_cannot_be_stated() -> None:
    with pytest.raises(NoModel, match="no histogram"):
        altered(counted(), [Statement(Signal.latency, SLOW, later_s=1.0)])


@given(st.integers(0, 50), st.integers(1, 50))
def test_a_ratio_is_read_over_everything_that_was_counted(right: int, wrong: int) -> None:
    assert value_of(counted(right, wrong), RIGHT) == pytest.approx(right / (right + wrong))


def test_a_ratio_of_nothing_is_none() -> None:
    assert value_of(counted(0, 0), RIGHT) is None
