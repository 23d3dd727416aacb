"""Plays one game day: announces, waits, asks, runs, sums up. Wiring around `chaos.gameday.following`.

The clock, the waiting, the runs, the people and the view are arguments, so that a day of hours is played in no time where it is tested.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chaos.app.files import Loaded
from chaos.app.freezing import ignored
from chaos.app.gameday.loading import LoadedDay
from chaos.app.running import Ended
from chaos.errors import ChaosError, Frozen, Refused
from chaos.gameday import Ask, Outcome, Run, Skip, Summary, following, summary
from chaos.gameday.course import Status
from chaos.gameday.messages import Message, after, before
from chaos.verdict import VerdictName
from chaos.version import VERSION

log = logging.getLogger("chaos.gameday")


class View(Protocol):
    """Who sees the day go on."""

    def begins(self) -> None:
        """The day begins."""
        ...

    def step(self, index: int) -> None:
        """This step is about to be run."""
        ...

    def over(self, outcome: Outcome) -> None:
        """A step is over."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """What playing a day does to the world."""

    run: Callable[[int, Loaded], Ended]
    """Runs the experiment of the step with this index. Raises what `chaos.app.running.run` raises."""
    wait: Callable[[int, float], None]
    """Waits so many seconds before the step with this index. Raises KeyboardInterrupt when somebody ends the day."""
    ask: Callable[[int], bool]
    """Whether a person wants the step with this index."""
    announce_before: Callable[[Message], None]
    announce: Callable[[Message], None]
    now: Callable[[], datetime]
    """The moment, aware."""
    keep: Callable[[Summary], None] = lambda _: None
    """Writes down how the day ended, before people are told."""


def play(
    loaded: LoadedDay, world: World, view: View, *, who: str, stop: str, ignore_freeze: str | None = None,
    scheduled: datetime | None = None,
) -> Summary:  # fmt: skip
    """The day is over, and everybody was told so. Raises Frozen and Refused where it does not begin at all."""
    day = loaded.day
    frozen = ignored([loaded.own_calendar(), *loaded.calendars()], world.now(), ignore_freeze)
    systems = [name for name, _ in loaded.calendars()]
    world.announce_before(before(day, who, loaded.names(), systems, loaded.longest_s(), stop, frozen))
    began = world.now()
    done: list[Outcome] = []
    with contextlib.suppress(
        KeyboardInterrupt
    ):  # between two runs nothing is on; the summary says that the day was ended
        view.begins()
        while (following_ := following(day, done)) is not None:
            outcome = _played(loaded, world, view, following_, ignore_freeze)
            done.append(outcome)
            view.over(outcome)
    made = summary(
        day, done, began_wall_s=began.timestamp(), ended_wall_s=world.now().timestamp(), version=VERSION,
        scheduled_wall_s=scheduled.timestamp() if scheduled is not None else None, frozen=frozen,
    )  # fmt: skip
    world.keep(made)
    world.announce(after(made))
    return made


def _played(loaded: LoadedDay, world: World, view: View, what: Run | Ask | Skip, ignore_freeze: str | None) -> Outcome:
    index, name = what.step, loaded.names()[what.step]
    began_s = world.now().timestamp()

    def outcome(status: Status, verdict: VerdictName | None, sentence: str, folder: str | None = None) -> Outcome:
        return Outcome(index, name, status, verdict, sentence, folder, began_s, world.now().timestamp())

    match what:
        case Skip(why=why):
            return outcome("skipped", None, why)
        case Ask():
            world.wait(index, loaded.day.steps[index].pause)
            if not world.ask(index):
                return outcome("declined", "inconclusive", "a person was asked, and did not want it")
        case Run():
            world.wait(index, loaded.day.steps[index].pause)
    began_s = world.now().timestamp()
    view.step(index)
    try:
        ignored([loaded.own_calendar()], world.now(), ignore_freeze)  # a freeze may have begun meanwhile
        ended = world.run(index, loaded.loaded[index])
    except Frozen as error:
        return outcome("frozen", "invalid", _line(error))
    except Refused as error:
        return outcome("refused", "invalid", _line(error))
    except ChaosError as error:
        return outcome("refused", "unsafe" if error.exit_code == 5 else "invalid", _line(error))
    except Exception as error:  # the day is summed up, and people are told, whatever happens
        log.exception("step %d of the game day %s", index + 1, loaded.day.name)
        return outcome("refused", "invalid", f"an error of our own: {error!r}")
    return outcome("ran", ended.verdict.verdict, ended.verdict.sentence, str(ended.folder))


def _line(error: ChaosError) -> str:
    """All that an error says, in one line."""
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
