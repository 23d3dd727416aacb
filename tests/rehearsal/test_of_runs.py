"""From a recording to an alteration: which slots are whose, and what is too little."""

from __future__ import annotations

import pytest

from chaos.faults.base import Signal
from chaos.rehearsal.models import NoModel, Statement
from chaos.rehearsal.of_runs import baseline_of, measured, stated
from tests.rehearsal.telemetry import grown, recording, series

QUERY = 'sum(increase(seen_total{result="right"}[$window])) / sum(increase(seen_total[$window]))'.replace(
    "$window", "1m"
)


def test_the_slot_in_which_the_fault_begins_is_the_faults_and_none_of_it_is_in_the_baseline() -> None:
    gains = [1] * 20 + [100] * 10 + [1] * 10
    found = measured(recording([series("n_total", grown(gains))], 40, effect_s=20.5, removal_s=29.5))
    assert found.baseline.change.max() == 1
    assert found.fault.change[0, 1:].min() == 100
    assert found.after is not None
    assert found.after.change[0, 1:].max() == 1
    assert 0.4 < found.begun < 0.6


@pytest.mark.parametrize(("effect_s", "removal_s", "what"), [(3.0, 20.0, "baseline"), (20.0, 20.5, "fault")])
def test_too_little_of_either_is_refused_with_what_to_do(effect_s: float, removal_s: float, what: str) -> None:
    with pytest.raises(NoModel, match=f"the {what} of run test is .* make it longer"):
        measured(recording([series("n_total", grown([1] * 40))], 40, effect_s=effect_s, removal_s=removal_s))


def test_where_nothing_was_hurt_nothing_is_measured() -> None:
    with pytest.raises(NoModel, match="no fault was on"):
        measured(recording([series("n_total", grown([1] * 40))], 40))


def test_the_baseline_of_a_run_ends_before_its_fault() -> None:
    made = recording([series("n_total", grown([1] * 20 + [100] * 20))], 40, effect_s=20.2, removal_s=39)
    assert baseline_of(made).change.max() == 1
    assert baseline_of(recording(made.series, 40)).change.max() == 100


def test_a_statement_over_a_run_is_an_alteration_of_all_traffic() -> None:
    found = [
        series("seen_total", grown([9] * 60), result="right"),
        series("seen_total", grown([1] * 60), result="wrong"),
    ]
    made = stated(recording(found, 60), [Statement(Signal.accuracy, QUERY, 0.45, lag_s=4.0)], "a model")
    assert (made.measured, made.severity, made.head, made.after) == (False, 1.0, 4, None)
    right = next(place for place, one in enumerate(made.fault.series) if one["result"] == "right")
    assert made.fault.change[right, :4].tolist() == [9] * 4
    assert made.fault.change[right, 4:].mean() == pytest.approx(4.5, rel=0.2)


def test_a_series_that_only_the_model_has_was_not_there_before() -> None:
    made = stated(
        recording([series("seen_total", grown([10] * 60), result="right")], 60),
        [Statement(Signal.accuracy, QUERY, 0.5)],
        "x",
    )
    (born,) = [place for place, one in enumerate(made.fault.series) if one["result"] != "right"]
    assert not made.baseline.there[born].any()
    assert made.baseline.series == made.fault.series


def test_a_model_of_too_little_is_refused() -> None:
    with pytest.raises(NoModel, match="record more"):
        stated(recording([series("n_total", grown([1] * 3))], 3), [], "x")
