"""What single faults do beyond the contract."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from chaos.faults.base import Answer, Call, Wait
from chaos.faults.delay import LONGEST_S, Delay
from chaos.faults.http_error import HttpError


def call(subject: str = "s", share: float = 1.0, **headers: str) -> Call:
    return Call("seed", 0, subject, share, {name.replace("_", "-"): value for name, value in headers.items()})


def waits(count: int = 1500, **parameters: Any) -> list[float]:
    fault = Delay(target="m", **parameters)
    actions = [next(iter(fault.act(call(f"s{number}")))) for number in range(count)]
    return [action.seconds for action in actions if isinstance(action, Wait)]


def test_a_fixed_delay_is_what_it_says() -> None:
    assert set(waits(by="400ms")) == {0.4}
    assert set(waits(by="400ms", distribution="normal")) == {0.4}


def test_a_normal_delay_has_its_mean_and_deviation_and_is_never_negative() -> None:
    drawn = waits(by="400ms", jitter="50ms", distribution="normal")
    assert statistics.mean(drawn) == pytest.approx(0.4, abs=5 * 0.05 / 1500**0.5)
    assert statistics.stdev(drawn) == pytest.approx(0.05, rel=0.12)
    wide = waits(by="10ms", jitter="1s", distribution="normal")
    assert min(wide) == 0.0
    assert max(wide) > 1.0


def test_a_lognormal_delay_has_its_median_and_no_end_beyond_the_longest() -> None:
    drawn = waits(by="400ms", jitter="200ms", distribution="lognormal")
    assert statistics.median(drawn) == pytest.approx(0.4, rel=0.08)
    assert statistics.mean(drawn) > statistics.median(drawn)
    assert max(waits(by="10s", jitter="10m", distribution="lognormal")) == LONGEST_S
    assert set(waits(by="0s", jitter="1s", distribution="lognormal")) == {0.0}


@pytest.mark.parametrize(
    "parameters",
    [
        {"by": "11m"},
        {"by": "1s", "jitter": "11m"},
        {"by": -1.0},
        {"by": "1s", "jitter": -0.5},
        {"by": "1s", "distribution": "cauchy"},
        {"by": "1s", "distribution": "pareto", "jitter": "1s"},
        {"by": "1s", "distribution": "pareto", "alpha": 0.0},
    ],
)
def test_a_delay_that_cannot_be_is_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Delay(target="m", **parameters)


@pytest.mark.parametrize("status", [400, 429, 503, 599])
def test_an_http_error_is_one_answer_with_its_status(status: int) -> None:
    assert list(HttpError(target="m", status=status).act(call())) == [Answer(status, {}, b"")]


@pytest.mark.parametrize("status", [0, 200, 302, 399, 600])
def test_a_status_that_is_no_error_is_refused(status: int) -> None:
    with pytest.raises(ValueError):
        HttpError(target="m", status=status)
