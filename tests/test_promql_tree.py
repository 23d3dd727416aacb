"""An expression is taken apart and written anew without changing what it asks."""

from __future__ import annotations

from typing import Any

import promql_parser as promql
import pytest

from chaos.promql_tree import Unwritable, alternatives, bare, call, children, duration, exact, free, names, tree
from chaos.rulecheck.checker import check
from chaos.rulecheck.known import Known
from chaos.rulecheck.standing import standing
from tests.rulecheck.cases import EVERYTHING_THERE, answered, rule_of
from tests.rulecheck.test_right_rules import ALL


@pytest.mark.parametrize(
    ("expr", "asked"),
    [
        ("a > 5", "a"),
        ("5 < a", "a"),
        ("a > (2 * 3)", "a"),
        ("time() - a > 5", "time() - a"),
        ("a > b", "a > bool b"),
        ("a > on (x) group_left (y) b", "a > bool on (x) group_left (y) b"),
        ("a / (b > 0) > 0.5", "a / (b)"),
        ("a > 1 and on (x) b < 2", "a and on (x) b"),
        ("a > 1 unless b", "a"),
        ("a > 1 or b > 2", "a or b"),
        ("a > bool 5", "a > bool 5"),
        ("count(up == 0) > 2", "count(up)"),
        ("max_over_time((a > 5)[1h:1m]) > 0", "max_over_time((a)[1h:1m])"),
        ('absent(up{job="a", x!="y"})', 'label_replace(vector(1), "job", "a", "", "")'),
        ('absent_over_time(a{v="$1"}[5m])', 'label_replace(vector(1), "v", "$$1", "", "")'),
        ("absent(sum(a))", "vector(1)"),
        ('a{b=~"\\\\d\\"\\n"} offset 90s', 'a{b=~"\\\\d\\"\\n"} offset 90s'),
        ("rate(a[1d12h] offset -1w)", "rate(a[36h] offset -1w)"),
        ('{__name__=~"a|b"}', '{__name__=~"a|b"}'),
        ("topk by (x) (3, a > 1)", "topk by (x) (3, a)"),
        ("-(a > 1) * 1e9", "(-((a))) * 1000000000"),
        ("a @ 1609746000 > 1", "a @ 1609746000.000"),
        ("quantile_over_time(0.95, a[5m]) == 0.1", "quantile_over_time(0.95, a[5m])"),
        ("a > scalar(b)", "a"),
    ],
)
def test_thresholds_are_left_out_of_what_is_asked_and_nothing_else(expr: str, asked: str) -> None:
    assert free(tree(expr)) == asked
    assert tree(asked) is not None


def shape(node: Any) -> object:
    """The tree without its parentheses: what each node is, and what stands below it."""
    node = bare(node)
    own = "" if children(node) and not isinstance(node, promql.MatrixSelector) else str(node)
    said = [str(getattr(node, name, "")) for name in ("op", "modifier", "range", "step", "offset", "at", "param")]
    return (type(node).__name__, call(node), own, *said, *map(shape, children(node)))


@pytest.mark.parametrize("expr", [expr for expr, _ in ALL.values()], ids=list(ALL))
def test_an_expression_written_anew_is_the_same_expression(expr: str) -> None:
    again = exact(tree(expr))
    assert exact(tree(again)) == again
    assert shape(tree(again)) == shape(tree(expr))


def test_what_cannot_be_asked_for_on_its_own_is_said() -> None:
    with pytest.raises(Unwritable):
        free(tree('a{b="c" or d="e"}'))


def test_arms_and_metrics_are_found_through_parentheses() -> None:
    root = tree("((a > 1) or (b / c > 2 or d > 3))")
    assert [exact(arm) for arm in alternatives(root)] == ["a > 1", "(b / c) > 2", "d > 3"]
    assert names(root) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "500ms"), (1, "1s"), (90, "90s"), (3600, "1h"), (86400, "1d"), (604800, "1w"), (0, "1ms")],
)
def test_a_duration_is_written_as_promql_reads_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    "deep", ["a" + " + a" * 1100, "a" + " or a" * 1100, "abs(" * 99 + "a" + ")" * 99, "sum(" * 101 + "a" + ")" * 101]
)
def test_an_expression_that_is_far_too_deep_is_left_to_prometheus(deep: str) -> None:
    rule = rule_of(f"{deep} > 1")
    facts = Known(names=frozenset(["a"]), scrape_s={"x": 1.0}).facts(rule)
    assert check(rule, answered(rule, facts, EVERYTHING_THERE)) == ()
    standing(rule, facts)
