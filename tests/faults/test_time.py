"""What faults of the family time say, as values."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.faults.bandwidth import Bandwidth
from chaos.faults.base import Call, Part, Signal, Wait
from chaos.faults.delay import LONGEST_S, Delay
from chaos.faults.hang import Hang
from chaos.faults.slow_start import SlowStart
from chaos.faults.slow_tail import SlowTail
from chaos.faults.tails import pareto, pareto_mean


def call(subject: str = "s", elapsed_s: float = 0.0) -> Call:
    return Call("seed", 0, subject, 1.0, {}, elapsed_s=elapsed_s)


def waits(fault: Any, count: int = 3000) -> list[float]:
    """How long each of so many requests waits."""
    actions = [next(iter(fault.act(call(f"s{number}")))) for number in range(count)]
    return [action.seconds for action in actions if isinstance(action, Wait)]


# --- tails ------------------------------------------------------------------------------------------------------------


@given(st.floats(0, 1, exclude_max=True), st.floats(1e-6, 600), st.floats(0.11, 20), st.floats(1, 10))
def test_a_tail_is_between_its_scale_and_its_cap(uniform: float, scale: float, alpha: float, times: float) -> None:
    assert scale <= pareto(uniform, scale, alpha, scale * times) <= scale * times


@given(st.floats(0.001, 1), st.floats(0.11, 20), st.floats(1, 100))
def test_a_tail_is_longer_the_lower_its_alpha_and_the_higher_its_draw(scale: float, alpha: float, cap: float) -> None:
    assert pareto(0.9, scale, alpha, cap) <= pareto(0.9, scale, alpha / 2, cap)
    assert pareto(0.5, scale, alpha, cap) <= pareto(0.9, scale, alpha, cap)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("cap", [2.0, 30.0])
def test_the_mean_of_a_tail_is_what_its_draws_come_to(alpha: float, cap: float) -> None:
    steps = 200_000  # every draw alike: the middle of each of so many steps
    drawn = statistics.fmean(pareto((step + 0.5) / steps, 0.3, alpha, cap) for step in range(steps))
    assert pareto_mean(0.3, alpha, cap) == pytest.approx(drawn, rel=2e-3)


@pytest.mark.parametrize(("scale", "cap", "mean"), [(0.0, 5.0, 0.0), (5.0, 5.0, 5.0), (7.0, 5.0, 5.0)])
def test_a_tail_without_room_has_one_length(scale: float, cap: float, mean: float) -> None:
    assert pareto_mean(scale, 1.5, cap) == mean


# --- the faults -------------------------------------------------------------------------------------------------------


def test_a_pareto_delay_is_never_shorter_than_it_says_and_has_no_end_beyond_the_longest() -> None:
    fault = Delay(target="m", by="200ms", distribution="pareto", alpha=2.0)
    drawn = waits(fault)
    assert min(drawn) >= 0.2
    assert statistics.median(drawn) == pytest.approx(0.2 * 2**0.5, rel=0.05)
    assert max(waits(Delay(target="m", by="60s", distribution="pareto", alpha=0.2))) == LONGEST_S
    assert fault.treated(Signal.latency, 0.1) == pytest.approx(0.1 + 0.4, rel=1e-3)


def test_a_slow_tail_has_its_median_and_its_cap() -> None:
    fault = SlowTail(target="m", scale="300ms", alpha=1.0, cap="3s", share="100%")
    drawn = waits(fault)
    assert statistics.median(drawn) == pytest.approx(0.6, rel=0.06)
    assert max(drawn) == 3.0
    # Pareto's law: a tenth is longer than ten times the shortest. Binomial, five standard deviations.
    assert abs(drawn.count(3.0) - 300) < 5 * (3000 * 0.1 * 0.9) ** 0.5


def test_a_slow_tail_is_a_small_share_unless_somebody_says_otherwise() -> None:
    assert SlowTail(target="m", scale="300ms").share == 0.05
    assert SlowTail(target="m", scale="300ms", share="100%").share == 1.0


def test_a_slow_tail_predicts_the_mean_that_it_adds() -> None:
    fault = SlowTail(target="m", scale="300ms", share="10%")
    told = fault.treated(Signal.latency, 0.05)
    assert told == pytest.approx(0.05 + 0.1 * pareto_mean(0.3, 1.5, 30.0))
    assert fault.treated(Signal.accuracy, 0.9) is None


def test_a_hang_is_as_long_as_anything_may_be() -> None:
    assert list(Hang(target="m").act(call())) == [Wait(LONGEST_S)]


@pytest.mark.parametrize(
    ("elapsed_s", "waits_s"),
    [(0.0, [2.0]), (15.0, [1.0]), (29.9, [pytest.approx(0.00667, abs=1e-4)]), (30.0, []), (99.0, [])],
)
def test_a_slow_start_gets_faster_until_nobody_waits(elapsed_s: float, waits_s: list[float]) -> None:
    actions = SlowStart(target="m", by="2s", over="30s").act(call(elapsed_s=elapsed_s))
    assert [action.seconds for action in actions if isinstance(action, Wait)] == waits_s


@given(st.integers(0, 4 * 1024 * 1024), st.sampled_from(["100B/s", "10kB/s", "1MB/s"]))
def test_a_part_takes_as_long_as_its_bytes_do(size: int, rate: str) -> None:
    fault = Bandwidth(target="m", to=rate)
    told = [one.seconds for one in fault.deliver(Part("event", 0, size, 0), call()) if isinstance(one, Wait)]
    assert sum(told) == pytest.approx(size / fault.to)
    assert all(0 < seconds <= LONGEST_S for seconds in told)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (SlowStart, {"by": "2s", "over": "0s"}),
        (SlowStart, {"by": "11m", "over": "1s"}),
        (SlowTail, {"scale": "0s"}),
        (SlowTail, {"scale": "1s", "alpha": 0.0}),
        (SlowTail, {"scale": "40s"}),
        (Bandwidth, {"to": "99B/s"}),
        (Hang, {"by": "1s"}),
    ],
)
def test_what_cannot_be_is_refused(kind: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        kind(target="m", **parameters)
