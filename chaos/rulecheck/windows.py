"""Windows that are too short to see anything. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import promql_parser as promql

from chaos.promql_tree import bare, call, exact, seconds, walk
from chaos.rulecheck.asking import Asking
from chaos.rulecheck.facts import RuleProblem

TWO_SAMPLES = frozenset(("rate", "increase", "irate", "delta", "idelta", "deriv", "predict_linear"))
"""Functions that return nothing for a window with fewer than two samples."""


def windows(root: Any) -> Iterator[tuple[Any, Any]]:
    """Each function over a window of scraped samples, with its window; recorded series are written by rules and not scraped."""
    for node in walk(root):
        for one in node.args if isinstance(node, promql.Call) else ():
            inner = bare(one)
            if isinstance(inner, promql.MatrixSelector) and ":" not in (inner.vector_selector.name or ""):
                yield node, inner


def too_short(node: Any, asking: Asking) -> list[RuleProblem]:
    """Of one function: that its window holds fewer than two scrapes. Certain only when the server returns nothing, too."""
    scrape_s = asking.facts.scrape_s
    found: list[RuleProblem] = []
    for function, inner in windows(node):
        window_s = seconds(inner.range)
        if function is not node or call(node) not in TWO_SAMPLES or not 0 < window_s < 2 * scrape_s:
            continue
        certain = window_s <= scrape_s and asking.returns(node) == 0
        often = "always" if certain else "often"
        found.append(
            RuleProblem(
                "window_too_short",
                "cannot fire" if certain else "doubtful",
                f"`{exact(node)}` is {often} empty: it needs two samples, and a scrape comes every {scrape_s:g} s; "
                f"write a window of at least {4 * scrape_s:g} s",
                f"window {window_s:g} s, scrape {scrape_s:g} s",
            )
        )
    return found


def short_windows(root: Any, asking: Asking) -> list[RuleProblem]:
    """Every window of the rule that holds fewer than two scrapes."""
    return [found for node in walk(root) if call(node) for found in too_short(node, asking)]


def unseen(root: Any, interval_s: float) -> list[RuleProblem]:
    """That the rule is evaluated more rarely than its shortest window is long, so that it never sees what happens in between."""
    shortest = min((seconds(inner.range) for _, inner in windows(root)), default=0.0)
    if not 0 < shortest < interval_s:
        return []
    return [
        RuleProblem(
            "interval_longer_than_window",
            "doubtful",
            f"the rule is evaluated every {interval_s:g} s and looks back {shortest:g} s: what happens in between is never seen; "
            f"write a window of at least {interval_s:g} s, or a shorter interval of the group",
        )
    ]
