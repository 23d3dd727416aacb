"""The page on detection times says what the newest stored rounds say, and a row says what was measured."""

from __future__ import annotations

from math import inf

from benchmarks.detection.__main__ import PAGE
from benchmarks.detection.results import Rounds, newest, page, spread
from tests.detection.truth import Measured


def measured(stage: str, at: float | None) -> Measured:
    """One time, of which the truth lies between 10 and 11."""
    return Measured("A", 0.0, stage, at, 1.0, 10.0, 11.0)


def test_the_page_is_what_the_newest_result_says() -> None:
    stored = newest()
    assert stored is not None
    assert PAGE.read_text() == page(stored)
    assert stored.detections >= 200
    assert Rounds.from_json(stored.to_json()) == stored


def test_a_time_is_off_by_as_much_as_it_lies_outside_of_what_can_be_true() -> None:
    assert [measured("pending", at).off_s for at in (10.0, 10.5, 11.0, 11.25, 9.5, None)] == [0, 0, 0, 0.25, 0.5, inf]


def test_times_are_spread_by_stage_and_what_cannot_be_true_is_counted() -> None:
    firing, reset = spread(
        [measured("firing", 10.0 + n / 10) for n in range(15)] + [measured("reset", 10.5), measured("reset", None)]
    )
    assert (firing.stage, firing.count, firing.least_s, firing.median_s, firing.most_s, firing.outside) == (
        "firing", 15, 0.0, 0.7, 1.4, 3,
    )  # fmt: skip
    assert (reset.stage, reset.count, reset.median_s, reset.outside) == ("reset", 2, 0.5, 1)
