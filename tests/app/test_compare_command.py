"""`chaos compare` from folders to what is shown."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from chaos.app.commands.options import console
from chaos.app.compare_command import Slower, Wish, command
from chaos.app.past import NoRun
from chaos.errors import ChaosError
from tests.app.test_past import run_in, verdict_that_says


def two(tmp_path: Path, later_s: float) -> Path:
    """Two recorded runs, the second of which told so much later."""
    run_in(tmp_path, "20260101-000000-quick-1")
    second = run_in(tmp_path, "20260102-000000-quick-2")
    detections = json.loads((second / "verdict.json").read_text())["detections"]
    detections[0]["told_after_s"] += later_s
    verdict_that_says(second, detections=detections)
    return tmp_path


def test_what_differs_is_shown_and_the_page_stands_where_it_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    page = tmp_path / "compare.html"
    command(Wish(two(tmp_path, 0.0), "last~1", "last", page), console(), said.append, as_json=False)
    assert "detected → detected" in capsys.readouterr().out
    assert "first effect" in page.read_text()
    assert said == [f"the page is in {page}"]


def test_json_is_all_that_goes_to_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(Wish(two(tmp_path, 0.0), "last~1", "last"), console(), lambda _: None, as_json=True)
    assert json.loads(capsys.readouterr().out)["alerts"][0]["alert"] == "ModelAccuracyLow"


def test_being_slower_than_allowed_fails_after_everything_was_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = two(tmp_path, 12.0)
    with pytest.raises(Slower, match=r"ModelAccuracyLow told 12\.0s later"):
        command(Wish(runs, "last~1", "last", fail_if_slower_s=10.0), console(), lambda _: None, as_json=False)
    assert "detected → detected" in capsys.readouterr().out
    command(Wish(runs, "last~1", "last", fail_if_slower_s=13.0), console(), lambda _: None, as_json=False)
    command(Wish(runs, "last", "last~1", fail_if_slower_s=1.0), console(), lambda _: None, as_json=False)


def test_a_page_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    wish = Wish(two(tmp_path, 0.0), "last~1", "last", tmp_path / "none" / "compare.html")
    with pytest.raises(ChaosError, match="name a file in a folder that is there"):
        command(wish, console(), lambda _: None, as_json=False)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("last", "nobody", ["B: no run in .* begins with 'nobody'.*`ls .*` lists all"]),
        ("nobody", "last", ["A: no run in .* begins with 'nobody'"]),
        ("quick", "last~7", ["A: 'quick' is the beginning of 2 runs", "B: there is no last~7: there are only 2 runs"]),
    ],
)
def test_what_means_no_run_is_said_of_the_argument_that_it_is(
    tmp_path: Path, first: str, second: str, said: list[str]
) -> None:
    with pytest.raises(NoRun) as caught:
        command(Wish(two(tmp_path, 0.0), first, second), console(), lambda _: None, as_json=False)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(said)
    assert all(re.match(wanted, line) for wanted, line in zip(said, lines, strict=True)), lines
