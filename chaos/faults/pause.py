"""pause: the container of a replica freezes: it holds its connections and answers nothing.

In real life: a long garbage collection, a stuck disk, a virtual machine that is being moved. Nothing is refused, everything
waits, and only a time-out can tell.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from chaos.faults.base import Example
from chaos.faults.containers import ContainerFault


class Pause(ContainerFault):
    """So many containers of the target are paused; the undo brings the same ones back."""

    examples: ClassVar = (
        Example(
            "{fault: pause, target: loan-model, duration: 30s}",
            does="1 container of loan-model freezes: connections stay open and nothing is answered",
        ),
        Example("{fault: pause, target: loan-model, containers: 0, duration: 30s}", refused="at least 1"),
    )

    fault: Literal["pause"] = "pause"

    def explain(self) -> str:
        """One plain sentence."""
        return f"{self.those()} freezes: connections stay open and nothing is answered"
