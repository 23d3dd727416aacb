"""The command line's own promises: exit codes, streams, speed of what must be quick."""

from __future__ import annotations

import platform
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.version import VERSION
from tests.values import SYSTEM, edited, laid_out

ROOT = Path(__file__).parents[1]
QUICKSTART = str(ROOT / "experiments" / "quickstart.yaml")
HEAVY = (
    "numpy",
    "pandas",
    "docker",
    "locust",
    "gevent",
    "aiohttp",
    "prometheus_api_client",
    "promql_parser",
    "sklearn",
    "requests",
)


def chaos(*arguments: str, folder: Path, code: str | None = None) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "chaos", *arguments] if code is None else [sys.executable, "-c", code, *arguments]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_check_says_that_a_file_is_right_even_when_its_system_is_not_there(tmp_path: Path) -> None:
    found = chaos("check", QUICKSTART, folder=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    assert "the file is right; its system `lab` is not there to check against" in found.stdout


def test_check_loads_no_heavy_library(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['chaos', 'check', sys.argv[1]]\n"
        "from chaos.app.door import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"print('HEAVY', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    found = chaos(QUICKSTART, folder=tmp_path, code=code)
    assert "HEAVY []" in found.stdout, found.stdout + found.stderr


def test_run_without_its_lab_says_how_to_bring_it_up(tmp_path: Path) -> None:
    found = chaos("run", QUICKSTART, folder=tmp_path)
    assert found.returncode == 2
    assert "the lab `lab` is not up; run `chaos lab up` first" in found.stderr
    assert not (tmp_path / "runs").exists()


def test_a_frozen_system_is_asked_nothing_and_the_sentence_names_the_window(tmp_path: Path) -> None:
    text = edited(SYSTEM, ("name: lab", 'name: lab\ncalendar: {freeze: ["00:00 - 00:00"]}'))
    (laid_out(tmp_path) / "system.yaml").write_text(text)
    found = chaos("run", "e.yaml", folder=tmp_path)
    assert found.returncode == 3
    assert "lab is frozen for more than a year by `00:00 - 00:00` of its calendar" in found.stderr
    told = chaos("run", "e.yaml", "--ignore-freeze", "a reason", folder=tmp_path)
    assert "ignored: a reason" in told.stderr
    assert "refused" not in told.stderr.partition("\n")[0]


def test_check_says_that_the_data_of_the_load_is_not_there(tmp_path: Path) -> None:
    laid_out(tmp_path)
    found = chaos("check", "e.yaml", folder=tmp_path)
    assert found.returncode == 2
    assert "load.data: there is no file 'lab:applications'" in found.stderr
    (tmp_path / "traffic.jsonl").write_text("{}\n")
    assert chaos("check", "e.yaml", folder=tmp_path).returncode == 0


def test_a_misspelt_command_and_a_missing_file_exit_2(tmp_path: Path) -> None:
    assert chaos("rnu", QUICKSTART, folder=tmp_path).returncode == 2
    found = chaos("run", "nothing.yaml", folder=tmp_path)
    assert found.returncode == 2
    assert "nothing.yaml: cannot be read: No such file or directory" in found.stderr


def test_an_error_that_nobody_foresaw_exits_3_and_not_1_which_would_be_a_weakness(tmp_path: Path) -> None:
    code = "import sys; from chaos.app import checking, cli; checking.checked = lambda *_: 1 / 0; sys.argv = ['chaos', 'check', 'x']; cli.main()"
    found = chaos(folder=tmp_path, code=code)
    assert found.returncode == 3
    assert "an error of our own" in found.stderr
    assert "ZeroDivisionError" in found.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_outside_of_a_run_exits_130(tmp_path: Path, number: signal.Signals) -> None:
    code = (
        "import os, signal, sys; from chaos.app import checking, cli\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # in the background it is ignored from the start
        f"checking.checked = lambda *_: os.kill(os.getpid(), {int(number)})\n"
        "sys.argv = ['chaos', 'check', 'x']; cli.main()"
    )
    found = chaos(folder=tmp_path, code=code)
    assert found.returncode == 130, found.stderr
    assert "Traceback" not in found.stderr


def test_status_of_no_lab_exits_3_and_down_of_no_lab_is_fine(tmp_path: Path) -> None:
    assert chaos("lab", "status", folder=tmp_path).returncode == 3
    assert chaos("lab", "down", folder=tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_lab_that_is_not_up_says_how_to_bring_up_the_very_one_that_was_asked_for(tmp_path: Path) -> None:
    assert "run `chaos lab up`" in chaos("lab", "status", folder=tmp_path).stdout
    said = chaos("lab", "status", "--name", "mine", folder=tmp_path).stdout
    assert "run `chaos lab up --name mine`" in said


def test_the_python_api_stays_callable_whatever_else_is_imported(tmp_path: Path) -> None:
    code = (
        "import chaos, importlib, pkgutil\n"
        "for found in pkgutil.walk_packages(chaos.__path__, 'chaos.'):\n"
        "    if 'locustfile' not in found.name and not found.name.endswith('__main__'): importlib.import_module(found.name)\n"
        "print([callable(getattr(chaos, name)) for name in ('load', 'plan', 'run', 'judge')])"
    )
    found = chaos(folder=tmp_path, code=code)
    assert found.stdout == "[True, True, True, True]\n", found.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((QUICKSTART, QUICKSTART, "--", "true"), "2 files and one command"),
        ((QUICKSTART, "--"), "no command stands after it"),
        (("--", "true"), "Missing argument"),
    ],
)
def test_a_command_that_no_experiment_or_several_could_mean_is_refused(
    words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    found = chaos("run", *words, folder=tmp_path)
    assert found.returncode == 2
    assert message in found.stderr
    assert not (tmp_path / "runs").exists()


def test_the_version_is_one_line_with_pythons(tmp_path: Path) -> None:
    found = chaos("--version", folder=tmp_path)
    assert found.returncode == 0
    assert found.stdout == f"chaos-ml {VERSION}, Python {platform.python_version()}\n"


@pytest.mark.parametrize("words", [(), ("lab",), ("gameday",), ("export",)])
def test_no_summary_of_a_command_is_cut_in_a_terminal_of_80_columns(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = chaos(*words, "--help", folder=tmp_path).stdout
    assert "Commands:" in said
    assert "..." not in said.partition("Commands:")[2]
    assert all(len(line) <= 80 for line in said.splitlines())
    named = re.findall(r"^  (\S+)  ", said.partition("Commands:")[2], re.MULTILINE)
    assert len(named) == len(said.partition("Commands:")[2].split("\n")) - 2  # each has a line, and one alone


def test_one_protocol_is_explained_with_how_it_is_written(tmp_path: Path) -> None:
    said = chaos("protocols", "oip", folder=tmp_path)
    assert said.returncode == 0
    assert "POST /v2/models/NAME" in said.stdout
    assert "protocol: oip" in said.stdout
    wrong = chaos("protocols", "kserve", folder=tmp_path)
    assert (wrong.returncode, "did you mean `kserve-v1`?" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("command", "example"),
    [
        ("proxy", "  $ chaos proxy --route 'replica-1="),
        ("sink", "  $ chaos sink --listen 127.0.0.1:9099 --log notifications.jsonl"),
    ],
)
def test_a_server_says_when_one_needs_it_and_shows_an_example(
    command: str, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = chaos(command, "--help", folder=tmp_path).stdout
    assert said.startswith(f"usage: chaos {command} ")
    assert "You need one where an experiment" in said
    assert example in said
    assert "chaos doctor --system FILE" in said
    assert all(len(line) <= 80 for line in said.splitlines())
