"""Data that is lost or worse never improves a verdict, and nothing but a whole run confirms: over every journal that the judge's tests have.

What is lost may leave open (`inconclusive`) or spoil (`invalid`) what was decided before; it never turns a weakness into a milder one, and
it never reaches exit 0. An alert that is gone within `BLIND_S` may be missed between two looks: that much every run allows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from chaos.detection import BLIND_S
from chaos.engine import Trigger
from chaos.events import Applied, Collected, Observed, Record, Undone
from chaos.journal import Line, from_text
from chaos.judging import judge
from chaos.observation import (
    AlertSeen,
    AlertsRead,
    Delivered,
    DeliveriesRead,
    ExternalRead,
    LoadRead,
    ProbeReading,
    ProbesRead,
    ProxyRead,
    RoutedRead,
)
from chaos.verdict import EXIT_CODE, VerdictName
from tests.fuzzing import examples
from tests.judging.journals import SILENT, WALL, Story, among, lines_of
from tests.judging.test_judge import CAUSES, JUDGED, UNEXPECTED
from tests.test_external import SHOWN
from tests.test_external import journal as _external_journal
from tests.worlds import ALERT

ORDER = list(EXIT_CODE)
OPEN: frozenset[VerdictName] = frozenset({"inconclusive", "invalid"})
KINDS = (ExternalRead, ProbesRead, AlertsRead, RoutedRead, DeliveriesRead, ProxyRead, LoadRead)
LENGTH_S = 101.0
RECORDED = Path(__file__).with_name("confirmed.jsonl")
TICKET = AlertSeen("ModelAccuracyLow", {"alertname": "ModelAccuracyLow", "severity": "ticket"}, "firing", WALL + 18.0)
FLAPS = replace(JUDGED, alerts=(replace(ALERT, resolved_within_s=5.0),))


def _disagreeing(line: Line) -> Line:
    """The proxy counts half of what the load does."""
    match line.record:
        case Observed(observation=ProxyRead() as read):
            half = replace(read.control, first_attempts=read.control.first_attempts // 2)
            return replace(line, record=Observed(replace(read, control=half)))
        case _:
            return line


LEVEL = replace(JUDGED.probes[1], windowed=False)
LEVELLED = replace(JUDGED, probes=(JUDGED.probes[0], LEVEL))
AGAIN = tuple((float(at), 1.0) for at in range(36, 50))


def _levelled(broken_from: float) -> list[Line]:
    """Nobody is expected to tell; a probe without a window is looked at every second, and broken from this moment on."""
    quiet = replace(SILENT, plan=replace(LEVELLED, alerts=(), harms=("accuracy",)), undo_why=Trigger.over.value)
    looks = [
        (second + 0.5, Observed(ProbesRead((_level(second + 0.5, broken=broken_from < second < 46.0),))))
        for second in range(1, 59)
    ]
    return lines_of(among(quiet.entries(), *looks))


def _level(at_s: float, *, broken: bool) -> ProbeReading:
    return ProbeReading("availability", "sliding", 30.0, WALL + at_s, (0.5 if broken else 1.0,), 400.0)


JOURNALS: dict[str, Callable[[], list[Line]]] = {
    **{cause: (lambda cause=cause: lines_of(CAUSES[cause][2])) for cause in CAUSES},
    "load and proxies disagree": lambda: [_disagreeing(line) for line in Story().lines()],
    "resolved too late": lambda: Story(plan=FLAPS).lines(),
    "silenced": lambda: Story(suppressed=True, delivered=None, undo=46.0, recovered=60.0, resolved=50.0).lines(),
    "nobody was told of another's labels": lambda: replace(SILENT, others=(TICKET,)).lines(),
    "a level broke under the fault": lambda: _levelled(26.0),
    "a level held": lambda: _levelled(90.0),
    "another tool's effect came back": lambda: _external_journal(
        *(*SHOWN, *((at, 0.0) for at in range(32, 36)), *AGAIN)
    ),
    "another tool's effect went": lambda: _external_journal(*(*SHOWN, *((at, 0.0) for at in range(32, 50)))),
    "a recorded run": lambda: [from_text(text) for text in RECORDED.read_text().splitlines()],
}


@cache
def journal(name: str) -> tuple[tuple[Line, ...], VerdictName]:
    """The journal of this name and its verdict."""
    lines = tuple(JOURNALS[name]())
    return lines, judge(lines).verdict


Change = Callable[[Line], Line | None]
"""What becomes of a line; None: it is lost."""


def _changed(lines: Sequence[Line], changes: Sequence[Change]) -> list[Line]:
    kept: list[Line] = [lines[0]]
    for line in lines[1:]:
        left: Line | None = line
        for change in changes:
            left = change(left) if left is not None else None
        if left is not None:
            kept.append(left)
    return kept


def _rank(name: VerdictName) -> int:
    """How bad it is, worst first. Weaknesses are alike: their order says which of several is named, and a late alert of which
    the notification is lost is an undelivered one.
    """
    return ORDER.index("undetected") if EXIT_CODE[name] == 1 else ORDER.index(name)


def _not_better(before: VerdictName, after: VerdictName) -> bool:
    return after in OPEN or _rank(after) <= _rank(before)


# --- what can be lost -------------------------------------------------------------------------------------------------


def looks_lost(kind: type, begin: float, end: float) -> Change:
    """Every look of a kind between two moments."""

    def change(line: Line) -> Line | None:
        seen = line.record.observation if isinstance(line.record, Observed) else None
        return None if isinstance(seen, kind) and begin <= line.at_s <= end else line

    return change


def one_lost(kind: type, number: int) -> Change:
    """One look of a kind, the so manieth."""
    met = 0

    def change(line: Line) -> Line | None:
        nonlocal met
        if isinstance(line.record, Observed) and isinstance(line.record.observation, kind):
            met += 1
            return None if met == number else line
        return line

    return change


def collected_lost(what: str, number: int) -> Change:
    """A series or a window of what was collected at the end, or all of it."""

    def change(line: Line) -> Line | None:
        match line.record:
            case Collected() as record if what == "all":
                return None
            case Collected() as record if what == "series":
                return replace(line, record=replace(record, series=_but_one(record.series, number)))
            case Collected() as record:
                return replace(line, record=replace(record, windows=_but_one(record.windows, number)))
            case _:
                return line

    return change


def _but_one(rows: tuple[Any, ...], number: int) -> tuple[Any, ...]:
    return rows[: number % len(rows)] + rows[number % len(rows) + 1 :] if rows else rows


def acts_lost(kind: type) -> Change:
    """That something was done, or undone, was never heard."""
    return lambda line: None if isinstance(line.record, kind) else line


moments = st.floats(0.0, LENGTH_S)
losses = st.one_of(
    st.builds(
        lambda kind, begin, long_s: looks_lost(kind, begin, begin + long_s), st.sampled_from(KINDS), moments, moments
    ),
    st.builds(one_lost, st.sampled_from(KINDS), st.integers(1, 60)),
    st.builds(collected_lost, st.sampled_from(["all", "series", "windows"]), st.integers(0, 20)),
    st.builds(acts_lost, st.sampled_from([Applied, Undone])),
)


def _may_miss(before: VerdictName, kept: Sequence[Line], lines: Sequence[Line]) -> bool:
    """Whether only an alert between two looks is missed: as many looks as that are lost in every run."""
    if before != "false_alarm":
        return False
    looks = [
        line.at_s
        for line in kept
        if isinstance(line.record, Observed) and isinstance(line.record.observation, AlertsRead)
    ]
    all_ = [
        line.at_s
        for line in lines
        if isinstance(line.record, Observed) and isinstance(line.record.observation, AlertsRead)
    ]
    return (
        len(looks) < len(all_)
        and bool(looks)
        and max(later - earlier for earlier, later in pairwise(looks)) <= BLIND_S + 2
    )


@settings(max_examples=examples(134), deadline=None)
@given(st.sampled_from(sorted(JOURNALS)), st.lists(losses, min_size=1, max_size=3))
@example("load and proxies disagree", [looks_lost(ProxyRead, 0.0, 27.0)])
@example("load and proxies disagree", [looks_lost(ProxyRead, 6.0, 60.0)])
@example("a level broke under the fault", [looks_lost(ProbesRead, 26.0, 60.0)])
def test_what_is_lost_never_improves_a_verdict(name: str, lost: list[Change]) -> None:
    lines, before = journal(name)
    kept = _changed(lines, lost)
    after = judge(kept).verdict
    if _may_miss(before, kept, lines):
        return
    assert _not_better(before, after), f"{name}: {before} became {after}"
    assert before == "confirmed" or EXIT_CODE[after] != 0


# --- what can be worse ------------------------------------------------------------------------------------------------


def _of_deliveries(line: Line, change: Callable[[Delivered], Delivered | None]) -> Line:
    match line.record:
        case Observed(observation=DeliveriesRead() as read):
            kept = tuple(left for one in read.deliveries if (left := change(one)) is not None)
            return replace(line, record=Observed(replace(read, deliveries=kept)))
        case _:
            return line


def told_later(status: str, by_s: float) -> Change:
    """Every notification of this status came later."""

    def later(one: Delivered) -> Delivered:
        return replace(one, received_at_wall_s=one.received_at_wall_s + by_s) if one.status == status else one

    return lambda line: _of_deliveries(line, later)


def told_elsewhere(receiver: str) -> Change:
    """Another receiver was told."""
    return lambda line: _of_deliveries(line, lambda one: replace(one, receiver=receiver))


def never_told(status: str) -> Change:
    """No notification of this status came."""
    return lambda line: _of_deliveries(line, lambda one: None if one.status == status else one)


def another_rings(begin: float) -> Change:
    """An alert that nobody expects fires from here on."""
    other: AlertSeen = replace(UNEXPECTED, active_at_wall_s=WALL + begin)

    def change(line: Line) -> Line:
        match line.record:
            case Observed(observation=AlertsRead() as read) if line.at_s >= begin:
                return replace(line, record=Observed(replace(read, alerts=(*read.alerts, other))))
            case _:
                return line

    return change


def rule_fails(begin: float) -> Change:
    """The rule cannot be evaluated from here on."""

    def change(line: Line) -> Line:
        match line.record:
            case Observed(observation=AlertsRead() as read) if line.at_s >= begin:
                sick = {"ModelAccuracyLow": "many-to-many"}
                return replace(line, record=Observed(replace(read, unhealthy=sick)))
            case _:
                return line

    return change


def less_held(by: float, counted: float) -> Change:
    """What should hold held less, and what came back did so less, or on fewer events."""

    def change(line: Line) -> Line:
        match line.record:
            case Collected() as record:
                windows = tuple(
                    (
                        phase,
                        replace(
                            one, values=tuple(value - by for value in one.values), count=(one.count or 0) * counted
                        ),
                    )
                    if one.probe == "availability" or phase == "recovery"
                    else (phase, one)
                    for phase, one in record.windows
                )
                return replace(line, record=replace(record, windows=windows))
            case _:
                return line

    return change


def less_proven(untouched: int, effects: float) -> Change:
    """Fewer requests proved the removal, and the fault did less."""

    def change(line: Line) -> Line:
        match line.record:
            case Observed(observation=ProxyRead() as read):
                faults = tuple(replace(one, changed_rows=int(one.changed_rows * effects)) for one in read.faults)
                spoilt = replace(read, untouched=min(read.untouched, untouched), faults=faults)
                return replace(line, record=Observed(spoilt))
            case _:
                return line

    return change


worsenings = st.one_of(
    st.builds(told_later, st.sampled_from(["firing", "resolved"]), st.floats(0.0, 200.0)),
    st.builds(told_elsewhere, st.just("tickets")),
    st.builds(never_told, st.sampled_from(["firing", "resolved"])),
    st.builds(another_rings, st.floats(6.0, 45.0)),
    st.builds(rule_fails, st.floats(16.0, 45.0)),
    st.builds(less_held, st.floats(0.0, 0.5), st.floats(0.0, 1.0)),
    st.builds(less_proven, st.integers(0, 60), st.floats(0.0, 1.0)),
)


@settings(max_examples=examples(134), deadline=None)
@given(st.sampled_from(sorted(JOURNALS)), st.lists(st.one_of(worsenings, losses), min_size=1, max_size=3))
def test_what_is_worse_never_improves_a_verdict(name: str, worse: list[Change]) -> None:
    lines, before = journal(name)
    kept = _changed(lines, worse)
    after = judge(kept).verdict
    if _may_miss(before, kept, lines):
        return
    assert _not_better(before, after), f"{name}: {before} became {after}"
    assert before == "confirmed" or EXIT_CODE[after] != 0


# --- nothing at all ---------------------------------------------------------------------------------------------------


@settings(max_examples=examples(50), deadline=None)
@given(st.sampled_from(sorted(JOURNALS)), st.data())
def test_a_run_that_lost_any_of_its_records_is_confirmed_only_when_it_was(name: str, data: st.DataObject) -> None:
    """Also starts, commands and states: whatever is gone, exit 0 is not reached by it."""
    lines, before = journal(name)
    gone = data.draw(st.sets(st.integers(1, len(lines) - 1), max_size=40))
    kept = [line for place, line in enumerate(lines) if place not in gone]
    after = judge(kept).verdict
    if before != "confirmed" and not _said(lines, gone):
        assert EXIT_CODE[after] != 0 or _may_miss(before, kept, lines), f"{name}: {before} became {after}"


def _said(lines: Sequence[Line], gone: set[int]) -> bool:
    """Whether somebody's word is gone that the run was stopped, aborted, or not undone: those are no observations."""
    words = ("stop_requested", "guard_breached", "effect_lost", "apply_failed", "failed", "state_entered")
    return any(_kind(lines[place].record) in words for place in gone)


def _kind(record: Record) -> str:
    return record.kind
