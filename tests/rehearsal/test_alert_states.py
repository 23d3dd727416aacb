"""The state machine of an alert: `for`, `keep_firing_for`, and what ends it; promtool says the same (test_rehearsing.py)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.rehearsal.alert_states import Episode, episodes

TIMES = [float(second) for second in range(20)]


def played(held: str, for_s: float = 0.0, keep_s: float = 0.0) -> list[tuple[float, float | None, float | None]]:
    """Episodes where the expression held at each `x`: (active, fired, over)."""
    at = [float(second) for second, sign in enumerate(held) if sign == "x"]
    found = episodes({"a": "b"}, at, TIMES[: len(held)], for_s, keep_s)
    return [(one.active_s, one.fired_s, one.over_s) for one in found]


@pytest.mark.parametrize(
    ("held", "for_s", "keep_s", "found"),
    [
        ("..xx..", 0, 0, [(2, 2, 4)]),
        ("..xxx.", 2, 0, [(2, 4, 5)]),
        ("..xx..", 2, 0, [(2, None, 4)]),
        ("..xxx.", 1.5, 0, [(2, 4, 5)]),
        (".x.xxx", 2, 0, [(1, None, 2), (3, 5, None)]),
        (".xx...", 1, 2, [(1, 2, 5)]),
        (".xx.x..", 1, 2, [(1, 2, None)]),
        (".xx.x...", 1, 2, [(1, 2, 7)]),
        (".x....", 1, 2, [(1, None, 2)]),
        ("......", 0, 0, []),
        ("xxxxxx", 0, 0, [(0, 0, None)]),
    ],
)
def test_boundaries(
    held: str, for_s: float, keep_s: float, found: list[tuple[float, float | None, float | None]]
) -> None:
    assert played(held, for_s, keep_s) == found


@given(st.text("x.", min_size=1, max_size=20), st.integers(0, 5), st.integers(0, 5))
def test_an_alert_fires_once_it_has_held_for_its_time_and_an_episode_ends_before_the_next_begins(
    held: str, for_s: int, keep_s: int
) -> None:
    found = played(held, for_s, keep_s)
    for active, fired, over in found:
        assert held[int(active)] == "x"
        if fired is not None:
            assert fired - active == for_s
            assert "." not in held[int(active) : int(fired)]
        if over is not None:
            assert held[int(over)] == "."
    ends = [over for _, _, over in found]
    assert None not in ends[:-1]
    assert all(over is not None and over < following[0] for over, following in zip(ends, found[1:], strict=False))
    whole = "x" * (for_s + 1)
    assert any(fired is not None for _, fired, _ in found) == (whole in held)


def test_times_that_are_not_round_are_still_the_evaluations() -> None:
    phase = 1_700_000_000.123456
    moments = [phase + second for second in range(5)]
    (one,) = episodes({}, [round(at, 3) for at in moments[1:]], moments, 2.0)
    assert one == Episode({}, moments[1], moments[3], None)
