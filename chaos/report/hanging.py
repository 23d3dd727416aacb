"""An entry of a list in a terminal, whose further lines are indented more than its first. Renderable for rich; no I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions
from rich.text import Text

from chaos.folded import folded
from chaos.visible import visible


@dataclass(frozen=True, slots=True)
class Hanging:
    """The text as it is, folded to the terminal; a word longer than the line is folded, too."""

    text: str
    style: str = ""
    indent: str = "  "

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """What rich asks for."""
        yield Text(folded(self.indent + visible(self.text), options.max_width), style=self.style, overflow="fold")
