"""`chaos history` from folders to what is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from chaos.app.commands.options import console
from chaos.app.history_command import Wish, command, way
from chaos.app.past import NoRun
from chaos.errors import ChaosError
from tests.app.test_past import run_in

EXPERIMENT = "wrong-predictions-page-the-on-call"


def asked(capsys: pytest.CaptureFixture[str], wish: Wish, *, as_json: bool = False) -> tuple[str, list[str]]:
    said: list[str] = []
    command(wish, console(), said.append, as_json=as_json)
    return capsys.readouterr().out, said


def test_runs_are_shown_and_what_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_in(tmp_path, "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "journal.jsonl").write_text("nonsense\n")
    out, said = asked(capsys, Wish(tmp_path))
    assert EXPERIMENT in out
    assert any("b is left out" in one for one in said)


def test_json_is_all_that_goes_to_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_in(tmp_path, "a")
    out, _ = asked(capsys, Wish(tmp_path), as_json=True)
    assert json.loads(out)["histories"][0]["experiment"] == EXPERIMENT


def test_the_page_links_the_runs_from_where_it_stands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_in(tmp_path / "runs", "a")
    (tmp_path / "pages").mkdir()
    path = tmp_path / "pages" / "history.html"
    asked(capsys, Wish(tmp_path / "runs", page=path))
    assert 'href="../runs/a/report.html"' in path.read_text()
    assert way(tmp_path / "runs" / "history.html", tmp_path / "runs") == ""


def test_a_page_that_cannot_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_in(tmp_path, "a")
    with pytest.raises(ChaosError, match="name a file in a folder that is there"):
        asked(capsys, Wish(tmp_path, page=tmp_path / "none" / "history.html"))


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ({"experiment": "wrong-predictions-page-the-oncall"}, f"did you mean {EXPERIMENT}"),
        ({"alert": "ModelAccuracyLo"}, "did you mean ModelAccuracyLow"),
        ({"since": "1s"}, "leave a filter out"),
    ],
)
def test_a_filter_that_leaves_nothing_says_what_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wish: dict[str, str], why: str
) -> None:
    run_in(tmp_path, "a")
    with pytest.raises(NoRun, match=why):
        asked(capsys, Wish(tmp_path, **wish))  # type: ignore[arg-type]


def test_no_runs_and_a_time_without_unit_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NoRun, match="there is no run"):
        asked(capsys, Wish(tmp_path))
    run_in(tmp_path, "a")
    with pytest.raises(typer.BadParameter, match="has no unit"):
        asked(capsys, Wish(tmp_path, since="30"))
