"""A shell is offered names that exist, by real bash and by the library's own way alike, without loading anything."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.app import completions
from chaos.app.files import probe_files
from chaos.app.schemas import KINDS
from chaos.drivers.state import State
from chaos.faults import catalogue
from chaos.probe import merge
from chaos.protocols import catalogue as protocols
from chaos.undo_list import UndoList

HEAVY = ("typer", "pydantic", "yaml", "rich", "requests", "numpy")
PROGRAMS = Path(sys.executable).parent
PATIENCE_CPU_S = 0.3
"""A person waits for this with a finger on the key. Processor time: what other tests take of the machine is not ours."""


def offered(line: str, folder: Path, **environment: str) -> list[str]:
    """What real bash offers at the end of this line, by the script that `chaos --show-completion` installs."""
    words = line.split(" ")
    written = " ".join(f"'{word}'" for word in words)
    program = (
        'eval "$(_CHAOS_COMPLETE=source_bash chaos)" || exit 9\n'
        f"COMP_WORDS=({written}); COMP_CWORD={len(words) - 1}\n"
        '_chaos_completion chaos; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    said = subprocess.run(
        ["bash", "--norc", "-c", program],
        cwd=folder,
        env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert said.returncode == 0, said.stderr
    return said.stdout.split()


def test_every_fault_of_the_catalogue_is_offered_without_the_catalogue() -> None:
    assert set(completions.faults("")) == set(catalogue())


def test_every_protocol_and_every_kind_of_file_is_offered() -> None:
    assert set(completions.protocols("")) == set(protocols())
    assert set(completions.kinds("")) == set(KINDS)


def test_every_shipped_probe_is_offered() -> None:
    assert set(completions.probes("")) >= set(merge(probe_files(None)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with experiments, a lab, runs, and a state in which one run lives."""
    for name in (
        "experiments/delay.yaml",
        "experiments/notes.txt",
        ".chaos/labs/lab-2/system.yaml",
        "runs/r-1/journal.jsonl",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("chaos fau", ["faults"]),
        ("chaos faults wrong_", ["wrong_language", "wrong_predictions", "wrong_usage"]),
        ("chaos probes accu", ["accuracy", "accuracy_model"]),
        ("chaos schema s", ["system"]),
        ("chaos protocols ml", ["mlflow"]),
        ("chaos run exp", ["experiments/"]),
        ("chaos run experiments/", ["experiments/delay.yaml"]),
        ("chaos plan experiments/d", ["experiments/delay.yaml"]),
        ("chaos plan experiments/delay.yaml --system l", ["lab-2"]),
        ("chaos lab down --name ", ["lab-2"]),
        ("chaos judge r", ["runs/r-1"]),
        ("chaos run --se", ["--seed"]),
    ],
)
def test_real_bash_is_offered_what_fits(line: str, found: list[str], folder: Path) -> None:
    assert offered(line, folder) == found


def test_runs_that_go_on_are_offered_to_be_stopped(folder: Path) -> None:
    lock = State(folder / "state").run("going-on").begin(UndoList("going-on", "test", str(folder), 1.0, 1.0))
    try:
        assert offered("chaos stop g", folder, CHAOS_STATE=str(folder / "state")) == ["going-on"]
    finally:
        lock.release()


@pytest.mark.parametrize("line", ["faults de", "run experiments/", "schema ", "stop ", "probes a"])
def test_an_argument_is_offered_before_anybody_has_waited_and_without_a_library(line: str, folder: Path) -> None:
    words = ["chaos", *line.split(" ")]
    environment = {
        **os.environ,
        "_CHAOS_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    program = (
        "import sys; sys.argv = ['chaos']; from chaos.app.door import main; main();"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert said.stdout.splitlines()[-1] == "[]"
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < PATIENCE_CPU_S


def test_what_takes_more_to_read_is_left_to_the_library() -> None:
    asked = {"_CHAOS_COMPLETE": "complete_bash", "COMP_CWORD": "3"}
    assert completions.plain({**asked, "COMP_WORDS": "chaos plan --system l"}) is None
    assert completions.plain({**asked, "COMP_WORDS": "chaos lab down l"}) is None
    assert (
        completions.plain({"_CHAOS_COMPLETE": "complete_zsh", "COMP_WORDS": "chaos faults d", "COMP_CWORD": "2"})
        is None
    )


@pytest.mark.parametrize(("shell", "check"), [("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])])
def test_the_scripts_for_other_shells_are_whole(shell: str, check: list[str], tmp_path: Path) -> None:
    said = subprocess.run(
        [str(PROGRAMS / "chaos")],
        env={**os.environ, "_CHAOS_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "chaos" in said.stdout
    if shutil.which(shell) is not None:  # the shell itself says whether it can read its script, where there is one
        (tmp_path / "script").write_text(said.stdout)
        subprocess.run([*check, str(tmp_path / "script")], check=True, timeout=60)
