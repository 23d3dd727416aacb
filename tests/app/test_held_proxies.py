"""Several faults on one target, armed and disarmed by threads that overtake each other: the proxies end as they should be."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from chaos.app.performer import HeldProxies
from chaos.drivers.proxy import Arming
from chaos.plans import PlannedEffect

HOLD = PlannedEffect("hold", "model", "hold", "holds")
FIRST = PlannedEffect("first", "model", "proxy", "hurts", fault_index=0, fault_json="{}")
SECOND = PlannedEffect("second", "model", "proxy", "hurts", fault_index=1, fault_json="{}")


@dataclass
class Fleet:
    """Proxies whose calls land when the test lets them: `armed` is what they do now, None when nobody holds them."""

    armed: frozenset[int] | None = None
    slow: dict[frozenset[int], threading.Event] = field(default_factory=dict)
    waiting: threading.Event = field(default_factory=threading.Event)
    calls: list[str] = field(default_factory=list)

    def arm(self, _run: str, arming: Arming) -> None:
        faults = frozenset(arming.body["faults"])
        held = self.slow.pop(faults, None)
        if held is not None:
            self.waiting.set()
            assert held.wait(10)
        self.armed = faults
        self.calls.append(f"arm {sorted(faults)}")

    def disarm(self, _run: str) -> None:
        self.armed = None
        self.calls.append("disarm")


def held(fleet: Fleet, *later: PlannedEffect, holds: bool = True) -> HeldProxies:
    made: Any = fleet
    return HeldProxies(
        made,
        "run",
        lambda faults, held_s: Arming({"faults": list(faults), "held_s": held_s}),
        {effect.id for effect in later},
        holds=holds,
    )


def test_the_hold_outlives_every_fault_and_its_undo_lets_go() -> None:
    fleet = Fleet()
    proxies = held(fleet, FIRST, SECOND)
    for effect in (HOLD, FIRST):
        proxies.apply(effect)
    proxies.undo(FIRST)
    assert fleet.armed == frozenset()
    proxies.apply(SECOND)
    assert fleet.armed == {1}
    proxies.undo(SECOND)
    assert fleet.armed == frozenset(), (
        "another target's fault may still be on: the run holds these proxies until its end"
    )
    proxies.undo(HOLD)
    assert fleet.armed is None
    assert fleet.calls == ["arm []", "arm [0]", "arm []", "arm [1]", "arm []", "disarm"]


def test_without_a_hold_the_last_fault_that_ends_lets_go() -> None:
    fleet = Fleet()
    proxies = held(fleet, FIRST, SECOND, holds=False)
    proxies.apply(FIRST)
    proxies.undo(FIRST)
    assert fleet.armed == frozenset(), "the second is still to come"
    proxies.apply(SECOND)
    proxies.undo(SECOND)
    assert fleet.armed is None


@pytest.mark.parametrize(
    ("overtaking", "ends_as"),
    [
        (lambda proxies: proxies.apply(SECOND), frozenset({0, 1})),
        (lambda proxies: proxies.undo(FIRST), frozenset()),
        (lambda proxies: proxies.undo(HOLD), None),
    ],
)
def test_a_call_that_lands_late_never_has_the_last_word(overtaking: Any, ends_as: frozenset[int] | None) -> None:
    fleet = Fleet()
    proxies = held(fleet, FIRST, SECOND)
    proxies.apply(HOLD)
    late = fleet.slow[frozenset({0})] = threading.Event()
    slow = threading.Thread(target=proxies.apply, args=(FIRST,))
    slow.start()
    assert fleet.waiting.wait(10)
    overtaking(proxies)
    late.set()
    slow.join(10)
    assert fleet.armed == ends_as
