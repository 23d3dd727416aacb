"""Values → pages. No I/O: whoever calls has read everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from markupsafe import Markup

from chaos.app.fault_facts import FAMILIES
from chaos.app.past import Unreadable
from chaos.app.ui.starts import Start
from chaos.engine.moment import STEPS, moment
from chaos.events import State
from chaos.followed import Followed
from chaos.history import AlertSummary, RunSummary
from chaos.plans import Plan
from chaos.report.page import ALONE, NONE, Around, duration_text, render, script
from chaos.units import format_share

PLACES = (
    ("/", "Runs"), ("/experiments", "Experiments"), ("/coverage", "Coverage"), ("/history", "History"), ("/calendar", "Calendar"),
)  # fmt: skip
ROWS = 100
"""Runs that stand on one page."""
MOST_HAPPENED = 200
SOURCES = {"connect-src": "'self'", "frame-src": "'self'", "form-action": "'self'"}


@dataclass(frozen=True, slots=True)
class Frame:
    """What all pages of one answer have in common."""

    form: str
    blocked: str | None
    """Who has stopped everything; None where runs may begin."""

    def around(self, here: str = "") -> Around:
        """What stands above a page."""
        top = render("ui_top.html.j2", places=PLACES, here=here, form=self.form, blocked=self.blocked)
        return Around(Markup(top), Markup(script("ui_top.css")), SOURCES, "same-origin", script("ui.js"))  # noqa: S704 - our own file


@dataclass(frozen=True, slots=True)
class Listed:
    """One experiment file. `problem` is why it is none that can be run."""

    file: str
    name: str
    system: str
    description: str
    problem: str | None = None
    family: str = ""
    """The family of the fault whose experiment in the shipped catalogue this is; empty for everybody's own."""


def runs_page(
    frame: Frame,
    runs: str,
    living: Mapping[str, str | None],
    over: Sequence[RunSummary | Unreadable],
    starting: Sequence[Start],
    first: int = 0,
) -> str:
    """Those that go on, then those that are over, from the one of this place on."""
    return render(
        "ui_runs.html.j2", around=frame.around("/"), form=frame.form, runs=runs, living=living,
        followed=[("run", folder) for folder in living.values() if folder is not None],
        rows=over[first : first + ROWS], more=first + ROWS if len(over) > first + ROWS else None,
        starting=starting, told=told_text, message="", refresh=3 if living or starting else None,
    )  # fmt: skip


def told_text(run: RunSummary) -> str:
    """How soon somebody was told, of every expected alert; a dash where none was expected."""
    if not run.alerts:
        return NONE
    return ", ".join(_told_after(one) for one in run.alerts)


def _told_after(alert: AlertSummary) -> str:
    if alert.told_after_s is not None:
        return duration_text(alert.told_after_s, alert.within_s)
    return NONE if alert.told is None else "nobody"


def now_part(followed: Followed | None, at_s: float, *, short: bool, over: bool, broken: str | None = None) -> str:
    """A live run, as its page shows it; `short` for the list of runs."""
    if followed is None:
        return render("ui_now.html.j2", now=None, broken=broken)
    now = moment(followed, at_s)
    place = STEPS.index(now.state) if now.state in STEPS else len(STEPS)
    return render(
        "ui_now.html.j2", broken=broken, now=now, short=short, over=over, ended=followed.state is State.ended,
        why=followed.why, steps=STEPS, passed=STEPS[:place], guards=[one.title for one in followed.plan.guards],
        expected=_alerts(followed.plan, dict(now.alerts)),
        happened=sorted(followed.happened, key=lambda one: -one.at_s)[:MOST_HAPPENED],
    )  # fmt: skip


