"""What an experiment's faults state of the signals that probes read: one statement for each metric, none where nobody states."""

from __future__ import annotations

import pytest

from chaos.faults.base import Signal
from chaos.rehearsal.grid import Grid, grid
from chaos.rehearsal.statements import lag_of, measured_statement, statements_of
from tests.rehearsal.telemetry import grown, recording, series
from tests.values import experiment, probes, system

QUERY = 'sum(increase(right{job="$job"}[$window])) / sum(increase(feedback{job="$job"}[$window]))'
RATIO = (QUERY, 'sum(increase(seen{job="$job",result="right"}[$window])) / sum(increase(seen{job="$job"}[$window]))')
DELAY = ("wrong_predictions\n    target: loan-model", "delay\n    by: 400ms\n    target: loan-model")


def baseline() -> Grid:
    rows = [
        series("seen", grown([gain] * 60), result=result, job="loan") for result, gain in (("right", 9), ("wrong", 1))
    ]
    return grid(recording(rows, 60))


def test_a_fault_on_answers_states_accuracy_where_it_hurts() -> None:
    (said,) = statements_of(experiment(), system(), probes(RATIO), baseline())
    assert said.signal is Signal.accuracy
    assert said.treated == pytest.approx(0.1)  # every answer is the other one
    assert said.lag_s == 2.0
    assert 'job="loan"' in said.query
    assert "$" not in said.query


def test_a_delay_states_latency_and_nothing_of_accuracy() -> None:
    (said,) = statements_of(experiment(DELAY), system(), probes(RATIO), baseline())
    assert (said.signal, said.later_s, said.share, said.treated) == (Signal.latency, 0.4, 1.0, None)


def test_what_was_not_counted_cannot_be_stated() -> None:
    assert statements_of(experiment(), system(), probes(), baseline()) == ()


def test_a_measured_value_is_a_statement_only_of_a_ratio_of_counters() -> None:
    made = measured_statement(probes(RATIO)["accuracy"], system(), 0.4, 2.0)
    assert made is not None
    assert (made.treated, made.lag_s) == (0.4, 2.0)
    assert measured_statement(probes()["latency"], system(), 0.4, 0.0) is None


def test_outcomes_come_late_and_answers_do_not() -> None:
    assert lag_of(experiment(), Signal.accuracy) == 2.0
    assert lag_of(experiment(), Signal.latency) == 0.0
