"""What is said when an argument is left out: one sentence for every command, with something that could be written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from chaos.app.commands.options import WRITTEN

_FOLDERS = ("experiments", f"{WRITTEN}/experiments", ".")
"""Where files are looked for that could be named."""
_SIGN = {
    "an experiment": re.compile(r"^faults:", re.MULTILINE),
    "a game day": re.compile(r"^steps:(?s:.*)\bexperiment:", re.MULTILINE),
}


class MissingArgument(typer.BadParameter):
    """An argument was left out; the message is the whole sentence."""

    def format_message(self) -> str:
        """What stands behind `Error: `."""
        return str(self.message)


class Commands(TyperGroup):
    """All commands: none of them says in words of its own that an argument is missing."""

    def invoke(self, ctx: Any) -> Any:
        """The command that was named has been performed. Raises MissingArgument."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            if not hasattr(error, "param_type"):  # which those of missing parameters have, and no others
                raise
            raise MissingArgument(_sentence(error), ctx=error.ctx) from error


def _sentence(error: Any) -> str:
    name = str(error.param.metavar or error.param.name.upper())
    return f"Missing argument {name}: {_what_to_write(error, name)}"


def _what_to_write(error: Any, name: str) -> str:
    match name.rstrip("…"):
        case "FILE":
            in_game_days = error.ctx.parent is not None and error.ctx.parent.info_name == "gameday"
            return _a_file("a game day" if in_game_days else "an experiment")
        case "FOLDER":
            newest = max((path.parent for path in Path("runs").glob("*/journal.jsonl")), default=None)
            return f"write one, such as {newest}" if newest else "write the folder of a run; `chaos run` makes one"
    return f"write {error.param.help}"


def _a_file(kind: str) -> str:
    near = next((path for path in _yaml_files() if _SIGN[kind].search(_text(path))), None)
    if near is not None:
        return f"write one, such as {near}"
    how = "`chaos init` makes the first ones" if kind == "an experiment" else "docs/gamedays.md shows one"
    return f"write the path of {kind}; {how}"


def _yaml_files() -> Iterator[Path]:
    for folder in _FOLDERS:
        yield from sorted(Path(folder).glob("*.y*ml"))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
