"""What a person sees in a terminal: the plan before, the verdict after. Renderables for rich; no I/O.

Names, labels and errors come from outside: they are shown, never obeyed. No markup and no control character of theirs
reaches the terminal. Nothing is cut off: what is wider than the terminal goes on in the next line.
"""

from __future__ import annotations

import shlex

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaos.arms_watch import each_guard
from chaos.bounds import format_value
from chaos.detection import FAILURE, Detection, Gate
from chaos.plans import Plan, PlannedAlert, PlannedGuard
from chaos.units import format_duration, format_error, format_measured, format_share
from chaos.verdict import Finding, ProbeRow, Verdict, VerdictName
from chaos.visible import visible

_MARK = {"confirmed": "✓", "inconclusive": "?"}
_STYLE = {"confirmed": "green", "inconclusive": "yellow"}


def _style(name: VerdictName) -> str:
    return _STYLE.get(name, "red")


def _text(text: str, style: str = "") -> Text:
    """The text as it is: no markup in it counts, and a word longer than the line is folded."""
    return Text(visible(text), style=style, overflow="fold")


def _line(*parts: tuple[str, str]) -> Text:
    """One paragraph of (text, style)."""
    return Text.assemble(*((visible(text), style) for text, style in parts), overflow="fold")


def _grid() -> Table:
    """Columns without a frame, whose cells fold."""
    return Table.grid(padding=(0, 2), pad_edge=False)


def _row(table: Table, *cells: str | Text) -> None:
    table.add_row(*(cell if isinstance(cell, Text) else _text(cell) for cell in cells))


def _section(title: str, *inside: RenderableType) -> list[RenderableType]:
    return [Text(f"\n{title}", style="bold"), *(Padding(one, (0, 0, 0, 2)) for one in inside)]


# --- after the run ----------------------------------------------------------------------------------------------------


def summary(verdict: Verdict, plan: Plan, folder: str | None) -> Group:
    """The verdict in one sentence, how detection went, every finding, the probes, and where to read on."""
    parts: list[RenderableType] = [
        Text(),
        _line(
            (f" {verdict.verdict.upper()} ", f"bold reverse {_style(verdict.verdict)}"),
            (f"  {verdict.experiment} on {verdict.system}", ""),
        ),
        _text(verdict.sentence),
    ]
    if verdict.detections:
        parts += _section("Did monitoring notice?", *(_chain(one, plan) for one in verdict.detections))
    if verdict.probes:
        parts += _section("Steady state", _probes(verdict.probes))
    if verdict.arms:
        parts += _section("Treatment against control, while the fault was on", _arms(verdict))
    parts += _section("Findings", *(_finding(one) for one in verdict.findings))
    if folder is not None:
        # Each on a line of its own and at its very beginning, so that it can be copied whole.
        read_on = (f"{folder}/report.html", f"{folder}/journal.jsonl", f"chaos judge {shlex.quote(folder)}")
        parts += [Text("\nRead on", style="bold"), *(_text(one) for one in read_on)]
    return Group(*parts)


def _chain(one: Detection, plan: Plan) -> RenderableType:
    """How far one alert came. Every row counts from the first effect; what counts from the removal is said in a line of its own."""
    rows = _grid()
    style = "green" if one.outcome == "detected" else "red"
    head = _line((f"{one.alert}  ", "bold"), (one.outcome, style), (f"  {one.explanation}", ""))
    _row(rows, _text("  0.0s", "dim"), _text("first effect", "dim"), "")
    wanted = next((alert for alert in plan.alerts if alert.alert == one.alert), None)
    for stage in one.stages:
        if stage.gate is Gate.reset:
            continue
        if stage.gate in (Gate.active, Gate.delivered) and wanted is not None and wanted.delivered_to is None:
            continue
        if stage.after_s is not None:
            source = _text(f"{format_error(stage.error_s)}, {stage.source}", "dim")
            _row(rows, f"{format_measured(stage.after_s, one.within_s, sign='+'):>7}", stage.gate.value, source)
        elif one.failed_gate is stage.gate:
            _row(rows, _text("   ✗", "red"), _text(stage.gate.value, "red"), _text(FAILURE[stage.gate], "red"))
        else:
            _row(rows, _text("   –", "dim"), _text(stage.gate.value, "dim"), "")
    return Group(head, rows, *_reset(one, wanted))


