"""`sweep:` is understood or refused in one sentence, and an experiment at a severity is the same experiment but for it."""

from __future__ import annotations

import pytest

from chaos.document import read_document
from chaos.errors import InvalidFile
from chaos.experiment import experiment_of, parse
from chaos.experiment.sweeping import Swept, at, swept
from tests.values import EXPERIMENT


def with_sweep(sweep: str, text: str = EXPERIMENT) -> str:
    return f"{text}sweep: {sweep}\n"


def understood(sweep: str, text: str = EXPERIMENT) -> Swept:
    experiment, _ = parse(with_sweep(sweep, text), "e.yaml", {})
    found = swept(experiment)
    assert isinstance(found, Swept)
    return found


def problem(sweep: str, text: str = EXPERIMENT) -> str:
    with pytest.raises(InvalidFile) as error:
        parse(with_sweep(sweep, text), "e.yaml", {})
    [one] = error.value.problems
    return one.message


def test_a_grid_is_sorted_and_knows_its_unit() -> None:
    found = understood("{over: [10%, 2%, 5%]}")
    assert (found.path, found.kind, found.severities, found.bisect) == (
        ("faults", 0, "share"),
        "share",
        (0.02, 0.05, 0.1),
        False,
    )


def test_two_ends_are_bisected() -> None:
    found = understood("{parameter: traffic, from: 1%, to: 30%, steps: 4}")
    assert (found.path, found.severities, found.bisect, found.steps) == (
        ("blast_radius", "traffic"),
        (0.01, 0.3),
        True,
        4,
    )


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ("{}", "which severities is not said; write `over: [2%, 5%, 10%]`, or `from: 1%` and `to: 30%`"),
        (
            "{over: [1%, 2%], from: 1%, to: 2%}",
            "which severities is not said; write `over: [2%, 5%, 10%]`, or `from: 1%` and `to: 30%`",
        ),
        ("{parameter: shares, over: [1%, 2%]}", "wrong_predictions has no parameter 'shares'; did you mean `share`?"),
        (
            "{parameter: 'faults[1].share', over: [1%, 2%]}",
            "there is no fault 1; they are counted from 0, and there are 1",
        ),
        ("{over: [1%, 300ms]}", "the severities are of different kinds (1%, 300ms); write all in one unit"),
        ("{over: [1%, much]}", "'much' is no severity; write something like 5%, 300ms or 2"),
        ("{over: [5%, 5%]}", "one severity is no sweep; write at least two that differ"),
    ],
)
def test_what_is_no_sweep_is_refused_in_one_sentence(sweep: str, said: str) -> None:
    assert problem(sweep) == said


def test_a_severity_that_the_fault_refuses_is_refused_before_anything_is_run() -> None:
    assert problem("{over: [50ms, 100ms]}").startswith("at 50ms: ")


def test_of_several_faults_one_must_be_named() -> None:
    two = EXPERIMENT.replace("expect:", "  - {fault: delay, target: loan-model, by: 300ms, duration: 60s}\nexpect:")
    assert problem("{over: [1%, 2%]}", two) == (
        "there are 2 faults, so whose 'share' is meant is not said; write `faults[0].share`"
    )
    assert understood("{parameter: 'faults[1].by', over: [100ms, 1s]}", two).severities == (0.1, 1.0)


@pytest.mark.parametrize(
    ("sweep", "severity"), [("{over: [2%, 5%]}", 0.041), ("{parameter: traffic, from: 1%, to: 9%}", 0.03)]
)
def test_at_a_severity_the_experiment_is_the_same_but_for_it(sweep: str, severity: float) -> None:
    document = read_document(with_sweep(sweep), "e.yaml", {})
    found = understood(sweep)
    there = experiment_of(at(document, found, severity))
    plain, _ = parse(EXPERIMENT, "e.yaml", {})
    read = there.blast_radius.traffic if found.path[-1] == "traffic" else there.faults[0].share
    assert read == pytest.approx(severity)
    assert there.sweep is None
    same = {"faults", "blast_radius"}
    assert there.model_dump(exclude=same) == plain.model_dump(exclude=same)
    assert document.data["sweep"] is not None  # type: ignore[index]
