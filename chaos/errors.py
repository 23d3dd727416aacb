"""Every error this product raises on purpose, each with its exit code.

    ChaosError
    ├── InvalidFile      2   the files are wrong: all problems at once
    ├── Refused          3   the plan or the preflight says no, with every reason
    │   └── Frozen       3   the system's calendar says that nothing may be hurt now
    ├── Unreachable      3   something remote did not answer, or answered nonsense
    │   └── Unanswered   3   it may still do what it was asked
    ├── NotUndone        5   something could not be undone; carries the command to do it by hand
    └── MissingTool      3   a program that this needs is not on the machine

A broken hypothesis is a verdict and not an exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


class ChaosError(Exception):
    """The root: catching it catches everything that this product raises on purpose."""

    exit_code: ClassVar[int] = 3


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a file, placed where the reader will look: 1-based line and column, 0 when there is no place."""

    path: str
    line: int
    column: int
    where: str
    message: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        return f"{place}: {self.where}: {self.message}" if self.where else f"{place}: {self.message}"


class InvalidFile(ChaosError):
    """A file that people wrote is wrong. `problems` holds every mistake, in file order."""

    exit_code: ClassVar[int] = 2

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Refused(ChaosError):
    """The run must not begin. `reasons` holds every one of them, each with what to do instead."""

    def __init__(self, reasons: list[str]) -> None:
        self.reasons = reasons
        super().__init__("\n".join(reasons))


class Frozen(Refused):
    """The system is frozen: nothing may be hurt before `until` (None: for more than a year)."""

    def __init__(self, reasons: list[str], until: datetime | None) -> None:
        self.until = until
        super().__init__(reasons)


class Unreachable(ChaosError):
    """Something remote did not answer in time, or answered what cannot be understood."""


class Unanswered(Unreachable):
    """The call was given up without an answer: what was asked may still be done, later."""


class MissingTool(ChaosError):
    """A program that is needed is not on the machine; the message says how to get it."""


class NotUndone(ChaosError):
    """An effect could not be undone; `by_hand` is the command that does it."""

    exit_code: ClassVar[int] = 5

    def __init__(self, message: str, by_hand: str) -> None:
        self.by_hand = by_hand
        super().__init__(message)
