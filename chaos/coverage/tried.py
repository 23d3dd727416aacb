"""What one run says of one fault and of every alert that was listened to. Computed from the journal alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from chaos.detection import Gate
from chaos.journal import Line
from chaos.judging import judge
from chaos.judging.trace import Trace, trace
from chaos.telemetry import carries
from chaos.verdict import PROVES_NOTHING, TOLD, UNKNOWN, Verdict, VerdictName

State = Literal["broken", "held", "unknown"]


@dataclass(frozen=True, slots=True)
class Told:
    """One expected alert: its outcome, the first gate that failed, and the seconds from the first effect until somebody was told."""

    alert: str
    outcome: str
    gate: str | None
    after_s: float | None
    within_s: float | None


@dataclass(frozen=True, slots=True)
class Tried:
    """One fault in one run. `state` says whether the system left its steady state; `fired` has the alerts that fired beside the
    expected ones, with the seconds from the first effect. `severity` is the share of traffic that was hurt.
    """

    run: str
    experiment: str
    system: str
    fault: str
    explain: str
    at_wall_s: float
    verdict: VerdictName
    state: State
    severity: float
    told: tuple[Told, ...]
    fired: Mapping[str, float]
    harmed: tuple[str, ...] = ()
    """The steady-state probes that left their bounds."""
    folder: str = ""
    projected: bool = False
    """Whether its alerts were judged by a projection to all traffic: that proves nothing of them."""
    swept: bool = False
    """Whether it is one run of a sweep: the less severe ones look for the least that is noticed, and are no lapse when it is not."""
    swept_rank: float = 0.0
    """The larger, the more severe among the runs of its sweep."""
    beside: tuple[str, ...] = ()
    """Other faults of the same run: what was told was told of all of them together."""

    @property
    def proves(self) -> bool:
        """Whether the run proves anything about its faults: one whose alerts were only projected does not."""
        return self.verdict not in PROVES_NOTHING and not (self.projected and not self.caught)

    @property
    def caught(self) -> bool:
        """Whether somebody was told in time: by an expected alert, or where none was expected by any that fired."""
        return any(one.outcome in TOLD for one in self.told) if self.told else bool(self.fired)

    @property
    def undecided(self) -> bool:
        """Whether nobody can say that nobody was told: of an expected alert too little was seen."""
        return not self.caught and any(one.outcome in UNKNOWN for one in self.told)


def tried(lines: Sequence[Line], folder: str = "") -> list[Tried]:
    """Each fault of the run. Raises BrokenJournal when the lines are no run."""
    seen, verdict = trace(lines), judge(lines)
    state, harmed = state_of(verdict)
    expected = {alert.alert for alert in seen.plan.alerts}
    told = tuple(_told(verdict, seen))
    fired = {name: after_s for name, after_s in fired_in(seen).items() if name not in expected}
    arms = any(effect.kind in ("proxy", "load") and not effect.whole for effect in seen.plan.faults())
    faults = {effect.fault: effect for effect in seen.plan.faults() if effect.fault is not None}
    return [
        Tried(
            run=seen.started.run,
            experiment=seen.plan.experiment,
            system=seen.plan.system,
            fault=name,
            explain=effect.explain,
            at_wall_s=seen.first_wall_s,
            verdict=verdict.verdict,
            state=state,
            severity=seen.plan.traffic if arms else 1.0,
            told=told,
            fired=fired,
            harmed=harmed,
            folder=folder,
            projected=seen.plan.judge == "projected",
            swept=seen.plan.swept is not None,
            swept_rank=seen.plan.swept_rank,
            beside=tuple(other for other in faults if other != name),
        )
        for name, effect in faults.items()
    ]


def state_of(verdict: Verdict) -> tuple[State, tuple[str, ...]]:
    """Broken when any probe left its bound, held when every one that was asked of kept it."""
    harmed = tuple(
        row.title
        for row in verdict.probes
        if (row.role == "harm" and row.verdict == "confirmed") or (row.role == "hold" and row.verdict == "deviated")
    )
    if harmed:
        return "broken", harmed
    holds = [row.verdict for row in verdict.probes if row.role == "hold"]
    return ("held" if holds and all(one == "confirmed" for one in holds) else "unknown"), ()


def _told(verdict: Verdict, seen: Trace) -> list[Told]:
    would = {one.alert for one in seen.projected.alerts if one.told} if seen.projected is not None else set()
    return [
        Told(
            one.alert,
            "projected" if one.alert in would and one.outcome != "detected" else one.outcome,
            one.failed_gate.value if one.failed_gate is not None and one.outcome != "detected" else None,
            one.told_after_s if one.told_after_s is not None else one.stage(Gate.firing).after_s,
            one.within_s,
        )
        for one in verdict.detections
    ]


def fired_in(seen: Trace) -> dict[str, float]:
    """Alert → seconds from the first effect to the first look at which it fired, of those of this system that began after it."""
    first = seen.first_effect()
    found: dict[str, float] = {}
    for look in seen.alerts if first is not None else ():
        for alert in look.alerts:
            mine = carries(alert.labels, seen.plan.match) and alert.state == "firing"
            if mine and first is not None and alert.active_at_wall_s >= first:
                found.setdefault(alert.name, round(look.at_wall_s - first, 1))
    return found
