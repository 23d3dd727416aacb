"""The timeline as values: what is drawn where, and that nothing odd can break the drawing."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.report.picture import Bar, CurveLane, Limit, Mark, Picture, Span, StateLane, value_range
from chaos.report.places import CHARACTER, MOST_ROWS, TALL, WIDE, Axis, Shape, place
from chaos.report.scales import nice_step, pieces, thin, tick_text, ticks, time_step, time_text
from chaos.report.state_lanes import stretches
from chaos.report.timeline import draw
from tests.fuzzing import examples

SVG = "{http://www.w3.org/2000/svg}"
EMPTY = Picture(
    -10.0, 30.0, "first effect", (Span("baseline", -10, 0), Span("fault on", 0, 20)), (0.0, 20.0), (), "words"
)
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def x_of(at_s: float) -> float:
    return Axis(WIDE, EMPTY.start_s, EMPTY.end_s).x(at_s)


def drawn(*lanes: CurveLane | StateLane, shape: Shape = WIDE, **changes: object) -> ET.Element:
    return ET.fromstring(draw(replace(EMPTY, lanes=lanes, **changes), shape).svg)  # type: ignore[arg-type]


def groups(picture: ET.Element, kind: str) -> list[ET.Element]:
    return [one for one in picture.iter(f"{SVG}g") if one.get("class") == kind]


def paths(picture: ET.Element, kind: str) -> list[str]:
    return [path.get("d", "") for group in groups(picture, kind) for path in group.iter(f"{SVG}path")]


def box(path: str) -> Box:
    numbers = [float(one) for one in re.findall(r"-?[\d.]+", path)]
    return min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])


def boxes(picture: ET.Element, kind: str) -> list[Box]:
    return [box(path) for path in paths(picture, kind)]


def spots(picture: ET.Element, kind: str) -> list[tuple[float, float]]:
    return [
        (float(one.get("x", "")), float(one.get("y", "")))
        for group in groups(picture, kind)
        for one in group.iter(f"{SVG}use")
    ]


def words(picture: ET.Element) -> list[str]:
    return [one.text or "" for one in picture.iter(SVG + "text")]


# --- axes -------------------------------------------------------------------------------------------------------------


@given(st.floats(1e-6, 1e9), st.integers(2, 12))
def test_a_nice_step_is_one_two_or_five_and_makes_no_more_parts_than_asked(span: float, most: int) -> None:
    step = nice_step(span, most)
    assert span / step <= most * (1 + 1e-6)
    assert round(step / 10 ** math.floor(math.log10(step) + 1e-9), 6) in (1, 2, 5)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_lie_on_the_axis_and_are_multiples_of_the_step(low: float, span: float) -> None:
    step = nice_step(span, 4)
    found = ticks(low, low + span, step)
    assert 1 <= len(found) <= 5
    assert all(low - step * 1e-3 <= tick <= low + span + step * 1e-3 for tick in found)
    assert all(abs(tick / step - round(tick / step)) < 1e-3 for tick in found)


@pytest.mark.parametrize(
    ("span_s", "step_s"), [(3, 0.5), (86, 10), (100, 10), (140, 15), (600, 60), (3600, 600), (86400, 21600)]
)
def test_time_has_steps_that_clocks_have(span_s: float, step_s: float) -> None:
    assert time_step(span_s) == step_s


def test_times_are_told_in_the_unit_of_the_step() -> None:
    assert [time_text(at, 10) for at in (-20, 0, 30)] == ["\N{MINUS SIGN}20 s", "0", "30 s"]
    assert [time_text(at, 60) for at in (-120, 60)] == ["\N{MINUS SIGN}2 min", "1 min"]


@pytest.mark.parametrize(
    ("value", "unit", "step", "text"),
    [
        (0.995, "ratio", 0.005, "99.5%"), (0.9, "ratio", 0.05, "90%"), (0.9995, "share", 0.0005, "99.95%"),
        (0.25, "s", 0.05, "250ms"), (0.0105, "s", 0.0005, "10.5ms"), (12.0, "s", 2.0, "12s"),
        (0.88, "", 0.02, "0.88"), (40.0, "1/s", 10.0, "40"), (2.5e9, "", 5e8, "2.5e+09"),
    ],
)  # fmt: skip
def test_labels_are_in_the_unit_of_the_probe_and_as_exact_as_the_step(
    value: float, unit: str, step: float, text: str
) -> None:
    assert tick_text(value, unit, step) == text


def test_the_scale_holds_every_value_and_every_bound() -> None:
    low, high = value_range(CurveLane("a", "", "", (((0, 3.0), (1, 7.0)),), (Limit(9.0, "max 9"),)))
    assert low < 3
    assert high > 9


def test_shares_never_show_an_axis_beyond_everything_or_nothing() -> None:
    assert value_range(CurveLane("a", "", "ratio", (((0, 0.0), (1, 1.0)),))) == (0.0, 1.0)


# --- curves -----------------------------------------------------------------------------------------------------------


def test_a_line_breaks_where_a_value_is_not_known() -> None:
    samples = [(0, 1.0), (1, 2.0), (2, math.nan), (3, 4.0), (4, math.inf), (5, 5.0)]
    assert pieces(samples) == [[(0, 1.0), (1, 2.0)], [(3, 4.0)], [(5, 5.0)]]


def test_a_line_breaks_where_samples_are_missing() -> None:
    assert [len(piece) for piece in pieces([(0, 1), (1, 1), (2, 1), (9, 1), (10, 1)])] == [3, 2]


def test_a_break_is_a_new_stroke_in_the_drawing() -> None:
    lane = CurveLane("a", "", "", (((0, 1.0), (1, 2.0), (2, math.nan), (3, 1.0), (4, 2.0)),))
    assert paths(drawn(lane), "curve")[0].count("M") == 2


def test_thinning_keeps_the_peak_the_trough_and_the_order() -> None:
    piece = [(float(at), math.sin(at / 100)) for at in range(20_000)]
    piece[7777] = (7777.0, 50.0)
    piece[12_345] = (12_345.0, -50.0)
    kept = thin(piece)
    assert len(kept) <= 600
    assert {(7777.0, 50.0), (12_345.0, -50.0)} <= set(kept)
    assert kept == sorted(kept)


def test_a_value_on_its_bound_is_drawn_on_the_bound() -> None:
    picture = drawn(CurveLane("a", "", "ratio", (((0, 0.88), (1, 0.95)),), (Limit(0.88, "min 88%", "below"),)))
    left, _, _, bottom = boxes(picture, "curve")[0]
    assert (left, bottom) == pytest.approx((x_of(0), boxes(picture, "limit")[0][1]), abs=0.11)
    assert "min 88%" in words(picture)


@pytest.mark.parametrize(("beyond", "above"), [("above", True), ("below", False)])
def test_the_wrong_side_of_a_bound_is_tinted(beyond: str, above: bool) -> None:
    picture = drawn(CurveLane("a", "", "", (((0, 1.0), (1, 9.0)),), (Limit(5.0, "5", beyond),)))  # type: ignore[arg-type]
    _, top, _, bottom = boxes(picture, "beyond")[0]
    assert (bottom if above else top) == pytest.approx(boxes(picture, "limit")[0][1], abs=0.11)


def test_what_was_read_in_the_baseline_is_a_band_as_wide_as_the_axis() -> None:
    picture = drawn(CurveLane("a", "", "", (((0, 1.0), (1, 9.0)),), (), (), (2.0, 4.0)))
    left, top, right, bottom = boxes(picture, "band")[0]
    assert (left, right) == pytest.approx((WIDE.left, WIDE.width - WIDE.right), abs=0.11)
    low, high = value_range(CurveLane("a", "", "", (((0, 1.0), (1, 9.0)),)))
    assert (bottom - top) == pytest.approx((4.0 - 2.0) / (high - low) * 64, abs=0.3)


def test_the_bound_of_a_guard_is_no_bound_of_the_steady_state() -> None:
    picture = drawn(CurveLane("a", "", "", (((0, 1.0), (1, 9.0)),), (Limit(5.0, "guard 5", "below", guard=True),)))
    assert (len(groups(picture, "guard")), len(groups(picture, "limit")), len(groups(picture, "beyond"))) == (1, 0, 0)


def test_samples_outside_the_run_are_left_out() -> None:
    path = paths(drawn(CurveLane("a", "", "", (((-99, 1.0), (0, 1.0), (1, 2.0), (99, 1.0)),))), "curve")[0]
    assert path.count("L") == 1


# --- bars and marks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [WIDE, TALL], ids=["page", "phone"])
def test_a_bar_stands_where_its_time_is_and_pending_is_thinner_than_firing(shape: Shape) -> None:
    picture = drawn(StateLane("A", "", (Bar(5, 10, "pending"), Bar(10, 20, "firing"))), shape=shape)
    pending, firing = boxes(picture, "pending")[0], boxes(picture, "firing")[0]
    axis = Axis(shape, EMPTY.start_s, EMPTY.end_s)
    assert (pending[0], pending[2]) == pytest.approx((axis.x(5), axis.x(10)), abs=0.11)
    assert (firing[0], firing[2]) == pytest.approx((axis.x(10), axis.x(20)), abs=0.11)
    assert pending[3] - pending[1] < firing[3] - firing[1]
    assert "firing" in words(picture)


def test_a_lane_of_which_nothing_was_seen_says_so_though_it_has_a_deadline() -> None:
    quiet = "never pending, never firing"
    assert quiet in words(drawn(StateLane("A", "", (), (Mark(5, "deadline", "asked for within 5 s"),), quiet)))
    assert quiet not in words(drawn(StateLane("A", "", (Bar(1, 2, "pending"),), (), quiet)))


def test_a_pause_in_the_samples_ends_a_bar() -> None:
    assert stretches([1, 2, 3, 10, 11], 1.0, 1.0) == [(1, 4), (10, 12)]
    assert stretches([], 1.0, 1.0) == []


def test_every_sign_has_its_own_shape_and_says_its_words() -> None:
    signs = ("told", "resolved", "stop", "deadline", "moved")
    picture = drawn(*(StateLane("A", "", (), (Mark(5, sign, f"words of {sign}"),)) for sign in signs))
    forms = {paths(picture, f"mark {sign}")[0] for sign in signs}
    assert len(forms) == len(signs)
    assert {f"words of {sign}" for sign in signs} <= {one.text for one in picture.iter(f"{SVG}title")}


@given(
    st.sampled_from([WIDE, TALL]),
    st.lists(st.tuples(st.floats(-10, 30), st.text("ab ", min_size=1, max_size=40)), max_size=14),
)
def test_words_of_marks_never_lie_on_each_other(shape: Shape, marks: list[tuple[float, str]]) -> None:
    axis = Axis(shape, EMPTY.start_s, EMPTY.end_s)
    lying: list[tuple[int, float, float]] = []
    for one in place([Mark(at, "told", said) for at, said in marks], axis):
        if one.row is None:
            continue
        x, width = axis.x(one.mark.at_s), CHARACTER * len(one.mark.text)
        start = x - 9 - width if one.to_left else x + 9
        lying.append((one.row, start, start + width))
    for number, (row, start, end) in enumerate(lying):
        assert row < MOST_ROWS
        assert all(row != other or end <= first or last <= start for other, first, last in lying[:number])


def test_marks_beyond_the_room_for_words_share_a_row_of_their_own() -> None:
    picture = drawn(
        StateLane("A", "", (), tuple(Mark(10 + number / 10, "told", f"told number {number}") for number in range(20)))
    )
    rows = [y for _, y in spots(picture, "mark told")]
    labels = [one for one in words(picture) if one.startswith("told number")]
    assert len(rows) == 20
    assert rows.count(max(rows)) == 20 - len(labels)


# --- the whole --------------------------------------------------------------------------------------------------------


def test_the_fault_is_shaded_from_the_first_effect_to_the_removal() -> None:
    left, _, right, _ = boxes(drawn(), "fault")[0]
    assert (left, right) == pytest.approx((x_of(0), x_of(20)), abs=0.11)


def test_a_fault_that_was_never_removed_is_shaded_to_the_end() -> None:
    assert boxes(drawn(fault=(0.0, None)), "fault")[0][2] == pytest.approx(WIDE.width - WIDE.right, abs=0.11)


def test_phases_are_named_along_the_top_unless_there_is_no_room() -> None:
    said = words(drawn(spans=(Span("baseline", -10, 0), Span("undo", 20, 20.001))))
    assert "baseline" in said
    assert "undo" not in said


def test_lanes_never_lie_on_each_other() -> None:
    lane = CurveLane("a", "", "", (((0, 1.0), (1, 2.0)),), (), (Mark(1, "moved", "left"),))
    picture = drawn(
        lane, StateLane("b", "", (Bar(1, 2, "firing"),), (Mark(2, "told", "x"), Mark(2, "resolved", "y"))), lane
    )
    tops = [float(one.get("y", "")) for group in groups(picture, "lane") for one in group.iter(f"{SVG}text")]
    marks = [float(one.get("y", "")) for group in groups(picture, "label") for one in group.iter(f"{SVG}text")]
    assert len(tops) == 3
    assert tops == sorted(tops)
    assert tops[1] > marks[0]
    assert tops[2] > marks[2]
    assert float((picture.get("viewBox") or "").split()[3]) > max(marks)


def test_a_long_name_is_cut_and_whole_in_its_title() -> None:
    name = "Model" * 60
    lane = groups(drawn(StateLane(name, "")), "lane")[0]
    assert (lane.findtext(f"{SVG}text") or "").endswith("…")
    assert name in (lane.findtext(f"{SVG}title") or "")


def test_colours_are_those_of_the_page_and_no_others() -> None:
    lane = CurveLane(
        "a", "", "ratio", (((0, 0.9), (1, 0.2)),), (Limit(0.5, "min", "below"),), (Mark(1, "moved", "x"),), (0.8, 0.95)
    )
    text = draw(replace(EMPTY, lanes=(lane, StateLane("b", "", (Bar(1, 2, "firing"), Bar(3, 4, "pending"))))), WIDE).svg
    assert re.findall(r"#[0-9a-f]{6}", text) == []
    assert len(set(re.findall(r"var\(--([a-z0-9-]+)\)", text))) >= 10


def test_what_looks_like_mathematics_stays_text() -> None:
    assert r"$\frac{1}{2}$ _a_" in words(drawn(StateLane(r"$\frac{1}{2}$ _a_", "")))


def test_two_drawings_share_no_ids() -> None:
    lane = CurveLane("a", "", "", (((0, 1.0), (1, 2.0)),), (), (Mark(1, "moved", "left"),))
    ids = [one.get("id") for shape in (WIDE, TALL) for one in drawn(lane, shape=shape).iter() if one.get("id")]
    assert len(ids) == len(set(ids)) > 4


def test_everything_that_a_drawing_points_at_is_in_it() -> None:
    lane = CurveLane("a", "", "", (((0, 1.0), (1, 2.0)),), (Limit(1.5, "max", "above"),), (Mark(1, "moved", "left"),))
    text = draw(replace(EMPTY, lanes=(lane,)), WIDE).svg
    pointed = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
    assert len(pointed) >= 2
    assert pointed <= set(re.findall(r' id="([^"]+)"', text))


@settings(max_examples=examples(9), deadline=None)
@given(
    st.lists(st.tuples(st.floats(), st.floats()), max_size=20),
    st.lists(st.floats(), max_size=3),
    st.sampled_from(["ratio", "s", "", "1/s"]),
    st.floats(-1e12, 1e12),
    st.floats(0, 1e7),
)
def test_whatever_the_values_are_the_drawing_has_only_numbers(
    samples: list[tuple[float, float]], limits: list[float], unit: str, start: float, length: float
) -> None:
    curve = tuple(sorted(((at, value) for at, value in samples if not math.isnan(at)), key=lambda one: one[0]))
    lane = CurveLane("a", "", unit, (curve,), tuple(Limit(value, "b", "above") for value in limits))
    text = draw(Picture(start, start + length, "first effect", (), (start, None), (lane,), ""), WIDE).svg
    ET.fromstring(text)
    numbers = re.findall(r' (?:x|y|width|height|d|transform|viewBox)="([^"]*)"', text)
    assert not any(re.search("nan|inf", value) for value in numbers)
