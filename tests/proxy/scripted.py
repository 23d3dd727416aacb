"""A fault of somebody else's that does what a test says, through every hook of the data plane."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, ClassVar, Literal, Protocol

from pydantic import PrivateAttr

from chaos.faults.base import Action, Call, Delivery, Fault, Part
from chaos.proxy.armed import ArmedFault, FaultCounts
from chaos.proxy.arming import parse_arming
from chaos.proxy.registry import Registry
from tests.proxy.loopback import arming


class Armable(Protocol):
    """Whatever has a registry."""

    registry: Registry


class Delivering(Fault):
    """It delivers as a function says."""

    acts_on = "answer"
    delivers = True
    breaks_protocol = True
    family = "errors"
    must = "none"
    quiet = "none"
    examples: ClassVar = ()
    fault: Literal["scripted"] = "scripted"
    _script: Any = PrivateAttr(None)

    def deliver(self, part: Part, call: Call) -> Iterator[Delivery]:
        yield from self._script(part, call)


class Rewriting(Delivering):
    """It makes other bodies as a function says."""

    delivers = False
    edits_bodies = True

    def edit_body(self, body: bytes, call: Call) -> bytes:
        return self._script(body, call)  # type: ignore[no-any-return]


class Acting(Delivering):
    """It acts before the model is asked as a function says."""

    acts_on = "request"
    delivers = False

    def act(self, call: Call) -> Iterator[Action]:
        yield from self._script(call)


def delivering(script: Callable[[Part, Call], Iterable[Delivery]], share: float = 1.0) -> Fault:
    """A fault that delivers as this function says."""
    made = Delivering(target="model", share=share)
    made._script = script
    return made


def rewriting(script: Callable[[bytes, Call], bytes], share: float = 1.0) -> Fault:
    """A fault that makes other bodies as this function says."""
    made = Rewriting(target="model", share=share)
    made._script = script
    return made


def acting(script: Callable[[Call], Iterable[Action]], share: float = 1.0) -> Fault:
    """A fault that acts as this function says."""
    made = Acting(target="model", share=share)
    made._script = script
    return made


def arm(bench: Armable, *faults: Fault, **more: Any) -> list[FaultCounts]:
    """Everybody's requests meet these faults; what each of them counts, in order."""
    bench.registry.arm("run", parse_arming(arming(*[{"fault": "hang"}] * len(faults), **more)))
    (held,) = bench.registry.active
    mine = [
        ArmedFault(place, fault, known.since_s, known.counts, known.memory)
        for place, (fault, known) in enumerate(zip(faults, held.faults, strict=True))
    ]
    bench.registry.active = (
        replace(
            held,
            request_faults=tuple(one for one in mine if one.acts),
            answer_faults=tuple(one for one in mine if not one.acts),
            body_faults=tuple(one for one in mine if one.fault.edits_bodies),
            delivery_faults=tuple(one for one in mine if one.fault.delivers),
        ),
    )
    return [one.counts for one in mine]
