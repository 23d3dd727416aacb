"""The arms side by side: shares of each arm with their intervals, and every comparison with its ratio and what it decided. Pure.

Verdict ─▶ shares() and ratios() ─▶ draw_arms() ─▶ SVG

Shares come from the verdict's rows of the arms, ratios from its findings: whatever a comparison rests on, it stands here when its
evidence has a ratio with an interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chaos.report.canvas import Sheet, tone
from chaos.report.places import WIDE, Shape, cut
from chaos.report.scales import nice_step, tick_text, ticks
from chaos.statistics import clopper_pearson
from chaos.verdict import Finding, Verdict, VerdictName

COMPARES = "How does treatment compare with control in "
"""How the question of every comparison of the arms begins."""
TONE = {"treatment": "treatment", "control": "control"}
HELD = 1.5
"""Below so many times as bad, treatment counts as held (see docs/detection.md)."""
LEAST, MOST = 0.05, 50.0
"""Ratios beyond these stand at the edge of the drawing."""


@dataclass(frozen=True, slots=True)
class Share:
    """What share of an arm's requests were bad, with its 95 % Clopper-Pearson interval."""

    arm: str
    bad: int
    of: int
    share: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that was counted in every arm."""

    title: str
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Ratio:
    """One comparison: treatment over control. `high` is None where nobody can say how large it may be."""

    title: str
    ratio: float | None
    low: float
    high: float | None
    decision: str
    verdict: VerdictName
    said: str
    source: str = ""


def measures(verdict: Verdict) -> list[Measure]:
    """Mistakes and errors of every arm; a measure that nobody counted is left out."""
    rows = verdict.arms
    counted = {
        "mistakes": [(row.arm, row.wrong, row.labelled) for row in rows],
        "errors": [(row.arm, row.errors, row.requests) for row in rows],
    }
    return [
        Measure(title, tuple(Share(arm, bad, of, bad / of, clopper_pearson(bad, of)) for arm, bad, of in found if of))
        for title, found in counted.items()
        if any(of for _, _, of in found)
    ]


def ratios(verdict: Verdict) -> list[Ratio]:
    """Every finding that compares the arms and has a ratio with an interval."""
    found = [one for one in verdict.findings if one.question.startswith(COMPARES) and "ratio" in one.evidence]
    return [_ratio(one) for one in found]


def _ratio(one: Finding) -> Ratio:
    evidence = one.evidence
    return Ratio(
        one.question.removeprefix(COMPARES).rstrip("?"),
        _number(evidence.get("ratio")),
        _number(evidence.get("low")) or 0.0,
        _number(evidence.get("high")),
        str(evidence.get("decision") or ""),
        one.verdict,
        one.answer,
        str(evidence.get("source") or ""),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


# --- drawing ----------------------------------------------------------------------------------------------------------

_ROW, _HEAD, _FOOT, _SPACE = 24.0, 26.0, 26.0, 22.0


def draw_arms(measured: Sequence[Measure], compared: Sequence[Ratio], shape: Shape) -> str:
    """Shares to the left and ratios to the right of each other, or below on a phone. Empty when there is neither."""
    compared = [one for one in compared if one.ratio is not None]
    if not measured and not compared:
        return ""
    rows = sum(len(one.shares) for one in measured) + len(measured)
    left_height = _HEAD + rows * _ROW + _FOOT if measured else 0.0
    right_height = _HEAD + len(compared) * _ROW * 1.5 + _FOOT if compared else 0.0
    apart = shape is WIDE and bool(measured) and bool(compared)
    half = (shape.width - 40) / 2 if apart else shape.width
    sheet = Sheet(shape.width, max(left_height, right_height) if apart else left_height + right_height + _SPACE)
    if measured:
        _draw_shares(sheet, measured, (0.0, 0.0, half))
    if compared:
        _draw_ratios(
            sheet, compared, (half + 40, 0.0, half) if apart else (0.0, left_height and left_height + _SPACE, half)
        )
    return sheet.svg("The arms side by side", _words(measured, compared), name=f"arms-{shape.name}", shape=shape.name)


def _words(measured: Sequence[Measure], compared: Sequence[Ratio]) -> str:
    said = [
        f"{one.title} in {share.arm}: {share.share:.1%} [{share.interval[0]:.1%}, {share.interval[1]:.1%}] of {share.of}"
        for one in measured
        for share in one.shares
    ]
    return "; ".join([*said, *(f"{one.title}: {one.said}" for one in compared)]) + "."


def _draw_shares(sheet: Sheet, measured: Sequence[Measure], box: tuple[float, float, float]) -> None:
    x, y, width = box
    name, value = 84.0, 58.0
    rows = sum(len(one.shares) for one in measured) + len(measured)
    height = rows * _ROW
    sheet.text(x, y + 14, "share of requests, 95 % interval", kind="muted")
    axes = sheet.axes(x + name, y + _HEAD, width - name - value, height)
    most = max(share.interval[1] for one in measured for share in one.shares)
    limit = min(1.0, max(most * 1.05, 0.001))
    axes.set_xlim(0, limit)
    axes.set_ylim(rows, 0)
    step = nice_step(limit, 4)
    at = ticks(0.0, limit, step)
    axes.vlines(at, 0, rows, color=tone("grid"), linewidth=1)
    for mark in at:
        sheet.text(
            x + name + mark / limit * (width - name - value),
            y + _HEAD + height + 16,
            tick_text(mark, "share", step),
            kind="muted",
            ha="center",
        )
    row = 0.0
    for one in measured:
        sheet.text(x, y + _HEAD + (row + 0.72) * _ROW, one.title, fontweight=650, fontsize=12.5)
        row += 1
        for share in one.shares:
            kind = TONE.get(share.arm, "muted")
            axes.hlines([row + 0.5], *share.interval, color=tone(kind), linewidth=7, alpha=0.35)
            said = f"{share.arm}: {share.bad} of {share.of}, {share.share:.2%} [{share.interval[0]:.2%}, {share.interval[1]:.2%}]"
            axes.scatter(
                [share.share],
                [row + 0.5],
                s=42,
                color=tone(kind),
                zorder=5,
                clip_on=False,
                gid=sheet.name("share", said),
            )
            base = y + _HEAD + (row + 0.66) * _ROW
            sheet.text(x + 2, base, cut(share.arm, name - 4), kind=kind)
            sheet.text(x + width, base, f"{share.share:.1%}", ha="right", fontweight=600)
            row += 1


def _draw_ratios(sheet: Sheet, compared: Sequence[Ratio], box: tuple[float, float, float]) -> None:
    x, y, width = box
    name, value = 112.0, 118.0
    height = len(compared) * _ROW * 1.5
    sheet.text(x, y + 14, "treatment / control, confidence sequence", kind="muted")
    axes = sheet.axes(x + name, y + _HEAD, width - name - value, height)
    low = min([max(LEAST, one.low) for one in compared] + [0.5])
    high = max([min(MOST, one.high or MOST) for one in compared] + [2.0])
    axes.set_xlim(math.log(low), math.log(high))
    axes.set_ylim(len(compared), 0)

    def place(ratio: float) -> float:
        return math.log(min(max(ratio, low), high))

    axes.axvspan(
        place(low),
        place(HELD),
        color=tone("band"),
        linewidth=0,
        gid=sheet.name("band", f"held: certainly below {HELD:g} times as bad"),
    )
    marks = [one for one in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0) if low <= one <= high]
    axes.vlines([place(one) for one in marks], 0, len(compared), color=tone("grid"), linewidth=1)
    axes.vlines([0.0], 0, len(compared), color=tone("text"), linewidth=1)
    for mark in _apart(marks, math.log(high / low), width - name - value):
        share = (place(mark) - place(low)) / math.log(high / low)
        sheet.text(
            x + name + share * (width - name - value), y + _HEAD + height + 16, f"{mark:g}×", kind="muted", ha="center"
        )
    for row, one in enumerate(compared):
        assert one.ratio is not None
        kind = "bad" if one.decision == "broken" else "good" if one.decision == "held" else "muted"
        first, last = place(one.low or low), place(high if one.high is None else one.high)
        axes.hlines([row + 0.5], first, last, color=tone(kind), linewidth=3)
        axes.scatter(
            [place(one.ratio)],
            [row + 0.5],
            s=44,
            marker="D",
            color=tone(kind),
            zorder=5,
            clip_on=False,
            gid=sheet.name("ratio", one.said),
        )
        base = y + _HEAD + (row + 0.5) * _ROW * 1.5 + 4
        sheet.text(x, base, cut(one.title, name - 4), fontweight=600)
        sheet.text(x + width, base, f"{one.ratio:.2f}× {one.decision}", ha="right", kind=kind, fontweight=600)


def _apart(marks: Sequence[float], span: float, room: float) -> list[float]:
    """Those whose words do not lie on each other."""
    kept: list[float] = []
    for one in sorted(marks, key=lambda mark: (mark != 1.0, mark)):
        if all(abs(math.log(one / other)) / span * room >= 34 for other in kept):
            kept.append(one)
    return sorted(kept)
