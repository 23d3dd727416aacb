"""`chaos init`: looks, writes the first files, and says what was found, what was guessed and what is left. Wiring."""

from __future__ import annotations

import csv
import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from chaos.app.looking import Addresses, look
from chaos.app.schemas import write_all
from chaos.errors import InvalidFile, Problem
from chaos.first_steps.files import Guess, WrittenFile, files_of
from chaos.first_steps.found import Found
from chaos.first_steps.system_text import Wish
from chaos.report.hanging import Hanging
from chaos.visible import visible

EASY = ("delay", "http_error", "slow_first_token", "wrong_predictions")
"""Faults that are understood at once, so that one of them comes first."""
STYLES = {"sure": "green", "likely": "yellow", "a guess": "dim"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line said."""

    where: Addresses
    into: Path
    name: str = "staging"
    entry: str | None = None
    data: Path | None = None
    match: Mapping[str, str] | None = None
    force: bool = False


def wish_of(asked: Asked) -> Wish:
    """What is written beyond what can be found. Raises InvalidFile when the data has no rows that can be read."""
    columns: tuple[str, ...] = ()
    data = None
    if asked.data is not None:
        columns = _columns(asked.data)
        path, into = asked.data.resolve(), asked.into.resolve()
        data = str(path.relative_to(into)) if path.is_relative_to(into) else str(path)
    return Wish(asked.name, asked.entry, data, columns, asked.match, _token(asked.into))


def _columns(data: Path) -> tuple[str, ...]:
    from chaos.drivers.load.arrivals import read_rows

    try:
        rows = read_rows(str(data))
        if not isinstance(rows[0], dict):
            raise ValueError("its first row is no mapping of columns to values")
    except (OSError, ValueError, csv.Error) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidFile(
            [Problem(str(data), 0, 0, "", f"no rows can be read: {said}; write JSON lines or CSV")]
        ) from error
    return tuple(str(name) for name in rows[0])


def _token(into: Path) -> str | None:
    """How the proxy's token is named where there is one: a file `token` beside the system file, or the variable."""
    if (into / "token").is_file():
        return "${file:token}"
    return "${CHAOS_PROXY_TOKEN}" if os.environ.get("CHAOS_PROXY_TOKEN") else None


def command(asked: Asked, console: Console, say: Callable[[str], None], *, as_json: bool) -> None:
    """Files stand in the folder. Raises InvalidFile when some stand there already, and then nothing is written."""
    _refuse_package(asked.into)
    wish = wish_of(asked)
    say("looking; nothing is touched")
    found = look(asked.where)
    written, guesses = files_of(found, wish)
    _write(written, asked)
    if as_json:
        print(_to_json(found, written, guesses, asked.into))
    else:
        tell(found, written, guesses, asked.into, console)


def _refuse_package(into: Path) -> None:
    """Raises InvalidFile when the folder is code: a clone of this repository has one that is called `chaos`."""
    if (into / "__init__.py").exists():
        why = "this folder is a Python package; name another one with --into"
        raise InvalidFile([Problem(str(into), 0, 0, "", why)])


def _write(written: Sequence[WrittenFile], asked: Asked) -> None:
    there = [one.path for one in written if (asked.into / one.path).exists()]
    if there and not asked.force:
        raise InvalidFile(
            [
                Problem(
                    str(asked.into / path),
                    0,
                    0,
                    "",
                    "this file is there already; write --force to replace it, or --into another folder",
                )
                for path in there
            ]
        )
    for one in written:
        path = asked.into / one.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(one.text, encoding="utf-8")
        except OSError as error:
            raise InvalidFile(
                [Problem(str(path), 0, 0, "", f"cannot be written: {error.strerror}; name another folder with --into")]
            ) from error
    write_all(asked.into)


def tell(found: Found, written: Sequence[WrittenFile], guesses: Sequence[Guess], into: Path, console: Console) -> None:
    """What was found, guessed with which reason, what is left, and the next command."""
    console.print(Text("Found", style="bold"))
    for sentence in found.looked:
        console.print(Hanging(sentence))
    if guesses:
        _tell_guesses(guesses, console)
    else:
        console.print()
        said = "There is no alert rule to guess for: write one, load it, and begin again; docs/rules.md"
        console.print(Hanging(said, "yellow", indent=""))
    console.print(Text("\nWritten", style="bold"))
    experiments = [one for one in written if one.path != "system.yaml"]
    console.print(Hanging(f"{into / 'system.yaml'}"))
    if experiments:
        console.print(Hanging(f"{len(experiments)} experiments in {into / 'experiments'}"))
    console.print(Hanging("schemas for your editor beside them"))
    places = sum(one.left for one in written)
    if places:
        console.print(Text("\nLeft to fill in", style="bold"))
        first = f", {written[0].left} of them in {into / 'system.yaml'}: begin there" if written[0].left else ""
        console.print(Hanging(f"{places} places are marked TODO{first}"))
    console.print(Text("\nNext", style="bold"))
    _tell_next(into, _first(written, guesses), console)


def _tell_next(into: Path, first: str | None, console: Console) -> None:
    """The commands, each whole in a line of its own, so that it can be copied."""
    where = shlex.quote(str(into / first)) if first else f"{shlex.quote(str(into))}/experiments/*.yaml"
    following = [(f"chaos check {where}", "is it right, and what is left to fill in?")]
    following += [(f"chaos plan {where}", "who would be hurt and told; touches nothing")] if first else []
    for command_line, why in following:
        console.print(Hanging(f"# {why}", "dim"))
        console.print(Text(f"  $ {command_line}", no_wrap=True, overflow="ignore"), soft_wrap=True)


def _tell_guesses(guesses: Sequence[Guess], console: Console) -> None:
    console.print(Text(f"\nGuessed, for {len(guesses)} alert rules, which fault should make each fire", style="bold"))
    console.print(_table(guesses))
    doubtful = [one for one in guesses if one.how_sure != "sure"]
    for one in doubtful:
        console.print(Hanging(f"? {one.alert}: {one.why}"))


def _table(guesses: Sequence[Guess]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2), show_edge=False, show_header=False)
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    for one in guesses:
        fault = one.fault or ("external" if one.file else "none")
        table.add_row(
            Text(f"  {visible(one.alert)}"),
            Text(fault),
            Text(one.how_sure or "?", style=STYLES.get(one.how_sure, "yellow")),
        )
    return table


def _first(written: Sequence[WrittenFile], guesses: Sequence[Guess]) -> str | None:
    """The experiment to begin with: the surest whose file asks for the least."""
    left = {one.path: one.left for one in written}
    order = {"sure": 0, "likely": 1, "a guess": 2}
    known = [one for one in guesses if one.file is not None]

    def rank(one: Guess) -> tuple[int, int, int]:
        plain = EASY.index(one.fault) if one.fault in EASY else len(EASY)
        return left[one.file or ""], order.get(one.how_sure, 3), plain

    return min(known, key=rank).file if known else None


def _to_json(found: Found, written: Sequence[WrittenFile], guesses: Sequence[Guess], into: Path) -> str:
    rows = [
        {
            "alert": one.alert, "file": one.file, "fault": one.fault, "how_sure": one.how_sure, "why": one.why,
            "others": [other.fault for other in one.others],
        }
        for one in guesses
    ]  # fmt: skip
    files = [{"path": str(into / one.path), "left": one.left} for one in written]
    return json.dumps({"looked": list(found.looked), "rules": rows, "files": files}, indent=2)
