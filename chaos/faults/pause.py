"""pause: the container of a replica freezes: it holds its connections and answers nothing.

In real life: a long garbage collection, a stuck disk, a virtual machine that is being moved. Nothing is refused, everything
waits, and only a time-out can tell.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Example, Fault


class Pause(Fault):
    """So many containers of the target are paused; the undo brings the same ones back."""

    acts_on = "container"
    family = "containers"
    must = "availability, saturation, replica count"
    quiet = "quality"
    examples: ClassVar = (
        Example(
            "{fault: pause, target: loan-model, duration: 30s}",
            does="1 container of loan-model freezes: connections stay open and nothing is answered",
        ),
        Example("{fault: pause, target: loan-model, containers: 0, duration: 30s}", refused="at least 1"),
    )

    fault: Literal["pause"] = "pause"
    containers: int = Field(1, ge=1, le=1000, description="how many of the target's containers")

    def explain(self) -> str:
        """One plain sentence."""
        many = "containers" if self.containers > 1 else "container"
        return f"{self.containers} {many} of {self.target} freezes: connections stay open and nothing is answered"
