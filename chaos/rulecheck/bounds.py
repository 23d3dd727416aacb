"""Between which numbers an expression must lie, whatever its metrics read: a rate is never negative, a share never above one. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import promql_parser as promql

from chaos.promql_tree import Unwritable, bare, by, call, filters, matchers, number, operator, returns_bool, scalar

INFINITE = math.inf
Always = Literal["never", "always", "open"]


@dataclass(frozen=True, slots=True)
class Between:
    """The least and the most that something can be."""

    least: float = -INFINITE
    most: float = INFINITE


ANY, POSITIVE, SHARE = Between(), Between(0.0, INFINITE), Between(0.0, 1.0)
RATES = frozenset(("rate", "increase", "irate"))
_COUNTING = frozenset(("count_over_time", "changes", "resets", "exp", "sqrt", "stddev_over_time", "stdvar_over_time"))
_SAME = frozenset(
    ("vector", "scalar", "sort", "sort_desc", "label_replace", "label_join", "max_over_time", "min_over_time", "avg_over_time",
     "last_over_time", "quantile_over_time", "sort_by_label", "sort_by_label_desc")
)  # fmt: skip
_CLOCK = {
    "hour": Between(0, 23), "minute": Between(0, 59), "day_of_week": Between(0, 6), "day_of_month": Between(1, 31),
    "month": Between(1, 12), "day_of_year": Between(1, 366), "days_in_month": Between(28, 31), "time": POSITIVE, "timestamp": POSITIVE,
    "sgn": Between(-1, 1), "absent": Between(1, 1), "absent_over_time": Between(1, 1), "present_over_time": Between(1, 1),
}  # fmt: skip
HEALTH = frozenset(("up", "probe_success"))
"""Metrics that are 0 or 1 in every Prometheus."""


def grows(name: str | None, types: Mapping[str, str]) -> bool:
    """Whether the metric is declared as something that only grows: a counter, or a histogram's or summary's counts."""
    kind = types.get(name or "", "")
    counts = (name or "").endswith(("_bucket", "_count", "_sum"))
    return kind == "counter" or (kind in ("histogram", "summary") and counts)


def between(node: Any, types: Mapping[str, str]) -> Between:
    """Between which numbers the node lies, as far as that can be proven; `types` says what metrics are declared as."""
    node = bare(node)
    known = number(node)
    if known is not None:
        return Between(known, known)
    match node:
        case promql.UnaryExpr():
            inner = between(node.expr, types)
            return Between(-inner.most, -inner.least)
        case promql.VectorSelector():
            if node.name in HEALTH:
                return SHARE
            return POSITIVE if grows(node.name, types) and not str(node.name).endswith("_sum") else ANY
        case promql.MatrixSelector():
            return between(node.vector_selector, types)
        case promql.SubqueryExpr():
            return between(node.expr, types)
        case promql.Call():
            return _call(node, types)
        case promql.AggregateExpr():
            return _aggregate(node, types)
        case promql.BinaryExpr():
            return _binary(node, types)
    return ANY


def _call(node: Any, types: Mapping[str, str]) -> Between:
    name = call(node)
    if name in RATES:
        inner = bare(node.args[0])
        selected = inner.vector_selector.name if isinstance(inner, promql.MatrixSelector) else None
        return ANY if types.get(selected or "") == "gauge" else POSITIVE
    if name in _COUNTING:
        return POSITIVE
    if name in _CLOCK:
        return _CLOCK[name]
    if name == "histogram_quantile":
        quantile = number(node.args[0])
        if quantile is not None and not 0 <= quantile <= 1:
            return Between(math.copysign(INFINITE, quantile), math.copysign(INFINITE, quantile))
        return ANY
    vectors = [between(one, types) for one in node.args if not isinstance(one, promql.StringLiteral)]
    if name in _SAME and vectors:
        return vectors[-1] if name == "quantile_over_time" else vectors[0]
    if name == "abs":
        inner = vectors[0]
        least = 0.0 if inner.least <= 0 <= inner.most else min(abs(inner.least), abs(inner.most))
        return Between(least, max(abs(inner.least), abs(inner.most)))
    if name in ("clamp", "clamp_min", "clamp_max"):
        limits = [number(one) for one in node.args[1:]]
        low = limits[0] if name != "clamp_max" else None
        high = limits[-1] if name != "clamp_min" else None
        inner = vectors[0]
        return Between(_clamped(inner.least, low, high), _clamped(inner.most, low, high))
    return ANY


def _clamped(value: float, low: float | None, high: float | None) -> float:
    value = value if high is None else min(value, high)
    return value if low is None else max(value, low)


def _aggregate(node: Any, types: Mapping[str, str]) -> Between:
    kind, inner = str(node.op), between(node.expr, types)
    if kind in ("avg", "min", "max", "quantile", "topk", "bottomk", "limitk", "limit_ratio"):
        return inner
    if kind == "group":
        return Between(1, 1)
    if kind in ("count", "count_values"):
        return Between(1, INFINITE)
    if kind in ("stddev", "stdvar"):
        return POSITIVE
    if kind == "sum":
        return Between(inner.least if inner.least >= 0 else -INFINITE, inner.most if inner.most <= 0 else INFINITE)
    return ANY


def _binary(node: Any, types: Mapping[str, str]) -> Between:
    sign = operator(node)
    if returns_bool(node):
        return SHARE
    if filters(node):
        return between(node.rhs if scalar(node.lhs) else node.lhs, types)  # what is kept is the vector
    left, right = between(node.lhs, types), between(node.rhs, types)
    match sign:
        case "and" | "unless":
            return left
        case "or":
            return Between(min(left.least, right.least), max(left.most, right.most))
        case "+":
            return _sum(left, right)
        case "-":
            return _sum(left, Between(-right.most, -right.least))
        case "*":
            return _product(left, right)
        case "/":
            if is_share(node.lhs, node.rhs):
                return SHARE
            if right.least == right.most and right.least != 0:
                return _product(left, Between(1 / right.least, 1 / right.least))
            return POSITIVE if left.least >= 0 and right.least >= 0 else ANY
    return ANY


def _sum(left: Between, right: Between) -> Between:
    least, most = left.least + right.least, left.most + right.most  # the infinite less the infinite is nothing known
    return Between(-INFINITE if math.isnan(least) else least, INFINITE if math.isnan(most) else most)


def _product(left: Between, right: Between) -> Between:
    corners = [a * b for a in (left.least, left.most) for b in (right.least, right.most)]
    corners = [0.0 if math.isnan(one) else one for one in corners]  # nothing times the infinite
    return Between(min(corners), max(corners))


def decides(found: Between, sign: str, threshold: float) -> Always:
    """Whether what lies there meets the comparison with the threshold never, always, or now and then."""
    least, most = found.least, found.most
    match sign:
        case ">":
            never, always = most <= threshold, least > threshold
        case ">=":
            never, always = most < threshold, least >= threshold
        case "<":
            never, always = least >= threshold, most < threshold
        case "<=":
            never, always = least > threshold, most <= threshold
        case "==":
            never, always = not least <= threshold <= most, least == most == threshold
        case _:
            never, always = least == most == threshold, not least <= threshold <= most
    return "never" if never else "always" if always else "open"


# --- shares -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Total:
    """What is added up: how, of which metric, under which conditions, and by which labels."""

    how: tuple[str, str, str]
    metric: str
    conditions: frozenset[tuple[str, str, str]]
    kept: frozenset[str] | None
    """None: all but those of `without`."""
    dropped: frozenset[str]


def is_share(part: Any, whole: Any) -> bool:
    """Whether the first adds up some of what the second adds up all of, so that their quotient lies between 0 and 1."""
    try:
        some, every = _total(part, narrowed=True), _total(whole, narrowed=False)
    except Unwritable:
        return False
    if some is None or every is None or some.how != every.how or some.metric != every.metric:
        return False
    if some.kept is None or every.kept is None:
        return (some.kept, some.dropped, every.conditions <= some.conditions) == (every.kept, every.dropped, True)
    return every.kept <= some.kept and every.conditions <= some.conditions


def _total(node: Any, *, narrowed: bool) -> _Total | None:
    node = bare(node)
    if not isinstance(node, promql.AggregateExpr) or str(node.op) not in ("sum", "count"):
        return None
    inner = bare(node.expr)
    while narrowed and (operator(inner) in ("and", "unless") or (filters(inner) and number(inner.rhs) is not None)):
        inner = bare(inner.lhs)
    calculated = moved = ""
    if call(inner) in RATES:
        calculated, inner = call(inner), bare(inner.args[0])
    if isinstance(inner, promql.MatrixSelector):
        moved, inner = f"{inner.range}", inner.vector_selector
    if not isinstance(inner, promql.VectorSelector) or not inner.name or (str(node.op) == "sum" and not calculated):
        return None  # a sum of gauges may have negative parts
    metric, conditions = inner.name, frozenset(matchers(inner))
    if metric.endswith("_bucket") and any(label == "le" and sign == "=" for label, sign, _ in conditions):
        metric, conditions = (
            metric.removesuffix("_bucket") + "_count",
            frozenset(one for one in conditions if one[0] != "le"),
        )
    labels = frozenset(node.modifier.labels) if node.modifier is not None else frozenset()
    kept = labels if node.modifier is None or by(node) else None
    how = (str(node.op), calculated, f"{moved} {inner.offset} {inner.at}")
    return _Total(how, metric, conditions, kept, labels if kept is None else frozenset())
