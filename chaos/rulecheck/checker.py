"""One rule and what is known of it become problems, or the questions that are still open. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from chaos.promql_tree import Unwritable, tree
from chaos.rulecheck.asking import Asking, Questions
from chaos.rulecheck.bounds import Between, decides
from chaos.rulecheck.facts import RuleFacts, RuleProblem
from chaos.rulecheck.histograms import misused_histograms
from chaos.rulecheck.misuse import misread_numbers, misused_kinds
from chaos.rulecheck.presence import always_absent, lone_scalars, missing
from chaos.rulecheck.thresholds import Gate, impossible, nearest_values, uncompared, wrong_units
from chaos.rulecheck.windows import short_windows, unseen
from chaos.telemetry import RuleInfo
from chaos.units import format_duration

SEVERITY = ("cannot fire", "always firing", "doubtful")
"""Verdicts, the worst first."""
LONG_ENOUGH_S = 3600.0
"""A recording in which an alert that always fired is one that always fires."""


def check(rule: RuleInfo, facts: RuleFacts) -> tuple[RuleProblem, ...]:
    """Everything that is wrong with the rule, the worst first; empty when nothing is known to be."""
    found = dict.fromkeys(_problems(rule, Asking(facts)))
    if not any(one.verdict == "always firing" for one in found):
        found |= dict.fromkeys(_of_history(facts))
    return tuple(sorted(found, key=lambda one: SEVERITY.index(one.verdict)))


def unanswered(rule: RuleInfo, facts: RuleFacts, *, closest: bool = False) -> Questions:
    """What the server must still be asked before `check` knows all that it can. Empty after a few rounds, whatever is answered.

    With `closest`, also what `nearest_miss` wants to know of a rule that can fire and has not.
    """
    asking = Asking(facts)
    worst = {one.verdict for one in _problems(rule, asking)}
    if closest and "cannot fire" not in worst and not facts.fired_share and not asking.open:
        _nearest(rule, asking)
    return asking.open


def nearest_miss(rule: RuleInfo, facts: RuleFacts) -> str | None:
    """Which of the rule's comparisons was not true in the recording, and how near it came; None when nobody knows."""
    values = _nearest(rule, Asking(facts))
    for one, value in values:
        if decides(Between(value, value), one.sign, one.threshold) == "never":
            most = "most" if one.sign.startswith(">") else "least"
            return f"`{one.left_text}` read at {most} {value:.4g}, and `{one.sign} {one.threshold:g}` is asked for"
    return "its thresholds were passed, and never all of them for long enough" if values else None


def _nearest(rule: RuleInfo, asking: Asking) -> list[tuple[Gate, float]]:
    root = tree(rule.expr)
    return nearest_values(root, asking) if root is not None else []


def _problems(rule: RuleInfo, asking: Asking) -> Iterator[RuleProblem]:
    if rule.health not in ("ok", "unknown"):
        yield RuleProblem(
            "unhealthy",
            "cannot fire",
            f"Prometheus cannot evaluate the rule: {rule.last_error or rule.health}; mend the expression",
        )
    root = tree(rule.expr)
    if root is not None:
        with contextlib.suppress(Unwritable):
            yield from _of_expression(rule, root, asking)
    yield from _of_delivery(asking.facts)


def _of_expression(rule: RuleInfo, root: Any, asking: Asking) -> Iterator[RuleProblem]:
    histograms = misused_histograms(root, asking)
    yield from histograms
    if not any(one.verdict == "cannot fire" for one in histograms):
        yield from missing(root, asking)
    yield from always_absent(root, asking)
    yield from lone_scalars(root, asking)
    yield from impossible(root, asking)
    yield from uncompared(root, asking)
    yield from wrong_units(rule, root, asking)
    yield from misused_kinds(root, asking)
    yield from misread_numbers(rule, root)
    yield from short_windows(root, asking) or unseen(root, rule.interval_s)


def _of_history(facts: RuleFacts) -> Iterator[RuleProblem]:
    if facts.fired_share is not None and facts.fired_share >= 1 and facts.recording_s >= LONG_ENOUGH_S:
        yield RuleProblem(
            "always_fired",
            "always firing",
            f"it has been firing for the whole recording ({format_duration(round(facts.recording_s))}); "
            "mend what it tells of, or its threshold",
        )


def _of_delivery(facts: RuleFacts) -> Iterator[RuleProblem]:
    if facts.receivers and not any(facts.receivers.values()):
        names = ", ".join(f"`{name}`" for name in facts.receivers)
        yield RuleProblem(
            "nobody_told",
            "doubtful",
            f"nobody is told of it: it is routed to {names}, where no integration is configured; add one, or mend the route",
        )
    if facts.silenced is not None:
        yield RuleProblem(
            "silenced",
            "doubtful",
            f"a silence holds it back: {facts.silenced}; expire the silence, or wait for its end",
        )
