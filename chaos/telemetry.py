"""What Prometheus and Alertmanager say, as values; and what can be read out of their texts. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import promql_parser
import yaml

from chaos.units import parse_duration


@dataclass(frozen=True, slots=True)
class Series:
    """One time series: labels, and (wall_s, value) in order of time."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class RuleAlert:
    """One instance of an alert as Prometheus has it."""

    labels: Mapping[str, str]
    state: Literal["inactive", "pending", "firing"]
    active_at_wall_s: float
    value: float | None = None


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """One loaded alerting rule, with its live state."""

    name: str
    expr: str
    for_s: float
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    keep_firing_s: float = 0.0
    health: str = "ok"
    last_error: str = ""
    state: str = "inactive"
    group: str = ""
    interval_s: float = 0.0
    last_evaluation_wall_s: float = 0.0
    evaluation_time_s: float = 0.0
    alerts: tuple[RuleAlert, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertInstance:
    """One alert as Alertmanager has it."""

    fingerprint: str
    labels: Mapping[str, str]
    state: str
    starts_at_wall_s: float
    ends_at_wall_s: float | None = None
    inhibited_by: tuple[str, ...] = ()
    silenced_by: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotifiedAlert:
    """One alert inside a notification."""

    status: Literal["firing", "resolved"]
    fingerprint: str
    labels: Mapping[str, str]
    starts_at_wall_s: float
    ends_at_wall_s: float | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification that a sink got."""

    id: int
    received_at_wall_s: float
    receiver: str
    status: str
    alerts: tuple[NotifiedAlert, ...]


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """One scrape target of Prometheus."""

    job: str
    instance: str
    health: str
    interval_s: float
    last_error: str = ""


# --- PromQL -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Comparison:
    """A rule's top comparison: `left operator threshold`. `threshold` is None when the right side is no number."""

    left: str
    operator: str
    threshold: float | None


LONGEST_EXPR = 10_000
"""Characters of a rule's expression that are looked at."""
DEEPEST_EXPR = 100
"""Brackets within brackets, signs after signs, powers of powers. The parser's stack ends somewhere, and the process with it."""
_SIGNS = re.compile(rf"(?:[-+][ \t\r\n]*){{{DEEPEST_EXPR + 1}}}")


def _parsed(expr: str) -> Any:
    """The expression taken apart. Raises ValueError when it is none, or too long or too deep to be one that a person wrote."""
    if len(expr) > LONGEST_EXPR or _SIGNS.search(expr) or max(_depth(expr), expr.count("^")) > DEEPEST_EXPR:
        raise ValueError("this expression is too long or too deep")
    return promql_parser.parse(expr)


def _depth(expr: str) -> int:
    """The most brackets that are open at once, quoted ones included."""
    return max(itertools.accumulate((sign in "([{") - (sign in ")]}") for sign in expr), default=0)


_OPERATORS = {"<", "<=", ">", ">=", "==", "!="}


def _number(expression: Any) -> float | None:
    if isinstance(expression, promql_parser.NumberLiteral):
        return float(expression.val)
    if isinstance(expression, promql_parser.ParenExpr):
        return _number(expression.expr)
    if isinstance(expression, promql_parser.UnaryExpr):
        inner = _number(expression.expr)
        return None if inner is None else -inner
    return None


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _comparison(expression: Any) -> Comparison | None:
    if isinstance(expression, promql_parser.ParenExpr):
        return _comparison(expression.expr)
    if not isinstance(expression, promql_parser.BinaryExpr):
        return None
    operator = str(expression.op).split(".")[-1].strip()
    if operator in _OPERATORS:
        left, right = _number(expression.lhs), _number(expression.rhs)
        if left is not None and right is None:
            return Comparison(str(expression.rhs), _MIRRORED.get(operator, operator), left)
        return Comparison(str(expression.lhs), operator, right)
    if operator in ("and", "unless", "or"):
        return _comparison(expression.lhs) or _comparison(expression.rhs)
    return None


def left_side(expr: str) -> Comparison | None:
    """What a rule compares with what: the first comparison from the left, through `and`, `unless` and parentheses."""
    try:
        return _comparison(_parsed(expr))
    except (ValueError, RecursionError):
        return None


def _selectors(expression: Any) -> Iterator[str]:
    if isinstance(expression, promql_parser.VectorSelector):
        if expression.name:
            yield expression.name
        return
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        inner = getattr(expression, name, None)
        if inner is not None:
            yield from _selectors(inner)
    for argument in getattr(expression, "args", None) or ():
        yield from _selectors(argument)


def _ranges(expression: Any) -> Iterator[float]:
    if isinstance(expression, (promql_parser.MatrixSelector, promql_parser.SubqueryExpr)):
        yield expression.range.total_seconds() if expression.range is not None else 0.0
    for name in ("expr", "lhs", "rhs", "param"):
        inner = getattr(expression, name, None)
        if inner is not None:
            yield from _ranges(inner)
    for argument in getattr(expression, "args", None) or ():
        yield from _ranges(argument)


def longest_window_s(expr: str) -> float:
    """The longest time that the expression looks back over, in seconds; 0 when it reads only what is now."""
    try:
        return max(_ranges(_parsed(expr)), default=0.0)
    except (ValueError, RecursionError):
        return 0.0


def metric_names(expr: str) -> frozenset[str]:
    """Every metric that the expression selects by name; empty when it cannot be parsed."""
    try:
        return frozenset(_selectors(_parsed(expr)))
    except (ValueError, RecursionError):
        return frozenset()


# --- Alertmanager's routes --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition of a route on a label."""

    name: str
    operator: Literal["=", "!=", "=~", "!~"]
    value: str

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels meet it; a missing label counts as empty, expressions are anchored."""
        found = labels.get(self.name, "")
        match self.operator:
            case "=":
                return found == self.value
            case "!=":
                return found != self.value
            case "=~":
                return re.fullmatch(self.value, found) is not None
            case "!~":
                return re.fullmatch(self.value, found) is None


@dataclass(frozen=True, slots=True)
class Route:
    """One node of Alertmanager's routing tree, with its inherited defaults filled in."""

    receiver: str
    matchers: tuple[Matcher, ...] = ()
    group_by: tuple[str, ...] = ()
    group_wait_s: float = 30.0
    group_interval_s: float = 300.0
    repeat_interval_s: float = 14400.0
    continue_: bool = False
    children: tuple[Route, ...] = ()

    def routes_for(self, labels: Mapping[str, str]) -> list[Route]:
        """The routes that an alert with these labels takes: children first, the first match unless it continues."""
        if not all(matcher.holds(labels) for matcher in self.matchers):
            return []
        taken: list[Route] = []
        for child in self.children:
            found = child.routes_for(labels)
            taken += found
            if found and not child.continue_:
                break
        return taken or [self]


_MATCHER = re.compile(r'\s*([A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*"?((?:[^"\\]|\\.)*)"?\s*')


def _matchers(row: Mapping[str, Any]) -> tuple[Matcher, ...]:
    found: list[Matcher] = []
    listed = row.get("matchers") or []
    for text in listed if isinstance(listed, list) else [listed]:
        for part in str(text).strip().strip("{}").split(","):
            match = _MATCHER.fullmatch(part)
            if match is not None:
                found.append(Matcher(match[1], match[2], match[3]))  # type: ignore[arg-type]
    found += [Matcher(name, "=", str(value)) for name, value in (row.get("match") or {}).items()]
    found += [Matcher(name, "=~", str(value)) for name, value in (row.get("match_re") or {}).items()]
    return tuple(found)


MOST_ROUTES = 5000
"""Of one configuration, aliases written out."""


def _route(row: Mapping[str, Any], above: Route, count: Iterator[int]) -> Route:
    if next(count) > MOST_ROUTES:
        raise ValueError(f"this configuration has more than {MOST_ROUTES:,} routes, aliases written out")

    def seconds(key: str, inherited: float) -> float:
        return parse_duration(row[key]) if key in row else inherited

    here = Route(
        receiver=row.get("receiver") or above.receiver,
        matchers=_matchers(row),
        group_by=tuple(row.get("group_by", above.group_by)),
        group_wait_s=seconds("group_wait", above.group_wait_s),
        group_interval_s=seconds("group_interval", above.group_interval_s),
        repeat_interval_s=seconds("repeat_interval", above.repeat_interval_s),
        continue_=bool(row.get("continue", False)),
    )
    children = tuple(_route(child, here, count) for child in row.get("routes") or ())
    return Route(
        here.receiver, here.matchers, here.group_by, here.group_wait_s, here.group_interval_s, here.repeat_interval_s,
        here.continue_, children,
    )  # fmt: skip


def parse_alertmanager_config(text: str) -> Route:
    """The routing tree of an Alertmanager configuration. Raises ValueError when there is none."""
    row = yaml.safe_load(text)
    if not isinstance(row, dict) or not isinstance(row.get("route"), dict):
        raise ValueError("this configuration has no route")
    return _route(row["route"], Route(""), itertools.count(1))
