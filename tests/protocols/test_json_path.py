"""Any JSON by the system file's paths, and single scores with a threshold."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.faults.base import Call
from chaos.faults.wrong_predictions import WrongPredictions
from chaos.protocols import catalogue
from chaos.protocols.base import Output, Undecodable
from chaos.protocols.json_path import PROTOCOL, parse_path
from chaos.rows import Row
from tests.values import system

TARGET = "    process: {table: processes.json, labels: {app: loan-model}}\n"
FRAUD = Output(score="$.p[*]", positive="fraud", threshold=0.93)


def rows(value: Any, output: Output) -> list[Row]:
    return list(PROTOCOL.rows(json.dumps(value).encode(), {}, output))


@pytest.mark.parametrize(
    ("path", "steps"),
    [("$", ()), ("$.a[*].b", ("a", None, "b")), ("$[0]['a b'][\"c.d\"]", (0, "a b", "c.d")), ("$[*][*]", (None, None)), ("$.a-b._c", ("a-b", "_c"))],
)  # fmt: skip
def test_a_path_is_its_steps(path: str, steps: tuple[Any, ...]) -> None:
    assert parse_path(path) == steps


@pytest.mark.parametrize(
    "path", ["", "a", "a.b", "$a", "$.", "$..a", "$.a[", "$.a[1:2]", "$.a[-1]", "$[?(@.x)]", "$.a b", "$.*", "$['']"]
)
def test_what_is_no_path_is_refused_with_what_to_write(path: str) -> None:
    with pytest.raises(ValueError, match=r"is no path; write something like \$\.predictions"):
        parse_path(path)


@pytest.mark.parametrize(
    ("answer", "output", "found"),
    [
        ({"a": [{"b": 1}, {"b": 2}]}, Output("$.a[*].b"), [Row(0, 1), Row(1, 2)]),
        ({"a": [[1, 2], [3]]}, Output("$.a[*][*]"), [Row(0, 1), Row(1, 2), Row(2, 3)]),
        ({"label": "yes"}, Output("$.label"), [Row(0, "yes")]),
        ("yes", Output("$"), [Row(0, "yes")]),
        ([7, 8], Output("$[1]"), [Row(0, 8)]),
        ({"a": [[1], [2]]}, Output("$.a[*]"), [Row(0, 1), Row(1, 2)]),
        ({"p": [[0.25, 0.75]]}, Output(scores="$.p[*]", classes=("n", "y")), [Row(0, "y", (0.25, 0.75), ("n", "y"))]),
        ({"p": [{"y": 0.25, "n": 0.75}]}, Output(scores="$.p[*]"), [Row(0, "n", (0.25, 0.75), ("y", "n"))]),
        ({"p": [{"1": 0.25, "0": 0.75}]}, Output(scores="$.p[*]", classes=(0, 1)), [Row(0, 0, (0.25, 0.75), (1, 0))]),
        ({"a": [{"s": 0.25, "l": "z"}]}, Output("$.a[*].l", score="$.a[*].s", positive="y"), [Row(0, "z", (0.75, 0.25), ("not y", "y"))]),
        ({"a": []}, Output("$.a[*].b"), []),
    ],
)  # fmt: skip
def test_row_i_is_the_ith_match(answer: object, output: Output, found: list[Row]) -> None:
    assert rows(answer, output) == found


@pytest.mark.parametrize(
    ("answer", "output"),
    [({"a": [{"b": 1}, {}]}, Output("$.a[*].b")), ({"a": {"b": 1}}, Output("$.a[*].b")), ({"a": [1]}, Output("$.a[1]")), ({"a": [1]}, Output("$.a.b")),
     ({"a": [{"x": 1, "y": 2}]}, Output("$.a[*]")), ({"a": [1, 2], "p": [[0.5, 0.5]]}, Output("$.a[*]", "$.p[*]")), ({"a": [1]}, Output()), ({"a": [1]}, Output("$..")),
     ({"p": [0.5]}, Output(scores="$.p[*].x")), ({"p": [1.5]}, FRAUD), ({"p": [True]}, FRAUD), ({"p": ["0.5"]}, FRAUD), ({"p": [None]}, FRAUD), ({"p": [[0.1, 0.9]]}, FRAUD)],
)  # fmt: skip
def test_an_answer_in_which_a_path_finds_nothing_to_read_is_undecodable(answer: object, output: Output) -> None:
    with pytest.raises(Undecodable):
        rows(answer, output)


@pytest.mark.parametrize("protocol", ["kserve-v1", "mlflow", "json"])
def test_the_same_paths_work_in_every_json_protocol_and_overrule_its_own_places(protocol: str) -> None:
    body = b'{"predictions": [{"label": 0, "inner": {"verdict": "no"}}]}'
    output = Output("$.predictions[*].inner.verdict", classes=("no", "yes"))
    spoken = catalogue()[protocol]
    before = spoken.rows(body, {}, output)
    assert before == [Row(0, "no", None, ("no", "yes"))]
    made, _ = spoken.encode(body, {}, output, before, [replace(before[0], label="yes")])
    assert made == body.replace(b'"no"', b'"yes"')


@pytest.mark.parametrize(("score", "label"), [(0.93, "fraud"), (0.9299, "not fraud"), (0, "not fraud"), (1, "fraud")])
def test_a_single_score_decides_from_the_threshold_on(score: float, label: str) -> None:
    (found,) = rows({"p": [score]}, FRAUD)
    assert (found.label, found.classes) == (label, ("not fraud", "fraud"))
    assert found.scores == (1 - score, score)


@pytest.mark.parametrize(
    ("output", "classes"),
    [(Output(score="$.p[*]"), (0, 1)), (Output(score="$.p[*]", positive=True), (False, True)), (Output(score="$.p[*]", positive=0), (1, 0)),
     (Output(score="$.p[*]", classes=("legit", "fraud")), ("legit", "fraud")), (Output(score="$.p[*]", classes=("fraud", "legit"), positive="fraud"), ("fraud", "legit"))],
)  # fmt: skip
def test_the_two_classes_of_a_score_are_known_by_what_the_file_says(output: Output, classes: tuple[Any, ...]) -> None:
    low, high = rows({"p": [0.25, 0.75]}, output)
    assert low.classes == high.classes == classes
    positive = output.positive if output.positive is not None else classes[1]
    assert (high.label, low.label) == (positive, next(one for one in classes if one != positive))
    assert type(high.label) is type(positive)


@given(st.floats(0, 1), st.floats(0.01, 0.99), st.booleans())
def test_a_flipped_decision_is_a_score_on_the_other_side_of_the_threshold(
    score: float, threshold: float, first: bool
) -> None:
    classes = ("fraud", "legit") if first else ("legit", "fraud")
    output = Output(score="$.p[*]", positive="fraud", threshold=threshold, classes=classes)
    body = json.dumps({"p": [score, 0.125]}).encode()
    before = PROTOCOL.rows(body, {}, output)
    wrong = WrongPredictions(target="model").edit(before[:1], Call("seed", 0, "subject", 1.0, {}))
    made, _ = PROTOCOL.encode(body, {}, output, before, [*wrong, before[1]])
    flipped, kept = json.loads(made)["p"]
    assert (flipped >= threshold) is not (score >= threshold)
    assert 0 <= flipped <= 1
    assert kept == 0.125
    assert made.endswith(b", 0.125]}")


def test_two_scores_obey_the_threshold_too() -> None:
    output = Output(scores="$.p[*]", positive="fraud", threshold=0.93, classes=("legit", "fraud"))
    before = rows({"p": [[0.3, 0.7], [0.05, 0.95]]}, output)
    assert [row.label for row in before] == ["legit", "fraud"]
    body = b'{"p": [[0.3, 0.7], [0.05, 0.95]]}'
    wrong = WrongPredictions(target="model").edit(before, Call("seed", 0, "subject", 1.0, {}))
    after = PROTOCOL.rows(PROTOCOL.encode(body, {}, output, before, wrong)[0], {}, output)
    assert [row.label for row in after] == ["fraud", "legit"]
    assert all(math.isclose(sum(row.scores or ()), 1) for row in after)


def test_no_request_is_taken_for_plain_json_by_its_path() -> None:
    assert not PROTOCOL.detect("/score", {"content-type": "application/json"})


# --- the system file --------------------------------------------------------------------------------------------------


def test_the_system_file_says_paths_and_a_threshold() -> None:
    said = (
        TARGET + "    protocol: kserve-v1\n    output: {score: '$.predictions[*]', positive: fraud, threshold: 93%}\n"
    )
    output = system((TARGET, said)).targets["loan-model"].output
    assert (output.score, output.positive, output.threshold) == ("$.predictions[*]", "fraud", 0.93)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("output: {label: '$.a[*'}", "is no path; write something like"),
        ("output: {label: '$.a', scores: odds}", r"write all as \$\.paths"),
        ("output: {score: p, scores: odds}", "write one of them"),
        ("output: {score: p, positive: fraud, classes: [a, b]}", "`positive` is one of two"),
        ("output: {score: p, positive: a, classes: [a, b, c]}", "`positive` is one of two"),
        ("output: {score: p, threshold: 100%}", "decides nothing"),
        ("output: {score: p, threshold: 0.9}", "write 90%"),
        ("protocol: json", "knows no place of the decision"),
        ("protocol: json\n    output: {label: verdict}", "knows no place of the decision"),
    ],
)
def test_an_output_that_cannot_be_meant_is_refused_with_what_to_write(said: str, why: str) -> None:
    with pytest.raises(Exception, match=why):
        system((TARGET, f"{TARGET}    {said}\n"))
