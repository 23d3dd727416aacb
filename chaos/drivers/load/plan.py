"""Everything that the load process must know, as one value that goes to it as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class FeedbackPlan:
    """True outcomes: where they are posted, how late, and for which share of answers."""

    url: str
    json: Mapping[str, Any]
    after_s: float
    share: float


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """One load. Templates hold `$row.NAME`, `$answer.id`, `$label`; paths are `$.a.b[0]`.

    `faults` are the load's own, by their index: those that may be switched on, and no others.
    """

    url: str
    rate_per_s: float
    data: str
    run: str
    seed: str
    traffic: float
    by: str
    where: str | None
    request_json: Mapping[str, Any] | None
    request_headers: Mapping[str, str] = field(default_factory=dict)
    synthetic_key: str = ""
    decision_path: str | None = None
    id_path: str | None = None
    label_column: str | None = None
    positive: str | int | float | bool | None = None
    slice_column: str | None = None
    feedback: FeedbackPlan | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    returning: float = 0.0
    limit: int | None = None
    timeout_s: float = 10.0
    pool: int = 300
    latency_le_s: tuple[float, ...] = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)

    def to_json(self) -> str:
        """Text that `from_json` reads back."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> LoadPlan:
        """The plan of `to_json`."""
        row = json.loads(text)
        feedback = FeedbackPlan(**row.pop("feedback")) if row.get("feedback") else row.pop("feedback")
        return LoadPlan(**{**row, "latency_le_s": tuple(row["latency_le_s"])}, feedback=feedback)
