"""Bounds on probes: in the probe's unit, or relative to what the baseline showed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from chaos.bounds import Bound, BoundText, format_value, kind_of_unit, parse_bound
from chaos.units import WrittenFloat, WrittenInt


@pytest.mark.parametrize(
    ("written", "bound"),
    [
        ("99.5%", Bound("share", 0.995)),
        ("250ms", Bound("duration", 0.25)),
        ("1m30s", Bound("duration", 90.0)),
        ("2x baseline", Bound("baseline", 2.0)),
        ("1.5 x  baseline", Bound("baseline", 1.5)),
        (WrittenInt(1), Bound("number", 1.0)),
        (WrittenFloat(0.5), Bound("number", 0.5)),
        (Bound("share", 0.1), Bound("share", 0.1)),
    ],
)
def test_a_bound_is_read_with_its_kind(written, bound):
    found = parse_bound(written)
    assert isinstance(found, Bound)
    assert found.kind == bound.kind
    assert found.value == pytest.approx(bound.value)


@pytest.mark.parametrize(
    "written", ["a lot", "", "2x", "x baseline", "-1x baseline", "2x base", True, None, "5 apples"]
)
def test_what_is_no_bound_is_refused_with_what_to_write(written):
    with pytest.raises(ValueError, match=r"is no bound; write something like 99\.5%, 250ms or `2x baseline`$"):
        parse_bound(written)


def test_a_share_above_everything_is_no_bound():
    with pytest.raises(ValueError, match="120% is more than everything; write at most 100%"):
        parse_bound("120%")


BOUNDS = st.one_of(
    st.integers(0, 10_000).map(lambda parts: Bound("share", parts / 10_000)),
    st.integers(0, 10**7).map(lambda milliseconds: Bound("duration", milliseconds / 1000)),
    st.integers(0, 10**6).map(lambda parts: Bound("baseline", parts / 1000)),
)


@settings(deadline=None)
@given(BOUNDS)
def test_a_printed_bound_reads_back_as_the_same_bound(bound):
    found = parse_bound(str(bound))
    assert isinstance(found, Bound)
    assert found.kind == bound.kind
    assert found.value == pytest.approx(bound.value, rel=1e-9)


class Entry(BaseModel):
    """A bound as a field."""

    max: BoundText


@settings(deadline=None)
@given(BOUNDS)
def test_a_bound_survives_being_written_in_json(bound):
    assert Entry.model_validate_json(Entry(max=bound).model_dump_json()).max.kind == bound.kind


@settings(deadline=None)
@given(st.sampled_from(["share", "duration", "number"]), st.floats(0, 1e6), st.one_of(st.none(), st.floats(0, 1e6)))
def test_an_absolute_bound_does_not_look_at_the_baseline(kind, value, baseline):
    assert Bound(kind, value).resolve(baseline) == value


@settings(deadline=None)
@given(st.floats(0, 100), st.floats(0, 1e6))
def test_a_relative_bound_is_a_multiple_of_the_baseline(multiple, baseline):
    assert Bound("baseline", multiple).resolve(baseline) == multiple * baseline


def test_a_relative_bound_without_a_baseline_is_unknown_and_not_zero():
    assert Bound("baseline", 2.0).resolve(None) is None


@pytest.mark.parametrize(
    ("unit", "kind"),
    [
        ("ratio", "share"),
        ("share", "share"),
        ("s", "duration"),
        ("seconds", "duration"),
        ("1/s", "number"),
        ("", "number"),
    ],
)
def test_the_unit_of_a_probe_says_how_its_bounds_are_written(unit, kind):
    assert kind_of_unit(unit) == kind


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.9312, "ratio", "93.1%"),
        (0.1823, "s", "182ms"),
        (12.34, "s", "12.3s"),
        (40.24, "1/s", "40.24 1/s"),
        (3.0, "count", "3"),
        (float("nan"), "ratio", "nan%"),
    ],
)
def test_a_value_is_shown_in_the_unit_of_its_probe(value, unit, text):
    assert format_value(value, unit) == text
