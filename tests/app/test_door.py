"""`chaos stop` begins at once, and says and answers the same as it does by way of the whole command line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.app.door import plain_stop
from chaos.drivers.state import State
from chaos.undo_list import UndoList

WHOLE = "from chaos.app import cli; cli.main()"
HEAVY = ("typer", "click", "rich", "pydantic", "requests", "psutil", "yaml", "logging", "subprocess", "socket")


def through_door(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return _said([sys.executable, "-m", "chaos", *words], state)


def through_command_line(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return _said([sys.executable, "-c", WHOLE, *words], state)


def _said(argv: list[str], state: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CHAOS_STATE": str(state)}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=60)


def timeless(said: subprocess.CompletedProcess[str]) -> str:
    """What was said, whatever time it took."""
    return re.sub(r"after [0-9.]+s", "after a while", said.stderr)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state in which two runs live that have hurt nothing yet; both are asked to stop, and have nothing to undo."""
    path = tmp_path / "state"
    names = ("first-1a", "second-2b")
    living = [State(path).run(name).begin(UndoList(name, "test", str(tmp_path), 1.0, 1.0)) for name in names]
    yield path
    for lock in living:
        lock.release()


@pytest.mark.parametrize(
    ("words", "code"), [((), 3), (("third",), 3), (("first",), 0), (("second-2b",), 0), (("--all",), 0)]
)
def test_a_plain_stop_says_and_answers_what_the_whole_command_line_does(
    state: Path, words: tuple[str, ...], code: int
) -> None:
    quick, whole = through_door(state, "stop", *words), through_command_line(state, "stop", *words)
    assert quick.returncode == code
    assert quick.stderr
    assert (quick.returncode, quick.stdout, timeless(quick)) == (whole.returncode, whole.stdout, timeless(whole))


def test_nobody_to_stop_is_one_sentence_either_way(tmp_path: Path) -> None:
    quick, whole = through_door(tmp_path, "stop"), through_command_line(tmp_path, "stop")
    assert (quick.returncode, quick.stderr) == (3, whole.stderr)
    assert "no run goes on" in quick.stderr


@pytest.mark.parametrize(
    "words",
    [["stop", "--help"], ["stop", "--al"], ["stop", "--all", "run"], ["stop", "a", "b"], ["stop", ""], ["run"], []],
)
def test_whatever_is_not_plain_is_the_command_lines_to_read(words: list[str]) -> None:
    assert plain_stop(words) is None


def test_its_help_and_its_mistakes_are_the_command_lines(tmp_path: Path) -> None:
    assert "--all" in through_door(tmp_path, "stop", "--help").stdout
    wrong = through_door(tmp_path, "stop", "--all", "run")
    assert (wrong.returncode, "name a run, or write --all" in wrong.stderr) == (2, True)


@pytest.mark.parametrize("words", [["--all"], ["first"]])
def test_a_plain_stop_loads_nothing_that_takes_time(state: Path, words: list[str]) -> None:
    code = (
        "import sys; from chaos.app.door import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    found = _said([sys.executable, "-c", code, "stop", *words], state)
    assert "asked to stop" in found.stderr
    assert found.stdout.strip() == "[]"
