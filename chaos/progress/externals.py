"""What was seen of the effects of other tools: on or off, and since when. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from chaos.observation import ExternalSeen, ProbeReading
from chaos.plans import PlannedEffect
from chaos.readings import broken_bound, values_of


def shown(effect: PlannedEffect, reading: ProbeReading) -> ExternalSeen:
    """What this reading shows of another tool's effect: on as soon as one of its values lies within the bounds."""
    assert effect.shows is not None
    assert effect.fault_index is not None
    values = values_of(effect.shows, reading)
    within = [value for value in values if broken_bound(effect.shows, value, None) is None]
    value = next(iter(within or values), None)
    return ExternalSeen(effect.fault_index, reading.at_wall_s, value, on=bool(within))


def off_since(seen: Sequence[ExternalSeen]) -> float | None:
    """When the effect was first seen off after it was last seen on; None when it was never on, or not seen off since."""
    last = max((place for place, one in enumerate(seen) if one.on), default=None)
    if last is None:
        return None
    return next((one.at_wall_s for one in seen[last + 1 :] if one.value is not None), None)
