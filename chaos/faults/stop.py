"""stop: the container of a replica is shut down in good order, and stays down.

In real life: a scale-down that goes too far, a node that is drained, somebody's `docker stop` on the wrong host. Requests that are
being answered are finished, if the program knows how to; there are no errors to see, only one replica less.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Example
from chaos.faults.containers import ContainerFault
from chaos.units import Duration, format_duration


class Stop(ContainerFault):
    """So many containers of the target are stopped; the undo starts the same ones again."""

    examples: ClassVar = (
        Example(
            "{fault: stop, target: loan-model, grace: 2s, duration: 30s}",
            does="1 container of loan-model gets SIGTERM, has 2s to end in good order, and stays down",
        ),
        Example("{fault: stop, target: loan-model, grace: 2, duration: 30s}", refused="2 has no unit"),
    )

    fault: Literal["stop"] = "stop"
    grace: Duration = Field(
        5.0, ge=0.0, le=8.0, description="how long it may take to end by itself before it is killed"
    )

    def explain(self) -> str:
        """One plain sentence."""
        return f"{self.those()} gets SIGTERM, has {format_duration(self.grace)} to end in good order, and stays down"
