"""Rules made worse: each mutant differs in one thing, none is the rule, and what survives is said with what would notice it."""

from __future__ import annotations

import pytest

from chaos.promql import selected
from chaos.promql_tree import tree
from chaos.rehearsal.mutants import Mutant, MutationReport, Seen, judged, mutants
from chaos.telemetry import RuleInfo

RATIO = 'sum(increase(fb{job="g",outcome="correct"}[30s])) / sum(increase(fb{job="g"}[30s])) < 0.88'


def of(expr: str, kind: str, for_s: float = 0.0) -> list[Mutant]:
    return [one for one in mutants(RuleInfo("A", expr, for_s, {"severity": "page"})) if one.kind == kind]


@pytest.mark.parametrize(
    ("expr", "further"),
    [
        ("m > 10", "(m) > 15"),
        ("m >= -3", "(m) >= -2"),
        ("m < 10", "(m) < 6.666666667"),
        ("m < -2", "(m) < -3"),
        ("m < 0.9", "(m) < 0.85"),  # a share near 1 counts from 1
        ("10 < m", "(m) > 15"),
        ("m > 2 * 5", "(m) > 15"),
    ],
)
def test_a_threshold_moves_to_where_it_is_harder_to_cross(expr: str, further: str) -> None:
    assert [one.rule.expr for one in of(expr, "threshold")] == [further]


@pytest.mark.parametrize("expr", ["m > 0", "m == 5", "m > bool 5", "a > b", "absent(m)"])
def test_what_has_no_threshold_that_can_be_moved_has_no_such_mutant(expr: str) -> None:
    assert of(expr, "threshold") == []


def test_of_several_thresholds_each_moves_alone() -> None:
    assert [one.rule.expr for one in of("a > 2 and b < 4", "threshold")] == [
        "((a) > 3) and (b < 4)",
        "(a > 2) and ((b) < 2.666666667)",
    ]


def test_what_inhibits_a_rule_is_not_made_harder_to_meet() -> None:
    assert [one.change for one in of("a > 2 unless (b > 4 and c > 6)", "threshold")] == ["the threshold 2 becomes 3"]
    assert len(of("(a > 2 unless b > 4) and c > 6", "threshold")) == 2


def test_a_score_has_its_exact_interval() -> None:
    seen = (Seen("quick", 30.0, 0.1, 20, None, None),)
    one = judged("A", of("m > 10", "threshold")[0], seen)
    found = MutationReport((one,) * 3, ("quick",), {}, 20)
    assert found.interval == pytest.approx((0.29, 1.0), abs=0.01)
    assert MutationReport((), (), {}, 20).interval is None


def test_for_and_windows_are_twice_as_long() -> None:
    assert [one.rule.for_s for one in of("m > 1", "for", 5.0)] == [10.0]
    assert of("m > 1", "for") == []
    (wide,) = of(RATIO, "window")
    assert wide.rule.expr.count("[1m]") == 2
    assert wide.change == "the window 30s becomes 1m"


def test_a_condition_is_dropped_and_a_metric_renamed_wherever_they_stand() -> None:
    job, outcome = (selected(one.rule.expr) for one in of(RATIO, "selector"))
    assert [one.conditions for one in job] == [(("outcome", "=", "correct"),), ()]
    assert [one.conditions for one in outcome] == [(("job", "=", "g"),)] * 2
    (renamed,) = of(RATIO, "metric")
    assert {one.name for one in selected(renamed.rule.expr)} == {"fb_renamed"}


def test_a_label_of_the_rule_is_dropped_alone() -> None:
    (one,) = of("m > 1", "label")
    assert (one.rule.labels, one.rule.expr) == ({}, "m > 1")


@pytest.mark.parametrize(
    "expr",
    [
        RATIO,
        'a{x=~"\\\\d+"} > 1 unless on (job) b offset 5m',
        "histogram_quantile(0.9, sum by (le) (rate(t_bucket[5m]))) > 2",
    ],
)
def test_every_mutant_is_an_expression_and_none_is_the_rule(expr: str) -> None:
    rule = RuleInfo("A", expr, 5.0, {"severity": "page"})
    made = mutants(rule)
    assert len(made) > 4
    for one in made:
        assert tree(one.rule.expr) is not None
        assert one.rule != rule
        assert one.rule.name == "A"


def test_an_expression_that_nobody_can_take_apart_has_mutants_of_for_and_labels_alone() -> None:
    assert {one.kind for one in mutants(RuleInfo("A", "m >", 5.0, {"severity": "page"}))} == {"for", "label"}


SLOW = Seen("quick", 60.0, 1.0, 20, 50.0, 30.0)


def test_a_mutant_is_noticed_when_some_experiment_fails_under_it() -> None:
    (longer,) = of("m > 1", "for", 5.0)
    blind = Seen("other", 60.0, 0.0, 20, None, 30.0)
    assert judged("A", longer, (SLOW, blind)).state == "noticed"
    assert judged("A", longer, (SLOW, blind)).experiment == "other"
    assert judged("A", longer, (SLOW,)).state == "survived"


def test_a_survivor_says_what_would_notice_it() -> None:
    (longer,) = of("m > 1", "for", 5.0)
    same = Seen("quick", 60.0, 1.0, 20, 30.0, 30.0)
    (label,) = of("m > 1", "label")
    assert judged("A", longer, (SLOW,)).advice == "write `within: 40s`: the rule tells within 30s, the mutant after 50s"
    assert "a smaller severity" in judged("A", longer, (same,)).advice
    assert judged("A", label, (SLOW,)).advice == "expect it: `labels: {severity: page}` under the alert"


def test_the_score_is_the_share_that_is_noticed_and_there_is_none_without_mutants() -> None:
    (longer,) = of("m > 1", "for", 5.0)
    noticed, survived = judged("A", longer, (Seen("q", None, 0.1, 20, None, None),)), judged("A", longer, (SLOW,))
    found = MutationReport((noticed, survived, survived, survived), ("q",), {}, 20)
    assert (found.score, len(found.survivors)) == (0.25, 3)
    assert MutationReport((), (), {}, 20).score is None
