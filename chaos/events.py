"""What the run's state machine hears and says, and what the journal keeps of it: closed unions of values.

events ─▶ Run.step() ─▶ commands        both are records; the journal holds records
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from chaos.exposure import LoadSummary
from chaos.observation import Observation, ProbeReading, ScrapeClock, SeriesRead


class State(StrEnum):
    """Where a run is. The transitions between them stand in `engine.TRANSITIONS`."""

    preflight = "preflight"
    warmup = "warmup"
    baseline = "baseline"
    inject = "inject"
    undo = "undo"
    recovery = "recovery"
    collect = "collect"
    ended = "ended"


Question = Literal["probes", "guards", "alerts", "routed", "deliveries", "proxy", "load", "external"]


# --- commands ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Apply:
    """Make this effect. Journaled and synced before it is performed."""

    effect: str
    kind: Literal["apply"] = "apply"


@dataclass(frozen=True, slots=True)
class Undo:
    """Take this effect back; idempotent. `attempt` counts from 1."""

    effect: str
    attempt: int
    kind: Literal["undo"] = "undo"


@dataclass(frozen=True, slots=True)
class Renew:
    """Renew the lease that this effect lives under."""

    effect: str
    kind: Literal["renew"] = "renew"


@dataclass(frozen=True, slots=True)
class Query:
    """Look once, and say what was seen. `phase_s` is the window of phase readings, None when there is no phase."""

    question: Question
    phase_s: float | None = None
    kind: Literal["query"] = "query"


@dataclass(frozen=True, slots=True)
class StartLoad:
    """The load begins."""

    kind: Literal["start_load"] = "start_load"


@dataclass(frozen=True, slots=True)
class StopLoad:
    """The load ends."""

    kind: Literal["stop_load"] = "stop_load"


@dataclass(frozen=True, slots=True)
class Collect:
    """Fetch the series and the windows that the verdict needs. Wall times are of the phases, None when never reached."""

    windows: tuple[PhaseWindow, ...]
    kind: Literal["collect"] = "collect"


@dataclass(frozen=True, slots=True)
class Finish:
    """The run is over; nothing is to be performed any more."""

    kind: Literal["finish"] = "finish"


@dataclass(frozen=True, slots=True)
class PhaseWindow:
    """When a phase began and ended, in wall-clock seconds."""

    phase: Literal["baseline", "fault", "recovery"]
    start_wall_s: float
    end_wall_s: float


Command = Apply | Undo | Renew | Query | StartLoad | StopLoad | Collect | Finish


# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed. Not journaled."""

    wall_s: float
    kind: Literal["ticked"] = "ticked"


@dataclass(frozen=True, slots=True)
class LoadStarted:
    """The load runs, or does not: `error`."""

    error: str | None = None
    kind: Literal["load_started"] = "load_started"


@dataclass(frozen=True, slots=True)
class LoadStopped:
    """The load has ended."""

    summary: LoadSummary | None = None
    error: str | None = None
    kind: Literal["load_stopped"] = "load_stopped"


@dataclass(frozen=True, slots=True)
class Observed:
    """A query's answer; `question` says to which one, where its kind alone does not."""

    observation: Observation
    kind: Literal["observed"] = "observed"
    question: Question | None = None


@dataclass(frozen=True, slots=True)
class QueryFailed:
    """A query could not be answered."""

    question: Question
    error: str
    kind: Literal["query_failed"] = "query_failed"


@dataclass(frozen=True, slots=True)
class Applied:
    """The Apply call has ended well. `call` says in words what was done; `at_wall_s` when it had been done."""

    effect: str
    at_wall_s: float
    call: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["applied"] = "applied"


@dataclass(frozen=True, slots=True)
class ApplyFailed:
    """The Apply call has ended badly; it may still have taken hold. `may_land`: it got no answer, so it may even take hold later."""

    effect: str
    error: str
    may_land: bool = False
    kind: Literal["apply_failed"] = "apply_failed"


@dataclass(frozen=True, slots=True)
class Undone:
    """This Undo call has ended, and an inspection shows the state before."""

    effect: str
    attempt: int
    at_wall_s: float
    call: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["undone"] = "undone"


@dataclass(frozen=True, slots=True)
class UndoFailed:
    """This Undo call has ended badly."""

    effect: str
    attempt: int
    error: str
    kind: Literal["undo_failed"] = "undo_failed"


@dataclass(frozen=True, slots=True)
class Renewed:
    """The lease lives on; or not: `error`."""

    effect: str
    error: str | None = None
    kind: Literal["renewed"] = "renewed"


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Somebody wants the run to end now: a person, a signal, an error of our own."""

    by: str
    kind: Literal["stop_requested"] = "stop_requested"


@dataclass(frozen=True, slots=True)
class Failed:
    """Something of our own went wrong, such as a journal that cannot be written: the run ends and proves nothing."""

    error: str
    kind: Literal["failed"] = "failed"


@dataclass(frozen=True, slots=True)
class Collected:
    """What Collect fetched, and when each target was last scraped; what could not be fetched is in `errors`."""

    series: tuple[SeriesRead, ...] = ()
    windows: tuple[tuple[str, ProbeReading], ...] = ()
    errors: tuple[str, ...] = ()
    kind: Literal["collected"] = "collected"
    scrapes: tuple[ScrapeClock, ...] = ()


Event = (
    Ticked | LoadStarted | LoadStopped | Observed | QueryFailed | Applied | ApplyFailed | Undone | UndoFailed | Renewed
    | StopRequested | Failed | Collected
)  # fmt: skip


# --- what only the journal knows --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The first record: everything that the verdict needs besides what happens. `plan` is the Plan as JSON text."""

    run: str
    version: str
    experiment: str
    plan: str
    kind: Literal["run_started"] = "run_started"


@dataclass(frozen=True, slots=True)
class StateEntered:
    """The machine is in this state from now on, and why."""

    state: State
    why: str
    kind: Literal["state_entered"] = "state_entered"


@dataclass(frozen=True, slots=True)
class GuardBreached:
    """A guard's bound was broken for as long as it allows, or it could not be read."""

    guard: str
    why: str
    kind: Literal["guard_breached"] = "guard_breached"


@dataclass(frozen=True, slots=True)
class EffectLost:
    """Undoing this effect has failed until the deadline; `by_hand` is what a person must do."""

    effect: str
    by_hand: str
    kind: Literal["effect_lost"] = "effect_lost"


@dataclass(frozen=True, slots=True)
class ProjectedAlert:
    """One expected alert, were all traffic hurt: whether it tells with a chance of nine in ten, and what was seen, in words."""

    alert: str
    told: bool | None
    caught: int
    scenarios: int
    median_s: float | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Projected:
    """What the arms' difference would do to the real rules with all traffic hurt. `error` says why nothing could be projected."""

    source: str = ""
    alerts: tuple[ProjectedAlert, ...] = ()
    error: str | None = None
    kind: Literal["projected"] = "projected"


Note = RunStarted | StateEntered | GuardBreached | EffectLost
Record = (
    Apply | Undo | StartLoad | StopLoad | Collect | LoadStarted | LoadStopped | Observed | QueryFailed | Applied
    | ApplyFailed | Undone | UndoFailed | Renewed | StopRequested | Failed | Collected | RunStarted | StateEntered
    | GuardBreached | EffectLost | Projected
)  # fmt: skip
