"""An expression taken apart, and put together again: as it stands, or as the question what it would return if every threshold were met.

Pure.
"""

from __future__ import annotations

import itertools
import math
import operator as operators
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import promql_parser as promql

LONGEST_EXPR = 10_000
"""Characters of a rule's expression that are looked at."""
DEEPEST_EXPR = 100
"""Brackets within brackets, signs after signs, powers of powers. The parser's stack ends somewhere, and the process with it."""
_SIGNS = re.compile(rf"(?:[-+][ \t\r\n]*){{{DEEPEST_EXPR + 1}}}")


def parsed(expr: str) -> Any:
    """The expression taken apart. Raises ValueError when it is none, or too long or too deep to be one that a person wrote."""
    if len(expr) > LONGEST_EXPR or _SIGNS.search(expr) or max(_depth(expr), expr.count("^")) > DEEPEST_EXPR:
        raise ValueError("this expression is too long or too deep")
    return promql.parse(expr)


def _depth(expr: str) -> int:
    """The most brackets that are open at once, quoted ones included."""
    return max(itertools.accumulate((sign in "([{") - (sign in ")]}") for sign in expr), default=0)


COMPARISONS = frozenset(("<", "<=", ">", ">=", "==", "!="))
SETS = frozenset(("and", "or", "unless"))
ABSENCE = frozenset(("absent", "absent_over_time"))


class Unwritable(ValueError):
    """A part of an expression that cannot be asked for on its own."""


DEEPEST = 100
"""Nodes below nodes, such as the terms of a long sum: each costs some frames of Python's stack."""


def tree(expr: str) -> Any | None:
    """The expression's root, or None when it cannot be parsed here (the server may know more functions) or is far too deep."""
    try:
        root = parsed(expr)
    except (ValueError, RecursionError):
        return None
    level, depth = [root], 0
    while level and depth <= DEEPEST:
        level, depth = [child for node in level for child in children(node)], depth + 1
    return None if level else root


# --- looking ----------------------------------------------------------------------------------------------------------


def bare(node: Any) -> Any:
    """The node inside of its parentheses."""
    while isinstance(node, promql.ParenExpr):
        node = node.expr
    return node


def operator(node: Any) -> str:
    """`>`, `and`, `/` of a binary operation; empty for any other node."""
    return str(node.op).strip() if isinstance(node, promql.BinaryExpr) else ""


def filters(node: Any) -> bool:
    """Whether this is a comparison that lets only some series through; with `bool` all of them pass."""
    return operator(node) in COMPARISONS and not returns_bool(node)


def returns_bool(node: Any) -> bool:
    """Whether this is a comparison that returns 0 or 1 instead of letting series through."""
    return operator(node) in COMPARISONS and node.modifier is not None and bool(node.modifier.return_bool)


def number(node: Any) -> float | None:
    """What the node is when it is nothing but a number, calculated ones included."""
    node = bare(node)
    if isinstance(node, promql.NumberLiteral):
        return float(node.val)
    if isinstance(node, promql.UnaryExpr):
        inner = number(node.expr)
        return None if inner is None else -inner
    if isinstance(node, promql.BinaryExpr) and operator(node) in _CALCULATE:
        left, right = number(node.lhs), number(node.rhs)
        return None if left is None or right is None else _CALCULATE[operator(node)](left, right)
    return None


_CALCULATE: dict[str, Callable[[float, float], float]] = {
    "+": operators.add, "-": operators.sub, "*": operators.mul, "/": lambda a, b: a / b if b else math.nan,
}  # fmt: skip


def scalar(node: Any) -> bool:
    """Whether the node is one number without labels, and no vector."""
    node = bare(node)
    if isinstance(node, promql.Call):
        return bool(node.func.return_type == promql.ValueType.Scalar)
    if isinstance(node, promql.UnaryExpr):
        return scalar(node.expr)
    if isinstance(node, promql.BinaryExpr):
        return scalar(node.lhs) and scalar(node.rhs)
    return isinstance(node, (promql.NumberLiteral, promql.StringLiteral))


