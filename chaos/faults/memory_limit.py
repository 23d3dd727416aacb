"""memory_limit: a replica gets less memory than it may grow to.

In real life: a limit that was copied from a smaller model, a batch that is larger than all before. As long as it fits nothing is to
be seen; what does not fit any more is killed by the kernel, in the middle of a request.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Example
from chaos.faults.containers import ContainerFault
from chaos.units import Size, format_size


class MemoryLimit(ContainerFault):
    """So many containers of the target may use no more than so much memory; the undo gives back what they had."""

    must = "memory saturation, restart count, availability"
    examples: ClassVar = (
        Example(
            "{fault: memory_limit, target: loan-model, size: 256MB, duration: 30s}",
            does="1 container of loan-model may use no more than 256MB of memory; what needs more is killed by the kernel",
        ),
        Example("{fault: memory_limit, target: loan-model, size: 256, duration: 30s}", refused="256 has no unit"),
        Example("{fault: memory_limit, target: loan-model, size: 1MB, duration: 30s}", refused="at least 6291456"),
    )

    fault: Literal["memory_limit"] = "memory_limit"
    size: Size = Field(ge=6 * 1024 * 1024, description="the most memory that a container may use")

    def explain(self) -> str:
        """One plain sentence."""
        return f"{self.those()} may use no more than {format_size(self.size)} of memory; what needs more is killed by the kernel"
