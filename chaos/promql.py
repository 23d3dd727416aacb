"""What can be read out of a rule's expression, with a real parser and no patterns. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import promql_parser

from chaos.expressions import matches
from chaos.promql_tree import exact, parsed, selector


@dataclass(frozen=True, slots=True)
class Comparison:
    """A rule's top comparison: `left operator threshold`. `threshold` is None when the right side is no number."""

    left: str
    operator: str
    threshold: float | None


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
            return Comparison(exact(expression.rhs), _MIRRORED.get(operator, operator), left)
        return Comparison(exact(expression.lhs), operator, right)
    if operator in ("and", "unless", "or"):
        return _comparison(expression.lhs) or _comparison(expression.rhs)
    return None


def left_side(expr: str) -> Comparison | None:
    """What a rule compares with what: the first comparison from the left, through `and`, `unless` and parentheses."""
    try:
        return _comparison(parsed(expr))
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
        return max(_ranges(parsed(expr)), default=0.0)
    except (ValueError, RecursionError):
        return 0.0


def _reach(expression: Any) -> float:
    """How far back the oldest sample lies that the expression can read: ranges within ranges and offsets add up."""
    own = 0.0
    if isinstance(expression, (promql_parser.MatrixSelector, promql_parser.SubqueryExpr)) and expression.range:
        own += expression.range.total_seconds()
    offset = getattr(expression, "offset", None)
    own += max(0.0, offset.total_seconds()) if offset is not None else 0.0
    parts = [getattr(expression, name, None) for name in ("expr", "lhs", "rhs", "vector_selector", "param")]
    parts += list(getattr(expression, "args", None) or ())
    return own + max((_reach(part) for part in parts if part is not None), default=0.0)


def looks_back_s(expr: str) -> float:
    """The age in seconds of the oldest sample that the expression can read; 0 when it reads only what is now."""
    try:
        return _reach(parsed(expr))
    except (ValueError, RecursionError):
        return 0.0


def _vector_selectors(expression: Any) -> Iterator[Any]:
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
        return
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        inner = getattr(expression, name, None)
        if inner is not None:
            yield from _vector_selectors(inner)
    for argument in getattr(expression, "args", None) or ():
        yield from _vector_selectors(argument)


def selectors(expr: str) -> tuple[str, ...]:
    """Every selector of the expression as it stands there, without range, offset and `@`; none when it cannot be parsed."""
    try:
        found = [selector(one) for one in _vector_selectors(parsed(expr))]
    except (ValueError, RecursionError):
        return ()
    return tuple(dict.fromkeys(found))


_MATCH = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


def matchers(selector: Any) -> tuple[tuple[str, str, str], ...]:
    """(label, operator, value) of each condition in braces of a parsed selector."""
    return tuple((one.name, _MATCH[str(one.op).rsplit(".", 1)[-1]], one.value) for one in selector.matchers.matchers)


@dataclass(frozen=True, slots=True)
class Selected:
    """What a selector asks for: a metric's name, and (label, operator, value) of each condition."""

    name: str
    conditions: tuple[tuple[str, str, str], ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is selected; expressions are anchored, a missing label is empty."""
        if self.name and labels.get("__name__") != self.name:
            return False
        return all(_holds(labels.get(name, ""), sign, value) for name, sign, value in self.conditions)


def selected(expr: str) -> tuple[Selected, ...]:
    """Every selector of the expression, ready to match labels; none when it cannot be parsed."""
    try:
        return tuple(Selected(one.name or "", matchers(one)) for one in _vector_selectors(parsed(expr)))
    except (ValueError, RecursionError):
        return ()


def _holds(found: str, sign: str, value: str) -> bool:
    if sign in ("=", "!="):
        return (found == value) == (sign == "=")
    return matches(value, found) is (
        sign == "=~"
    )  # of an expression that no server takes, nobody can say: it selects nothing


def ratio_of(expr: str) -> tuple[Selected, Selected] | None:
    """The parts of `sum(increase(part[w])) / sum(increase(whole[w]))`, of one selector each; None when it is no such thing."""
    try:
        found = _unwrapped(parsed(expr))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, promql_parser.BinaryExpr) or str(found.op).strip() not in ("/", "TokenType./"):
        return None
    sides = [list(_vector_selectors(side)) for side in (found.lhs, found.rhs)]
    if any(len(side) != 1 for side in sides):
        return None
    part, whole = (Selected(side[0].name or "", matchers(side[0])) for side in sides)
    return (part, whole) if part.name == whole.name else None


def _unwrapped(expression: Any) -> Any:
    while isinstance(expression, promql_parser.ParenExpr):
        expression = expression.expr
    return expression


def metric_names(expr: str) -> frozenset[str]:
    """Every metric that the expression selects by name; empty when it cannot be parsed."""
    try:
        return frozenset(_selectors(parsed(expr)))
    except (ValueError, RecursionError):
        return frozenset()
