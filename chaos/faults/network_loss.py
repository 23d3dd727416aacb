"""network_loss: some of a replica's packets never arrive.

In real life: a bad cable, an overloaded switch, a host that drops what it cannot queue. TCP sends again after a fifth of a second and
more, so that a few percent show as a long tail of latency and not as errors.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Example
from chaos.faults.containers import ContainerFault
from chaos.units import Share, format_share


class NetworkLoss(ContainerFault):
    """A share of the packets to and from so many containers of the target is dropped; the undo lets everything pass again."""

    must = "client latency (the tail), retransmissions"
    quiet = "server-side latency, quality"
    examples: ClassVar = (
        Example(
            "{fault: network_loss, target: loan-model, loss: 10%, duration: 30s}",
            does="10% of the packets to and from 1 container of loan-model are dropped",
        ),
        Example("{fault: network_loss, target: loan-model, loss: 10, duration: 30s}", refused="10 has no unit"),
    )

    fault: Literal["network_loss"] = "network_loss"
    loss: Share = Field(gt=0.0, description="share of the packets to and from a container that are dropped")

    def explain(self) -> str:
        """One plain sentence."""
        return f"{format_share(self.loss)} of the packets to and from {self.those()} are dropped"
