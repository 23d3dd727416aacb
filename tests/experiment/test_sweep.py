"""A sweep is a value: which parameter of which fault, at which severities, and the experiment at each of them."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chaos.errors import InvalidFile
from chaos.experiment import Bisection, Experiment, Sweep, at, model, sweep_of, text_of
from chaos.faults import catalogue
from chaos.faults.base import Fault
from chaos.strict import keys_of
from tests.values import experiment

DELAY = ("wrong_predictions\n    target: loan-model", "delay\n    by: 200ms\n    target: loan-model")


def swept(text: str, *edits: tuple[str, str]) -> Experiment:
    return experiment(("expect:\n", f"sweep: {text}\nexpect:\n"), *edits)


def test_a_grid_has_its_severities_in_the_order_in_which_they_were_written():
    assert sweep_of(swept("{parameter: share, over: [2%, 20%, 5%]}")) == Sweep(0, "share", (0.02, 0.2, 0.05))


def test_a_bisection_has_its_ends_and_how_many_steps_it_may_take():
    made = sweep_of(swept("{parameter: by, from: 100ms, to: 1s, steps: 6, repeats: 3}", DELAY))
    assert made == Sweep(0, "by", Bisection(0.1, 1.0, 6), 3)


def test_the_severest_may_be_the_smallest_number():
    made = sweep_of(
        swept(
            "{parameter: to_accuracy, from: 85%, to: 50%, steps: 4}",
            ("    duration: 60s", "    to_accuracy: 70%\n    duration: 60s"),
        )
    )
    assert made == Sweep(0, "to_accuracy", Bisection(0.85, 0.5, 4))


def test_an_experiment_without_a_sweep_has_none():
    assert sweep_of(experiment()) is None
    with pytest.raises(ValueError, match="no `sweep:`"):
        at(experiment(), 0.1)


def test_one_of_several_faults_is_named_by_its_place():
    second = (
        "    duration: 60s",
        "    duration: 60s\n  - {fault: delay, target: loan-model, by: 200ms, duration: 60s}",
    )
    made = swept("{parameter: 'faults[1].by', over: [100ms, 300ms]}", second)
    assert sweep_of(made) == Sweep(1, "by", (0.1, 0.3))
    there = at(made, 0.3)
    assert (there.faults[0], there.faults[1].by) == (made.faults[0], 0.3)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("parameter", "severity", "written"), [("share", 0.041, "4.1%"), ("by", 0.3, "300ms"), ("alpha", 1.75, 1.75)]
)
def test_the_experiment_at_a_severity_says_it_with_its_unit(parameter, severity, written):
    over = {"share": "[1%, 5%]", "by": "[100ms, 1s]", "alpha": "[1, 2]"}[parameter]
    there = at(swept(f"{{parameter: {parameter}, over: {over}}}", DELAY), severity)
    assert there.faults[0].model_dump(mode="json", by_alias=True)[parameter] == written
    assert getattr(there.faults[0], parameter) == pytest.approx(severity)


def test_a_whole_number_gets_the_nearest_one():
    first = ("wrong_predictions\n    target: loan-model", "fail_first_n\n    requests: 3\n    target: loan-model")
    key = next(key for key, field in keys_of(catalogue()["fail_first_n"]).items() if field.annotation is int)
    made = swept(f"{{parameter: {key}, over: [2, 8]}}", (first[0], first[1].replace("requests", key)))
    assert getattr(at(made, 4.4).faults[0], key) == 4


@given(st.floats(0.001, 1.0))
def test_the_experiment_at_a_severity_is_one_that_people_could_have_written(share):
    made = swept("{parameter: share, from: 0.1%, to: 100%, steps: 9}")
    there = at(made, share)
    assert there.sweep is None
    assert there.faults[0].share == pytest.approx(share)
    assert there.model_copy(update={"faults": made.faults, "sweep": made.sweep}) == made
    assert model().model_validate_json(there.model_dump_json(by_alias=True)) == there


def test_a_severity_that_the_fault_refuses_is_refused_in_its_words():
    with pytest.raises(ValueError, match=r"600"):
        at(swept("{parameter: by, over: [100ms, 1s]}", DELAY), 601.0)


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_the_share_of_every_fault_can_be_swept_or_its_fault_says_why_not(name):
    """By its own examples: whatever a fault is, a sweep of it is a value or one sentence, and never a traceback."""
    example = next(one for one in catalogue()[name].examples if one.does is not None)
    fault: Fault = _of(example.yaml)
    made = experiment().model_copy(update={"faults": [fault]})
    written = swept("{parameter: share, over: [2%, 5%]}").sweep
    assert _share_at(made.model_copy(update={"sweep": written}), 0.05) in (0.05, "leave `share` out")


def _share_at(made: Experiment, severity: float) -> float | str:
    """The share of the experiment's only fault at this severity, or what to do, as the fault says it."""
    try:
        return at(made, severity).faults[0].share
    except ValueError as refused:
        return str(refused).rpartition("; ")[2]


def _of(text: str) -> Fault:
    said = yaml.safe_load(text)
    return catalogue()[said["fault"]].model_validate(said)


def test_the_share_of_traffic_can_be_swept_as_well():
    made = swept("{parameter: traffic, from: 1%, to: 30%, steps: 4}")
    assert sweep_of(made) == Sweep(None, "traffic", Bisection(0.01, 0.3, 4))
    there = at(made, 0.041)
    assert there.blast_radius.traffic == pytest.approx(0.041)
    assert (there.faults, there.sweep) == (made.faults, None)
    assert text_of(made, 0.041) == "4.1%"


@pytest.mark.parametrize("severity", ["0%", "300ms", "101%"])
def test_traffic_that_hurts_nobody_or_is_no_share_is_refused(severity: str):
    with pytest.raises(InvalidFile):
        swept(f"{{parameter: traffic, over: ['{severity}', 5%]}}")
