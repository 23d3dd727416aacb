"""Findings → verdict. Computed from the journal alone, by `judge(lines)`. Pure.

Every question that the run asked becomes a finding with its evidence, whatever the others say; the verdict is the worst
that applies, in the order of `ORDER`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from chaos.detection import Detection

VerdictName = Literal[
    "unsafe", "interrupted", "aborted", "invalid", "undetected", "late", "undelivered", "unresolved", "false_alarm",
    "deviated", "inconclusive", "confirmed",
]  # fmt: skip

EXIT_CODE: dict[VerdictName, int] = {
    "unsafe": 5,
    "interrupted": 130,
    "aborted": 4,
    "invalid": 3,
    "undetected": 1,
    "late": 1,
    "undelivered": 1,
    "unresolved": 1,
    "false_alarm": 1,
    "deviated": 1,
    "inconclusive": 3,
    "confirmed": 0,
}
"""Worst first: the verdict of a run is the first of these that any finding carries."""

MEANING: dict[VerdictName, str] = {
    "unsafe": "something could not be undone",
    "interrupted": "somebody ended the run; everything is undone",
    "aborted": "a guard ended the run; everything is undone",
    "invalid": "the run proves nothing: the fault did not happen as planned, or what it is judged by was broken",
    "undetected": "the fault happened and nobody would have noticed",
    "late": "monitoring noticed, but too late",
    "undelivered": "the alert fired, but nobody was told",
    "unresolved": "the alert did not resolve in time after the fault was gone",
    "false_alarm": "an alert fired that nobody expected",
    "deviated": "the system did not hold what it should have held",
    "inconclusive": "no weakness was proven, and something stayed open",
    "confirmed": "every expectation was met",
}

TOLD = frozenset({"detected", "unresolved"})
"""Outcomes of an alert that told in time; what became of it afterwards is another question."""
UNKNOWN = frozenset({"undecided", "not_observed", "invalid"})
"""Outcomes of an alert that are neither a miss nor a catch."""
PROVES_NOTHING: frozenset[VerdictName] = frozenset({"unsafe", "interrupted", "aborted", "invalid"})
"""Verdicts of runs from whose alerts nothing follows."""

Half = Literal["safety", "validity", "resilience", "detection"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One answered question. `verdict` is what it makes of the run by itself: confirmed when all is well."""

    half: Half
    question: str
    verdict: VerdictName
    answer: str
    evidence: Mapping[str, str | float | int | None] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether it speaks for the hypothesis."""
        return self.verdict == "confirmed"


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of the run, as it really was."""

    name: str
    start_wall_s: float
    end_wall_s: float


@dataclass(frozen=True, slots=True)
class EffectDone:
    """One effect that hurt: what was done, when, and when it was taken back."""

    id: str
    target: str
    explain: str
    first_effect_wall_s: float | None
    removed_wall_s: float | None
    hurt: int
    """Changed rows, injected errors, delayed requests, or containers."""
    apply_call: str = ""
    undo_call: str = ""


@dataclass(frozen=True, slots=True)
class ArmRow:
    """What the load saw of one arm while the fault was on. Shares are None without data; intervals are 95 %."""

    arm: str
    requests: int
    errors: int
    labelled: int
    wrong: int
    error_share: float | None
    wrong_share: float | None
    wrong_interval: tuple[float, float] | None = None
    p99_s: float | None = None


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """One steady-state probe over the phases: its value in each, None where it was not read."""

    title: str
    unit: str
    bound: str
    baseline: float | None
    fault: float | None
    recovery: float | None
    role: Literal["harm", "hold", "watched"]
    verdict: VerdictName


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run showed."""

    run: str
    experiment: str
    description: str
    system: str
    verdict: VerdictName
    exit_code: int
    sentence: str
    findings: tuple[Finding, ...]
    detections: tuple[Detection, ...]
    phases: tuple[Phase, ...]
    effects: tuple[EffectDone, ...]
    arms: tuple[ArmRow, ...]
    probes: tuple[ProbeRow, ...]
    load: Mapping[str, float | int | None]
    started_wall_s: float
    ended_wall_s: float
    version: str
    seed: str

    def to_json(self) -> str:
        """`verdict.json`: stable keys, one object, two spaces. JSON knows no NaN and no infinity: they become null."""
        return json.dumps(_finite(asdict(self)), indent=2, allow_nan=False)


def _finite(value: object) -> object:
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {key: _finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
        case _:
            return value
