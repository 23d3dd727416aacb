"""Two sides of an operation that both return series, and together return nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chaos.promql_tree import free, operator
from chaos.rulecheck.asking import Asking
from chaos.rulecheck.facts import RuleProblem


def mismatch(node: Any, asking: Asking) -> list[RuleProblem]:
    """Both sides return series, and together they return nothing."""
    whole = free(node)
    earlier = asking.series(f"count_over_time(({whole})[{asking.recording}:{_step(asking)}])")
    left, right = asking.labels(free(node.lhs)), asking.labels(free(node.rhs))
    if earlier != 0 or not left or not right:
        return []  # they did match in the recording, or nobody knows
    compared = _compared(node)
    left_names, right_names = _names(left, compared), _names(right, compared)
    evidence = f"left: {dict(left[0])}; right: {dict(right[0])}"
    sign = operator(node)
    if left_names.isdisjoint(right_names):
        return [
            RuleProblem(
                "no_match",
                "cannot fire",
                f"the sides of `{sign}` never match: {_listed(left_names)} on the left and {_listed(right_names)} on the right; "
                "write `on (…)` with the labels that both have, or aggregate both sides by the same labels",
                evidence,
            )
        ]
    return [
        RuleProblem(
            "no_match",
            "doubtful",
            f"the sides of `{sign}` have not matched in the recording: both have series, and no values of their labels in common "
            f"({evidence}); write `on (…)` with labels whose values agree",
            evidence,
        )
    ]


def _step(asking: Asking) -> str:
    return f"{max(15, round(asking.facts.recording_s / 60))}s"


def _compared(node: Any) -> tuple[str, frozenset[str]]:
    """`on` or `ignoring`, and its labels."""
    matching = node.modifier.matching if node.modifier is not None else None
    if matching is None:
        return "ignoring", frozenset()
    return ("on" if str(matching).startswith("on") else "ignoring"), frozenset(matching.labels)


def _names(found: Iterable[Mapping[str, str]], compared: tuple[str, frozenset[str]]) -> set[frozenset[str]]:
    """The sets of label names that decide on a match."""
    how, listed = compared
    return {
        frozenset(
            name for name, value in one.items() if value and name != "__name__" and (name in listed) == (how == "on")
        )
        for one in found
    }


def _listed(names: set[frozenset[str]]) -> str:
    each = sorted(", ".join(sorted(one)) for one in names)
    return " or ".join(f"the labels {one}" if one else "no labels" for one in each[:3])
