"""What single faults do beyond the contract."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from chaos.faults.base import Answer, Call, Wait
from chaos.faults.biased_outputs import BiasedOutputs
from chaos.faults.delay import LONGEST_S, Delay
from chaos.faults.http_error import HttpError
from chaos.faults.wrong_predictions import WrongPredictions
from chaos.rows import Row

ROW = Row(0, 1, (0.2, 0.5, 0.3), (0, 1, 2))


def call(subject: str = "s", share: float = 1.0, **headers: str) -> Call:
    return Call("seed", 0, subject, share, {name.replace("_", "-"): value for name, value in headers.items()})


def wrong(to: Any = "next") -> WrongPredictions:
    return WrongPredictions(target="m", to=to)


@pytest.mark.parametrize(
    ("to", "row", "after"),
    [
        ("next", ROW, Row(0, 2, (0.2, 0.3, 0.5), (0, 1, 2))),
        ("next", Row(0, 2, (0.1, 0.2, 0.7), (0, 1, 2)), Row(0, 0, (0.7, 0.2, 0.1), (0, 1, 2))),
        ("worst", ROW, Row(0, 0, (0.5, 0.2, 0.3), (0, 1, 2))),
        ("worst", Row(0, "a", None, ("a", "b", "c")), Row(0, "c", None, ("a", "b", "c"))),
        ("next", Row(0, "no", None, ("no", "yes")), Row(0, "yes", None, ("no", "yes"))),
        ("worst", Row(0, 0, (0.7,), (0, 1, 2)), Row(0, 2, (0.7,), (0, 1, 2))),
    ],
)
def test_wrong_predictions_gives_another_class_and_moves_its_score_along(to: str, row: Row, after: Row) -> None:
    assert wrong(to).edit([row], call()) == [after]


@pytest.mark.parametrize(
    "row", [Row(0, 5, None, (0, 1)), Row(0, 1, None, ()), Row(0, 1, None, (1,)), Row(0, None, (0.5, 0.5), (0, 1))]
)
def test_wrong_predictions_leaves_a_row_whose_other_classes_nobody_knows(row: Row) -> None:
    assert wrong().edit([row], call())[0] is row


def test_a_random_wrong_class_is_never_the_right_one_and_every_other_one_comes_up_alike() -> None:
    given = [wrong("random").edit([ROW], call(f"s{number}"))[0].label for number in range(2000)]
    assert set(given) == {0, 2}
    assert abs(given.count(0) - 1000) < 5 * 22.4


def biased(decision: Any = 0) -> BiasedOutputs:
    return BiasedOutputs(target="m", by="header:X-Group", group="b", decision=decision)


def test_biased_outputs_decides_for_its_group_alone() -> None:
    rows = [ROW, Row(1, 0, (0.6, 0.3, 0.1), (0, 1, 2))]
    hurt = biased().edit(rows, call(x_group="b"))
    assert hurt[0] == Row(0, 0, (0.5, 0.2, 0.3), (0, 1, 2))
    assert hurt[1] is rows[1]
    others: list[dict[str, Any]] = [{}, {"x_group": "a"}, {"x_group": "B"}, {"x_other": "b"}]
    for headers in others:
        assert all(new is old for new, old in zip(biased().edit(rows, call(**headers)), rows, strict=True))


@pytest.mark.parametrize(
    "row", [Row(0, 1, None, ()), Row(0, "yes", None, ("no", "yes")), Row(0, 1, (0.1, 0.9), (1, 2))]
)
def test_biased_outputs_leaves_a_row_that_cannot_get_its_decision(row: Row) -> None:
    assert biased().edit([row], call(x_group="b"))[0] is row


def test_a_decision_is_written_as_the_model_writes_it() -> None:
    assert biased(0).edit([Row(0, True, None, (False, True))], call(x_group="b"))[0].label is False
    assert biased("no").edit([Row(0, "yes", None, ("no", "yes"))], call(x_group="b"))[0].label == "no"


@pytest.mark.parametrize("by", ["group", "header:", "header: ", "cookie:group", ""])
def test_biased_outputs_refuses_a_place_that_no_request_has(by: str) -> None:
    with pytest.raises(ValueError, match="header:NAME"):
        BiasedOutputs(target="m", by=by, group="b", decision=0)


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
        {"by": "1s", "distribution": "pareto"},
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
