"""Outcomes that a fault holds back: until their time comes, or the fault that holds them is taken off. Pure; time is passed in."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

MOST_WAITING = 100_000
"""Outcomes that wait at once; one more is not kept."""

Item = TypeVar("Item")


@dataclass(order=True, slots=True)
class _Held(Generic[Item]):
    due_s: float
    place: int
    item: Item = field(compare=False)
    waits: dict[int, float] = field(compare=False)


class Waiting(Generic[Item]):
    """What waits, the first that is due first. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._held: list[_Held[Item]] = []
        self._put = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._held)

    def put(self, item: Item, waits: Iterable[tuple[int, float]], now_s: float) -> bool:
        """It waits for each of these faults so many seconds; whether there was room for it."""
        if len(self._held) >= MOST_WAITING:
            return False
        parts = dict(waits)
        self._put += 1
        heapq.heappush(self._held, _Held(now_s + sum(parts.values()), self._put, item, parts))
        return True

    def release(self, faults: Iterable[int]) -> None:
        """Nothing waits for these faults any more, only for others that hold it, too."""
        gone = set(faults)
        for held in self._held:
            for index in gone & held.waits.keys():
                held.due_s -= held.waits.pop(index)
        heapq.heapify(self._held)

    def due(self, now_s: float, most: int) -> list[Item]:
        """At most so many of those whose time has come, the longest due first; they wait no longer."""
        found: list[Item] = []
        while self._held and len(found) < most and self._held[0].due_s <= now_s:
            found.append(heapq.heappop(self._held).item)
        return found
