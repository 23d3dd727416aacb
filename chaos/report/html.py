"""report.html: one self-contained page about one run. Pure: values in, text out.

verdict + plan + journal ─▶ render() ─▶ one file: nothing from elsewhere, everything escaped, readable without its script
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from chaos.detection import FAILURE, Detection, Gate, Stage
from chaos.events import State
from chaos.journal import Line
from chaos.judging.steady import bound_text
from chaos.judging.trace import Trace, trace
from chaos.plans import Plan, PlannedAlert
from chaos.report import page
from chaos.report.arms import Ratio, draw_arms, measures, ratios
from chaos.report.cursor import cursor
from chaos.report.lanes import PHASE, picture_of
from chaos.report.page import NONE, duration_text, tone
from chaos.report.places import TALL, WIDE
from chaos.report.radius import Radius, radius
from chaos.report.raw import raw
from chaos.report.timeline import both
from chaos.units import format_error, format_measured
from chaos.verdict import Finding, Half, Verdict

HALVES: dict[Half, str] = {
    "detection": "Did monitoring notice?",
    "resilience": "Did the system hold?",
    "validity": "Does the run prove anything?",
    "safety": "Was it safe?",
}

ASKED: dict[Gate, str] = {
    Gate.alive: "monitoring itself was alive",
    Gate.signal: "what the rule reads left its baseline band",
    Gate.pending: "the rule's expression became true",
    Gate.firing: "it stayed true for as long as the rule's `for` asks",
    Gate.active: "Alertmanager had the alert as active",
    Gate.delivered: "the receiver was told",
    Gate.reset: "the alert was resolved, counted from the removal",
}
"""What passing a gate means, in words."""

OPEN = ("not_observed", "undecided", "invalid")
"""Outcomes of an expected alert that are neither good nor bad."""


@dataclass(frozen=True, slots=True)
class StageRow:
    """One gate of an expected alert as the table shows it."""

    gate: str
    asked: str
    result: Literal["passed", "failed", "not reached", "not asked"]
    after: str
    error: str
    source: str


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that went wrong in the run without ending it: unread questions, effects that could not be applied."""

    what: str
    said: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One answer to be seen at a glance: what was asked, the answer in a word or a number, and what it rests on."""

    label: str
    number: str
    about: str
    tone: str


def render(verdict: Verdict, plan: Plan, lines: Sequence[Line]) -> str:
    """The page. Every text that the system, its alerts or the experiment said stands in it escaped.

    Raises BrokenJournal when the lines are no run, as `judge` does.
    """
    seen = trace(lines)
    touched = radius(seen, verdict)
    return page.render(
        "report.html.j2",
        script=page.script("timeline.js"),
        verdict=verdict,
        plan=plan,
        trace=seen,
        tiles=tuple(_tiles(verdict, plan, touched)),
        radius=touched,
        detections=[
            (one, planned(plan, one.alert), stage_rows(one, planned(plan, one.alert))) for one in verdict.detections
        ],
        halves=[(title, half, _worst_first(verdict, half)) for half, title in HALVES.items()],
        happened=_happened(seen),
        states=[
            (PHASE.get(one.state.value, one.state.value), one.wall_s - seen.first_wall_s, one.why)
            for one in seen.states
        ],
        ended=seen.entered(State.ended) is not None,
        steady=[(probe, bound_text(probe)) for probe in plan.steady()],
        reads=[read for read in (seen.latest(target) for target in sorted(seen.proxies)) if read is not None],
        again=f"chaos run experiment.yaml --system system.yaml --seed {shlex.quote(verdict.seed)}",
        settings=fault_settings,
        outcome_tone=_outcome_tone,
        raw=raw(lines),
        pictures=_pictures(seen, verdict, lines),
    )


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is drawn, as markup: ElementTree wrote it, which escapes every text; and the same as numbers."""

    timeline: Markup
    timeline_data: Markup
    arms: Markup
    ratios: Sequence[Ratio]


def _pictures(seen: Trace, verdict: Verdict, lines: Sequence[Line]) -> Pictures:
    picture = picture_of(seen, verdict, lines)
    drawings = tuple(both(picture))
    measured, compared = measures(verdict), ratios(verdict)
    return Pictures(
        Markup("".join(one.svg for one in drawings)),  # noqa: S704
        page.json_block(cursor(picture, drawings)),
        Markup("".join(draw_arms(measured, compared, shape) for shape in (WIDE, TALL))),  # noqa: S704
        compared,
    )


# --- at a glance ------------------------------------------------------------------------------------------------------


