"""What the pages write in Python does what they say."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from chaos.faults.base import Call, Fault
from chaos.protocols.base import Output, Undecodable
from chaos.rows import Row
from tests.app.test_past import run_in
from tests.docs.blocks import blocks


def module(page: str, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The only Python block of the page, as a module."""
    (block,) = [one for one in blocks("python") if one.page.name == page]
    made = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, made)
    exec(compile(block.text, str(block), "exec"), made.__dict__)
    return made


@pytest.fixture
def overconfident(monkeypatch: pytest.MonkeyPatch) -> type[Fault]:
    made: type[Fault] = module("add-a-fault.md", "shown_fault", monkeypatch).Overconfident
    return made


def test_the_shown_fault_is_taken_as_its_example_writes_it_and_says_what_it_does(overconfident: type[Fault]) -> None:
    for example in overconfident.examples:
        assert overconfident.model_validate(yaml.safe_load(example.yaml)).explain() == example.does


def test_the_shown_fault_moves_the_best_score_half_way_to_one(overconfident: type[Fault]) -> None:
    fault = overconfident.model_validate({"fault": "overconfident", "target": "m", "by": 0.5})
    row = Row(index=0, label=1, scores=(0.2, 0.8), classes=(0, 1))
    (moved,) = fault.edit([row], Call("seed", 0, "somebody", 1.0, {}))
    assert moved.label == 1
    assert moved.scores == pytest.approx((0.1, 0.9))


def test_the_shown_fault_leaves_whom_it_does_not_select_the_very_same(overconfident: type[Fault]) -> None:
    row = Row(index=0, label=1, scores=(0.2, 0.8), classes=(0, 1))
    (kept,) = overconfident.model_validate({"fault": "overconfident", "target": "m"}).edit(
        [row], Call("seed", 0, "somebody", 0.0, {})
    )
    assert kept is row


@pytest.fixture
def scorer(monkeypatch: pytest.MonkeyPatch) -> Any:
    return module("add-a-protocol.md", "shown_protocol", monkeypatch).PROTOCOL


def test_the_shown_protocol_reads_rows_and_changes_one_without_touching_the_rest(scorer: Any) -> None:
    body = (
        b'{"results": [ {"label": "a", "scores": [0.9, 0.1]},  {"label": "b", "scores": [0.2,0.80]}], "took_ms": 1.50}'
    )
    output = Output(classes=("a", "b"))
    rows = scorer.rows(body, {}, output)
    assert [row.label for row in rows] == ["a", "b"]
    assert scorer.encode(body, {}, output, rows, rows)[0] == body
    changed, _ = scorer.encode(body, {}, output, rows, [rows[0].saying("b", (0.1, 0.9)), rows[1]])
    assert changed.endswith(b'{"label": "b", "scores": [0.2,0.80]}], "took_ms": 1.50}')
    assert scorer.rows(changed, {}, output)[0].label == "b"


def test_the_shown_protocol_refuses_what_is_none_of_its_answers(scorer: Any) -> None:
    assert scorer.detect("/v1/score", {})
    assert not scorer.detect("/v1/health", {})
    with pytest.raises(Undecodable):
        scorer.rows(b'{"error": "no"}', {}, Output())


def test_the_shown_history_names_every_alert_with_its_median(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_in(tmp_path / "runs", "20260101-000000-recorded")
    monkeypatch.chdir(tmp_path)
    module("history.md", "shown_history", monkeypatch)
    title, alert, median_s, *trend = capsys.readouterr().out.split()
    assert (title, alert) == ("wrong-predictions-page-the-on-call", "ModelAccuracyLow")
    assert 0 < float(median_s) < 60
    assert trend == ["too", "few", "to", "say"]
