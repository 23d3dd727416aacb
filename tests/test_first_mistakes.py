"""The mistakes that somebody makes first: each ends in one sentence that says what to do, and never in a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.first_steps.servers import serving

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
PROBES = Path(__file__).parents[1] / "probes"
SYSTEM = "name: s\nenvironment: staging\ntargets: {}\ntelemetry: {prometheus: 'http://127.0.0.1:9'}\n"


def chaos(folder: Path, *words: str, **environment: str) -> tuple[int, str]:
    said = subprocess.run(
        [sys.executable, "-m", "chaos", *words],
        cwd=folder,
        env={
            **os.environ,
            "COLUMNS": "200",
            "CHAOS_STATE": str(folder / "state"),
            "DOCKER_HOST": "unix:///nowhere.sock",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in said.stderr
    return said.returncode, said.stdout + said.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one experiment, a system file, and one with a tab."""
    (tmp_path / "delay.yaml").write_text((EXPERIMENTS / "delay.yaml").read_text())
    (tmp_path / "system.yaml").write_text(SYSTEM)
    (tmp_path / "tab.yaml").write_text("name: x\n\tsystem: lab\n")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("run",), 2, "write one, such as delay.yaml"),
        (("plan", "."), 2, "this is a folder; name a file in it, such as delay.yaml"),
        (("check", "dely.yaml"), 2, "did you mean `delay.yaml`?"),
        (("run", "delay.yaml"), 2, "the lab `lab` is not up; run `chaos lab up` first"),
        (("check", "tab.yaml"), 2, "a tab stands where only spaces may; write spaces"),
        (("check", "system.yaml"), 0, "the file is right: the system s"),
        (("check", str(PROBES / "service.yaml")), 0, "the file is right: 6 probes"),
        (("rnu", "delay.yaml"), 2, "Did you mean 'run'?"),
        (("faults", "dealy"), 2, "did you mean `delay`?"),
        (("schema", "experment"), 2, "did you mean `experiment`?"),
        (("schema",), 2, "write one of experiment, system, probes, gameday, or --all FOLDER"),
        (
            ("coverage", "--prometheus", "http://127.0.0.1:9"),
            3,
            "cannot be reached; is it running, and is the address right?",
        ),
        (("lab", "up", "--docker", "--name", "x"), 3, "start it, or set DOCKER_HOST (`chaos doctor` says how)"),
        (("run", "delay.yaml", "--var", "X"), 2, "write NAME=VALUE"),
    ],
)
def test_a_first_mistake_is_told_with_what_to_do(
    words: tuple[str, ...], code: int, sentence: str, folder: Path
) -> None:
    found, said = chaos(folder, *words)
    assert sentence in " ".join(said.split())
    assert found == code


def test_without_any_file_the_command_that_makes_the_first_ones_is_named(tmp_path: Path) -> None:
    assert "`chaos init` makes the first ones" in chaos(tmp_path, "run")[1]


def test_an_empty_folder_is_told_to_be_one(tmp_path: Path) -> None:
    assert "this is a folder, and no YAML file is in it" in chaos(tmp_path, "plan", ".")[1]


def test_a_wrong_system_file_is_checked_as_one(folder: Path) -> None:
    (folder / "system.yaml").write_text(SYSTEM.replace("targets", "tragets"))
    code, said = chaos(folder, "check", "system.yaml")
    assert code == 2
    assert "system.yaml:3:1: tragets: unknown key; did you mean `targets`?" in said


def test_an_address_at_which_something_else_answers_is_no_prometheus(folder: Path) -> None:
    with serving({"/": "hello"}) as other:
        code, said = chaos(folder, "init", "--prometheus", other, "--no-docker")
    assert code == 3
    assert "is no Prometheus (404 for /-/ready); is the address right?" in said
