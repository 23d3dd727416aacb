"""Comparisons that are never or always true, and those that are missing. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import promql_parser as promql

from chaos.promql_tree import (
    ABSENCE,
    SETS,
    Unwritable,
    alternatives,
    bare,
    call,
    conditions,
    exact,
    filters,
    names,
    number,
    operator,
    returns_bool,
    selectors,
    walk,
)
from chaos.rulecheck.asking import Asking
from chaos.rulecheck.bounds import Always, Between, between, decides, is_share
from chaos.rulecheck.facts import RuleProblem, Verdict
from chaos.rulecheck.histograms import quantile_out_of_range
from chaos.rulecheck.presence import ALERTS
from chaos.telemetry import RuleInfo

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
SHARES = re.compile(r"(^|_)(ratio|share|fraction|accuracy|precision|recall|auc|f1|probability|confidence)(_|$)")
"""Names of metrics that lie between 0 and 1 by convention; https://prometheus.io/docs/practices/naming/ asks for `ratio`."""
PERCENTS = re.compile(r"(^|_)(percent|percentage|pct)(_|$)")
SPEAKS_OF_SHARES = re.compile(
    r"%|\bpercent(age)?s?\b|\bratios?\b|\bshares?\b|\bfractions?\b|humanizePercentage", re.IGNORECASE
)
_TEMPLATE = re.compile(r"\{\{(?:(?!humanizePercentage).)*?\}\}")
_ADDRESS = re.compile(r"\S+://\S+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")


def told_of(rule: RuleInfo) -> str:
    """What people are told: the alert's name in words and its annotations, without templates and addresses, where a `%` means nothing."""
    said = " ".join((_CAMEL.sub(" ", rule.name), *rule.annotations.values()))
    return _ADDRESS.sub(" ", _TEMPLATE.sub(" ", said))


@dataclass(frozen=True, slots=True)
class Gate:
    """One comparison with a number that decides whether the rule is true: `left sign threshold`."""

    left: Any
    sign: str
    threshold: float

    @property
    def left_text(self) -> str:
        """What is compared, in one line."""
        return exact(self.left)

    def __str__(self) -> str:
        return f"{self.left_text} {self.sign} {self.threshold:.15g}"


def gate(node: Any) -> Gate | None:
    """The comparison with a number that this node is; None when it is none."""
    node = bare(node)
    if not filters(node):
        return None
    left, right = number(node.lhs), number(node.rhs)
    if right is not None:
        return Gate(bare(node.lhs), operator(node), right)
    if left is not None:
        return Gate(bare(node.rhs), _MIRRORED.get(operator(node), operator(node)), left)
    return None


def gates(root: Any) -> Iterator[Gate]:
    """Every comparison with a number that decides."""
    for node in conditions(root):
        found = gate(node)
        if found is not None:
            yield found


def decided(node: Any, types: Mapping[str, str]) -> Always:
    """Whether the condition is never or always met, whatever the metrics read; `always` means: where there are series."""
    node = bare(node)
    sign = operator(node)
    if sign in SETS:
        left, right = decided(node.lhs, types), decided(node.rhs, types)
        if sign == "unless":
            return "never" if left == "never" else "open"
        worst: tuple[Always, Always] = ("never", "always") if sign == "and" else ("always", "never")
        if worst[0] in (left, right):
            return worst[0]
        return worst[1] if left == right == worst[1] else "open"
    found = gate(node)
    if found is None:
        return "open"
    outcome = decides(between(found.left, types), found.sign, found.threshold)
    return "open" if outcome == "always" and _comes_and_goes(found.left) else outcome


def _comes_and_goes(node: Any) -> bool:
    """Whether there may be nothing to compare: something inside lets series through or not, so `count(up == 0) > 0` says something."""
    return any(
        filters(inner)
        or operator(inner) in SETS
        or call(inner) in ABSENCE
        or (isinstance(inner, promql.VectorSelector) and inner.name in ALERTS)
        for inner in walk(node)
    )


