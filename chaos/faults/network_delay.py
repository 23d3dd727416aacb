"""network_delay: everything that a replica receives comes later.

In real life: a replica in another zone, a congested link, a firewall that looks into every packet. Every round trip pays: a new
connection, the request, each piece of a large answer. The model itself is as fast as ever and its own metrics say so.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Example
from chaos.faults.containers import ContainerFault
from chaos.units import Duration, format_duration


class NetworkDelay(ContainerFault):
    """Packets to so many containers of the target wait before they are let in; the undo lets everything pass again."""

    must = "client latency, at the gateway"
    quiet = "server-side latency, quality"
    examples: ClassVar = (
        Example(
            "{fault: network_delay, target: loan-model, by: 50ms, duration: 30s}",
            does="the network of 1 container of loan-model is slower by 50ms a packet",
        ),
        Example(
            "{fault: network_delay, target: loan-model, by: 50ms, jitter: 20ms, duration: 30s}",
            does="the network of 1 container of loan-model is slower by 50ms and up to 20ms more a packet",
        ),
        Example("{fault: network_delay, target: loan-model, by: 50, duration: 30s}", refused="50 has no unit"),
    )

    fault: Literal["network_delay"] = "network_delay"
    by: Duration = Field(gt=0.0, le=10.0, description="how long each packet waits")
    jitter: Duration = Field(
        0.0, ge=0.0, le=10.0, description="how much more some wait, evenly spread between none and this"
    )

    def explain(self) -> str:
        """One plain sentence."""
        more = f" and up to {format_duration(self.jitter)} more" if self.jitter else ""
        return f"the network of {self.those()} is slower by {format_duration(self.by)}{more} a packet"
