"""What a run becomes in pytest: an outcome, a failure's text for CI logs, properties for JUnit, a line of the summary. Pure."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from chaos.detection import FAILURE, Detection, Gate
from chaos.sensitivity import Sensitivity
from chaos.units import format_measured
from chaos.verdict import EXIT_CODE, Finding, Verdict, VerdictName

Outcome = Literal["passed", "failed", "error"]
WIDTH = 100


def outcome_of(name: VerdictName) -> Outcome:
    """What a verdict is to pytest: a weakness, an abort and what could not be undone fail; what proves nothing is an error."""
    return {0: "passed", 3: "error", 130: "error"}.get(EXIT_CODE[name], "failed")  # type: ignore[return-value]


def failure_text(verdict: Verdict, folder: str) -> str:
    """What went wrong, at which gate, with the evidence beside it, and where the report is."""
    parts = [f"{verdict.verdict.upper()}: {verdict.experiment} on {verdict.system}", *_wrapped(verdict.sentence)]
    for one in verdict.detections:
        if one.outcome != "detected":
            parts += ["", f"{one.alert}: {one.outcome}", *_stages(one)]
    bad = [one for one in verdict.findings if not one.good]
    if bad:
        parts.append("")
    for finding in bad:
        parts += _finding(finding)
    parts += ["", f"report   {folder}/report.html", f"again    chaos judge {shlex.quote(folder)}"]
    return "\n".join(parts)


def sweep_text(found: Sensitivity) -> str:
    """What a sweep says of each alert, and where nobody was told."""
    parts = [f"{found.experiment}, swept over {found.parameter}"]
    parts += [line for alert in found.alerts for line in _wrapped(f"{alert.alert} {alert.sentence}")]
    parts += [f"  {one.text}: {one.verdict}  {one.folder}" for one in found.trials]
    if found.blind:
        parts += _wrapped(
            f"at {', '.join(found.blind)} the system left its steady state and no expected alert told in time"
        )
    if found.stopped:
        parts += _wrapped(f"the sweep ended early: {found.stopped}")
    return "\n".join(parts)


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent) or [indent]


def _stages(one: Detection) -> list[str]:
    lines = ["     0.0s  first effect"]
    for stage in one.stages:
        if stage.gate is one.failed_gate:
            lines.append(f"        ✗  {stage.gate.value}: {FAILURE[stage.gate]}")
        elif stage.after_s is not None:
            after = format_measured(stage.after_s, None if stage.gate is Gate.reset else one.within_s, sign="+")
            if stage.gate is Gate.reset:
                lines.append(f"  after the removal: resolved {after} ({stage.source})")
            else:
                lines.append(f"  {after:>8}  {stage.gate.value} ({stage.source})")
    return lines


def _finding(one: Finding) -> list[str]:
    lines = _wrapped(f"{one.verdict}: {one.question} {one.answer}")
    lines += [f"    {name}: {value}" for name, value in one.evidence.items() if value is not None]
    return lines


def properties(verdict: Verdict, folder: str) -> list[tuple[str, str]]:
    """Name and value of each: they come with pytest's reports, and stand in its JUnit file."""
    found = [
        ("chaos.experiment", verdict.experiment),
        ("chaos.system", verdict.system),
        ("chaos.verdict", verdict.verdict),
        ("chaos.run", verdict.run),
        ("chaos.folder", folder),
    ]
    for one in verdict.detections:
        found.append((f"chaos.{one.alert}.outcome", one.outcome))
        if one.failed_gate is not None:
            found.append((f"chaos.{one.alert}.failed_gate", one.failed_gate.value))
        times = {"told": one.told_after_s, "resolved": one.resolved_after_s}
        times |= {stage.gate.value: stage.after_s for stage in one.stages if stage.gate is not Gate.reset}
        found += [
            (f"chaos.{one.alert}.{name}_after_s", format_measured(at, one.within_s, digits=3).removesuffix("s"))
            for name, at in times.items()
            if at is not None
        ]
        if one.within_s is not None:
            found.append((f"chaos.{one.alert}.within_s", f"{one.within_s:g}"))
    return found


def summary_lines(rows: Iterable[Mapping[str, object]]) -> list[str]:
    """One line for each experiment: its last verdict, when which alert told, and its folder. Setup and call say the same."""
    last = {str(row["chaos.experiment"]): row for row in rows}
    width = max(map(len, last), default=0)
    return [f"{name:{width}}  {_told(row)}" for name, row in last.items()]


def _beside(row: Mapping[str, object], name: str, told_s: float) -> str:
    """The time, so that one sees on which side of its limit it lies."""
    within = row.get(name.replace(".told_after_s", ".within_s"))
    return format_measured(told_s, float(str(within)) if within is not None else None)


def _told(row: Mapping[str, object]) -> str:
    told = [
        f"{name.removeprefix('chaos.').removesuffix('.told_after_s')} told after {_beside(row, name, float(str(value)))}"
        for name, value in row.items()
        if name.endswith(".told_after_s")
    ]
    failed = [
        f"{name.removeprefix('chaos.').removesuffix('.failed_gate')} failed at {value}"
        for name, value in row.items()
        if name.endswith(".failed_gate")
    ]
    said: Sequence[str] = [str(row.get("chaos.verdict", "")), *told, *failed, str(row.get("chaos.folder", ""))]
    return "  ".join(part for part in said if part)
