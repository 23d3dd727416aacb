"""An entry of a list goes on below itself, fits the terminal, and commands no terminal."""

from __future__ import annotations

import io

from rich.console import Console

from chaos.report.hanging import Hanging


def shown(one: Hanging, width: int = 30) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(one)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_what_goes_on_is_indented_more_than_where_it_began() -> None:
    assert shown(Hanging("model: one, two, three, four, five")) == ["  model: one, two, three,", "      four, five"]


def test_a_word_that_is_wider_than_the_terminal_is_folded() -> None:
    lines = shown(Hanging("x" * 70))
    assert all(len(line) <= 30 for line in lines)
    assert "".join("".join(lines).split()) == "x" * 70


def test_nothing_in_it_is_obeyed() -> None:
    assert shown(Hanging("\x1b[31m[bold]a\nb")) == ["  \\x1b[31m[bold]a\\nb"]