def impossible(root: Any, asking: Asking) -> list[RuleProblem]:
    """Thresholds that no value, or every value, is beyond: found by what the expression can be at all."""
    types = asking.facts.types
    whole = decided(root, types)
    found: list[RuleProblem] = []
    for arm in alternatives(root):
        verdict = decided(arm, types)
        for one in gates(arm):
            lies = between(one.left, types)
            if verdict == "never" == decides(lies, one.sign, one.threshold):
                found.append(_never(one, lies, certain=whole == "never"))
            elif verdict == "always":
                found.append(_always(one, lies, there=asking.returns(arm)))
    return found


def _never(one: Gate, lies: Between, *, certain: bool) -> RuleProblem:
    verdict: Verdict = "cannot fire" if certain else "doubtful"
    part = "" if certain else "one part of the rule is never true: "
    quantile = quantile_out_of_range(one.left)
    if quantile is not None:
        return RuleProblem("quantile_out_of_range", verdict, part + _quantile(quantile, "is never true"))
    if lies.most <= 1 and lies.least >= 0 and one.threshold > 1:
        return RuleProblem(
            "share_as_percent",
            verdict,
            f"{part}`{exact(one.left)}` is a share and never above 1, so `{one.sign} {one.threshold:g}` is never true; "
            f"write `{one.sign} {one.threshold / 100:g}` for {one.threshold:g} %",
            _range(lies),
        )
    kind = "negative_threshold" if lies.least >= 0 and one.threshold <= 0 else "out_of_range"
    return RuleProblem(
        kind,
        verdict,
        f"{part}`{exact(one.left)}` is {_range(lies)}, so `{one.sign} {one.threshold:g}` is never true; "
        "write a threshold that it can reach",
        _range(lies),
    )


def _always(one: Gate, lies: Between, there: int | None) -> RuleProblem:
    verdict: Verdict = "always firing" if there else "doubtful"
    quantile = quantile_out_of_range(one.left)
    if quantile is not None:
        return RuleProblem("quantile_out_of_range", verdict, _quantile(quantile, "is true for every series"))
    return RuleProblem(
        "always_true",
        verdict,
        f"`{exact(one.left)}` is {_range(lies)}, so `{one.sign} {one.threshold:g}` is true for every series; "
        "write a threshold that it does not always meet",
        _range(lies),
    )


def _quantile(quantile: float, said: str) -> str:
    instead = f"write {quantile / 100:g}" if 1 < quantile <= 100 else "write one from 0 to 1"
    return f"the quantile {quantile:g} of histogram_quantile is none, which makes it infinite, and the comparison {said}; {instead}"


def _range(lies: Between) -> str:
    if lies.least == lies.most:
        return f"always {lies.least:g}"
    if lies.least == 0 and lies.most == float("inf"):
        return "never negative"
    if lies.most == float("inf"):
        return f"never below {lies.least:g}"
    if lies.least == -float("inf"):
        return f"never above {lies.most:g}"
    return f"always between {lies.least:g} and {lies.most:g}"


# --- none at all ------------------------------------------------------------------------------------------------------


def uncompared(root: Any, asking: Asking) -> list[RuleProblem]:
    """That nothing is compared, so that every series is an alert: no comparison, or one that returns 0 and 1."""
    found: list[RuleProblem] = []
    for arm in alternatives(root):
        if _comes_and_goes(arm):
            continue
        if not selectors(arm):
            found.append(
                RuleProblem(
                    "watchdog",
                    "always firing",
                    f"`{exact(arm)}` is always true: right for a watchdog, which proves that alerts arrive, and for nothing else",
                )
            )
            continue
        count = asking.returns(arm)
        fires = f"fires for each of {count} series" if count else "fires for every series that there is"
        verdict: Verdict = "always firing" if count else "doubtful"
        if returns_bool(arm):
            said = (
                "`bool` makes the comparison return 0 instead of nothing, and an alert fires for any value: "
                f"the rule {fires}; leave `bool` out"
            )
            found.append(RuleProblem("bool_comparison", verdict, said))
        else:
            said = f"nothing is compared, so the rule {fires}; compare it with a threshold"
            found.append(RuleProblem("no_comparison", verdict, said))
    return found


