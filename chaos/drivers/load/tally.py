"""Counts what the load saw, second by second, arm by arm. Pure; bounded by arms and slices, never by the rate."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from chaos.exposure import Touched

MOST_SLICES = 50

Deed = Literal["shifted", "relabelled", "lost", "delayed"]
"""What a fault of the load can do to a request or to its outcome; see `chaos.exposure.Touched`."""


@dataclass(slots=True)
class _Slice:
    answered: int = 0
    positive: int = 0
    labelled: int = 0
    wrong: int = 0


@dataclass(slots=True)
class _Repeats:
    labelled: int = 0
    wrong: int = 0
    latency_le: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Arm:
    sent: int = 0
    answered: int = 0
    errors: int = 0
    first: int = 0
    first_errors: int = 0
    labelled: int = 0
    wrong: int = 0
    latency_le: dict[str, int] = field(default_factory=dict)
    slices: dict[str, _Slice] = field(default_factory=dict)
    told: int = 0
    faults: dict[str, Touched] = field(default_factory=dict)
    repeats: _Repeats = field(default_factory=_Repeats)
    first_decided: int = 0
    first_positive: int = 0
    first_latency_s: float = 0.0
    first_latency_squares: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One answer, or its absence. `latency_s` counts from the intended start; None where a thing is not known."""

    arm: str
    first: bool
    error: bool
    latency_s: float
    slice: str | None = None
    positive: bool | None = None
    wrong: bool | None = None


class Tally:
    """The second that is going on."""

    def __init__(self, bounds_s: tuple[float, ...]) -> None:
        self._bounds = [(bound, f"{bound:g}") for bound in bounds_s]
        self._fresh()

    def _fresh(self) -> None:
        self.sent = 0
        self.unsent = 0
        self.late_ms = 0.0
        self.feedback_sent = 0
        self.feedback_failed = 0
        self._arms: dict[str, _Arm] = {}

    def _arm(self, name: str) -> _Arm:
        return self._arms.setdefault(name, _Arm(latency_le={text: 0 for _, text in self._bounds}))

    def send(self, arm: str, late_s: float) -> None:
        """One request was sent, so much later than intended."""
        self.sent += 1
        self.late_ms = max(self.late_ms, late_s * 1000)
        self._arm(arm).sent += 1

    def answer(self, outcome: Outcome) -> None:
        """One answer came, or failed to."""
        arm = self._arm(outcome.arm)
        arm.answered += 1
        arm.errors += outcome.error
        arm.first += outcome.first
        arm.first_errors += outcome.first and outcome.error
        for bound, text in self._bounds:
            arm.latency_le[text] += outcome.latency_s <= bound
        arm.labelled += outcome.wrong is not None
        arm.wrong += bool(outcome.wrong)
        if outcome.first:
            self._first(arm, outcome)
        else:
            self._again(arm.repeats, outcome)

    def _first(self, arm: _Arm, outcome: Outcome) -> None:
        """What only the first request of a subject is evidence of."""
        arm.first_decided += outcome.positive is not None
        arm.first_positive += bool(outcome.positive)
        arm.first_latency_s += outcome.latency_s
        arm.first_latency_squares += outcome.latency_s**2
        if outcome.slice is None or (outcome.slice not in arm.slices and len(arm.slices) >= MOST_SLICES):
            return
        part = arm.slices.setdefault(outcome.slice, _Slice())
        part.answered += 1
        part.positive += bool(outcome.positive)
        part.labelled += outcome.wrong is not None
        part.wrong += bool(outcome.wrong)

    def _again(self, repeats: _Repeats, outcome: Outcome) -> None:
        """A subject that was counted before."""
        repeats.labelled += outcome.wrong is not None
        repeats.wrong += bool(outcome.wrong)
        for bound, text in self._bounds:
            repeats.latency_le[text] = repeats.latency_le.get(text, 0) + (outcome.latency_s <= bound)

    def tell(self, arm: str) -> None:
        """One outcome was sent back."""
        self.feedback_sent += 1
        self._arm(arm).told += 1

    def touch(self, arm: str, index: int, deed: Deed, wall_s: float) -> None:
        """One fault did something to one request of this arm, or to its outcome."""
        done = Touched(**{deed: 1}, first_wall_s=wall_s, last_wall_s=wall_s)
        faults = self._arm(arm).faults
        faults[str(index)] = faults.get(str(index), Touched()).plus(done)

    def close(self, second: int, wall_s: float, asked: float, in_flight: int) -> dict[str, Any]:
        """The second as a row of samples.jsonl; a fresh one begins."""
        row = {
            "second": second,
            "wall_s": wall_s,
            "asked": asked,
            "sent": self.sent,
            "unsent": self.unsent,
            "in_flight": in_flight,
            "late_ms": round(self.late_ms, 3),
            "arms": {name: asdict(arm) for name, arm in self._arms.items()},
            "feedback_sent": self.feedback_sent,
            "feedback_failed": self.feedback_failed,
        }
        self._fresh()
        return row
