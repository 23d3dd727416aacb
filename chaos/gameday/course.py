"""Which step of a game day follows, given how those before it ended. Pure.

A condition looks at the last experiment that was really run: `passed` when it was confirmed, `failed` when it found a weakness. One that
proved nothing is neither. After an abort, an unsafe run or an interruption nothing more is hurt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from chaos.gameday.file import Condition, GameDay
from chaos.verdict import EXIT_CODE, MEANING, VerdictName

ENDS_THE_DAY: tuple[VerdictName, ...] = ("unsafe", "interrupted", "aborted")

Status = Literal["ran", "skipped", "refused", "frozen", "declined"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one step. `verdict` is what it counts as; None when it was skipped. Times are wall-clock seconds."""

    step: int
    experiment: str
    status: Status
    verdict: VerdictName | None
    sentence: str
    folder: str | None = None
    began_wall_s: float = 0.0
    ended_wall_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """The step with this index is to be run, after its pause."""

    step: int


@dataclass(frozen=True, slots=True)
class Ask:
    """A person is to say whether the step with this index is to be run."""

    step: int


@dataclass(frozen=True, slots=True)
class Skip:
    """The step with this index is not run, for this reason."""

    step: int
    why: str


def following(day: GameDay, done: Sequence[Outcome]) -> Run | Ask | Skip | None:
    """What comes next; None when the day is over."""
    if over_early(done) is not None or len(done) == len(day.steps):
        return None
    index = len(done)
    step = day.steps[index]
    before = last_run(done)
    if not _holds(step.only_if, before):
        shown = before.verdict if before is not None else "not there"
        return Skip(index, f"only if the one before {_WORDS[step.only_if]}, and it was {shown}")
    return Ask(index) if step.confirm else Run(index)


_WORDS: dict[Condition, str] = {"passed": "passed", "failed": "found a weakness", "always": "ended"}


def _holds(condition: Condition, before: Outcome | None) -> bool:
    """With nothing before it, nothing has gone wrong: `passed` holds."""
    code = EXIT_CODE[before.verdict] if before is not None and before.verdict is not None else 0
    match condition:
        case "always":
            return True
        case "passed":
            return code == 0
        case "failed":
            return code == 1


def last_run(done: Sequence[Outcome]) -> Outcome | None:
    """The last step that was not skipped."""
    return next((one for one in reversed(done) if one.status != "skipped"), None)


def over_early(done: Sequence[Outcome]) -> str | None:
    """Why the day ends before its last step; None when it does not."""
    last = last_run(done)
    if last is None:
        return None
    if last.status == "declined":
        return f"somebody did not want {last.experiment} to be run"
    if last.status == "frozen":
        return f"{last.experiment} could not be run: {last.sentence}"
    if last.verdict in ENDS_THE_DAY:
        return f"{last.experiment} was {last.verdict}: {MEANING[last.verdict]}"
    return None