def _tiles(verdict: Verdict, plan: Plan, touched: Radius) -> Iterator[Tile]:
    """Who was told and how fast, whether the system held, how many were touched, and whether all is undone."""
    for one in verdict.detections[:3]:
        asked = f", asked for within {duration_text(one.within_s)}" if one.within_s is not None else ""
        told = one.told_after_s is not None
        number = duration_text(one.told_after_s, one.within_s) if told else one.outcome.replace("_", " ")
        about = f"until somebody was told{asked}" if told else f"expected to tell{asked}"
        yield Tile(one.alert, number, about, _outcome_tone(one.outcome))
    steady = [one for one in verdict.probes if one.role != "watched"]
    if steady:
        met = sum(one.verdict == "confirmed" for one in steady)
        worst = (
            "good"
            if met == len(steady)
            else max((tone(one.verdict) for one in steady), key=("good", "warn", "bad").index)
        )
        yield Tile("Steady state", f"{met} of {len(steady)}", "probes did what was expected of them", worst)
    yield from _touched(verdict, plan, touched)
    undone = next((one for one in verdict.findings if one.question == "Was every effect undone?"), None)
    if undone is not None and verdict.effects:
        word = {"good": "Undone", "warn": "Not known", "bad": "Not undone"}[tone(undone.verdict)]
        removed = [one for one in verdict.findings if one.question.startswith("Is the removal") and one.good]
        yield Tile("Every effect", word, removed[0].answer if removed else undone.answer, tone(undone.verdict))


def _touched(verdict: Verdict, plan: Plan, touched: Radius) -> Iterator[Tile]:
    if touched.containers:
        count = len(touched.containers)
        yield Tile(
            "Blast radius", f"{count} container{'' if count == 1 else 's'}", ", ".join(touched.containers[:3]), ""
        )
    elif verdict.effects and touched.requests:
        shadow = ", in copies (shadow)" if plan.shadows() else ""
        yield Tile("Blast radius", f"{touched.touched:,}", f"touched, of {touched.requests:,} requests{shadow}", "")


def _outcome_tone(outcome: str) -> str:
    return "good" if outcome == "detected" else "warn" if outcome in OPEN else "bad"


# --- rows -------------------------------------------------------------------------------------------------------------


def planned(plan: Plan, alert: str) -> PlannedAlert | None:
    """The plan of this expected alert."""
    return next((one for one in plan.alerts if one.alert == alert), None)


def stage_rows(found: Detection, alert: PlannedAlert | None) -> list[StageRow]:
    """Every gate of one alert; delivery's gates are `not asked` when the experiment names no receiver."""
    told = alert is None or alert.delivered_to is not None
    resolved_within_s = alert.resolved_within_s if alert is not None else None
    return [
        _stage_row(
            found,
            stage,
            resolved_within_s if stage.gate is Gate.reset else found.within_s,
            asked=told or stage.gate not in (Gate.active, Gate.delivered),
        )
        for stage in found.stages
    ]


def _stage_row(found: Detection, stage: Stage, limit_s: float | None, *, asked: bool) -> StageRow:
    words = ASKED[stage.gate]
    if stage.after_s is not None:
        return StageRow(
            stage.gate.value,
            words,
            "passed",
            format_measured(stage.after_s, limit_s, sign="+"),
            format_error(stage.error_s),
            stage.source,
        )
    if found.failed_gate is stage.gate:
        return StageRow(stage.gate.value, words, "failed", "✗", "", FAILURE[stage.gate])
    return StageRow(stage.gate.value, words, "not reached" if asked else "not asked", NONE, "", "")


def _worst_first(verdict: Verdict, half: Half) -> list[Finding]:
    """The findings of a half: those that speak against the run, then the open ones, then the good ones."""
    order = {"bad": 0, "warn": 1, "good": 2}
    return sorted((one for one in verdict.findings if one.half == half), key=lambda one: order[tone(one.verdict)])


def _happened(seen: Trace) -> list[Happened]:
    found = [Happened(f"{name} could not be applied", error) for name, error in seen.apply_failed.items()]
    found += [Happened(f"{lost.effect} could not be undone; do it by hand", lost.by_hand) for lost in seen.lost]
    for question, errors in seen.failed.items():
        times = "once" if len(errors) == 1 else f"{len(errors)} times"
        found.append(Happened(f"no answer about {question}, {times}", "; ".join(list(dict.fromkeys(errors))[:3])))
    if seen.collected is not None:
        found += [Happened("could not be collected at the end", error) for error in seen.collected.errors]
    if seen.load is not None and seen.load.error:
        found.append(Happened("the load", seen.load.error))
    return found


def _setting(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {inner}" for name, inner in value.items() if inner not in (None, ""))
    return str(value)


def fault_settings(text: str | None) -> Mapping[str, str]:
    """What the experiment wrote about a fault, from the plan's JSON; empty when there is none."""
    if not text:
        return {}
    return {
        str(name): _setting(value)
        for name, value in json.loads(text).items()
        if name not in ("fault", "target") and value is not None
    }
