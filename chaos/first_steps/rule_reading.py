"""What an alert rule reads, taken apart: its metrics, their labels, how they are put together, and which way is bad. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import promql_parser as promql

from chaos import promql_tree as tree
from chaos.first_steps.found import Metric
from chaos.promql import Comparison, left_side, longest_window_s
from chaos.telemetry import RuleInfo

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def words(text: str) -> str:
    """The text in lower case, with spaces where names are joined: `ModelAccuracyLow` is `model accuracy low`."""
    return " ".join(re.split(r"[^a-z0-9%.+]+", _CAMEL.sub(" ", text).lower())).strip()


@dataclass(frozen=True, slots=True)
class RuleReading:
    """One rule as clues see it. `metrics`, `labels`, `name`, `help` and `summary` are words; `parts` and `whole` series of a ratio.

    `shape` says how the first condition is built: `absent`, `age` (now less a timestamp), `changes`, `quantile`, `share above`
    (one less a bucket's share), `gap` (two groups of one metric), `ratio`, `always` (no metric at all) or `plain`.
    """

    shape: str
    metrics: tuple[str, ...]
    labels: tuple[tuple[str, str, str], ...]
    text: str
    name: str
    help: str
    summary: str
    types: frozenset[str]
    compared: Comparison | None
    window_s: float
    quantile: float | None = None

    @property
    def low_is_bad(self) -> bool:
        """Whether it fires when what it reads gets small."""
        return self.compared is not None and self.compared.operator in ("<", "<=")


def reading_of(rule: RuleInfo, metric: Callable[[str], Metric]) -> RuleReading:
    """The rule taken apart. One that cannot be parsed has the shape `plain` and only its own words."""
    root = tree.tree(rule.expr)
    first = next(tree.conditions(root), None) if root is not None else None
    names = tuple(tree.names(first)) if first is not None else ()
    labels = _labels(first) if first is not None else ()
    declared = [metric(name) for name in names]
    compared = left_side(rule.expr)
    return RuleReading(
        shape=_shape(first, root, labels),
        metrics=names,
        labels=labels,
        text=words(" ".join([*names, *(f"{name} {value}" for name, _, value in labels if name != "job")])),
        name=words(rule.name),
        help=words(" ".join(one.help for one in declared)),
        summary=words(" ".join(rule.annotations.values())),
        types=frozenset(one.type for one in declared if one.type),
        compared=compared,
        window_s=longest_window_s(rule.expr),
        quantile=_quantile(first),
    )


def _labels(node: Any) -> tuple[tuple[str, str, str], ...]:
    found: dict[tuple[str, str, str], None] = {}
    for selector in tree.selectors(node):
        try:
            found.update(dict.fromkeys(tree.matchers(selector)))
        except tree.Unwritable:
            continue
    return tuple(found)


def _shape(first: Any, root: Any, labels: tuple[tuple[str, str, str], ...]) -> str:
    if root is None or first is None:
        return "plain"
    calls = {tree.call(node) for node in tree.walk(first)} - {""}
    if calls & tree.ABSENCE:
        return "absent"
    if not tree.selectors(root):
        return "always"
    if "time" in calls and any(tree.operator(node) == "-" for node in tree.walk(first)):
        return "age"
    if calls & {"changes", "resets"}:
        return "changes"
    if "histogram_quantile" in calls or any(name == "quantile" for name, _, _ in labels):
        return "quantile"
    if any(name == "le" for name, _, _ in labels):
        return "share above"
    if _gap(first):
        return "gap"
    return "ratio" if any(tree.operator(node) == "/" for node in tree.walk(first)) else "plain"


def _gap(first: Any) -> bool:
    """Whether the same metric of two groups is subtracted: one label has different values on the two sides."""
    for node in tree.walk(first):
        if tree.operator(node) != "-":
            continue
        sides = [{(name, value) for name, sign, value in _labels(side) if sign == "="} for side in (node.lhs, node.rhs)]
        names = [set(tree.names(side)) for side in (node.lhs, node.rhs)]
        left, right = (dict(side) for side in sides)
        if names[0] & names[1] and any(left[key] != right[key] for key in left.keys() & right.keys()):
            return True
    return False


def _quantile(first: Any) -> float | None:
    for node in tree.walk(first) if first is not None else ():
        if tree.call(node) == "histogram_quantile":
            return tree.number(node.args[0])
        if isinstance(node, promql.VectorSelector):
            for one in node.matchers.matchers:
                if one.name == "quantile":
                    try:
                        return float(one.value)
                    except ValueError:
                        return None
    return None
