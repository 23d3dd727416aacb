"""The folder of runs is named one way in every command that reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from chaos.app.cli import app
from tests.app.test_past import run_in

ROOT_COMMAND: Any = get_command(app)
READ = [["history"], ["export", "openmetrics"]]


def asked(*words: str) -> None:
    ROOT_COMMAND.main(list(words), standalone_mode=False)


def test_every_command_that_reads_runs_takes_their_folder_by_name() -> None:
    takers = {
        name: {option for one in command.params for option in one.opts} for name, command in commands(ROOT_COMMAND)
    }
    for name in ("history", "compare", "coverage", "rehearse", "run", "ui", "export openmetrics"):
        assert "--runs" in takers[name], name


def commands(group: Any, before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, one in group.commands.items():
        inside = hasattr(one, "commands")
        found += commands(one, f"{before}{name} ") if inside else [(f"{before}{name}", one)]
    return found


@pytest.mark.parametrize("command", READ, ids=" ".join)
def test_the_folder_may_stand_behind_the_option_or_by_itself(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_in(tmp_path / "elsewhere", "a")
    shown = []
    for words in (["--runs", "elsewhere"], ["elsewhere"], ["elsewhere", "--runs", "elsewhere"]):
        asked(*command, *words)
        shown.append(capsys.readouterr().out)
    assert "wrong-predictions-page-the-on-call" in shown[0]
    assert shown == [shown[0]] * 3


@pytest.mark.parametrize("command", READ, ids=" ".join)
def test_two_folders_are_refused(command: list[str]) -> None:
    with pytest.raises(Exception, match="one and runs are two folders; write --runs FOLDER once"):
        asked(*command, "one", "--runs", "runs")