def children(node: Any) -> tuple[Any, ...]:
    """The nodes right below."""
    if isinstance(node, promql.BinaryExpr):
        return (node.lhs, node.rhs)
    if isinstance(node, promql.Call):
        return tuple(node.args)
    if isinstance(node, promql.MatrixSelector):
        return (node.vector_selector,)
    if isinstance(node, (promql.AggregateExpr, promql.ParenExpr, promql.UnaryExpr, promql.SubqueryExpr)):
        return (node.expr,)
    return ()


def walk(node: Any) -> Iterator[Any]:
    """The node and everything below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def selectors(node: Any) -> list[Any]:
    """Every selector at and below the node."""
    return [one for one in walk(node) if isinstance(one, promql.VectorSelector)]


def names(node: Any) -> list[str]:
    """Every metric that is selected by its name at and below the node, once."""
    return list(dict.fromkeys(one.name for one in selectors(node) if one.name))


def call(node: Any) -> str:
    """The function's name; empty for any other node."""
    return str(node.func.name) if isinstance(node, promql.Call) else ""


def conditions(node: Any) -> Iterator[Any]:
    """The parts that decide whether anything is returned: through `and`, `or`, the left of `unless`, and parentheses."""
    node = bare(node)
    if operator(node) in SETS:
        yield from conditions(node.lhs)
        if operator(node) != "unless":
            yield from conditions(node.rhs)
    else:
        yield node


def alternatives(node: Any) -> list[Any]:
    """The arms of the `or` at the top, or the whole."""
    node = bare(node)
    return alternatives(node.lhs) + alternatives(node.rhs) if operator(node) == "or" else [node]


# --- writing ----------------------------------------------------------------------------------------------------------

_UNITS = (("w", 604800.0), ("d", 86400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0), ("ms", 0.001))
_MATCH = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


def duration(seconds: float) -> str:
    """The time as PromQL writes it, in the largest unit that needs no fraction."""
    for unit, size in _UNITS:
        if seconds >= size and abs(seconds / size - round(seconds / size)) < 1e-9:
            return f"{round(seconds / size)}{unit}"
    return f"{max(1, round(seconds * 1000))}ms"


def seconds(range_: timedelta | None) -> float:
    """The length of a window."""
    return range_ / timedelta(seconds=1) if range_ is not None else 0.0


def quoted(text: str) -> str:
    """A label's value as PromQL writes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def matchers(selector: Any) -> tuple[tuple[str, str, str], ...]:
    """The selector's conditions on labels, as (label, operator, value)."""
    if selector.matchers.or_matchers:
        raise Unwritable("alternatives inside of a selector")
    return tuple((one.name, _MATCH[str(one.op).rpartition(".")[2]], one.value) for one in selector.matchers.matchers)


def written(name: str | None, conditions: tuple[tuple[str, str, str], ...]) -> str:
    """A selector of these conditions."""
    inside = ", ".join(f"{label}{operator}{quoted(value)}" for label, operator, value in conditions)
    return f"{name or ''}{{{inside}}}" if inside or not name else name


def _moved(node: Any) -> str:
    """`offset` and `@` behind a selector or subquery."""
    said = ""
    if node.offset is not None:
        back = seconds(node.offset)
        said += f" offset {'-' if back < 0 else ''}{duration(abs(back))}"
    return said + (f" {node.at}" if node.at is not None else "")


def selector(node: Any) -> str:
    """A selector as it stands, without `offset`."""
    return written(node.name, matchers(node))


def free(node: Any) -> str:
    """What would be returned if every threshold were met: comparisons with numbers are left out, `unless` takes nothing away.

    An alert whose expression returns nothing even so cannot fire, whatever its metrics read. Raises Unwritable.
    """
    return _write(node, as_is=False)


def exact(node: Any) -> str:
    """The node as it stands, in one line. Raises Unwritable."""
    return _write(node, as_is=True)


Change = Callable[[Any], str | None]
"""For a node the text that stands in its place, or None to leave it; for a selector without range, `offset` and `@`."""


