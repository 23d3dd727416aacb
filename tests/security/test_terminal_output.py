"""Nothing that a file, a label or a server says commands the terminal of whoever reads it."""

from __future__ import annotations

import io
import logging
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from chaos.app.live import Lines, Panel
from chaos.app.log_lines import Visible
from chaos.engine import Run
from chaos.visible import visible
from tests.worlds import ACCURACY, PLAN

EVIL = "\x1b[31mred\x1b]0;title\x07[link=http://x]\u202e\r\x9b2J"
COMMAND = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@given(st.text(max_size=60))
def test_no_text_keeps_a_character_that_a_terminal_obeys(text: str) -> None:
    assert not COMMAND.search(visible(text))
    assert visible(text.replace("\n", ""), keep="\n") == visible(text.replace("\n", ""))


@pytest.mark.parametrize(
    "text", ['"\\e[31mevil": 1\n', 'name: "\\e]0;title\\a"\n', 'name: "\\x9b2J\\u202e"\n', "name: !<\\e[2J> x\n"]
)
def test_a_files_mistakes_are_told_without_obeying_what_it_says(text: str, tmp_path: Path) -> None:
    (tmp_path / "evil.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "check", "evil.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "evil.yaml:" in done.stderr
    assert not COMMAND.search(done.stdout + done.stderr)


def test_a_log_line_shows_what_a_server_said_and_keeps_its_own_lines() -> None:
    record = logging.LogRecord("chaos", logging.WARNING, "", 0, "said %s\n  next", (EVIL,), None)
    told = Visible("%(message)s").format(record)
    assert not COMMAND.search(told)
    assert told.endswith("\n  next")


@pytest.mark.parametrize("terminal", [False, True], ids=["lines", "panel"])
def test_the_live_view_shows_titles_and_reasons_and_obeys_none(terminal: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=200, color_system=None)
    run = Run(replace(PLAN, probes=(replace(ACCURACY, title=EVIL),)))
    run.why = EVIL
    with Panel(console) if terminal else Lines(console) as view:
        view(run, 0.0)
    said = out.getvalue()
    assert "\\x1b[31mred" in said
    assert "[link=http://x]" in said  # no markup of ours either
    ours = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said).replace("\r", "")
    assert not COMMAND.search(ours)
    assert "\x1b[31m" not in said
