"""cpu_limit: a replica gets less processor time than it needs.

In real life: a CPU limit that was set for yesterday's traffic, a cheaper machine type, throttling that nobody graphs. The replica is
up and right and slow, and the slower it gets the more waits in front of it.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Example
from chaos.faults.containers import ContainerFault


class CpuLimit(ContainerFault):
    """So many containers of the target may use no more than so much processor time; the undo gives back what they had."""

    must = "client latency, CPU throttling, saturation"
    quiet = "quality, error ratio until clients give up"
    examples: ClassVar = (
        Example(
            "{fault: cpu_limit, target: loan-model, cpus: 0.2, duration: 30s}",
            does="1 container of loan-model may use no more than 0.2 CPUs",
        ),
        Example("{fault: cpu_limit, target: loan-model, cpus: 0, duration: 30s}", refused="at least 0.01"),
    )

    fault: Literal["cpu_limit"] = "cpu_limit"
    cpus: float = Field(ge=0.01, le=1024, description="how many CPUs' worth of time a container may use, such as 0.2")

    def explain(self) -> str:
        """One plain sentence."""
        return f"{self.those()} may use no more than {self.cpus:g} CPUs"