def _reset(one: Detection, wanted: PlannedAlert | None) -> list[Text]:
    """When the alert was over, which counts from another zero than all gates before it."""
    stage = one.stage(Gate.reset)
    if stage.after_s is not None:
        limit_s = wanted.resolved_within_s if wanted is not None else None
        after = format_measured(stage.after_s, limit_s, sign="+")
        return [_line(("  after the removal: ", "dim"), (f"resolved {after}", ""), (f", {stage.source}", "dim"))]
    if one.failed_gate is Gate.reset:
        return [_line(("  after the removal: ", "dim"), (f"✗ {FAILURE[Gate.reset]}", "red"))]
    return []


def _probes(probes: tuple[ProbeRow, ...]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    for name in ("", "bound", "baseline", "fault on", "recovered", "asked to"):
        numeric = name in ("baseline", "fault on", "recovered")
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in probes:
        values = [
            "–" if value is None else format_value(value, row.unit) for value in (row.baseline, row.fault, row.recovery)
        ]
        role = {"harm": "break", "hold": "hold", "watched": "–"}[row.role]
        fault = _text(values[1], _style(row.verdict))
        _row(table, row.title, row.bound, values[0], fault, values[2], role)
    return table


def _arms(verdict: Verdict) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    for name in ("", "requests", "errors", "wrong", "95 % interval", "p99 ≤"):
        table.add_column(name, justify="left" if not name else "right", overflow="fold")
    for row in verdict.arms:
        wrong = "–" if row.wrong_share is None else f"{row.wrong_share:.1%}"
        interval = "–" if row.wrong_interval is None else f"{row.wrong_interval[0]:.1%} – {row.wrong_interval[1]:.1%}"
        errors = "–" if row.error_share is None else f"{row.error_share:.1%}"
        slowest = "–" if row.p99_s is None else f"{row.p99_s * 1000:g}ms"
        _row(table, row.arm, str(row.requests), errors, wrong, interval, slowest)
    return table


def _finding(one: Finding) -> Text:
    mark, style = _MARK.get(one.verdict, "✗"), _style(one.verdict)
    return _line((f"{mark} ", f"bold {style}"), (f"{one.question} ", ""), (one.answer, "" if one.good else style))


# --- before the run ---------------------------------------------------------------------------------------------------


def plan_view(plan: Plan) -> Group:
    """Exactly what would happen, to whom, who is told, and whether it can be detected at all."""
    title = _line((plan.experiment, "bold"), (f" on {plan.system} ({plan.environment})", ""))
    parts: list[RenderableType] = [title, _text(plan.description, "dim")] if plan.description else [title]
    parts += _section("What is done", *(_text(f"{effect.id}: {effect.explain}") for effect in plan.effects))
    parts += _section("To whom", *(_text(said) for said in _whom(plan)))
    parts += _section("When", _moments(plan))
    if plan.arms is not None:
        parts += _section("Treatment against control", *(_text(f"arms: {said}") for said in plan.arms.told()))
    if plan.alerts:
        parts += _section("Who must notice", *(_planned_alert(alert) for alert in plan.alerts))
    if plan.guards:
        parts += _section("What ends it at once", *(_text(_guard(plan, guard)) for guard in plan.guards))
    by_hand = [f"{name}: {command}" for name, command in plan.by_hand.items()]
    parts += _section("If undoing fails, by hand", *(_text(said) for said in by_hand))
    for note in plan.notes:
        parts += [Text(), _text(note)]
    for warning in plan.warnings:
        parts += [Text(), _text(f"! {warning}", "yellow")]
    if plan.refusals:
        refusals = (_text(f"✗ {why}", "red") for why in plan.refusals)
        parts += _section("This must not run:", *refusals)
    return Group(*parts)


def _guard(plan: Plan, guard: PlannedGuard) -> str:
    if guard.compared is not None:
        return f"{guard.title}: once it is proven; by chance in at most {each_guard(plan.guards, len(plan.compared_at())):.1%} of runs"
    return f"{guard.title}: blind for at most {format_duration(max(guard.for_s, 3 * plan.evaluation_s, 3.0))}"


def _whom(plan: Plan) -> list[str]:
    whole = [f"whatever asks {target}: monitoring, and no user" for target in sorted(plan.whole_targets())]
    hurt = [effect.container for effect in plan.effects if effect.container is not None]
    containers = [f"container {container.name} ({container.id[:19]})" for container in hurt]
    allowed = [f"real people receive wrong answers; allowed by {plan.allowed}"] if plan.allowed is not None else []
    return (_subjects(plan) if plan.divides() or not whole else []) + allowed + whole + containers


def _subjects(plan: Plan) -> list[str]:
    if plan.load is None:
        return [f"{plan.subjects}, {format_share(plan.traffic)} of subjects by {plan.subject_by}", *_cap(plan)]
    per_s = plan.load.rate_per_s
    longest_s = max((effect.duration_s for effect in plan.faults()), default=0.0)
    treatment, control = per_s * plan.traffic * longest_s, per_s * (1 - plan.traffic) * longest_s
    at_most = f"{treatment:.0f} requests in {format_duration(longest_s)}"
    said = [
        f"{plan.subjects} subjects, by {plan.subject_by}" + (f", where {plan.where}" if plan.where else ""),
        f"treatment {format_share(plan.traffic)}: at most {at_most}; control: {control:.0f}"
        + ("; shadow: nobody is hurt" if plan.shadows() else ""),
        f"load {per_s:g}/s from {plan.load.data}, seed {plan.seed}",
    ]
    if plan.load.feedback_after_s is not None:
        labels = per_s * plan.load.feedback_share
        said.append(
            f"labels for {format_share(plan.load.feedback_share)} of answers after "
            f"{format_duration(plan.load.feedback_after_s)}: {labels:.3g}/s"
        )
    return said + _cap(plan)


def _cap(plan: Plan) -> list[str]:
    if plan.most is None:
        return []
    return [f"never more than {plan.most}, whatever comes: each proxy and worker keeps an equal part, rounded down"]


def _moments(plan: Plan) -> Table:
    table = _grid()
    at_s = 0.0
    if plan.load is not None:
        _row(table, format_duration(at_s), f"load starts, warms up for {format_duration(plan.load.warmup_s)}")
        at_s += plan.load.warmup_s
    _row(table, format_duration(at_s), f"baseline for {format_duration(plan.baseline_s)}: every bound must be met")
    at_s += plan.baseline_s
    for effect in plan.faults():
        until = "in full" if effect.until == "full" else "at most; ends once every expectation is decided"
        _row(
            table,
            format_duration(at_s + effect.start_s),
            f"{effect.id} for {format_duration(effect.duration_s)}, {until}",
        )
    end_s = at_s + max((effect.start_s + effect.duration_s for effect in plan.faults()), default=0.0)
    _row(table, format_duration(end_s), f"undo, then up to {format_duration(plan.recovery_s)} for everything to settle")
    return table


def _planned_alert(alert: PlannedAlert) -> Group:
    if alert.via == "silence":
        asked = f", asked for within {format_duration(alert.within_s)}" if alert.within_s else ""
        silent = format_duration(alert.silent_for_s or 0.0)
        said = [f"told when {alert.delivered_to} has heard nothing of it for {silent}{asked}"]
        return Group(_line((alert.alert, "bold")), *(Padding(_text(one), (0, 0, 0, 2)) for one in said))
    if alert.via == "sink":
        asked = f", asked for within {format_duration(alert.within_s)}" if alert.within_s else ""
        said = [f"told of by the sink of {alert.delivered_to} alone{asked}; Prometheus knows no such rule"]
        return Group(_line((alert.alert, "bold")), *(Padding(_text(one), (0, 0, 0, 2)) for one in said))
    said = [f"rule: {' '.join(alert.expr.split())}", f"told by this rule: {', '.join(alert.routed_to) or 'nobody'}"]
    asked = f"; asked for within {format_duration(alert.within_s)}" if alert.within_s else ""
    soonest = format_duration(round(alert.lower_bound_s, 3))
    said.append(f"fires no sooner than {soonest} after the first effect{asked}")
    if alert.foresight is not None:
        seen = alert.foresight
        crossing = "crosses" if seen.crosses else "does not cross"
        expected = (
            f", expected after {format_measured(seen.expected_s, alert.within_s, digits=0)}" if seen.expected_s else ""
        )
        reads = f"reads {seen.now:.4g} now, would read {seen.reachable:.4g}"
        said.append(f"{reads}: {crossing} {alert.operator} {alert.threshold:g}{expected}")
    head = _line((alert.alert, "bold"), (f" ({alert.severity})" if alert.severity else "", ""))
    return Group(head, *(Padding(_text(one), (0, 0, 0, 2)) for one in said))