def changed(node: Any, change: Change) -> str:
    """The node as it stands, but for what `change` puts in the place of some nodes at and below it. Raises Unwritable."""
    return _write(node, as_is=True, change=change)


def _write(node: Any, *, as_is: bool, change: Change | None = None) -> str:
    def inside(*nodes: Any) -> str:
        return ", ".join(_write(one, as_is=as_is, change=change) for one in nodes if one is not None)

    def selected(one: Any) -> str:
        return (change(one) if change is not None else None) or selector(one)

    instead = change(node) if change is not None and not isinstance(node, promql.VectorSelector) else None
    if instead is not None:
        return instead
    match node:
        case promql.ParenExpr():
            return f"({inside(node.expr)})"
        case promql.UnaryExpr():
            return f"-({inside(node.expr)})"
        case promql.NumberLiteral():
            return f"{node.val:.15g}"
        case promql.StringLiteral():
            return quoted(node.val)
        case promql.VectorSelector():
            return selected(node) + _moved(node)
        case promql.MatrixSelector():
            inner = node.vector_selector
            return f"{selected(inner)}[{duration(seconds(node.range))}]{_moved(inner)}"
        case promql.SubqueryExpr():
            step = duration(node.step.total_seconds()) if node.step is not None else ""
            return f"{_operand(node.expr, as_is=as_is, change=change)}[{duration(seconds(node.range))}:{step}]{_moved(node)}"
        case promql.AggregateExpr():
            return f"{node.op}{_grouping(node)}({inside(node.param, node.expr)})"
        case promql.Call():
            return _absence(node) if call(node) in ABSENCE and not as_is else f"{call(node)}({inside(*node.args)})"
        case promql.BinaryExpr():
            return _binary(node, as_is=as_is, change=change)
    raise Unwritable(type(node).__name__)


def _grouping(node: Any) -> str:
    if node.modifier is None:
        return ""
    return f" {'by' if by(node) else 'without'} ({', '.join(node.modifier.labels)}) "


def by(node: Any) -> bool:
    """Whether an aggregation names the labels that it keeps, and not those that it drops."""
    return node.modifier is not None and bool(node.modifier.type == promql.AggModifierType.By)


def _operand(node: Any, *, as_is: bool, change: Change | None) -> str:
    left_out = _left_out(node)
    while left_out is not None and not as_is:
        node, left_out = left_out, _left_out(left_out)
    text = _write(node, as_is=as_is, change=change)
    return f"({text})" if isinstance(node, (promql.BinaryExpr, promql.UnaryExpr)) else text


def _left_out(node: Any) -> Any | None:
    """What remains of an operation that only lets series through, when all of them pass; None for any other node."""
    if operator(node) == "unless":
        return node.lhs
    if filters(node) and scalar(node.rhs):
        return node.lhs
    return node.rhs if filters(node) and scalar(node.lhs) else None


def _binary(node: Any, *, as_is: bool, change: Change | None) -> str:
    sign = operator(node)
    if not as_is:
        left_out = _left_out(node)
        if left_out is not None:
            return _write(left_out, as_is=False)
        sign += " bool" if filters(node) else ""
    matching = " ".join(str(node.modifier).split()) if node.modifier is not None else ""
    left, right = (_operand(side, as_is=as_is, change=change) for side in (node.lhs, node.rhs))
    sides = (left, sign, matching, right)
    return " ".join(part for part in sides if part)


def _absence(node: Any) -> str:
    """What `absent()` returns once its series are gone: one series with the labels that its selector asks for."""
    text = "vector(1)"
    inner = next(iter(selectors(node.args[0])), None)
    direct = isinstance(bare(node.args[0]), (promql.VectorSelector, promql.MatrixSelector))
    for label, sign, value in matchers(inner) if inner is not None and direct else ():
        if sign == "=" and label != "__name__":
            text = f'label_replace({text}, "{label}", {quoted(value.replace("$", "$$"))}, "", "")'
    return text
