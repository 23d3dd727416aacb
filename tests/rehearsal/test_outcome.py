"""What an alert did in each scenario, counted: told in time, early, from which severity on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.rehearsal.alert_states import Episode
from chaos.rehearsal.outcome import CLAIM_FROM, Rehearsed, by_severity, quantile, rehearsed, threshold


def one(*found: Episode) -> Rehearsed:
    return rehearsed("Low", {"severity": "page"}, 0.5, found, watched_s=100, effect_s=200, removal_s=300)


def episode(active_s: float, fired_s: float | None, over_s: float | None, severity: str = "page") -> Episode:
    return Episode({"alertname": "Low", "severity": severity}, active_s, fired_s, over_s)


def test_an_alert_of_the_fault_is_told_with_its_times() -> None:
    told = one(episode(210, 215, 330))
    assert (told.pending_s, told.fired_s, told.over_s, told.early) == (10, 15, 30, False)


def test_what_fired_before_the_fault_is_early_and_not_told_of_it() -> None:
    told = one(episode(150, 155, 170))
    assert (told.early, told.fired_s) == (True, None)


def test_what_fired_while_the_windows_filled_is_not_looked_at() -> None:
    told = one(episode(20, 25, 60))
    assert (told.early, told.fired_s) == (False, None)


def test_labels_that_contradict_do_not_count() -> None:
    assert one(episode(210, 215, None, severity="ticket")).fired_s is None


def test_what_was_only_pending_was_not_told() -> None:
    told = one(episode(210, None, 214))
    assert (told.pending_s, told.fired_s) == (10, None)


def test_what_goes_on_to_the_end_is_not_over() -> None:
    assert one(episode(210, 215, None)).over_s is None


def scenarios(severity: float, told: int, count: int = 10, fired_s: float = 20.0) -> list[Rehearsed]:
    return [Rehearsed("Low", severity, 1.0, fired_s if place < told else None, None) for place in range(count)]


def test_what_comes_later_than_it_may_is_not_caught() -> None:
    (row,) = by_severity(scenarios(1.0, 10, fired_s=40.0), within_s=30.0)
    assert (row.caught, row.scenarios, row.median_s) == (0, 10, None)


def test_a_scenario_that_was_early_proves_nothing() -> None:
    (row,) = by_severity([Rehearsed("Low", 1.0, 1.0, 5.0, None, early=True)], None)
    assert (row.caught, row.early) == (0, 1)


def test_the_threshold_is_where_everything_above_is_caught_too() -> None:
    found = (
        scenarios(0.1, 2)
        + scenarios(0.2, 10)
        + scenarios(0.3, 5)
        + scenarios(0.5, 9)
        + scenarios(1.0, 10)
        + scenarios(0, 0)
    )
    caught = threshold(by_severity(found, None))
    assert (caught.smallest, caught.below, caught.claimed) == (0.5, 0.3, False)


def test_without_any_there_is_none_and_the_baseline_is_no_severity() -> None:
    caught = threshold(by_severity(scenarios(0, 10) + scenarios(1.0, 3), None))
    assert (caught.smallest, caught.below) == (None, 1.0)


@pytest.mark.parametrize(("count", "claimed"), [(CLAIM_FROM, True), (CLAIM_FROM - 1, False)])
def test_a_chance_is_claimed_from_enough_scenarios_on(count: int, claimed: bool) -> None:
    assert threshold(by_severity(scenarios(1.0, count, count), None)).claimed is claimed


@given(st.lists(st.floats(0, 100), min_size=1).map(sorted), st.floats(0, 1))
def test_so_many_are_at_most_the_quantile(ordered: list[float], share: float) -> None:
    found = quantile(ordered, share)
    assert found is not None
    assert sum(value <= found for value in ordered) >= share * len(ordered) - 1e-6
