"""What every fault of a container has in common, and how it becomes something that a driver does. No fault itself.

{fault: cpu_limit, target: loan-model, cpus: 0.2, duration: 30s} ─▶ Act("cpu_limit", {"cpus": 0.2}, lasts_s=30)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from pydantic import Field

from chaos.faults.base import Fault

Verb = Literal[
    "kill", "crash", "stop", "pause", "restart",
    "cpu_limit", "memory_limit", "cpu_stress", "memory_stress", "disk_fill",
    "network_delay", "network_loss", "network_corruption", "network_bandwidth", "network_partition",
]  # fmt: skip
"""What can be done to a container. A closed set: a new verb is a change to the drivers, a new fault is one file."""
VERBS: tuple[Verb, ...] = get_args(Verb)

Parameter = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that is done to a container: plain data, that another process can read back and undo.

    `parameters` are numbers in seconds, bytes, bytes per second, shares and counts. Whatever can end by itself ends some time
    after `lasts_s`, in seconds, also when nobody undoes it.
    """

    verb: Verb
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    lasts_s: float = 0.0

    def number(self, name: str) -> float:
        """A parameter that is a number."""
        return float(self.parameters[name])

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads back to an equal act."""
        return json.dumps({"verb": self.verb, "parameters": dict(self.parameters), "lasts_s": self.lasts_s})

    @staticmethod
    def from_json(text: str) -> Act:
        """The act of `to_json`. Raises ValueError when it is none."""
        said = json.loads(text)
        if not isinstance(said, dict) or said.get("verb") not in VERBS:
            raise ValueError(f"no act: {text[:80]}")
        return Act(said["verb"], dict(said.get("parameters") or {}), float(said.get("lasts_s") or 0.0))


class ContainerFault(Fault):
    """A fault of what the target runs in. What subclasses add are the parameters of its verb."""

    acts_on = "container"
    family = "containers"
    must = "availability, saturation, replica count"
    quiet = "quality"

    containers: int = Field(1, ge=1, le=1000, description="how many of the target's containers")

    def wanted(self) -> Act:
        """What a driver is asked to do to each of the containers; the verb is called like the fault."""
        verb = next((verb for verb in VERBS if verb == self.fault), None)
        if verb is None:
            raise NotImplementedError(f"the fault {self.fault} does not say which verb it is; write `wanted`")
        own = {name: getattr(self, name) for name in type(self).model_fields if name not in ContainerFault.model_fields}
        return Act(verb, {name: value for name, value in own.items() if value is not None}, self.duration or 0.0)

    def those(self) -> str:
        """The subject of its explanation: `1 container of loan-model`."""
        return f"{self.containers} {'containers' if self.containers > 1 else 'container'} of {self.target}"


def act_of(fault_json: str) -> Act:
    """The act of a fault of containers that `model_dump_json` wrote. Raises ValueError when it is none."""
    from chaos.faults import catalogue

    kind = catalogue().get(str(json.loads(fault_json).get("fault")))
    fault = kind.model_validate_json(fault_json) if kind is not None else None
    if not isinstance(fault, ContainerFault):
        raise ValueError(f"no fault of containers: {fault_json[:80]}")
    return fault.wanted()
