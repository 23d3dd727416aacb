"""crash: the main process of a replica dies by itself, and whoever watches over the container may start it again.

In real life: a segmentation fault in a native library, an assertion, a corrupt model file. Unlike `kill`, the engine takes it for
the program's own death: a restart policy heals it within a second, so that only a restart count or a short gap can tell.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from chaos.faults.base import Example
from chaos.faults.containers import ContainerFault


class Crash(ContainerFault):
    """The main process of so many containers gets a SIGKILL from the host; the undo sees to it that they run again."""

    must = "restart count, availability, replica count"
    examples: ClassVar = (
        Example(
            "{fault: crash, target: loan-model, duration: 30s}",
            does="the main process of 1 container of loan-model dies (SIGKILL); a restart policy may heal it",
        ),
        Example("{fault: crash, target: loan-model, containers: 0, duration: 30s}", refused="at least 1"),
    )

    fault: Literal["crash"] = "crash"

    def explain(self) -> str:
        """One plain sentence."""
        return f"the main process of {self.those()} dies (SIGKILL); a restart policy may heal it"
