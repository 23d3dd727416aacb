"""What can be read out of a rule's expression, with a real parser and no patterns. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser


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


def parsed(expr: str) -> Any:
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


def metric_names(expr: str) -> frozenset[str]:
    """Every metric that the expression selects by name; empty when it cannot be parsed."""
    try:
        return frozenset(_selectors(parsed(expr)))
    except (ValueError, RecursionError):
        return frozenset()
