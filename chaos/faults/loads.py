"""Faults in the run's own load: what a request is made of, and what is told of its outcome. What several of them share.

    a row of the data ─▶ draw()     ─▶ Drawn          before a request is made of it
    an outcome is due ─▶ feedback() ─▶ Told | None    before it is told

Both are asked for subjects of the treatment arm alone. As everywhere, chance comes in with the call; the load performs what is
returned, and counts what differs from what went in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from chaos.faults.base import Call, Fault
from chaos.faults.conditions import parse_condition
from chaos.rows import Label

Case = Mapping[str, Any]
"""One row of the load's data."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the request of this number is made of, and its true outcome; None where the data has none."""

    number: int
    row: Case
    label: Label | None


@dataclass(frozen=True, slots=True)
class Told:
    """An outcome that is due: the label that is told, what the model had decided, and how many seconds later it is told."""

    number: int
    label: Label | None
    decision: Label | None
    later_s: float = 0.0


class Population:
    """The load's labelled rows. `labels` are the classes that occur, in an order that does not depend on the rows' order.

    `label` is the column of true outcomes, `positive` the outcome that counts as the positive one; None where nobody said.
    """

    def __init__(self, rows: Sequence[Case], label: str | None, positive: Label | None) -> None:
        self.rows = rows
        self.label = label
        self.positive = positive
        found = {value for row in rows if (value := self.label_of(row)) is not None}
        self.labels: tuple[Label, ...] = tuple(sorted(found, key=lambda value: (type(value).__name__, value)))
        self._meeting: dict[str, Sequence[Case]] = {}
        self._having: dict[bool, Sequence[Case]] = {}

    def label_of(self, row: Case) -> Label | None:
        """The row's true outcome; None where it has none."""
        value = row.get(self.label) if self.label is not None else None
        return value if isinstance(value, (str, int, float, bool)) else None

    def meeting(self, condition: str) -> Sequence[Case]:
        """The rows that meet this condition; looked for once."""
        if condition not in self._meeting:
            parsed = parse_condition(condition)
            self._meeting[condition] = [row for row in self.rows if parsed.meets(row)]
        return self._meeting[condition]

    def having(self, *, positive: bool) -> Sequence[Case]:
        """The rows whose outcome is positive, or those whose outcome is another one; looked for once."""
        if positive not in self._having:
            labels = ((row, self.label_of(row)) for row in self.rows)
            self._having[positive] = [
                row for row, label in labels if label is not None and (label == self.positive) is positive
            ]
        return self._having[positive]

    def other(self, label: Label | None) -> Label | None:
        """The next class after this one; the very same label where nobody knows another."""
        if label is None or label not in self.labels or len(self.labels) < 2:
            return label
        return self.labels[(self.labels.index(label) + 1) % len(self.labels)]


class LoadFault(Fault):
    """A fault that the run's own load performs. It needs no proxy: the load knows every subject's arm."""

    acts_on = "load"
    needs_labels: ClassVar[bool] = False
    """Whether the load must know true outcomes: `request.label` in the system file."""
    needs_feedback: ClassVar[bool] = False
    """Whether outcomes must be told: `feedback` under the experiment's `load`."""

    def unfit(self, population: Population) -> str | None:
        """Why this fault cannot happen with these rows, as a sentence that says what to write instead; None when it can."""
        if self.needs_labels and len(population.labels) < 2:
            return (
                f"{self.fault} needs outcomes of at least two classes, and the load's data has {len(population.labels)}"
            )
        return None

    def draw(self, drawn: Drawn, population: Population, call: Call) -> Drawn:  # noqa: ARG002
        """What a treated subject's request is made of instead; the very same object where nothing is hurt."""
        return drawn

    def feedback(self, told: Told, population: Population, call: Call) -> Told | None:  # noqa: ARG002
        """What is told of a treated subject instead; the very same object where nothing is hurt, None when it is lost."""
        return told


def nobody_meets(fault: Fault, condition: str, population: Population) -> str | None:
    """The sentence about a condition that no row meets; None when some row does."""
    if population.meeting(condition):
        return None
    columns = ", ".join(sorted(map(str, population.rows[0]))[:8]) if population.rows else "no columns"
    return f"{fault.fault}: no row of the load's data meets `where: {condition}`; its columns are {columns}"
