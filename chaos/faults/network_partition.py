"""network_partition: a replica runs, and nobody can reach it.

In real life: a firewall rule, a wrong route, a network policy that selects too much, a switch that fails. The replica itself is
healthy and says so, to nobody. Dropped packets make clients wait for their time-outs; refused ones let them go elsewhere at once.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Example
from chaos.faults.containers import ContainerFault


class NetworkPartition(ContainerFault):
    """So many containers of the target are cut off from everything; the undo lets everything pass again."""

    examples: ClassVar = (
        Example(
            "{fault: network_partition, target: loan-model, duration: 30s}",
            does="1 container of loan-model is cut off from the network: its packets vanish",
        ),
        Example(
            "{fault: network_partition, target: loan-model, how: refuse, duration: 30s}",
            does="1 container of loan-model is cut off from the network: connections are refused at once",
        ),
        Example("{fault: network_partition, target: loan-model, containers: 0, duration: 30s}", refused="at least 1"),
    )

    fault: Literal["network_partition"] = "network_partition"
    how: Literal["drop", "refuse"] = Field(
        "drop",
        description="drop: packets vanish and everybody waits · refuse: connections are refused or reset at once",
    )

    def explain(self) -> str:
        """One plain sentence."""
        what = "its packets vanish" if self.how == "drop" else "connections are refused at once"
        return f"{self.those()} is cut off from the network: {what}"
