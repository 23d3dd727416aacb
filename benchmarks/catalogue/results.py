"""What one run of the catalogue showed, as a value and as a file: from the journal alone. Pure, apart from the two that say so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from chaos.coverage.tried import fired_in
from chaos.detection import Gate
from chaos.journal import Line
from chaos.judging import judge
from chaos.judging.trace import Trace, trace

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Told:
    """One expected alert: what became of it, and the seconds from the first effect to its firing and to its delivery."""

    alert: str
    outcome: str
    fired_s: float | None
    delivered_s: float | None


@dataclass(frozen=True, slots=True)
class Result:
    """One fault's run. `fired` has every alert of the system that fired after the first effect: the seconds until then."""

    fault: str
    experiment: str
    date: str
    verdict: str
    sentence: str
    explain: str
    seed: str
    hurt: int
    lasted_s: float
    told: tuple[Told, ...]
    fired: dict[str, float]
    quiet: tuple[str, ...]
    versions: dict[str, str]

    @property
    def caught(self) -> bool:
        """Whether every expected alert told, in a run that proves something."""
        return self.verdict == "confirmed" and bool(self.told)


def result_of(lines: Sequence[Line], *, date: str, rules: Sequence[str], versions: dict[str, str]) -> Result:
    """What the journal says. `rules` names every alert that the run listened to."""
    seen, verdict = trace(lines), judge(lines)
    (fault, *_) = [effect for effect in seen.plan.faults() if effect.fault is not None]
    # An alert may be seen to fire before the query that shows another tool's effect is: the detection knows.
    expected = {one.alert: one.stage(Gate.firing).after_s for one in verdict.detections}
    sure = {alert: round(after_s, 1) for alert, after_s in expected.items() if after_s is not None}
    fired = dict(sorted((sure | fired_in(seen)).items(), key=lambda one: one[1]))
    told = [_told(detection.alert, seen, fired, detection.outcome) for detection in verdict.detections]
    first, removed = seen.first_effect(), seen.removal()
    return Result(
        fault=fault.fault or "",
        experiment=seen.plan.experiment,
        date=date,
        verdict=verdict.verdict,
        sentence=verdict.sentence,
        explain=fault.explain,
        seed=seen.plan.seed,
        hurt=sum(effect.hurt for effect in verdict.effects),
        lasted_s=round(removed - first, 1) if first is not None and removed is not None else 0.0,
        told=tuple(told),
        fired=fired,
        quiet=tuple(sorted(set(rules) - set(fired))),
        versions=versions,
    )


def _told(alert: str, seen: Trace, fired: dict[str, float], outcome: str) -> Told:
    first = seen.first_effect()
    arrived = [
        one.received_at_wall_s - first
        for one in seen.deliveries
        if first is not None and one.status == "firing" and one.labels.get("alertname") == alert
        if one.received_at_wall_s >= first
    ]
    return Told(alert, outcome, fired.get(alert), round(min(arrived), 1) if arrived else None)


_ADAPTER: TypeAdapter[Result] = TypeAdapter(Result)


def stored(folder: Path = FOLDER) -> dict[str, Result]:
    """Fault → its stored result. Reads files."""
    found = (_ADAPTER.validate_json(path.read_text()) for path in sorted(folder.glob("*.json")))
    return {result.fault: result for result in found}


def store(result: Result, folder: Path = FOLDER) -> Path:
    """The result has taken the place of the one before; where. Writes a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.fault}.json"
    path.write_text(json.dumps(asdict(result), indent=1) + "\n")
    return path
