"""Why an expression returns nothing even when every threshold is met: the smallest part that does, and what to mend there. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import promql_parser as promql

from chaos.document import nearest
from chaos.promql_tree import (
    ABSENCE,
    Unwritable,
    alternatives,
    bare,
    call,
    free,
    matchers,
    operator,
    scalar,
    selector,
    selectors,
    walk,
    written,
)
from chaos.rulecheck.asking import Asking
from chaos.rulecheck.facts import RuleProblem
from chaos.rulecheck.histograms import without_buckets
from chaos.rulecheck.matching import mismatch
from chaos.rulecheck.windows import too_short

ALERTS = frozenset(("ALERTS", "ALERTS_FOR_STATE"))
"""Prometheus' own metrics of alerts, which are there only while one is pending or fires."""
Condition = tuple[str, str, str]


def missing(root: Any, asking: Asking) -> list[RuleProblem]:
    """What keeps the rule from returning anything, whatever its metrics read; empty when it can."""
    arms = alternatives(root)
    dead = [arm for arm in arms if asking.returns(arm) == 0]
    found = [problem for arm in dead for problem in _why(arm, asking)]
    return found if len(dead) == len(arms) else [_in_part(one) for one in found]


def always_absent(root: Any, asking: Asking) -> list[RuleProblem]:
    """Of `absent()`: that what it waits for has never been there, so that it always fires."""
    found: list[RuleProblem] = []
    for arm in alternatives(root):
        inner = bare(arm)
        if call(inner) not in ABSENCE:
            continue
        for one in selectors(inner):
            known = asking.facts.names.get(one.name or "", True)
            text = selector(one)
            if not known or (asking.series(text) == 0 and asking.recorded(text) == 0):
                hint = "" if known else _hint(one.name, asking)
                found.append(
                    RuleProblem(
                        "absent_of_nothing",
                        "always firing",
                        f"`{call(inner)}({text})` is always true: no such series has been there in the recording{hint}; mend the selector",
                    )
                )
    return found


def lone_scalars(root: Any, asking: Asking) -> list[RuleProblem]:
    """Of `scalar()`: that it reads no series or several, and is then not a number, which no comparison meets."""
    found: list[RuleProblem] = []
    for node in walk(root):
        if call(node) != "scalar":
            continue
        count = asking.returns(node.args[0])
        if count == 0:
            found += _why(node.args[0], asking)
        elif count is not None and count > 1:
            found.append(
                RuleProblem(
                    "scalar_of_many",
                    "cannot fire",
                    f"`scalar({free(node.args[0])})` reads {count} series and is then not a number, which no comparison meets; "
                    "aggregate them into one",
                    f"{count} series",
                )
            )
    return found


def _in_part(problem: RuleProblem) -> RuleProblem:
    """A problem of one arm of an `or`: the others may still fire."""
    return replace(problem, verdict="doubtful", sentence=f"one part of the rule is never true: {problem.sentence}")


# --- the smallest part that returns nothing ---------------------------------------------------------------------------


def _why(node: Any, asking: Asking) -> list[RuleProblem]:
    node = bare(node)
    match node:
        case promql.VectorSelector():
            return _of_selector(node, asking)
        case promql.MatrixSelector():
            return _of_selector(node.vector_selector, asking)
        case promql.AggregateExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return _why(node.expr, asking)
        case promql.Call():
            return _of_call(node, asking)
        case promql.BinaryExpr():
            return _of_operation(node, asking)
    return []


def _empty(node: Any, asking: Asking) -> bool | None:
    """Whether this part returns nothing; selectors are looked at as of now, and not where `offset` moves them."""
    inner = bare(node)
    while isinstance(inner, (promql.MatrixSelector, promql.SubqueryExpr)):
        inner = inner.vector_selector if isinstance(inner, promql.MatrixSelector) else bare(inner.expr)
    count = asking.series(selector(inner)) if isinstance(inner, promql.VectorSelector) else asking.returns(inner)
    return None if count is None else count == 0


def _of_call(node: Any, asking: Asking) -> list[RuleProblem]:
    if scalar(node):
        return []
    vectors = [one for one in node.args if not scalar(one)]
    empty = [_empty(one, asking) for one in vectors]
    if any(empty):
        return [found for one, nothing in zip(vectors, empty, strict=True) if nothing for found in _why(one, asking)]
    if None in empty:
        return []
    return [*without_buckets(node, asking), *too_short(node, asking)]


def _of_operation(node: Any, asking: Asking) -> list[RuleProblem]:
    sign = operator(node)
    if sign == "unless":
        return _why(node.lhs, asking)
    sides = [side for side in (node.lhs, node.rhs) if not scalar(side)]
    empty = [_empty(side, asking) for side in sides]
    if any(empty):
        told = [_why(side, asking) for side, nothing in zip(sides, empty, strict=True) if nothing]
        if sign == "or" and not all(any(one.verdict == "cannot fire" for one in of_side) for of_side in told):
            return [replace(one, verdict="doubtful") for of_side in told for one in of_side]
        return [one for of_side in told for one in of_side]
    return [] if None in empty or len(sides) < 2 else mismatch(node, asking)


