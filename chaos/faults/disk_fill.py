"""disk_fill: the disk that a replica writes to runs full.

In real life: logs that nobody rotates, a model cache that keeps every version, a core dump. Whatever writes fails, and what fails then
depends on how the program takes it.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Example
from chaos.faults.containers import ContainerFault
from chaos.units import Size, format_size


class DiskFill(ContainerFault):
    """A file takes so much space in a folder of so many containers of the target; the undo removes it."""

    must = "disk saturation; error ratio when the program needs to write"
    examples: ClassVar = (
        Example(
            "{fault: disk_fill, target: loan-model, size: 1GB, path: /data, duration: 30s}",
            does="a file of up to 1GB fills /data in 1 container of loan-model",
        ),
        Example("{fault: disk_fill, target: loan-model, size: 1, duration: 30s}", refused="1 has no unit"),
    )

    fault: Literal["disk_fill"] = "disk_fill"
    size: Size = Field(
        ge=1024, le=1024**4, description="the most that the file takes; less when the disk is full before that"
    )
    path: str = Field(
        "/tmp",  # noqa: S108
        pattern=r"^/[A-Za-z0-9._/@+-]*$",
        max_length=200,
        description="the folder, as the container sees it, in which the file is made",
    )

    def explain(self) -> str:
        """One plain sentence."""
        return f"a file of up to {format_size(self.size)} fills {self.path} in {self.those()}"
