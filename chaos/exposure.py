"""What the run's own load counted: per second, per arm, per slice. Values; the journal and the judge read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SliceCounts:
    """One slice (a group of subjects) of one arm in one second, by the first requests of its subjects.

    `positive` counts positive decisions.
    """

    answered: int = 0
    positive: int = 0
    labelled: int = 0
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class Touched:
    """What one fault of the load did to one arm in one second; times are of its first and its last deed in it.

    `shifted` counts requests that were made of another row, or that turn out differently; the rest counts outcomes.
    """

    shifted: int = 0
    relabelled: int = 0
    lost: int = 0
    delayed: int = 0
    first_wall_s: float | None = None
    last_wall_s: float | None = None

    @property
    def effects(self) -> int:
        """How often the fault really happened."""
        return self.shifted + self.relabelled + self.lost + self.delayed

    def plus(self, later: Touched) -> Touched:
        """Both together; `later` comes after this one."""
        return Touched(
            self.shifted + later.shifted,
            self.relabelled + later.relabelled,
            self.lost + later.lost,
            self.delayed + later.delayed,
            self.first_wall_s if self.first_wall_s is not None else later.first_wall_s,
            later.last_wall_s if later.last_wall_s is not None else self.last_wall_s,
        )


@dataclass(frozen=True, slots=True)
class Repeats:
    """What of an arm's counts came of requests that were not the first of their subject: no new evidence of anything."""

    labelled: int = 0
    wrong: int = 0
    latency_le: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ArmSample:
    """One arm in one second.

    `sent` counts requests that were sent in it; the rest counts what was answered in it (errors included). `first` are
    first requests of their subject, which is what statistics count. `latency_le` is cumulative: bound in seconds, as
    text, → answers at most that slow, counted from the intended start. `told` are outcomes that were sent back, `faults` the
    load's own faults (by index, as text) that did something. `repeats` is what statistics leave out of `labelled`, `wrong` and
    `latency_le`. Of first requests alone: `first_decided` had a decision that is known, `first_positive` a positive one, and
    `first_latency_s` and `first_latency_squares` are the sums of their latencies in seconds, and of their squares.
    """

    sent: int = 0
    answered: int = 0
    errors: int = 0
    first: int = 0
    first_errors: int = 0
    labelled: int = 0
    wrong: int = 0
    latency_le: Mapping[str, int] = field(default_factory=dict)
    slices: Mapping[str, SliceCounts] = field(default_factory=dict)
    told: int = 0
    faults: Mapping[str, Touched] = field(default_factory=dict)
    repeats: Repeats = Repeats()
    first_decided: int = 0
    first_positive: int = 0
    first_latency_s: float = 0.0
    first_latency_squares: float = 0.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One second of load that ended at `wall_s`. `late_ms` is the pacer's worst lag in it."""

    second: int
    wall_s: float
    asked: float
    sent: int
    unsent: int
    in_flight: int
    late_ms: float
    arms: Mapping[str, ArmSample] = field(default_factory=dict)
    feedback_sent: int = 0
    feedback_failed: int = 0


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """The whole load. Latencies are Locust's own, in milliseconds; None when it was killed before it could say."""

    seconds: int
    asked_per_s: float
    achieved_per_s: float
    sent: int
    unsent: int
    failures: int
    p50_ms: float | None = None
    p99_ms: float | None = None
