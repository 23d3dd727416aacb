"""network_corruption: some of the packets that a replica receives are damaged on their way.

In real life: a dying network card, a bad cable, memory without error correction in a switch. Checksums catch nearly all of it, and
what is caught is sent again: a long tail of latency, and counters of checksum errors that nobody looks at.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Example
from chaos.faults.containers import ContainerFault
from chaos.units import Share, format_share


class NetworkCorruption(ContainerFault):
    """One bit of a share of the packets to so many containers of the target is turned over; the undo lets everything pass whole."""

    must = "client latency (the tail), checksum errors"
    quiet = "server-side latency, quality"
    examples: ClassVar = (
        Example(
            "{fault: network_corruption, target: loan-model, damaged: 5%, duration: 30s}",
            does="5% of the packets to 1 container of loan-model arrive damaged",
        ),
        Example("{fault: network_corruption, target: loan-model, damaged: 5, duration: 30s}", refused="5 has no unit"),
    )

    fault: Literal["network_corruption"] = "network_corruption"
    damaged: Share = Field(gt=0.0, description="share of the packets to a container that are damaged")

    def explain(self) -> str:
        """One plain sentence."""
        return f"{format_share(self.damaged)} of the packets to {self.those()} arrive damaged"
