"""`chaos coverage` from folders to what is said: whoever asks for a file hears what became of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.app.commands.options import console
from chaos.app.coverage_command import Wish, command, cover, write_page, write_rules
from chaos.errors import ChaosError
from tests.app.test_past import run_in
from tests.rehearsal.test_suggestion import FOUND, STATE


def said(wish: Wish) -> list[str]:
    heard: list[str] = []
    command(wish, STATE, heard.append, console(), as_json=False)
    return heard


def test_without_a_survivor_no_file_is_written_and_that_is_said_with_the_reason(tmp_path: Path) -> None:
    wish = Wish(tmp_path / "runs", None, {}, "7d", suggest=tmp_path / "missing.yml")
    assert f"{wish.suggest} is not written: no run in which a fault broke the system" in said(wish)[-1]
    run_in(tmp_path / "runs", "20260101-000000-quick-1")
    assert f"{wish.suggest} is not written: every fault that broke the system told" in said(wish)[-1]
    assert not (tmp_path / "missing.yml").exists()


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ChaosError, match="name a file in a folder that is there"):
        write_rules([FOUND], tmp_path / "none" / "missing.yml")
    with pytest.raises(ChaosError, match="name a file in a folder that is there"):
        write_page(cover(tmp_path, None, {}), tmp_path / "none" / "page.html", "runs")
