"""The page about runs that went otherwise: hostile texts, cut journals, readings that are no numbers, nobody who noticed."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import pytest

from chaos.detection import FAILURE, Gate
from chaos.events import (
    Applied,
    ApplyFailed,
    Collected,
    EffectLost,
    GuardBreached,
    Observed,
    QueryFailed,
    Record,
    RunStarted,
    State,
    StateEntered,
    StopRequested,
    Undone,
)
from chaos.journal import Line
from chaos.judging import judge
from chaos.judging.trace import trace
from chaos.observation import AlertSeen, AlertsRead, Delivered, DeliveriesRead, RoutedRead, SeriesRead
from chaos.report.html import render
from chaos.verdict import Verdict
from tests.report.report_pages import Page, changed, collected, inserted, page, planned, real_run, rendered

HOSTILE = """x"'></title></style></svg><script>alert(1)</script><img src=//evil.example onerror=alert(2)>`&amp;"""


@pytest.fixture(scope="module")
def confirmed() -> list[Line]:
    return real_run()


@pytest.fixture(scope="module")
def text(confirmed: list[Line]) -> str:
    return rendered(confirmed)


# --- hostile ----------------------------------------------------------------------------------------------------------


def hostile(lines: list[Line]) -> list[Line]:
    """Everything that somebody else said contains markup."""
    plan = trace(lines).plan
    alert = replace(
        plan.alerts[0], expr=HOSTILE, routed_to=(HOSTILE,), labels={**plan.alerts[0].labels}, severity=HOSTILE
    )
    effects = tuple(replace(effect, explain=HOSTILE, target=HOSTILE) for effect in plan.effects)
    odd = planned(
        lines, experiment=HOSTILE, description=HOSTILE, system=HOSTILE, environment=HOSTILE, seed=HOSTILE, subjects=HOSTILE, where=HOSTILE,
        alerts=(alert,), effects=effects, by_hand={effect.id: HOSTILE for effect in effects}, warnings=(HOSTILE,), refusals=(HOSTILE,),
        probes=tuple(replace(probe, title=HOSTILE + probe.title, query=HOSTILE, unit=HOSTILE) for probe in plan.probes),
    )  # fmt: skip

    def change(record: Record) -> Record:
        match record:
            case Observed(observation=AlertsRead() as seen):
                other = AlertSeen(HOSTILE, {"alertname": HOSTILE, HOSTILE: HOSTILE}, "firing", seen.at_wall_s)
                return Observed(replace(seen, alerts=(*seen.alerts, other)))
            case Observed(observation=DeliveriesRead(deliveries=told)) if told:
                return Observed(DeliveriesRead(tuple(replace(one, receiver=HOSTILE) for one in told)))
            case Applied() | Undone():
                return replace(record, call=HOSTILE)
            case StateEntered():
                return replace(record, why=HOSTILE)
            case RunStarted():
                return replace(record, run=HOSTILE, version=HOSTILE)
            case Collected():
                return replace(record, errors=(HOSTILE,))
            case _:
                return record

    return inserted(
        changed(odd, change), State.undo, QueryFailed("alerts", HOSTILE), GuardBreached(HOSTILE, HOSTILE), ApplyFailed("fault-0@loan-model", HOSTILE),
        EffectLost("fault-0@loan-model", HOSTILE), StopRequested(HOSTILE),
    )  # fmt: skip


def test_markup_in_what_the_system_said_stays_text(confirmed: list[Line], text: str) -> None:
    seen = page(hostile(confirmed))
    assert len(seen.all("script")) == 2
    assert not seen.all("img")
    assert {tag for tag, _ in seen.elements} <= {tag for tag, _ in Page(text).elements} | {"li", "ul", "strong", "br"}
    assert not any(name.startswith("on") for _, attributes in seen.elements for name in attributes)
    assert seen.text.count("<script>alert(1)</script>") > 30
    data = next(json.loads(one) for one in seen.scripts if one.startswith("{"))
    assert sum("<script>" in lane["title"] for lane in data["lanes"]) >= 3
    assert not any("<" in one for one in seen.scripts if one.startswith("{"))


