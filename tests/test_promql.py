"""What is read out of a rule's expression: its selectors, what they match, how far back it looks, and whether it is a ratio."""

from __future__ import annotations

import pytest

from chaos.promql import Selected, left_side, looks_back_s, ratio_of, selected, selectors


@pytest.mark.parametrize(
    ("expr", "found"),
    [
        ('up{job="a"} == 0', ('up{job="a"}',)),
        (
            'sum(rate(n_total{code=~"5..",x!="y"}[5m] offset 1h)) / sum(rate(n_total[5m]))',
            ('n_total{code=~"5..", x!="y"}', "n_total"),
        ),
        ("absent(up) or up or vector(1)", ("up",)),
        ("max_over_time(sum(rate(n_total[1m]))[1h:1m])", ("n_total",)),
        ('{__name__=~"a.*"}', ('{__name__=~"a.*"}',)),
        ("histogram_quantile(0.9, sum by (le) (rate(t_bucket[1m]))) > 1", ("t_bucket",)),
        ("1 +", ()),
        ("vector(1)", ()),
    ],
)
def test_every_selector_as_it_stands(expr: str, found: tuple[str, ...]) -> None:
    assert selectors(expr) == found


@pytest.mark.parametrize(
    ("expr", "seconds"),
    [
        ("up == 0", 0),
        ("rate(n_total[5m]) > 1", 300),
        ("rate(n_total[5m] offset 1h) > 1", 3900),
        ("max_over_time(rate(n_total[1m])[1h:1m] offset 10m)", 4260),
        ("rate(a_total[5m]) > rate(b_total[1h])", 3600),
        ("level > level offset 1d", 86400),
        ("not promql (", 0),
    ],
)
def test_how_far_back_it_looks(expr: str, seconds: float) -> None:
    assert looks_back_s(expr) == seconds


@pytest.mark.parametrize(
    ("expr", "labels", "matches"),
    [
        ("up", {"__name__": "up", "job": "a"}, True),
        ("up", {"__name__": "upper"}, False),
        ('up{job="a"}', {"__name__": "up"}, False),
        ('up{job=""}', {"__name__": "up"}, True),
        ('up{job!="a"}', {"__name__": "up"}, True),
        ('up{job=~"a|b"}', {"__name__": "up", "job": "ab"}, False),
        ('up{job=~"a|b"}', {"__name__": "up", "job": "b"}, True),
        ('up{job!~"a.*"}', {"__name__": "up", "job": "abc"}, False),
        ('{__name__=~"u.*"}', {"__name__": "up"}, True),
        ('{__name__=~"u.*"}', {"__name__": "down"}, False),
    ],
)
def test_what_a_selector_matches(expr: str, labels: dict[str, str], *, matches: bool) -> None:
    (one,) = selected(expr)
    assert one.matches(labels) is matches


def test_an_expression_that_only_prometheus_understands_matches_nothing() -> None:
    assert not Selected("up", (("job", "=~", "(?i-s:a"),)).matches({"__name__": "up", "job": "a"})


def test_a_ratio_of_counters_is_known_by_its_two_selectors() -> None:
    found = ratio_of('(sum(increase(n_total{ok="1"}[1m])) / sum(increase(n_total[1m])))')
    assert found is not None
    part, whole = found
    assert part.conditions == (("ok", "=", "1"),)
    assert (part.name, whole.name, whole.conditions) == ("n_total", "n_total", ())


@pytest.mark.parametrize(
    "expr",
    [
        "up",
        "a / b",
        "sum(n_total) * sum(n_total)",
        "sum(n_total{a='1'}) + 0",
        "(n_total + n_total) / n_total",
        "1 / n_total",
        "((",
    ],
)
def test_what_is_no_ratio_of_one_counter(expr: str) -> None:
    assert ratio_of(expr) is None


@pytest.mark.parametrize(
    "left",
    [
        r'rate(m{path=~"/v1/\\d+\\.json"}[1m])',
        r'sum by (le) (m{text="a \"quoted\" \\ one"})',
        r'm{line="a\nb"}',
    ],
)
def test_the_left_side_of_a_rule_asks_for_the_same_as_the_rule(left: str) -> None:
    """It is sent to the server: an expression whose backslashes were lost would select something else, or nothing."""
    found = left_side(f"{left} > 5")
    assert found is not None
    assert selected(found.left) == selected(left)
    assert selectors(found.left) == selectors(left)
