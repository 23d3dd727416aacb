"""kill: the container of a replica dies at once.

In real life: the out-of-memory killer, a node that reboots, an eviction. Health checks see it; what is left has to carry the
load, and somebody should be told before the next one goes.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from chaos.faults.base import Example
from chaos.faults.containers import ContainerFault


class Kill(ContainerFault):
    """So many containers of the target are killed; the undo brings the same ones back."""

    examples: ClassVar = (
        Example(
            "{fault: kill, target: loan-model, duration: 30s}",
            does="1 container of loan-model dies at once (SIGKILL) and stays down",
        ),
        Example("{fault: kill, target: loan-model, containers: 0, duration: 30s}", refused="at least 1"),
    )

    fault: Literal["kill"] = "kill"

    def explain(self) -> str:
        """One plain sentence."""
        return f"{self.those()} dies at once (SIGKILL) and stays down"
