"""When a bound is judged: as it always was where nobody says so, and otherwise exactly then."""

from __future__ import annotations

import pytest

from chaos.experiment import Experiment
from chaos.plans import Plan
from tests.values import experiment, planned

LATENCY = "  - probe: latency\n    max: 2x baseline"


def judged(text: str) -> Experiment:
    return experiment((LATENCY, f"{LATENCY}\n    {text}"))


def test_a_bound_that_says_nothing_is_judged_before_during_and_after():
    entry = experiment().steady_state[0]
    assert (entry.moments(), entry.within, entry.tolerance_s()) == (("before", "during", "after"), None, 5.0)


@pytest.mark.parametrize(
    ("text", "moments", "holds"),
    [
        ("judged: continuous", ("continuous",), []),
        ("judged: [before, during]", ("before", "during"), ["latency"]),
        ("judged: [before, continuous]\n    for: 10s", ("before", "continuous"), []),
        ("judged: eventually\n    within: 40s", ("eventually",), []),
    ],
)
def test_one_moment_or_several_and_only_what_is_judged_under_the_fault_must_hold_there(text, moments, holds):
    made = judged(text)
    assert made.steady_state[1].moments() == moments
    assert made.holding() == holds


def test_the_plan_keeps_when_each_bound_is_judged():
    drawn = planned((LATENCY, f"{LATENCY}\n    judged: [continuous, eventually]\n    within: 40s\n    for: 7s"))
    latency = drawn.steady()[1]
    assert (latency.judged, latency.within_s, latency.tolerance_s) == (("continuous", "eventually"), 40.0, 7.0)
    assert drawn.steady()[0].judged == ("before", "during", "after")
    assert Plan.from_json(drawn.to_json()) == drawn
