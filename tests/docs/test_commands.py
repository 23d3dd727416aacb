"""Every command that README and docs show is one that exists, with the options that it is shown with; what needs no system is run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from chaos.app.cli import app
from tests.docs.blocks import ROOT, blocks, commands, pages

ROOT_COMMAND: Any = get_command(app)
OTHERS = {
    "source", "sed", "pip", "head", "cat", "curl", "base64", "docker", "kubectl", "git", "cd", "export", "sudo", "python", "pytest", "apt", "systemctl",
    ".venv/bin/python", ".venv/bin/pytest", "crontab", "echo", "npm", "helm", "mlserver", "mlflow", "python3", "uv", "mkdir", "ssh",
}  # fmt: skip
"""Programs of others that the documents call."""
NEEDS_NO_SYSTEM = {"faults", "probes", "protocols", "schema"}


def parted(line: str) -> Iterator[list[str]]:
    """The simple commands of a line of a shell, as words: without comment, redirections, and variables in front."""
    reading = shlex.shlex(line, posix=True, punctuation_chars=True)
    reading.whitespace_split = True
    words: list[str] = []
    for token in [*reading, ";"]:
        if token in {";", "&&", "||", "|", "&"}:
            if words:
                yield words
            words = []
        elif words[-1:] == [">"]:  # the file of a redirection
            words.pop()
        elif words or not re.fullmatch(r"\w+=.*", token):
            words.append(token)


def shown() -> list[list[str]]:
    """Every simple command of every block."""
    lines = [line for block in blocks("console", "sh", "bash", "") for line in commands(block)]
    lines += [
        line
        for block in blocks("yaml")
        for line in re.findall(r"^\s*- (?:run: )?(chaos .*)$", block.text, re.MULTILINE)
    ]
    return [list(one) for one in dict.fromkeys(tuple(words) for line in lines for words in parted(line))]


def of_chaos() -> list[list[str]]:
    return [words[1:] for words in shown() if words[0] == "chaos"]


def found(parts: list[str]) -> tuple[Any, list[str]]:
    """The command that these words call, and what is left for it. Fails when there is none."""
    one: Any = ROOT_COMMAND
    while getattr(one, "commands", None) and parts:
        name, *rest = parts
        if name.startswith("-"):
            break
        assert name in one.commands, f"there is no command {name!r}"
        one, parts = one.commands[name], rest
    return one, parts


@pytest.mark.parametrize("command", of_chaos(), ids=" ".join)
def test_a_shown_command_parses(command: list[str]) -> None:
    one, rest = found(command)
    if rest != ["--help"]:
        one.make_context("chaos", rest, allow_interspersed_args=True)


def test_what_is_not_ours_is_known() -> None:
    assert {words[0] for words in shown()} - {"chaos", "make"} <= OTHERS


def test_every_target_that_is_shown_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {words[1] for words in shown() if words[0] == "make"}
    assert named
    assert named <= targets


def options(one: Any) -> set[str]:
    inner = getattr(one, "commands", {}) or {}
    return {name for part in one.params for name in [*part.opts, *part.secondary_opts]}.union(
        *(options(each) for each in inner.values()), {"--help"}
    )


def test_every_option_in_a_sentence_is_one_of_its_command() -> None:
    for page in pages():
        for said in re.findall(r"`(chaos [a-z][^`]*)`", page.read_text()):
            one, _ = found(
                [part for part in re.split(r"\s+", said.split(" -- ")[0])[1:] if re.fullmatch(r"[a-z-]+", part)][:1]
            )
            named = set(re.findall(r"(?<=\s)--[a-z][a-z-]*", said.split(" -- ")[0]))
            assert named <= options(one), f"{page.name}: `{said}`"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a checkout has for experiments."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("experiments", "probes"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


@pytest.mark.parametrize("command", [one for one in of_chaos() if one[0] in NEEDS_NO_SYSTEM], ids=" ".join)
def test_a_shown_command_that_needs_no_system_answers(command: list[str], checkout: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "chaos", *command],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
