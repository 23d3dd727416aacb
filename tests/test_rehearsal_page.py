"""docs/rehearsal.md says what was stored, and nothing that was not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.rehearsal import compared, speed
from benchmarks.rehearsal.compared import Compared, Held
from benchmarks.rehearsal.page import page

PAGE = Path(__file__).parents[1] / "docs" / "rehearsal.md"
HELD = Held("Low", 1.0, 10.0, 12.0, 14.0, 11.0, 13.0)


def one(held: Held, known: str = "") -> Compared:
    return Compared(
        "delay", "delay", 0.5, "2026-01-01", 1.0, ("confirmed", "confirmed"), 200, (held,), ("a", "b"), known
    )


def test_the_page_is_made_of_what_is_stored() -> None:
    assert PAGE.read_text() == page(list(compared.stored().values()), speed.stored())


@pytest.mark.parametrize(
    ("share", "second_s", "agrees", "off_s"),
    [
        (1.0, 13.0, True, 0.0),
        (1.0, 8.0, True, 0.0),
        (1.0, 7.9, False, -0.1),
        (1.0, 16.0, True, 0.0),
        (1.0, 16.5, False, 0.5),
        (1.0, None, False, 0.0),
        (0.5, None, True, 0.0),
        (0.05, None, True, 0.0),
        (0.05, 12.0, False, 0.0),
        (0.5, 12.0, True, 0.0),
    ],
)
def test_agreement_is_the_same_verdict_within_the_band_and_two_evaluations(
    share: float, second_s: float | None, *, agrees: bool, off_s: float
) -> None:
    held = replace(HELD, share=share, second_s=second_s)
    assert held.agrees(1.0) is agrees
    assert held.off_s(1.0) == pytest.approx(off_s)


def test_a_disagreement_is_printed_with_its_reason_or_that_there_is_none() -> None:
    late = replace(HELD, second_s=20.0)
    assert "`delay`, Low: the second run came 4.0 s too late. Nobody has found out why." in page([one(late)], [])
    assert "too late. The queue was full." in page([one(late, "The queue was full.")], [])
    assert "Where they differ" not in page([one(HELD)], [])
