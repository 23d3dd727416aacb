"""Log lines on stderr that show what they repeat, and obey none of it."""

from __future__ import annotations

import logging
import sys

from chaos.visible import visible


class Visible(logging.Formatter):
    """A line in which every character is written out that a terminal would obey."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return visible(super().format(record), keep="\n\t")


def shown() -> None:
    """Warnings and errors are shown from now on; said twice, this does nothing more."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Visible("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
