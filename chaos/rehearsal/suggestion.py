"""The rule that is missing: an expression that saw the fault, a threshold between what it usually reads and what it read then. Pure.

baseline values, fault values ─▶ threshold() ─▶ Suggestion ─▶ rehearsed ─▶ rules file, as text
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from chaos.rehearsal.outcome import AtSeverity
from chaos.telemetry import RuleInfo
from chaos.units import format_duration, format_share
from chaos.visible import visible

APART = 0.5
"""Where between the worst of the baseline and the middle of the fault the threshold lies: as far from a false alarm as from a miss."""
HURT_BEYOND, USUAL_BEYOND, PARTS = 0.25, 0.03, 5
"""Where the two overlap, thresholds are tried from this share of what the fault makes to that share of what is usual, in so many steps."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One rule that would have told of a fault, and what its rehearsal showed. `why_not` says why there is none; then `rule` is None.

    `baseline` is the worst that the expression read without the fault, `at_fault` its middle with it; `beyond` is the share of what it read
    without the fault that is beyond the threshold, which the rule's `for` waits out.
    """

    fault: str
    run: str
    probe: str
    rule: RuleInfo | None = None
    why_not: str | None = None
    baseline: float | None = None
    at_fault: float | None = None
    caught: AtSeverity | None = None
    quiet_scenarios: int = 0
    quiet_hours: float = 0.0
    beyond: float = 0.0


def threshold(usual: Sequence[float], hurt: Sequence[float], *, low_is_bad: bool) -> tuple[float, float, float] | None:
    """(threshold, the worst of the usual, the middle of the hurt); None where the two cannot be told apart."""
    known, bad = [one for one in usual if not math.isnan(one)], [one for one in hurt if not math.isnan(one)]
    if not known or not bad:
        return None
    worst, middle = (min(known), median(bad)) if low_is_bad else (max(known), median(bad))
    if (middle >= worst) if low_is_bad else (middle <= worst):
        return None
    return rounded(worst + APART * (middle - worst), worst, middle), worst, middle


def thresholds(usual: Sequence[float], hurt: Sequence[float], *, low_is_bad: bool) -> list[tuple[float, float]]:
    """Thresholds worth a try, each with the share of the usual that is beyond it; empty where the fault reads as what is usual.

    The first is the best where nothing usual is as bad as the fault. Where a window holds few events, the worst of the usual is a matter
    of luck: the others leave some of it beyond the threshold, which a rule's `for` has to wait out.
    """
    sign = 1.0 if low_is_bad else -1.0
    known, bad = (sorted(sign * one for one in values if not math.isnan(one)) for values in (usual, hurt))
    apart = threshold(usual, hurt, low_is_bad=low_is_bad)
    bounds = [apart[0]] if apart is not None else []
    if known and bad:
        worse, better = bad[int(HURT_BEYOND * len(bad))], known[int(USUAL_BEYOND * len(known))]
        if worse < better:
            step = (better - worse) / PARTS
            bounds += [rounded(sign * (worse + part * step), 0.0, step) for part in range(PARTS + 1)]
    return [(bound, sum(one < sign * bound for one in known) / len(known)) for bound in dict.fromkeys(bounds)]


def rounded(value: float, one: float, other: float) -> float:
    """The value with as few digits as keep it between the two, well away from both."""
    room = abs(one - other) / 5
    for digits in range(1, 8):
        short = float(f"{value:.{digits}g}")
        if abs(short - value) <= room:
            return short
    return value


def rule_of(
    probe: str,
    query: str,
    bound: float,
    *,
    low_is_bad: bool,
    count: str | None,
    needs: float,
    for_s: float,
    labels: Mapping[str, str],
) -> RuleInfo:
    """An alerting rule: the probe's own expression beyond the bound, with the events that it needs to say anything."""
    expr = counted(f"({_flat(query)}) {'<' if low_is_bad else '>'} {bound:g}", count, needs)
    name = "".join(word.capitalize() for word in re.split(r"[^A-Za-z0-9]+", probe)) + ("Low" if low_is_bad else "High")
    return RuleInfo(name, expr, for_s, {**labels, "severity": "page"})


def counted(expr: str, count: str | None, needs: float) -> str:
    """The expression where it rests on enough events: what a handful of them read is neither usual nor a fault."""
    return f"{expr} and ({_flat(count)}) > {needs:g}" if count is not None and needs > 0 else expr


def _flat(query: str) -> str:
    return " ".join(query.split())


def rules_file(found: Sequence[Suggestion]) -> str:
    """A file of Prometheus' rules with every suggestion, and beside each what it rests on. Nothing loads it by itself."""
    lines = [
        "# Suggested by `chaos coverage --suggest`, one rule for each fault that nobody was told of. Read them before you load them:",
        "# each was rehearsed over the telemetry of the run that is named beside it, and knows no other weather than that.",
        "groups:",
        "  - name: suggested",
        "    rules:",
    ]
    for one in found:
        if one.rule is None:
            continue
        lines += [f"      # {_said(text)}" for text in _evidence(one)]
        lines += [
            f"      - alert: {one.rule.name}",
            f"        expr: {json.dumps(one.rule.expr, ensure_ascii=False)}",
            f"        for: {format_duration(one.rule.for_s)}",
            f"        labels: {json.dumps({name: _said(value) for name, value in one.rule.labels.items()})}",
            f"        annotations: {{summary: {_summary(one.probe)}}}",
        ]
    return "\n".join(lines) + "\n"


def _summary(probe: str) -> str:
    return json.dumps(f"{_said(probe)} is {{{{ $value | humanize }}}}, beyond what it usually reads.")


def _said(text: str) -> str:
    """What comes from a run's folder, on one line, and nothing that Prometheus would take for a template."""
    return " ".join(visible(text).split()).replace("{{", "{ {")


def _evidence(one: Suggestion) -> list[str]:
    rarely = f" (beyond the threshold {100 * one.beyond:.2g} % of the time)" if one.beyond > 0 else ""
    said = [
        f"{one.fault}, run {one.run}: without the fault {one.probe} read {one.baseline:.4g} at worst{rarely}, with it {one.at_fault:.4g}."
    ]
    if one.caught is not None:
        after = f", after {one.caught.median_s:.0f} s" if one.caught.median_s is not None else ""
        told = f"told in {one.caught.caught} of {one.caught.scenarios} scenarios at {format_share(one.caught.severity)} of traffic{after}"
        said.append(f"Rehearsed: {told}; quiet in all {one.quiet_scenarios} without it ({one.quiet_hours:.1f} hours).")
    return said
