"""What the page is made of, as values: the arms, who was touched, the journal as it is, and what a cursor reads out."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.events import GuardBreached, State
from chaos.journal import Line, to_text
from chaos.judging import judge
from chaos.judging.trace import trace
from chaos.report.arms import draw_arms, measures, ratios
from chaos.report.cursor import cursor
from chaos.report.curve_lanes import probe_lane
from chaos.report.lanes import picture_of
from chaos.report.page import duration_text, json_block, policy
from chaos.report.picture import CurveLane
from chaos.report.places import TALL, WIDE
from chaos.report.radius import radius
from chaos.report.raw import raw, size
from chaos.report.state_lanes import FAULTS, fault_lanes, guard_lane
from chaos.report.timeline import both
from chaos.statistics import clopper_pearson
from chaos.verdict import Verdict
from tests.report.report_pages import inserted, page, planned, real_run

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def confirmed() -> list[Line]:
    return real_run()


@pytest.fixture(scope="module")
def verdict(confirmed: list[Line]) -> Verdict:
    return judge(confirmed)


# --- the arms ---------------------------------------------------------------------------------------------------------


def test_every_arm_has_its_share_of_mistakes_and_errors_with_the_exact_interval(verdict: Verdict) -> None:
    mistakes, errors = measures(verdict)
    assert (mistakes.title, errors.title) == ("mistakes", "errors")
    assert [(one.arm, one.bad, one.of) for one in mistakes.shares] == [("treatment", 109, 118), ("control", 80, 1082)]
    assert mistakes.shares[0].interval == clopper_pearson(109, 118)


def test_a_measure_that_nobody_counted_is_left_out(verdict: Verdict) -> None:
    rows = tuple(replace(row, labelled=0, wrong=0) for row in verdict.arms)
    assert [one.title for one in measures(replace(verdict, arms=rows))] == ["errors"]


def test_comparisons_stand_with_their_ratio_their_interval_and_what_they_decided(verdict: Verdict) -> None:
    mistakes, errors, slow = ratios(verdict)
    assert (round(mistakes.ratio or 0, 2), mistakes.decision) == (12.72, "broken")
    assert errors.ratio is None
    assert slow.title == "slow requests"


@pytest.mark.parametrize("shape", [WIDE, TALL], ids=["page", "phone"])
def test_the_drawing_of_the_arms_has_every_share_and_every_ratio_that_is_known(verdict: Verdict, shape) -> None:
    picture = ET.fromstring(draw_arms(measures(verdict), ratios(verdict), shape))
    kinds = [one.get("class") for one in picture.iter(f"{SVG}g")]
    assert (kinds.count("share"), kinds.count("ratio")) == (4, 2)
    said = [one.text for one in picture.iter(f"{SVG}text")]
    assert {"92.4%", "7.4%", "12.72× broken"} <= set(said)


def test_ratios_without_end_stay_within_the_drawing(verdict: Verdict) -> None:
    odd = [replace(one, ratio=1e9, low=0.0, high=None) for one in ratios(verdict)]
    picture = ET.fromstring(draw_arms([], odd, WIDE))
    places = [float(one.get("x", "")) for one in picture.iter(f"{SVG}use")]
    assert places
    assert all(0 <= x <= WIDE.width for x in places)


def test_without_arms_there_is_no_drawing(verdict: Verdict) -> None:
    assert draw_arms([], [], WIDE) == ""


# --- who was touched --------------------------------------------------------------------------------------------------


def test_the_touched_are_those_that_the_proxies_counted_and_nobody_else(
    confirmed: list[Line], verdict: Verdict
) -> None:
    found = radius(trace(confirmed), verdict)
    groups = {one.name: (one.requests, one.said) for one in found.groups}
    assert groups == {"Treatment": (278, "113 touched"), "Control": (2530, "no fault acts here")}
    assert (found.requests, found.touched) == (2808, 113)


def test_what_proves_it_are_findings_of_the_run(confirmed: list[Line], verdict: Verdict) -> None:
    proofs = [one.question for one in radius(trace(confirmed), verdict).proofs]
    assert "Was the control arm unharmed?" in proofs
    assert "Is the removal at loan-model proven?" in proofs
    assert "Was every effect undone?" in proofs


def test_a_run_that_touched_nobody_says_zero(confirmed: list[Line]) -> None:
    cut = confirmed[:1]
    found = radius(trace(cut), judge(cut))
    assert (found.groups, found.containers, found.touched) == ((), (), 0)


# --- the journal ------------------------------------------------------------------------------------------------------


def test_a_journal_that_fits_is_there_whole(confirmed: list[Line]) -> None:
    found = raw(confirmed)
    assert found.first.split("\n") == [to_text(line) for line in confirmed]
    assert (found.last, found.left_out) == ("", 0)


@given(st.integers(0, 400_000))
def test_a_journal_that_does_not_fit_keeps_its_begin_and_its_end_and_says_what_is_missing(room: int) -> None:
    lines = LINES
    found = raw(lines, room)
    texts = [to_text(line) for line in lines]
    first, last = (part.split("\n") if part else [] for part in (found.first, found.last))
    assert len(first) + found.left_out + len(last) == len(texts) == found.lines
    assert first == texts[: len(first)]
    assert last == texts[len(texts) - len(last) :]
    assert sum(size(text) for text in [*first, *last]) <= room


LINES = real_run()[:120]


# --- what a cursor reads ----------------------------------------------------------------------------------------------


def test_the_cursor_has_every_lane_of_the_drawing_with_the_values_of_the_journal(
    confirmed: list[Line], verdict: Verdict
) -> None:
    seen = trace(confirmed)
    picture = picture_of(seen, verdict, confirmed)
    data = json.loads(json.dumps(cursor(picture, tuple(both(picture)))))
    assert [lane["title"] for lane in data["lanes"]] == [
        "wrong_predictions", "availability", "latency_p99", "accuracy", "ModelAccuracyLow reads", "ModelAccuracyLow", "FeedbackStale",
        "Watchdog", "Guards",
    ]  # fmt: skip
    points = next(lane for lane in data["lanes"] if lane["title"] == "accuracy")["curves"][0]["points"]
    zero = seen.first_effect() or 0.0
    samples = seen.series("probe:accuracy")[0].samples
    assert points[::2] == pytest.approx([at - zero for at, _ in samples], abs=0.01)
    known = [value for _, value in samples if not math.isnan(value)]
    assert [value for value in points[1::2] if value is not None] == pytest.approx(known, rel=1e-5)
    assert len(known) < len(samples)  # what is not known is there as nothing, not as zero
    assert data["drawings"]["wide"]["left"] == WIDE.left


def test_text_in_a_block_of_json_ends_nothing() -> None:
    block = str(json_block({"a": "</script><!--<script>& \u2028"}))
    assert not set("<>&\u2028") & set(block)
    assert json.loads(block) == {"a": "</script><!--<script>& \u2028"}


# --- the policy -------------------------------------------------------------------------------------------------------


def test_without_a_script_none_may_run_and_a_server_may_add_its_own_sources() -> None:
    assert "script-src" not in policy("", {})
    assert policy("", {}).startswith("default-src 'none'")
    assert "connect-src 'self'" in policy("x", {"connect-src": "'self'"})


# --- several faults ---------------------------------------------------------------------------------------------------


def test_every_fault_has_a_lane_and_those_without_room_are_counted(confirmed: list[Line], verdict: Verdict) -> None:
    one = verdict.effects[0]
    many = replace(
        verdict,
        effects=(one, replace(one, id="late", removed_wall_s=None), *(replace(one, id=f"e{n}") for n in range(8))),
    )
    lanes = fault_lanes(trace(confirmed), many, lambda wall_s: wall_s - (one.first_effect_wall_s or 0.0))
    assert [lane.title for lane in lanes[:2]] == ["wrong_predictions", "late"]
    assert lanes[-1].title == "2 more effects"
    assert len(lanes) == FAULTS + 1
    assert "removal not proven" in lanes[1].note
    assert lanes[1].bars[0].end_s > lanes[0].bars[0].end_s == pytest.approx(29.0, abs=0.1)


def test_an_effect_that_never_showed_has_a_lane_that_says_so(confirmed: list[Line], verdict: Verdict) -> None:
    never = replace(verdict, effects=(replace(verdict.effects[0], first_effect_wall_s=None),))
    assert fault_lanes(trace(confirmed), never, float)[0].quiet == "no effect was proven"


def test_hurt_containers_are_named_and_counted(confirmed: list[Line]) -> None:
    plan = trace(confirmed).plan
    hurt = next(effect for effect in plan.effects if effect.kind == "proxy")
    container = replace(hurt, kind="container", fault_index=None, target="replica-1")
    lines = planned(confirmed, effects=tuple(container if effect == hurt else effect for effect in plan.effects))
    assert radius(trace(lines), judge(lines)).containers == ("replica-1",)
    assert "1 container hurt" in page(lines).text


# --- guards -----------------------------------------------------------------------------------------------------------


def test_guards_that_held_say_so_and_one_that_did_not_is_marked(confirmed: list[Line]) -> None:
    def lane(lines: list[Line]):
        return guard_lane(trace(lines), lines, lambda wall_s: wall_s - confirmed[0].wall_s)

    held = lane(confirmed)
    assert held is not None
    assert (held.note, held.quiet, held.marks) == ("availability (min 90%) for 5s", "held all along", ())
    broken = lane(inserted(confirmed, State.undo, GuardBreached("availability (min 90%)", "80%")))
    assert broken is not None
    assert broken.quiet == ""
    assert broken.marks[0].text.startswith("guard breached: availability (min 90%) +")


def test_without_guards_there_is_no_lane_of_them(confirmed: list[Line]) -> None:
    lines = planned(confirmed, guards=())
    assert guard_lane(trace(lines), lines, float) is None


def test_the_bound_of_a_guard_stands_in_the_lane_of_its_probe(confirmed: list[Line]) -> None:
    seen = trace(confirmed)
    lane = probe_lane(seen, next(probe for probe in seen.plan.steady() if probe.title == "availability"), float)
    assert [(limit.text, limit.guard) for limit in lane.limits] == [("min 99.5%", False), ("guard 90%", True)]


def test_the_band_of_a_rule_is_the_one_that_detection_left(confirmed: list[Line], verdict: Verdict) -> None:
    picture = picture_of(trace(confirmed), verdict, confirmed)
    lane = next(lane for lane in picture.lanes if isinstance(lane, CurveLane) and lane.title == "ModelAccuracyLow")
    assert lane.band is not None
    left = next(at for at, value in lane.curves[0] if at >= 0 and value < lane.band[0])
    assert left == pytest.approx(next(mark.at_s for mark in lane.marks if mark.sign == "moved"), abs=0.01)


@pytest.mark.parametrize(
    ("seconds", "limit_s", "shown"),
    [
        (60.2, 60.0, "60.2s"),
        (60.2, None, "1m"),
        (74.6, 75.0, "74.6s"),
        (86.2, 60.0, "1m26s"),
        (60.0, 60.0, "1m"),
        (29.04, 29.0, "29.04s"),
    ],
)
def test_a_time_beside_its_limit_has_the_figures_that_show_its_side(
    seconds: float, limit_s: float | None, shown: str
) -> None:
    assert duration_text(seconds, limit_s) == shown
