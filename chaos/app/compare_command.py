"""`chaos compare`: two runs found, judged, and put side by side. Wiring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.app.past import NoRun, find, verdict_of
from chaos.drivers.folder import RunFolder
from chaos.drivers.whole_file import write_asked
from chaos.errors import ChaosError
from chaos.events import RunStarted
from chaos.history import head_of
from chaos.history.compared import Compared, compare
from chaos.history.differences import Side
from chaos.journal import Line
from chaos.units import format_measured

if TYPE_CHECKING:
    from rich.console import Console

Say = Callable[[str], None]
LARGEST_SYSTEM = 1024 * 1024
"""Bytes of a system file that is compared."""


class Slower(ChaosError):
    """The second run told later than was asked for."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for: which runs, and where the page goes."""

    runs: Path
    first: str
    second: str
    page: Path | None = None
    fail_if_slower_s: float | None = None


def command(wish: Wish, console: Console, say: Say, *, as_json: bool) -> None:
    """Everything that was asked for is shown. Raises NoRun for runs that are not there, and Slower, after everything was shown."""
    from chaos.report.compared import compared_view, page

    first, second = (_side(folder) for folder in _meant(wish))
    found = compare(first[0], second[0])
    if as_json:
        print(found.to_json())
    else:
        console.print(compared_view(found))
    if wish.page is not None:
        made = page(found, *((side.verdict, lines) for side, lines in (first, second)))
        write_asked(wish.page, made)
        say(f"the page is in {wish.page}")
    if wish.fail_if_slower_s is not None:
        demand(found, wish.fail_if_slower_s)


def demand(found: Compared, limit_s: float) -> None:
    """Raises Slower when an alert of the second run told later by more than this, or did not tell any more."""
    slower = found.slower_than(limit_s)
    if slower:
        said = "; ".join(
            f"{one.alert} told {format_measured(one.slower_s, limit_s)} later"
            if one.second_told_s is not None and one.slower_s is not None
            else f"{one.alert} did not tell"
            for one in slower
        )
        raise Slower(f"--fail-if-slower {limit_s:g}s: {said}")


def _meant(wish: Wish) -> list[RunFolder]:
    """The folders of both runs. Raises NoRun that says which of the two arguments means none, or both."""
    found: list[RunFolder] = []
    wrong: list[str] = []
    for argument, said in (("A", wish.first), ("B", wish.second)):
        try:
            found.append(find(wish.runs, said))
        except NoRun as error:
            wrong.append(f"{argument}: {error}")
    if wrong:
        raise NoRun("\n".join(wrong))
    return found


def _side(folder: RunFolder) -> tuple[Side, Sequence[Line]]:
    lines = folder.lines()
    head = head_of(lines[0]) if lines else head_of(folder.first_line())
    started = lines[0].record
    assert isinstance(started, RunStarted)
    return Side(verdict_of(folder, head), head.plan, started.experiment, _system(folder)), lines


def _system(folder: RunFolder) -> str:
    """The system file as the folder keeps it, without secrets; nothing where it does not."""
    path = folder.path / "system.yaml"
    try:
        return path.read_text("utf-8") if path.stat().st_size <= LARGEST_SYSTEM else ""
    except (OSError, ValueError):
        return ""