@pytest.mark.parametrize("place", ["label", "description", "error"])
def test_a_script_in_this_one_place_comes_out_escaped(confirmed: list[Line], place: str) -> None:
    script = "<script>alert(1)</script>"
    seen = AlertSeen(script, {"alertname": script}, "firing", confirmed[0].wall_s)
    lines = {
        "label": lambda: inserted(confirmed, State.undo, Observed(AlertsRead(confirmed[0].wall_s, (seen,)))),
        "description": lambda: planned(confirmed, description=script),
        "error": lambda: inserted(confirmed, State.undo, QueryFailed("proxy", script)),
    }[place]()
    found = rendered(lines)
    assert script not in found
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in found


def test_control_characters_and_halves_of_pairs_can_be_written(confirmed: list[Line]) -> None:
    found = rendered(inserted(confirmed, State.undo, QueryFailed("proxy", "a\x00b\x1b[31m\ud800c\x85d")))
    found.encode("utf-8")
    assert "a\ufffdb\ufffd[31m\ufffdc\ufffdd" in found


# --- runs that went otherwise -----------------------------------------------------------------------------------------


def test_every_prefix_of_a_real_journal_renders(confirmed: list[Line]) -> None:
    quiet = [
        place
        for place, line in enumerate(confirmed, 1)
        if isinstance(line.record, Applied | Undone | StateEntered | Collected)
    ]
    for length in sorted({1, len(confirmed) // 2, *quiet}):
        cut = confirmed[:length]
        verdict = judge(cut)
        found = Page(render(verdict, trace(cut).plan, cut))
        assert len(found.all("h1")) == 1
        assert verdict.sentence in found.text


def test_a_refused_run_says_why(confirmed: list[Line]) -> None:
    said = page(planned(confirmed, refusals=("the alert X is not loaded in Prometheus",))[:1]).text
    assert "The plan forbade this run: the alert X is not loaded in Prometheus" in said
    assert "Nothing was hurt." in said
    assert "never came to its end" in said


def test_a_breached_guard_is_in_the_picture(confirmed: list[Line]) -> None:
    found = page(inserted(confirmed, State.undo, GuardBreached("availability (min 90%)", "80.0%")))
    assert "aborted" in found.text
    marks = [said for tag, said in found.inside if tag == "text" and said.startswith("guard breached: availability")]
    assert len(marks) == 2  # in the drawing for a page, and cut to its width in the one for a phone
    assert marks[0].startswith("guard breached: availability (min 90%) +")


def test_without_an_effect_time_counts_from_the_start_of_the_run(confirmed: list[Line]) -> None:
    place = next(
        place
        for place, line in enumerate(confirmed)
        if isinstance(line.record, StateEntered) and line.record.state is State.inject
    )
    found = page(confirmed[:place])
    assert "seconds since the start of the run" in found.text
    assert "The fault had no proven effect, so there was nothing to notice for ModelAccuracyLow." in found.text
    assert not [one for one in found.all("g") if one.get("class") == "fault"]


def test_an_effect_that_was_never_taken_back_says_so(confirmed: list[Line]) -> None:
    place = next(
        place
        for place, line in enumerate(confirmed)
        if isinstance(line.record, StateEntered) and line.record.state is State.undo
    )
    said = page(confirmed[:place]).text
    assert "✗ not proven" in said
    assert "removed +" not in said


def silent(record: Record) -> Record | None:
    """Nobody noticed: no alert was ever pending, firing, routed or delivered."""
    match record:
        case Observed(observation=AlertsRead() as seen):
            return Observed(replace(seen, alerts=tuple(one for one in seen.alerts if one.name == "Watchdog")))
        case Observed(observation=RoutedRead() as seen):
            return Observed(replace(seen, alerts=()))
        case Observed(observation=DeliveriesRead()):
            return Observed(DeliveriesRead(()))
        case Collected():
            return replace(record, series=tuple(one for one in record.series if not one.role.startswith("alert:")))
        case _:
            return record


def test_a_miss_names_the_gate_that_must_be_mended(confirmed: list[Line]) -> None:
    found = page(changed(confirmed, silent))
    assert "✗ undetected" in found.text
    assert "Mend this first: the gate pending" in found.text
    assert f"pending ✗ the rule's expression became true (failed) {FAILURE[Gate.pending]}" in found.text
    assert "never pending, never firing" in found.text


def test_delivery_that_was_not_asked_for_is_not_called_missed(confirmed: list[Line]) -> None:
    alert = replace(trace(confirmed).plan.alerts[0], delivered_to=None)
    said = page(changed(planned(confirmed, alerts=(alert,)), silent)).text
    assert said.count("(not asked)") == 2


def test_nan_and_infinite_readings_render(confirmed: list[Line]) -> None:
    values = [math.nan, math.inf, -math.inf, 1e150, -1e150]

    def odd(series: tuple[SeriesRead, ...]) -> list[SeriesRead]:
        return [
            replace(one, samples=tuple((at, values[place % 5]) for place, (at, _) in enumerate(one.samples)))
            for one in series
        ]

    def change(record: Record) -> Record:
        if isinstance(record, Collected):
            return replace(
                record,
                windows=tuple(
                    (phase, replace(one, values=(values[place % 5],)))
                    for place, (phase, one) in enumerate(record.windows)
                ),
            )
        return record

    found = rendered(changed(collected(confirmed, odd), change))
    drawn = re.findall(r' (?:x|y|width|height|d|transform|viewBox)="([^"]*)"', found)
    assert drawn
    assert not any("nan" in value or "inf" in value for value in drawn)
    assert "no data" in Page(found).text


def test_a_page_about_hundreds_of_long_series_stays_small_and_says_what_is_left_out(confirmed: list[Line]) -> None:
    def many(series: tuple[SeriesRead, ...]) -> list[SeriesRead]:
        start, end = confirmed[0].wall_s, confirmed[-1].wall_s
        long = tuple((start + (end - start) * place / 11_000, 0.5 + 0.4 * math.sin(place)) for place in range(11_000))
        return [replace(series[0], samples=long, labels={"pod": str(pod)}) for pod in range(40)]

    found = rendered(collected(confirmed, many))
    assert len(found.encode()) < 1_500_000
    assert "12 of 40 series drawn" in Page(found).text
    assert "lines are left out here to keep this page small" in Page(found).text


def test_an_alert_told_again_and_again_gets_a_mark_each_time(confirmed: list[Line]) -> None:
    start = confirmed[-1].wall_s - 10
    told = tuple(
        Delivered("oncall", start + place / 10, "firing", "f", {"alertname": "ModelAccuracyLow"}, start)
        for place in range(60)
    )
    found = page(inserted(confirmed, State.collect, Observed(DeliveriesRead(told))))
    assert len([one for one in found.all("g") if one.get("class") == "mark told"]) == 2 * (
        60 + 1
    )  # and the real one, in two drawings


def test_a_run_without_load_alerts_or_steady_state_renders(confirmed: list[Line]) -> None:
    bare = planned(confirmed, load=None, alerts=(), probes=(), guards=(), effects=(), harms=(), holds=())[:1]
    said = page(bare).text
    assert "The run sent no traffic of its own." in said
    assert "The experiment expects no alert." in said
    assert "The experiment names no steady state." in said


def test_a_verdict_of_an_impossible_time_still_renders(confirmed: list[Line]) -> None:
    verdict: Verdict = replace(judge(confirmed), started_wall_s=1e300, ended_wall_s=-1e300)
    assert "1e+300" in Page(render(verdict, trace(confirmed).plan, confirmed)).text
