"""restart: the container of a replica is stopped in good order and started again at once.

In real life: a deployment, a changed secret, a health check that is too strict. The gap is short; what follows is a cold cache, a
model that is loaded again, and connections that everybody has to open anew.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Example
from chaos.faults.containers import ContainerFault
from chaos.units import Duration, format_duration


class Restart(ContainerFault):
    """So many containers of the target are restarted; the undo sees to it that they run."""

    must = "restart count, availability, replica count"
    examples: ClassVar = (
        Example(
            "{fault: restart, target: loan-model, duration: 30s}",
            does="1 container of loan-model is shut down (SIGTERM, 5s of grace) and started again at once",
        ),
        Example("{fault: restart, target: loan-model, grace: 2, duration: 30s}", refused="2 has no unit"),
    )

    fault: Literal["restart"] = "restart"
    grace: Duration = Field(
        5.0, ge=0.0, le=8.0, description="how long it may take to end by itself before it is killed"
    )

    def explain(self) -> str:
        """One plain sentence."""
        return (
            f"{self.those()} is shut down (SIGTERM, {format_duration(self.grace)} of grace) and started again at once"
        )