def _alerts(plan: Plan, active: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Name, state, and what the experiment wants of it: the expected ones first."""
    wanted = {
        one.alert: "expected" + (f", told to {one.delivered_to}" if one.delivered_to else "") for one in plan.alerts
    }
    names = [*wanted, *(name for name in sorted(active) if name not in wanted)]
    return [(name, active.get(name, "inactive"), wanted.get(name, "")) for name in names]


def run_page(
    frame: Frame,
    runs: str,
    name: str,
    *,
    live: str | None,
    read: RunSummary | Unreadable | None,
    report: bool,
    now: str = "",
    soon: bool = False,
) -> str:
    """One run; `live` is its id while it goes on, `now` what there is to say of it then. `soon`: its report is being written."""
    summary = read if isinstance(read, RunSummary) else None
    return render(
        "ui_run.html.j2", around=frame.around(), form=frame.form, runs=runs, name=name,
        live=live, summary=summary, reason=read.reason if isinstance(read, Unreadable) else None,
        told=told_text(summary) if summary else "", report=report, soon=soon, message="", now=Markup(now),  # noqa: S704 - a page's part
    )  # fmt: skip


def experiments_page(frame: Frame, folder: str, found: Sequence[Listed]) -> str:
    """The files that were found: people's own first, then those of the shipped catalogue, family by family."""
    families = dict.fromkeys([*FAMILIES, *sorted(one.family for one in found if one.family)])
    return render(
        "ui_experiments.html.j2", around=frame.around("/experiments"), folder=folder, found=found,
        own=[one for one in found if not one.family],
        shipped={name: mine for name in families if (mine := [one for one in found if one.family == name])},
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with what decides whether the page may start it. `shown` is the fingerprint of what it says."""

    path: Path
    plan: Plan
    shown: str
    sweep: bool
    frozen: str | None


def plan_page(frame: Frame, file: str, planned: Planned | None, problems: Sequence[str]) -> str:
    """What would happen; with the button that begins it, unless something forbids that."""
    plan = planned.plan if planned else None
    return render(
        "ui_plan.html.j2", around=frame.around("/experiments"), form=frame.form, file=file, problems=problems, plan=plan,
        title=plan.experiment if plan else "Plan", text=plan_text(plan) if plan else "", radius=radius(plan) if plan else "",
        shown=planned.shown if planned else "", sweep=planned is not None and planned.sweep,
        frozen=planned.frozen if planned else None, external=plan is not None and bool(plan.externals()), blocked=frame.blocked,
    )  # fmt: skip


def plan_text(plan: Plan) -> str:
    """What `chaos plan` prints."""
    from rich.console import Console

    from chaos.report.terminal import plan_view

    out = StringIO()
    Console(file=out, width=110, highlight=False, color_system=None).print(plan_view(plan))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).strip("\n")


def radius(plan: Plan) -> str:
    """The most that this plan hurts, in one line."""
    parts = []
    if plan.divides():
        whose = "copies of answers" if plan.shadows() else f"{plan.subjects} subjects"
        parts.append(f"{format_share(plan.traffic)} of {whose}" + (f" where {plan.where}" if plan.where else ""))
    parts += [f"everything that asks {target}" for target in sorted(plan.whole_targets())]
    parts += [f"container {one.container.name}" for one in plan.effects if one.container is not None]
    parts += [plan.most] if plan.most else []
    return ", ".join(parts) or "nothing"


def said_page(
    frame: Frame | None,
    title: str,
    sentences: Sequence[str],
    *,
    output: str = "",
    onward: str = "",
    refresh: int | None = None,
) -> str:
    """One thing to say. Without a frame nothing of this server is shown."""
    around = ALONE if frame is None else frame.around()
    return render(
        "ui_said.html.j2",
        title=title,
        sentences=sentences,
        output=output,
        onward=onward,
        refresh=refresh,
        around=around,
    )


@dataclass(frozen=True, slots=True)
class Played:
    """A game day that is over."""

    folder: str
    name: str
    began: float
    sentence: str


def calendar_page(
    frame: Frame,
    folder: str,
    days: Mapping[str, Mapping[str, object]],
    wrong: Sequence[tuple[str, str]],
    played: Sequence[Played],
) -> str:
    """What is next, and what was."""
    return render(
        "ui_calendar.html.j2", around=frame.around("/calendar"), folder=folder, days=days, wrong=wrong, played=played
    )
