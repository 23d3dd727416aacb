"""A sweep goes where the answer is, ends when it is in, and claims no more than its runs show."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from chaos.sensitivity import NEAR, Swept, Trial, TrialAlert, ending, next_severity, sensitivity
from chaos.units import format_share

GRID = Swept((0.02, 0.05, 0.1, 0.2), bisect=False, steps=6, text=format_share)
ENDS = Swept((0.01, 0.3), bisect=True, steps=8, text=format_share)


def trial(severity: float, *, told: bool | None, proves: bool = True, broken: bool = True) -> Trial:
    alert = TrialAlert("AccuracyLow", told, 40.0 if told else None, None if told else "pending")
    return Trial(severity, f"{severity:.4g}", "confirmed" if told else "undetected", proves, broken, (alert,))


def played(swept: Swept, caught_from: float) -> list[Trial]:
    """All trials of a sweep over a system that tells from there on."""
    trials: list[Trial] = []
    while (severity := next_severity(swept, trials)) is not None:
        trials.append(trial(severity, told=severity >= caught_from))
        assert len(trials) <= 20
    return trials


def test_a_grid_is_run_from_the_least_harm_on_and_each_severity_once() -> None:
    assert [one.severity for one in played(GRID, 0.1)] == [0.02, 0.05, 0.1, 0.2]


@given(st.floats(0.011, 0.299))
def test_bisection_finds_where_it_begins_as_exactly_as_its_runs_allow(caught_from: float) -> None:
    trials = played(ENDS, caught_from)
    found = sensitivity("e", "traffic", ENDS, trials).alerts[0]
    assert found.below is not None
    assert found.smallest is not None
    assert found.below < caught_from <= found.smallest
    assert len(trials) <= ENDS.steps
    assert found.smallest / found.below <= max(NEAR, 30 ** (1 / 2 ** (ENDS.steps - 2)) * 1.01)


def test_bisection_ends_at_once_where_not_even_the_most_severe_is_told() -> None:
    trials = played(ENDS, 1.0)
    assert [one.severity for one in trials] == [0.3]
    found = sensitivity("e", "traffic", ENDS, trials)
    assert found.alerts[0].sentence == "told in time by no run, up to 30%"
    assert ending(found) == "not caught"


def test_bisection_ends_after_two_where_even_the_least_is_told() -> None:
    assert [one.severity for one in played(ENDS, 0.001)] == [0.3, 0.01]


def test_a_most_severe_run_that_proves_nothing_ends_a_bisection_and_proves_nothing() -> None:
    lost = [trial(0.3, told=False, proves=False)]
    assert next_severity(ENDS, lost) is None
    assert ending(sensitivity("e", "traffic", ENDS, lost)) == "nothing proven"


def test_the_sentence_says_from_when_on_how_fast_and_below_what() -> None:
    found = sensitivity("e", "traffic", GRID, [trial(0.05, told=False), trial(0.1, told=True)])
    assert found.alerts[0].sentence == "caught from 10% on, in 40s; not told in time at 5%"


def test_where_a_larger_severity_was_missed_chance_is_named() -> None:
    found = sensitivity("e", "traffic", GRID, [trial(0.05, told=True), trial(0.1, told=False)])
    assert found.alerts[0].disagree
    assert "chance has a say" in found.alerts[0].sentence


def test_the_blind_band_is_where_the_system_broke_and_nobody_was_told() -> None:
    held = trial(0.02, told=False, broken=False)
    found = sensitivity("e", "traffic", GRID, [held, trial(0.05, told=False), trial(0.1, told=True)])
    assert found.blind == ("0.05",)


def test_where_the_smaller_number_is_the_severer_bisection_goes_the_other_way() -> None:
    falling = Swept((0.9, 0.5), bisect=True, steps=8, text=format_share)
    trials: list[Trial] = []
    while (severity := next_severity(falling, trials)) is not None:
        trials.append(trial(severity, told=severity <= 0.7))
    found = sensitivity("e", "to_accuracy", falling, trials).alerts[0]
    assert found.smallest is not None
    assert found.below is not None
    assert found.smallest <= 0.7 < found.below
    assert not found.disagree


def test_repeats_are_made_at_every_severity_and_more_than_half_must_tell() -> None:
    thrice = replace(GRID, severities=(0.05, 0.1), repeats=3)
    told = {0.05: iter([True, False, False]), 0.1: iter([True, False, True])}
    trials: list[Trial] = []
    while (severity := next_severity(thrice, trials)) is not None:
        trials.append(trial(severity, told=next(told[severity])))
    assert [one.severity for one in trials] == [0.05] * 3 + [0.1] * 3
    found = sensitivity("e", "traffic", thrice, trials).alerts[0]
    assert (found.smallest, found.below) == (0.1, 0.05)
    assert found.sentence.endswith("(2 of 3 runs told, [9%, 99%])")


def test_what_nobody_can_say_is_neither_a_miss_nor_a_catch() -> None:
    found = sensitivity("e", "traffic", GRID, [trial(0.05, told=None), trial(0.1, told=True)])
    assert (found.alerts[0].smallest, found.alerts[0].below) == (0.1, None)
    assert found.blind == ()


def test_bisection_does_not_turn_at_a_run_that_proved_nothing() -> None:
    caught, lost = trial(0.3, told=True), trial(0.01, told=False, proves=False)
    assert next_severity(ENDS, [caught, lost]) is None
    assert sensitivity("e", "traffic", ENDS, [caught, lost]).alerts[0].below is None
