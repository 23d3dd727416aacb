"""network_bandwidth: a replica can send only so much a second.

In real life: a burst credit that is used up, a backup on the same link, a machine type with a slow card. Small answers pass as ever;
large ones (embeddings, images, long batches) wait for each other.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Example
from chaos.faults.containers import ContainerFault
from chaos.units import ByteRate, format_byte_rate


class NetworkBandwidth(ContainerFault):
    """So many containers of the target send no faster than this; the undo takes the limit off."""

    must = "client latency for large answers, network saturation"
    quiet = "server-side latency, quality"
    examples: ClassVar = (
        Example(
            "{fault: network_bandwidth, target: loan-model, rate: 100kB/s, duration: 30s}",
            does="1 container of loan-model sends no more than 100kB/s",
        ),
        Example("{fault: network_bandwidth, target: loan-model, rate: 100, duration: 30s}", refused="100 has no unit"),
        Example("{fault: network_bandwidth, target: loan-model, rate: 1B/s, duration: 30s}", refused="at least 1000"),
    )

    fault: Literal["network_bandwidth"] = "network_bandwidth"
    rate: ByteRate = Field(ge=1000.0, le=1e10, description="the most that a container sends")

    def explain(self) -> str:
        """One plain sentence."""
        return f"{self.those()} sends no more than {format_byte_rate(self.rate)}"
