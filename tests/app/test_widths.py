"""Lines are folded for people at terminals, and stay whole for whatever reads a pipe."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios

import pytest

from chaos.app.widths import fold, width_of


@pytest.fixture(autouse=True)
def _unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


def test_a_pipe_has_any_width() -> None:
    assert width_of(io.StringIO()) is None
    assert fold("word " * 100, io.StringIO()) == "word " * 100


def test_a_terminal_has_its_own_and_columns_says_another(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 63, 0, 0))
    with os.fdopen(theirs, "w") as terminal:
        assert width_of(terminal) == 63
        monkeypatch.setenv("COLUMNS", "50")
        assert width_of(terminal) == 50
    os.close(ours)


def test_columns_that_nobody_knows_fold_no_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "0")
    assert width_of(io.StringIO()) is None


@pytest.mark.parametrize("said", ["1", "3"])
def test_no_terminal_is_narrower_than_a_word(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("COLUMNS", said)
    assert width_of(io.StringIO()) == 20
