"""What is proven of an expression's values holds for every Prometheus."""

from __future__ import annotations

from math import inf

import pytest

from chaos.promql_tree import bare, tree
from chaos.rulecheck.bounds import Between, between, decides, is_share

TYPES = {"c_total": "counter", "g": "gauge", "h_bucket": "histogram", "h_sum": "histogram", "h_count": "histogram"}


@pytest.mark.parametrize(
    ("expr", "least", "most"),
    [
        ("g", -inf, inf), ("c_total", 0, inf), ("h_sum", -inf, inf), ("h_count", 0, inf), ("up", 0, 1), ("3", 3, 3),
        ("rate(c_total[5m])", 0, inf), ("rate(g[5m])", -inf, inf), ("-up", -1, 0), ("1 - up", 0, 1), ("up * 100", 0, 100),
        ("up * -2", -2, 0), ("up / 4", 0, 0.25), ("g / c_total", -inf, inf), ("sum(up)", 0, inf), ("avg(up)", 0, 1),
        ("sum(-up)", -inf, 0), ("count(g)", 1, inf), ("group(g)", 1, 1), ("abs(g)", 0, inf), ("abs(0.8 - up)", 0, 0.8),
        ("clamp(g, 0, 5)", 0, 5), ("clamp_max(up, 0.5)", 0, 0.5), ("clamp_min(g, 2)", 2, inf), ("up == bool 1", 0, 1),
        ("g > 3", -inf, inf), ("3 < up", 0, 1), ("up or vector(7)", 0, 7), ("up and g", 0, 1), ("up unless g", 0, 1),
        ("histogram_quantile(0.5, h_bucket)", -inf, inf), ("histogram_quantile(50, h_bucket)", inf, inf),
        ("histogram_quantile(-1, h_bucket)", -inf, -inf), ("max_over_time(up[1h])", 0, 1), ("sum_over_time(g[1h])", -inf, inf),
        ("absent(g)", 1, 1), ("time() - g", -inf, inf), ("hour()", 0, 23), ("stddev(g)", 0, inf), ("topk(3, up)", 0, 1),
        ("quantile(0.9, up)", 0, 1), ("scalar(up) + vector(1)", 1, 2), ("g ^ 2", -inf, inf), ("(2 + 3) * 2", 10, 10),
        ("up * 0", 0, 0), ("c_total * 0", 0, 0), ("-c_total * 0", 0, 0), ("clamp_max(vector(2), 1)", 1, 1), ("clamp(up, 3, 5)", 3, 3),
        ("scalar(up) <= g", -inf, inf), ("histogram_quantile(2, h_bucket) - c_total", -inf, inf), ("delta(c_total[5m])", -inf, inf), ("last_over_time((up > 0)[1h:])", 0, 1),
    ],
)  # fmt: skip
def test_an_expression_lies_between_what_can_be_proven_of_it(expr: str, least: float, most: float) -> None:
    assert between(tree(expr), TYPES) == Between(least, most)


@pytest.mark.parametrize(
    ("expr", "share"),
    [
        ("sum(rate(c{a='1', b='2'}[5m])) / sum(rate(c{a='1'}[5m]))", True),
        ("sum by (x) (rate(c{a='1'}[5m])) / sum by (x) (rate(c[5m]))", True),
        ("sum by (x, y) (rate(c[5m])) / on (x) group_left () sum by (x) (rate(c[5m]))", True),
        ("sum without (x) (rate(c{a='1'}[5m])) / sum without (x) (rate(c[5m]))", True),
        ("count(g > 3) / count(g)", True),
        ("count by (job) (up == 0) / count by (job) (up)", True),
        ("sum(rate(h_bucket{le='0.5'}[5m])) / sum(rate(h_count[5m]))", True),
        ("sum(increase(c[5m]) unless on (v) w) / sum(increase(c[5m]))", True),
        ("sum(rate(c[5m])) / sum(rate(c{a='1'}[5m]))", False),
        ("sum(rate(c{a='1'}[5m])) / sum(rate(c{a='2'}[5m]))", False),
        ("sum(rate(c{a='1'}[5m])) / sum(rate(d[5m]))", False),
        ("sum(rate(c{a='1'}[10m])) / sum(rate(c[5m]))", False),
        ("sum(rate(c{a='1'}[5m] offset 1h)) / sum(rate(c[5m]))", False),
        ("sum(increase(c{a='1'}[5m])) / sum(rate(c[5m]))", False),
        ("sum(rate(c{a='1'}[5m])) / sum by (x) (rate(c[5m]))", False),
        ("sum without (x) (rate(c{a='1'}[5m])) / sum(rate(c[5m]))", False),
        ("sum(g{a='1'}) / sum(g)", False),
        ("sum(rate(h_bucket[5m])) / sum(rate(h_count[5m]))", False),
        ("sum(rate(c[5m])) / count(rate(c[5m]))", False),
        ("sum(rate(c[5m])) / sum(rate(c[5m]) > 5)", False),
    ],
)
def test_a_share_is_a_part_of_exactly_what_it_is_divided_by(expr: str, share: bool) -> None:
    node = bare(tree(expr))
    assert is_share(node.lhs, node.rhs) is share


@pytest.mark.parametrize(
    ("sign", "never", "always"),
    [(">", 1, -0.1), (">=", 1.1, 0), ("<", 0, 1.1), ("<=", -0.1, 1), ("==", 2, None), ("!=", None, 2)],
)
def test_a_threshold_is_never_or_always_passed_exactly_from_the_edge_on(
    sign: str, never: float | None, always: float | None
) -> None:
    assert decides(Between(0, 1), sign, 0.5) == "open"
    if never is not None:
        assert decides(Between(0, 1), sign, never) == "never"
    if always is not None:
        assert decides(Between(0, 1), sign, always) == "always"
    for edge, sign_at in ((1, ">="), (0, "<="), (0, ">"), (1, "<")):
        assert decides(Between(0, 1), sign_at, edge) == "open"
    assert decides(Between(3, 3), "==", 3) == "always"
    assert decides(Between(3, 3), "!=", 3) == "never"
