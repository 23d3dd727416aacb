"""memory_stress: something in the container of a replica eats memory, up to the kernel's out-of-memory killer.

In real life: a leak, a cache without a bound, a request with a huge batch. With `oom: true` nothing is left to chance: the
container dies as a leaking one dies at the end, in the middle of what it does, with exit code 137.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Example
from chaos.faults.containers import ContainerFault
from chaos.units import Size, format_size


class MemoryStress(ContainerFault):
    """So many containers of the target hold more memory, or run out of it; the undo gives it back and starts what died."""

    must = "memory saturation; with oom restart count, availability"
    examples: ClassVar = (
        Example(
            "{fault: memory_stress, target: loan-model, size: 64MB, duration: 30s}",
            does="1 container of loan-model holds 64MB more memory than it needs",
        ),
        Example(
            "{fault: memory_stress, target: loan-model, size: 64MB, oom: true, duration: 30s}",
            does="1 container of loan-model leaks 64MB and may grow no further: the kernel kills its main process",
        ),
        Example("{fault: memory_stress, target: loan-model, size: 64, duration: 30s}", refused="64 has no unit"),
    )

    fault: Literal["memory_stress"] = "memory_stress"
    size: Size = Field(ge=1024 * 1024, le=1024**4, description="how much memory is taken in each container")
    oom: bool = Field(
        False,
        description="whether the container may grow by no more than this, so that the kernel kills its main process",
    )

    def explain(self) -> str:
        """One plain sentence."""
        if self.oom:
            return f"{self.those()} leaks {format_size(self.size)} and may grow no further: the kernel kills its main process"
        return f"{self.those()} holds {format_size(self.size)} more memory than it needs"
