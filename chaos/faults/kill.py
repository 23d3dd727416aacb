"""kill: the container of a replica dies at once.

In real life: the out-of-memory killer, a node that reboots, an eviction. Health checks see it; what is left has to carry the
load, and somebody should be told before the next one goes.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Example, Fault


class Kill(Fault):
    """So many containers of the target are killed; the undo brings the same ones back."""

    acts_on = "container"
    family = "containers"
    must = "availability, saturation, replica count"
    quiet = "quality"
    examples: ClassVar = (
        Example(
            "{fault: kill, target: loan-model, duration: 30s}",
            does="1 container of loan-model dies at once (SIGKILL) and stays down",
        ),
        Example("{fault: kill, target: loan-model, containers: 0, duration: 30s}", refused="at least 1"),
    )

    fault: Literal["kill"] = "kill"
    containers: int = Field(1, ge=1, le=1000, description="how many of the target's containers")

    def explain(self) -> str:
        """One plain sentence."""
        many = "containers" if self.containers > 1 else "container"
        return f"{self.containers} {many} of {self.target} dies at once (SIGKILL) and stays down"