# --- a selector without series ----------------------------------------------------------------------------------------


def _of_selector(node: Any, asking: Asking) -> list[RuleProblem]:
    name, facts = node.name, asking.facts
    try:
        conditions, text = matchers(node), selector(node)
    except Unwritable:
        return []
    if name in ALERTS or asking.series(text) != 0:
        return []
    if name and facts.names.get(name) is False:
        return [_unknown(name, asking)]
    earlier = asking.recorded(text)
    there = asking.series(name) if name else None
    if earlier is None:
        return []
    if earlier or (name and not conditions):
        return _stale(text, name, there, asking)
    if name is None:
        return [RuleProblem("no_series", "doubtful", f"`{text}` selects nothing; write a selector that does")]
    if there is None:
        return []
    return _stale(text, name, there, asking) if there == 0 else _unmatched(name, conditions, asking)


def _unknown(name: str, asking: Asking) -> RuleProblem:
    if name in asking.facts.types:
        return RuleProblem(
            "no_series_yet",
            "doubtful",
            f"`{name}` is declared and has no series yet; the rule is blind until its first event, so start it at 0",
            f"declared as {asking.facts.types[name]}",
        )
    hint = _hint(name, asking) or "; write a metric that exists, or start it at 0 where it comes with the first event"
    if not asking.facts.declares:
        return RuleProblem("unknown_metric", "doubtful", f"no series is called `{name}`{hint}")
    return RuleProblem(
        "unknown_metric", "cannot fire", f"no series is called `{name}`, and no target declares it{hint}"
    )


def _hint(name: str, asking: Asking) -> str:
    near = asking.facts.near.get(name, ())
    return f"; did you mean `{near[0]}`?" if near else ""


def _stale(text: str, name: str | None, there: int | None, asking: Asking) -> list[RuleProblem]:
    if there is None and name is not None:
        return []
    recorded_by_rule = ":" in (name or "")  # rarely, perhaps: between two evaluations it seems to be gone
    if there == 0 and asking.facts.declares and name not in asking.facts.types and not recorded_by_rule:
        return [
            RuleProblem(
                "stale",
                "cannot fire",
                f"`{name}` had series and has none now, and no target declares it: it was renamed or its targets are gone; "
                "mend the name, or bring the targets back",
            )
        ]
    return [
        RuleProblem(
            "stale",
            "doubtful",
            f"`{text}` had series in the last {asking.recording} and has none now; see that what exposes them still does",
        )
    ]


def _unmatched(name: str, conditions: tuple[Condition, ...], asking: Asking) -> list[RuleProblem]:
    """The metric is there, and these conditions on labels select none of its series."""
    counts = [asking.series(written(name, (one,))) for one in conditions]
    if None in counts:
        return []
    killers = [one for one, count in zip(conditions, counts, strict=True) if count == 0]
    if not killers:
        said = written(name, conditions)
        return [
            RuleProblem(
                "no_series",
                "doubtful",
                f"`{said}` selects nothing: each of its conditions does select series, and never the same ones; leave one out",
            )
        ]
    return [found for one in killers for found in _killer(name, one, asking)]


def _killer(name: str, condition: Condition, asking: Asking) -> list[RuleProblem]:
    label, sign, value = condition
    said = f'{label}{sign}"{value}"'
    rows = asking.labels(f"group by ({label}) ({name})")
    if rows is None:
        return []
    values = sorted({row[label] for row in rows if row.get(label)})
    if not values:
        own = asking.labels(name)
        if own is None:
            return []
        has = sorted({key for row in own for key in row} - {"__name__"})
        meant = nearest(label, has)
        hint = f"did you mean `{meant}`?" if meant else f"it has {', '.join(has) or 'no labels'}"
        return [
            RuleProblem(
                "no_series", "cannot fire", f"`{name}` has no label `{label}`, so `{said}` selects nothing; {hint}"
            )
        ]
    if label in asking.facts.target_labels:
        scraped = asking.series(written("up", (condition,)))
        if scraped is None:
            return []
        if scraped == 0:
            return [
                RuleProblem(
                    "no_series",
                    "cannot fire",
                    f"nothing that is scraped has `{said}`, so `{name}` never does; {_meant(value, values)}",
                    ", ".join(values),
                )
            ]
        return [
            RuleProblem(
                "no_series",
                "doubtful",
                f"what is scraped with `{said}` does not expose `{name}`; expose it there, or mend the selector: {_meant(value, values)}",
                ", ".join(values),
            )
        ]
    return [
        RuleProblem(
            "no_series",
            "doubtful",
            f"no series of `{name}` has had `{said}`; if it has not happened yet, start it at 0, else mend it: {_meant(value, values)}",
            ", ".join(values),
        )
    ]


def _meant(value: str, values: list[str]) -> str:
    close = nearest(value, values)
    return f'did you mean `"{close}"`?' if close else f"there is {', '.join(values[:10])}"
