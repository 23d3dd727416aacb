"""How long a probe was out of its bounds at a stretch, from looks that came about once a second. Pure.

    met · met · broken · unknown · broken · met · met
          └────────── at most ───────────┘
                └─── at least ────┘

What lies between two looks nobody saw. An excursion lasted at least from its first broken look to its last, and at most from the
last look before it that met the bounds to the first one after it. Both ends are used: `broken` is said only of what has lasted
too long at least, `met` only where nothing can have lasted too long. So a look that is lost never makes anything good, and a worse
one never makes anything better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from chaos.readings import Standing


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a probe, in wall-clock seconds, and how it stood."""

    at_wall_s: float
    standing: Standing


def all_along(looks: Sequence[Look], start: float, end: float, tolerance_s: float) -> Standing:
    """Whether the bounds held from start to end but for excursions shorter than the tolerance."""
    seen = [look for look in looks if start <= look.at_wall_s <= end]
    if any(last - first >= tolerance_s for first, last in excursions(seen)):
        return "broken"
    met = [look.at_wall_s for look in seen if look.standing == "met"]
    return "met" if longest_unmet(met, start, end) < tolerance_s else "unknown"


def from_then_on(looks: Sequence[Look], undone: float, deadline: float, end: float, tolerance_s: float) -> Standing:
    """Whether the bounds were met at the deadline, at the latest, and from then on but for excursions shorter than the tolerance."""
    seen = [look for look in looks if undone <= look.at_wall_s <= end]
    met = [look.at_wall_s for look in seen if look.standing == "met"]
    back = min(met, default=end)
    for first, last in excursions(seen):
        if last >= deadline and (last - first >= tolerance_s or last <= back):
            return "broken"
    in_time = [at for at in met if at <= deadline]
    if not in_time:
        return "unknown"
    return "met" if longest_unmet(met, max(in_time), end) < tolerance_s else "unknown"


def excursions(looks: Sequence[Look]) -> list[tuple[float, float]]:
    """First and last broken look of every stretch in which no look met the bounds."""
    found: list[tuple[float, float]] = []
    going_on = False
    for look in sorted(looks, key=lambda look: look.at_wall_s):
        if look.standing == "broken":
            found = [*found[:-1], (found[-1][0], look.at_wall_s)] if going_on else [*found, (look.at_wall_s,) * 2]
            going_on = True
        elif look.standing == "met":
            going_on = False
    return found


def longest_unmet(met: Sequence[float], start: float, end: float) -> float:
    """The longest time between start and end in which no look met the bounds, in seconds."""
    moments = [start, *sorted(at for at in met if start <= at <= end), end]
    return max((after - before for before, after in pairwise(moments)), default=0.0)
