"""Rows, and what is known of their classes and scores without looking at each."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chaos.rows import Label, Row, class_numbers, differing, like

SCORES = st.lists(st.sampled_from([0.0, -0.0, 0.5, math.nan, 1, True]) | st.floats(), max_size=300)


def test_rows_that_say_the_same_are_equal_and_hash_alike() -> None:
    one, other = Row(0, 1, (0.25, 0.75), (0, 1)), Row(0, 1, (0.25, 0.75), class_numbers(2))
    assert one == other
    assert hash(one) == hash(other)
    assert replace(one, label=0) == Row(0, 0, (0.25, 0.75), (0, 1)) != one


@given(st.sampled_from([0, 1, 2, 127, 128, 1042]), st.integers(-2, 1100) | st.floats() | st.booleans() | st.text())
@example(1042, 700.0)
@example(1042, True)
@example(1042, 1041)
@example(1042, 1042)
def test_class_numbers_are_a_tuple_of_them(many: int, label: Label) -> None:
    found, plain = class_numbers(many), tuple(range(many))
    assert found == plain
    assert hash(found) == hash(plain)
    assert (label in found) is (label in plain)
    if label in plain:
        assert found.index(label) == plain.index(label)  # type: ignore[arg-type]
        assert found[found.index(label)] == label  # type: ignore[arg-type]
    else:
        with pytest.raises(ValueError):
            found.index(label)  # type: ignore[arg-type]


def test_class_numbers_are_found_between_bounds_as_in_a_tuple() -> None:
    assert class_numbers(1042).index(700, 600, 701) == 700
    with pytest.raises(ValueError):
        class_numbers(1042).index(700, 701)


@given(SCORES, st.data())
def test_values_differ_unless_they_are_equal_or_one_object(scores: list[float], data: st.DataObject) -> None:
    new = list(scores)
    for place in data.draw(st.sets(st.integers(0, len(scores) - 1), max_size=4)) if scores else ():
        new[place] = data.draw(st.sampled_from([*scores, 0.25, math.nan]))
    both = zip(scores, new, strict=True)
    assert differing(tuple(scores), tuple(new)) == [
        at for at, (was, fresh) in enumerate(both) if was is not fresh and was != fresh
    ]


@pytest.mark.parametrize(
    ("old", "new", "becomes"),
    [(True, 0, False), (False, 1.0, True), (1.0, 2, 2.0), (1, 2.0, 2), (1, True, 1), (1, 2.5, 2.5), (1, math.inf, math.inf), (1, "b", "b"), ("a", 1, 1), (True, "b", "b")],
)  # fmt: skip
def test_a_new_label_is_written_as_the_old_one_was(old: Label, new: Label, becomes: Label) -> None:
    made = like(old, new)
    assert (made, type(made)) == (becomes, type(becomes))
