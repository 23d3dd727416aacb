"""What a sweep says, in a terminal and as a page of its own. No I/O."""

from __future__ import annotations

from markupsafe import Markup
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from chaos.report.curve import Live, both_curves
from chaos.report.page import render
from chaos.sensitivity import AlertSensitivity, Sensitivity, Swept, Trial, TrialAlert
from chaos.visible import visible


def sensitivity_view(found: Sensitivity, swept: Swept) -> Group:
    """The sentence of each alert, every run, and the blind band."""
    parts: list[RenderableType] = [
        Text(),
        Text(visible(f"{found.experiment}, swept over {found.parameter}"), style="bold"),
    ]
    for alert in found.alerts:
        tone = "green" if alert.smallest is not None else "red"
        parts.append(
            Text.assemble((visible(alert.alert), f"bold {tone}"), f" {visible(alert.sentence)}", overflow="fold")
        )
        if alert.live is not None:
            parts.append(Text(f"  {visible(alert.live.sentence)}", style="dim", overflow="fold"))
        if alert.rehearsed is not None:
            chance = "with a chance of nine in ten" if alert.rehearsed_claimed else "in nine of ten scenarios"
            parts.append(Text(f"  rehearsed: from {swept.text(alert.rehearsed)} on {chance}"))
    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="dim")
    for name in (visible(found.parameter), "system", *(visible(alert.alert) for alert in found.alerts), "verdict"):
        table.add_column(name)
    for trial in found.trials:
        table.add_row(*_cells(trial, found))
    parts += [Text(), table]
    if found.stopped:
        parts += [Text(), Text(visible(f"The sweep ended early: {found.stopped}"), style="yellow", overflow="fold")]
    if found.blind:
        blind = f"Blind band: at {', '.join(found.blind)} the system left its steady state and no expected alert told in time"
        parts += [Text(), Text(visible(blind), style="bold red", overflow="fold")]
    if found.rehearsal:
        parts.append(Text(visible(f"· rehearsed from {found.rehearsal}"), style="dim", overflow="fold"))
    if swept.repeats == 1:
        once = "· each severity was run once, which is one throw: no chance of nine in ten is claimed from these runs alone"
        parts.append(Text(once, style="dim", overflow="fold"))
    return Group(*parts)


def _cells(trial: Trial, found: Sensitivity) -> list[Text]:
    by_name = {one.alert: one for one in trial.alerts}
    cells = [Text(trial.text), Text({True: "broken", False: "held", None: "?"}[trial.broken] if trial.proves else "?")]
    for alert in found.alerts:
        one = by_name.get(alert.alert)
        if one is None or not trial.proves:
            cells.append(Text("?", style="yellow"))
        elif one.told is None:
            cells.append(Text(f"? {one.outcome}", style="yellow"))
        elif one.told:
            cells.append(Text(f"✓ {one.after_s:.1f}s" if one.after_s is not None else "✓", style="green"))
        else:
            late = f"late, {one.after_s:.1f}s" if one.outcome == "late" and one.after_s is not None else one.outcome
            cells.append(Text(f"✗ {one.gate or late}", style="red"))
    return [*cells, Text(trial.verdict)]


def page(found: Sensitivity, swept: Swept, within_s: dict[str, float | None]) -> str:
    """The sweep as one file: no script, nothing from elsewhere, everything escaped."""
    alerts = [
        (alert, _picture(alert, found, swept, within_s.get(alert.alert), f"curve-{place}"))
        for place, alert in enumerate(found.alerts)
    ]
    return render("sensitivity.html.j2", found=found, alerts=alerts, once=swept.repeats == 1, cell=_cell_of)


def _cell_of(trial: Trial, alert: str) -> TrialAlert | None:
    return next((one for one in trial.alerts if one.alert == alert), None)


def _picture(alert: AlertSensitivity, found: Sensitivity, swept: Swept, within_s: float | None, name: str) -> Markup:
    live = [
        Live(trial.severity, one.told, one.after_s)
        for trial in found.trials
        if trial.proves
        for one in trial.alerts
        if one.alert == alert.alert and one.told is not None
    ]
    fitted = alert.live.rows if alert.live is not None else ()
    return Markup(both_curves(alert.curve, live, swept.text, within_s, name, fitted))  # noqa: S704 - ElementTree wrote it
