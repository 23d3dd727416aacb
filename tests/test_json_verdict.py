"""verdict.json: strict JSON with stable keys, for programs that are not ours."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.detection import Detection
from chaos.judging import judge
from chaos.verdict import EXIT_CODE, MEANING, ArmRow, EffectDone, Finding, Phase, ProbeRow, Verdict
from tests.judging.journals import SILENT, Story

CONFIRMED = judge(Story().lines())


def strict(text: str) -> dict:
    """What a strict reader makes of it: it refuses NaN and Infinity."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_the_keys_are_these_and_in_this_order():
    assert list(strict(CONFIRMED.to_json())) == [
        "run", "experiment", "description", "system", "verdict", "exit_code", "sentence", "findings", "detections",
        "phases", "effects", "arms", "probes", "load", "started_wall_s", "ended_wall_s", "version", "seed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("findings", Finding), ("detections", Detection), ("phases", Phase), ("effects", EffectDone), ("arms", ArmRow),
        ("probes", ProbeRow),
    ],
)  # fmt: skip
def test_every_row_carries_all_of_its_fields(key: str, kind: type):
    rows = strict(CONFIRMED.to_json())[key]
    assert rows
    assert all(list(row) == [one.name for one in fields(kind)] for row in rows)


def test_a_run_without_answers_is_as_readable_as_one_with_them():
    read = strict(judge(SILENT.lines()).to_json())
    stages = {stage["gate"]: stage["after_s"] for stage in read["detections"][0]["stages"]}
    assert stages == {"signal": 2.5, "pending": None, "firing": None, "active": None, "delivered": None, "reset": None}
    assert read["detections"][0]["failed_gate"] == "pending"


def test_a_ratio_that_does_not_exist_is_null():
    """No errors in either arm: the risk ratio is no number, and its interval has no end."""
    errors = next(
        one
        for one in strict(CONFIRMED.to_json())["findings"]
        if "errors" in one["question"] and "treatment" in one["question"]
    )
    known = {"ratio": None, "low": 0.0, "high": None, "decision": "undecided", "decided after, s": None}
    assert errors["evidence"].items() >= known.items()


@given(st.floats(), st.floats())
def test_whatever_number_a_probe_read_the_file_is_strict_json(value: float, other: float):
    row = replace(CONFIRMED.probes[0], fault=value)
    finding = replace(CONFIRMED.findings[0], evidence={"value": other})
    read = strict(replace(CONFIRMED, probes=(row,), findings=(finding,)).to_json())
    for said, meant in ((read["probes"][0]["fault"], value), (read["findings"][0]["evidence"]["value"], other)):
        assert said == (meant if math.isfinite(meant) else None)


def test_numbers_and_texts_come_back_as_they_were():
    read = strict(replace(CONFIRMED, sentence='Größe\n"x"', started_wall_s=1_700_000_000.123456).to_json())
    assert (read["sentence"], read["started_wall_s"]) == ('Größe\n"x"', 1_700_000_000.123456)


def test_every_verdict_has_a_meaning_and_only_confirmed_is_success():
    assert list(MEANING) == list(EXIT_CODE)
    assert [name for name, code in EXIT_CODE.items() if code == 0] == ["confirmed"]
    assert set(EXIT_CODE.values()) == {0, 1, 3, 4, 5, 130}


def test_the_exit_code_is_the_verdicts():
    for story in (Story(), SILENT):
        verdict: Verdict = judge(story.lines())
        assert verdict.exit_code == EXIT_CODE[verdict.verdict]
