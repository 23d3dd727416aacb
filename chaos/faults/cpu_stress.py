"""cpu_stress: something else in the container of a replica burns processor time.

In real life: a debugging session that was left open, a log shipper gone wild, a sidecar in an endless loop. Inside the same limit the
model gets what the others leave.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Example
from chaos.faults.containers import ContainerFault


class CpuStress(ContainerFault):
    """So many busy loops run beside the program in so many containers of the target; the undo ends them."""

    must = "client latency, CPU saturation"
    quiet = "quality, error ratio"
    examples: ClassVar = (
        Example(
            "{fault: cpu_stress, target: loan-model, workers: 2, duration: 30s}",
            does="2 busy loops burn processor time inside 1 container of loan-model",
        ),
        Example("{fault: cpu_stress, target: loan-model, workers: 0, duration: 30s}", refused="at least 1"),
    )

    fault: Literal["cpu_stress"] = "cpu_stress"
    workers: int = Field(1, ge=1, le=64, description="how many busy loops run in each container")

    def explain(self) -> str:
        """One plain sentence."""
        loops = "busy loops burn" if self.workers > 1 else "busy loop burns"
        return f"{self.workers} {loops} processor time inside {self.those()}"
