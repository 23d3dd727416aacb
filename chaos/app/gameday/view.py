"""What a person sees while a game day goes on: the step, what is next, how long it still takes at most. On stderr."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.text import Text

from chaos.app.gameday.loading import LoadedDay
from chaos.app.live import Lines, Panel
from chaos.engine import Run
from chaos.gameday import Outcome
from chaos.report.gameday import mark
from chaos.units import format_duration
from chaos.visible import visible

if TYPE_CHECKING:
    from chaos.gameday import Step

SAY_EVERY_S = 30.0
LOOK_S = 0.2


def about(seconds: float) -> str:
    """A duration in whole minutes, or in seconds below two of them."""
    return format_duration(-(-seconds // 60) * 60) if seconds >= 120 else f"{seconds:.0f}s"


class DayPanel(Panel):
    """The panel of a run, with a line about the day."""

    def __init__(self, console: Console, says: Callable[[], str]) -> None:
        super().__init__(console)
        self._says = says

    def _draw(self, run: Run, at_s: float) -> Group:
        return Group(super()._draw(run, at_s), Text(f"  {self._says()}", style="dim"))


class DayView:
    """One day's view."""

    def __init__(self, console: Console, loaded: LoadedDay, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self.loaded = loaded
        self._monotonic_s = monotonic_s
        self._step_began_s = 0.0

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(visible(text), style=style), soft_wrap=True)

    def begins(self) -> None:
        """What is going to happen, step by step."""
        day = self.loaded.day
        self._say(f"game day {day.name}: {day.purpose}", "bold")
        for index, name in enumerate(self.loaded.names()):
            self._say(f"  {index + 1}. {name}{_conditions(day.steps[index])}")
        self._say(f"  at most {about(self.loaded.longest_s())}; Ctrl-C undoes everything and ends the day", "dim")

    def step(self, index: int) -> None:
        """Which step begins."""
        self._step_began_s = self._monotonic_s()
        self._say(f"▸ {self.line(index)}", "bold cyan")
        note = self.loaded.day.steps[index].note
        if note is not None:
            self._say(f"  {note}")

    def line(self, index: int) -> str:
        """The step, what is next, and how long the day still takes at most."""
        names = self.loaded.names()
        following = f"then {names[index + 1]}" if index + 1 < len(names) else "the last one"
        gone_s = self._monotonic_s() - self._step_began_s
        left_s = max(0.0, self.loaded.longest_s(index) - self.loaded.day.steps[index].pause - gone_s)
        return f"step {index + 1} of {len(names)}: {names[index]}; {following}; at most {about(left_s)} left"

    def over(self, outcome: Outcome) -> None:
        """How a step ended."""
        sign, style = mark(outcome)
        said = outcome.verdict if outcome.status == "ran" else outcome.status
        self._say(f"{sign} step {outcome.step + 1}: {outcome.experiment}: {said}: {outcome.sentence}", style)

    def watching(self, index: int) -> Panel | Lines:
        """The view of the step's run."""
        if self._console.is_terminal:
            return DayPanel(self._console, lambda: self.line(index))
        return Lines(self._console)

    def wait(self, index: int, seconds: float) -> None:
        """So many seconds have passed, with a clock on a terminal and a line now and then elsewhere."""
        if seconds <= 0:
            return
        until_s, said_s = self._monotonic_s() + seconds, float("inf")
        name = self.loaded.names()[index]
        with self._console.status("") as status:
            while (left_s := until_s - self._monotonic_s()) > 0:
                if self._console.is_terminal:
                    status.update(visible(f"pause: {left_s:.0f}s until {name}"))
                elif said_s - left_s >= SAY_EVERY_S:
                    said_s = left_s
                    self._say(f"  pause: {about(left_s)} until {name}")
                time.sleep(min(LOOK_S, left_s))


def _conditions(step: Step) -> str:
    said = []
    if step.pause:
        said.append(f"after a pause of {about(step.pause)}")
    if step.only_if != "always":
        said.append(
            {"passed": "only if the one before passed", "failed": "only if the one before failed"}[step.only_if]
        )
    if step.confirm:
        said.append("when a person agrees")
    return f" ({', '.join(said)})" if said else ""
