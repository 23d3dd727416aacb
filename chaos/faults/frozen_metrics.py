"""frozen_metrics: an exporter is stuck at what it said once.

In real life: a cache in front of the metrics, an exporter whose collecting thread died while its server lives, a push gateway that
nobody pushes to any more. Targets are up and every series is there; rates fall to nothing, gauges stand still, and nobody looks.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from chaos.faults.base import REMEMBERED_BYTES, Call, Example, Fault


class FrozenMetrics(Fault):
    """The first page of metrics that passes is told again and again."""

    acts_on = "answer"
    whole_target = True
    changes_bytes = True
    edits_bodies = True
    family = "monitoring itself"
    must = "age of a timestamp among the metrics"
    quiet = "`up`, `absent()`: the scrapes succeed"
    examples: ClassVar = (
        Example(
            "{fault: frozen_metrics, target: gateway-metrics, duration: 60s}",
            does="whoever asks gateway-metrics for metrics gets the first page again and again",
        ),
        Example("{fault: frozen_metrics, target: gateway-metrics, duration: 60}", refused="has no unit"),
    )

    fault: Literal["frozen_metrics"] = "frozen_metrics"

    def explain(self) -> str:
        """One plain sentence."""
        return f"whoever asks {self.target} for metrics gets the first page again and again"

    def edit_body(self, body: bytes, call: Call) -> bytes:
        """The first body that passed; a body too large to remember passes as it is."""
        memory = call.memory
        if memory.body is None and len(body) <= REMEMBERED_BYTES:
            memory.body = body
        return body if memory.body is None else memory.body