# --- by what was read -------------------------------------------------------------------------------------------------


def wrong_units(rule: RuleInfo, root: Any, asking: Asking) -> list[RuleProblem]:
    """A share compared as if it were a percentage, or the other way round: by names, by what was read, and by what people are told."""
    found: list[RuleProblem] = []
    said = told_of(rule)
    for one in gates(root):
        named = names(one.left)
        percent = any(PERCENTS.search(name) for name in named) and not _scaled(one.left)
        share = any(SHARES.search(name) for name in named) and not percent and not _scaled(one.left)
        quotient = _like_a_share(one.left) and bool(SPEAKS_OF_SHARES.search(said))
        if not is_share_of(one.left) and (share or quotient) and 1 < one.threshold <= 100:
            found += _percent_of_a_share(one, asking)
        elif percent and 0 < one.threshold < 1:
            found += _share_of_percent(one, asking)
    return found


def is_share_of(node: Any) -> bool:
    """Whether the node is a share by its form, of which `impossible` speaks."""
    node = bare(node)
    return operator(node) == "/" and is_share(node.lhs, node.rhs)


def _scaled(node: Any) -> bool:
    """Whether a number is multiplied with it somewhere."""
    return any(
        operator(inner) in ("*", "/") and (number(inner.lhs) is not None or number(inner.rhs) is not None)
        for inner in walk(node)
    )


def _like_a_share(node: Any) -> bool:
    """Whether two things of one unit are divided, and nothing is multiplied."""
    node = bare(node)
    if operator(node) != "/" or _scaled(node):
        return False
    parts, wholes = names(node.lhs), names(node.rhs)
    if set(parts) == set(wholes):
        return False  # now against earlier, or one kind against another
    units = {_unit(name) for name in (*parts, *wholes)}
    return bool(parts) and bool(wholes) and len(units) == 1


def _unit(name: str) -> str:
    return (
        name.removesuffix("_total").rpartition("_")[2]
        if name.endswith(("_bytes", "_seconds"))
        else name.rpartition("_")[2]
    )


def _percent_of_a_share(one: Gate, asking: Asking) -> list[RuleProblem]:
    read = _read(one, asking)
    if read is None or read.least < 0 or not 0 < read.most <= 1:
        return []
    always = one.sign in ("<", "<=")
    return [
        RuleProblem(
            "share_as_percent",
            "always firing" if always else "doubtful",
            f"`{exact(one.left)}` looks like a share of 1: it read at most {read.most:.3g} in the last {asking.recording}, so that "
            f"`{one.sign} {one.threshold:g}` is {'always' if always else 'never'} true; "
            f"write `{one.sign} {one.threshold / 100:g}` for {one.threshold:g} %",
            f"read {read.least:.3g} to {read.most:.3g}",
        )
    ]


def _share_of_percent(one: Gate, asking: Asking) -> list[RuleProblem]:
    read = _read(one, asking)
    if read is None or read.most <= 1:
        return []
    return [
        RuleProblem(
            "percent_as_share",
            "doubtful",
            f"`{exact(one.left)}` is a percentage: it read up to {read.most:.3g} in the last {asking.recording}; "
            f"write `{one.sign} {one.threshold * 100:g}` if {one.threshold * 100:g} % is meant",
            f"read {read.least:.3g} to {read.most:.3g}",
        )
    ]


def _read(one: Gate, asking: Asking) -> Between | None:
    try:
        found = asking.span(exact(one.left))
    except Unwritable:
        return None
    return None if found is None else Between(found.least, found.most)


def nearest_values(root: Any, asking: Asking) -> list[tuple[Gate, float]]:
    """Each comparison that has a direction, and the value that came nearest to meeting it in the recording."""
    found: list[tuple[Gate, float]] = []
    for one in gates(root):
        read = _read(one, asking) if one.sign in _MIRRORED else None
        if read is not None:
            found.append((one, read.most if one.sign in (">", ">=") else read.least))
    return found
