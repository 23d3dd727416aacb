"""Journals made by hand: one run that confirms everything, and knobs that spoil it one cause at a time. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from chaos.engine import Trigger
from chaos.events import (
    Applied,
    Apply,
    Collected,
    LoadStarted,
    LoadStopped,
    Observed,
    Record,
    RunStarted,
    StartLoad,
    State,
    StateEntered,
    StopLoad,
    Undo,
    Undone,
)
from chaos.exposure import ArmSample, Sample
from chaos.journal import Line, chain, from_text
from chaos.observation import (
    AlertSeen,
    AlertsRead,
    ArmTraffic,
    Delivered,
    DeliveriesRead,
    FaultTraffic,
    LoadRead,
    ProbeReading,
    ProxyRead,
    RoutedAlert,
    RoutedRead,
    SeriesRead,
)
from chaos.plans import Plan, PlannedProbe
from tests.worlds import PLAN

WALL = 1_700_000_000.0
LABELS = {"alertname": "ModelAccuracyLow", "severity": "page", "service": "loan"}
AVAILABILITY = PlannedProbe(
    "availability", "up[$window]", "count", "ratio", "higher", "inconclusive", 30, "load", True, "availability",
    "99%", None, True,
)  # fmt: skip
JUDGED = replace(PLAN, probes=(*PLAN.probes, AVAILABILITY), holds=("availability",))
"""The plan of `tests/worlds.py`, with something that should hold besides what should break."""

Entry = tuple[float, Record]
"""Seconds into the run, and what the journal says then."""


@dataclass(frozen=True, slots=True)
class Story:
    """What happens in a run; the defaults confirm every expectation. Times are seconds into the run, None is never."""

    plan: Plan = JUDGED
    baseline: float = 6.0
    inject: float = 16.0
    effect: float | None = 16.5
    pending: float | None = 20.2
    firing: float | None = 25.2
    active: float | None = 25.9
    suppressed: bool = False
    delivered: float | None = 26.4
    undo: float = 27.0
    undo_why: str = Trigger.decided.value
    recovery_why: str = Trigger.settled.value
    resolved: float | None = 35.0
    recovered: float = 40.0
    changed_rows: int = 40
    untouched: int = 60
    treatment_per_s: int = 4
    control_per_s: int = 36
    control_wrong_under_fault: int = 2
    treatment_wrong_in_baseline: int = 0
    """Of the treatment arm's answers, in each of the first four seconds of the baseline."""
    asked: float = 40.0
    accuracy: tuple[float, float, float] = (0.94, 0.84, 0.93)
    """Baseline, fault, recovery."""
    availability: tuple[float, float, float] = (1.0, 1.0, 1.0)
    counted: float = 400.0
    others: tuple[AlertSeen, ...] = ()
    """Alerts of nobody's expectation, seen from the first effect until the undo."""
    unhealthy: dict[str, str] = field(default_factory=dict)

    def entries(self) -> list[Entry]:
        """The run's records, in order of time."""
        found = [*self._course(), *self._looks(), *self._end()]
        return sorted(found, key=lambda entry: entry[0])

    def lines(self) -> list[Line]:
        """The journal as a reader has it."""
        return lines_of(self.entries())

    # --- what the machine does ----------------------------------------------------------------------------------------

    def _course(self) -> Iterable[Entry]:
        yield 0.0, RunStarted("run-1", "0.1.0", "name: quick", self.plan.to_json())
        yield 0.01, StateEntered(State.preflight, "the plan is accepted")
        yield 0.02, Apply("hold@model")
        yield 0.1, Applied("hold@model", WALL + 0.1, "PUT /runs/run-1")
        yield 0.2, StartLoad()
        yield 0.9, LoadStarted()
        yield 1.0, StateEntered(State.warmup, Trigger.ready.value)
        yield self.baseline, StateEntered(State.baseline, Trigger.warm.value)
        yield self.inject, StateEntered(State.inject, Trigger.met.value)
        yield self.inject + 0.01, Apply("fault-0@model")
        yield self.inject + 0.1, Applied("fault-0@model", WALL + self.inject + 0.1, "PUT /runs/run-1 with 1 faults")
        yield self.undo, StateEntered(State.undo, self.undo_why)
        yield self.undo + 0.01, Undo("fault-0@model", 1)
        yield self.undo + 0.02, Undo("hold@model", 1)
        yield self.undo + 0.1, Undone("fault-0@model", 1, WALL + self.undo + 0.1, "DELETE /runs/run-1")
        yield self.undo + 0.11, Undone("hold@model", 1, WALL + self.undo + 0.1, "DELETE /runs/run-1")
        yield self.undo + 0.2, StateEntered(State.recovery, Trigger.clean.value)
        yield self.recovered, StateEntered(State.collect, self.recovery_why)
        yield self.recovered + 0.01, StopLoad()

    def _end(self) -> Iterable[Entry]:
        yield self.recovered + 0.5, Collected(tuple(self._series()), tuple(self._windows()))
        yield self.recovered + 0.6, LoadStopped()
        yield self.recovered + 0.7, StateEntered(State.ended, Trigger.collected.value)

    # --- what is seen -------------------------------------------------------------------------------------------------

    def _looks(self) -> Iterable[Entry]:
        second = 1
        while second + 1.0 < self.recovered:
            at = second + 1.0
            hurt = self.effect is not None and self.effect <= at - 1.0 < self.undo
            yield at, Observed(LoadRead((self._sample(second, at, hurt=hurt),)))
            yield at + 0.1, Observed(self._proxy(second, at + 0.1))
            yield at + 0.2, Observed(AlertsRead(WALL + at + 0.2, self._alerts(at + 0.2), self._sick(at)))
            yield at + 0.3, Observed(RoutedRead(WALL + at + 0.3, self._routed(at + 0.3)))
            yield at + 0.4, Observed(DeliveriesRead(self._deliveries(at - 0.6, at + 0.4)))
            second += 1

    def _sick(self, at: float) -> dict[str, str]:
        return self.unhealthy if self.inject <= at < self.undo else {}

    def _sample(self, second: int, at: float, *, hurt: bool) -> Sample:
        treated, spared = self.treatment_per_s, self.control_per_s
        early = self.baseline <= at < self.baseline + 4.0
        wrong = treated if hurt else self.treatment_wrong_in_baseline if early else 0
        control_wrong = self.control_wrong_under_fault if hurt else 2
        arms = {
            "treatment": ArmSample(treated, treated, 0, treated, 0, treated, wrong, {"0.1": treated}),
            "control": ArmSample(spared, spared, 0, spared, 0, spared, control_wrong, {"0.1": spared}),
        }
        return Sample(second, WALL + at, self.asked, treated + spared, 0, 1, 1.0, arms)

    def _proxy(self, second: int, at: float) -> ProxyRead:
        treated, spared = self.treatment_per_s * second, self.control_per_s * second
        faults: tuple[FaultTraffic, ...] = ()
        if at > self.inject:
            done = self.changed_rows if self.effect is not None and at >= self.effect else 0
            first = WALL + self.effect if self.effect is not None and done else None
            faults = (FaultTraffic(0, done, done, done, first_effect_wall_s=first),)
        return ProxyRead(
            target="model",
            at_wall_s=WALL + at,
            state="armed" if at < self.undo else "disarmed",
            treatment=ArmTraffic(treated, treated),
            control=ArmTraffic(spared, spared),
            faults=faults,
            untouched=self.untouched if at > self.undo + 1.0 else 0,
        )

    def _alerts(self, at: float) -> tuple[AlertSeen, ...]:
        """As Prometheus has them: it knows a resolve before the receiver does."""
        found: list[AlertSeen] = []
        gone = self.resolved - 0.1 if self.resolved is not None else float("inf")
        if self.pending is not None and self.pending <= at < (gone if self.firing is not None else self.pending + 2.0):
            state = "firing" if self.firing is not None and self.firing <= at else "pending"
            found.append(AlertSeen("ModelAccuracyLow", LABELS, state, WALL + self.pending, 0.85))
        if self.effect is not None and self.effect <= at < self.undo:
            found += self.others
        return tuple(found)

    def _routed(self, at: float) -> tuple[RoutedAlert, ...]:
        if self.active is None or at < self.active or (self.resolved is not None and at >= self.resolved):
            return ()
        state = "suppressed" if self.suppressed else "active"
        silenced = ("s1",) if self.suppressed else ()
        return (RoutedAlert("f1", LABELS, state, WALL + (self.firing or self.active), silenced, (), ("oncall",)),)

    def _deliveries(self, after: float, until: float) -> tuple[Delivered, ...]:
        told = (("firing", self.delivered), ("resolved", self.resolved if self.delivered is not None else None))
        return tuple(
            Delivered("oncall", WALL + at, status, "f1", LABELS, WALL + (self.firing or at))  # type: ignore[arg-type]
            for status, at in told
            if at is not None and after < at <= until
        )

    def _series(self) -> Iterable[SeriesRead]:
        reads = []
        for second in range(1, int(self.recovered)):
            low = self.effect is not None and self.effect + 2.0 <= second < self.undo
            reads.append((WALL + second, 0.85 if low else 0.94 + 0.001 * (second % 3)))
        yield SeriesRead("signal:ModelAccuracyLow", "accuracy", {}, tuple(reads))
        gone = self.resolved - 0.1 if self.resolved is not None else self.recovered
        for state, begin, end in (("pending", self.pending, self.firing), ("firing", self.firing, gone)):
            if begin is not None:
                until = end if end is not None else begin + 2.0
                moments = tuple((WALL + begin + step, 1.0) for step in range(max(1, int(until - begin + 0.999))))
                yield SeriesRead(f"alert:ModelAccuracyLow:{state}", "ALERTS", LABELS, moments)

    def _windows(self) -> Iterable[tuple[str, ProbeReading]]:
        ends = {"baseline": self.inject, "fault": self.undo, "recovery": self.recovered}
        for title, values in (("accuracy", self.accuracy), ("availability", self.availability)):
            for (phase, end), value in zip(ends.items(), values, strict=True):
                yield phase, ProbeReading(title, "phase", 10.0, WALL + end, (value,), self.counted)


SILENT = Story(
    pending=None, firing=None, active=None, delivered=None, resolved=None, undo=46.0, undo_why=Trigger.over.value,
    recovered=60.0,
)  # fmt: skip
"""The fault is on for all its thirty seconds and no alert says a word."""


def lines_of(entries: Iterable[Entry]) -> list[Line]:
    """The journal that holds these records."""
    return [from_text(text) for text in chain((at_s, WALL + at_s, record) for at_s, record in entries)]


def without(entries: Iterable[Entry], unwanted: Callable[[Record], bool]) -> list[Entry]:
    """The entries but for the unwanted ones."""
    return [entry for entry in entries if not unwanted(entry[1])]


def until(entries: Iterable[Entry], at_s: float) -> list[Entry]:
    """The entries before this moment: the runner died in it."""
    return [entry for entry in entries if entry[0] < at_s]


def among(entries: Iterable[Entry], *more: Entry) -> list[Entry]:
    """The entries with more of them, in order of time."""
    return sorted([*entries, *more], key=lambda entry: entry[0])
