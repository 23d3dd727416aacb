"""What workers count, carried to the process that answers for all of them: taken out as JSON there, added up here.

A worker's counts are taken and zeroed in one go, so nothing is counted twice, and what has arrived outlives the worker. Any
counter that is a number, a list of numbers, or a dict of them is carried; a counter of another kind is an error at once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import fields
from typing import Any

from chaos.proxy.armed import MOST_UNTOUCHED, ArmCounts, FaultCounts, RunState
from chaos.proxy.counters import Counters

Json = Any


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(value: object) -> bool:
    return isinstance(value, list) and all(_number(one) for one in value)


def take_counters(counters: Counters) -> Json:
    """Everything counted since the last time; afterwards it is zero. Raises TypeError for a counter that cannot be carried."""
    taken: dict[str, Json] = {}
    for name, value in vars(counters).items():
        if isinstance(value, dict):
            rows = [[list(key) if isinstance(key, tuple) else key, amount] for key, amount in value.items()]
            if not all(_number(amount) or _numbers(amount) for _, amount in rows):
                raise TypeError(f"the counter {name} cannot be carried between processes")
            value.clear()
            if rows:
                taken[name] = rows
        elif _number(value):
            setattr(counters, name, type(value)(0))
            if value:
                taken[name] = value
        else:
            raise TypeError(f"the counter {name} cannot be carried between processes")
    return taken


def add_counters(counters: Counters, taken: Json) -> None:
    """What another process counted is counted here, too."""
    for name, amount in taken.items():
        held = getattr(counters, name)
        if not isinstance(held, dict):
            setattr(counters, name, held + amount)
            continue
        for key, more in amount:
            place = tuple(key) if isinstance(key, list) else key
            held[place] = _sum(held[place], more) if place in held else more


def _sum(held: Any, more: Any) -> Any:
    return [one + other for one, other in zip(held, more, strict=True)] if isinstance(held, list) else held + more


def take_run(state: RunState) -> Json:
    """Everything that this run did here since the last time; afterwards it is zero, and the kept changes are handed on."""
    taken: dict[str, Json] = {
        "arms": {name: _take(counts, ArmCounts()) for name, counts in state.arms.items()},
        "faults": {str(index): _take(counts, FaultCounts()) for index, counts in state.faults.items()},
        "seconds": list(state.seconds),
        "changes": [{name: value for name, value in change.items() if name != "id"} for change in state.changes],
    }
    if state.cap is not None and (state.cap.untold or state.cap.withheld):
        taken["cap"] = [state.cap.untold, state.cap.withheld]
        state.cap.untold = state.cap.withheld = 0  # `hurt` stays: it is what this process keeps its part of the cap by
    state.seconds.clear()
    state.changes.clear()
    taken["arms"] = {name: amounts for name, amounts in taken["arms"].items() if amounts}
    taken["faults"] = {name: amounts for name, amounts in taken["faults"].items() if amounts}
    return {name: amounts for name, amounts in taken.items() if amounts}


def _take(counts: ArmCounts | FaultCounts, nothing: ArmCounts | FaultCounts) -> Json:
    taken = {}
    for name in (one.name for one in fields(counts)):
        value, zero = getattr(counts, name), getattr(nothing, name)
        if value != zero:
            taken[name] = value
            setattr(counts, name, zero)
    return taken


def add_run(state: RunState, taken: Json) -> None:
    """What another process did for this run is counted here, too; of effects, the first and the last of all stay."""
    for arm, amounts in taken.get("arms", {}).items():
        counts = state.arms[arm]
        for name, amount in amounts.items():
            setattr(counts, name, _sum(getattr(counts, name), amount))
        counts.gathered = 1
        counts.untouched_since_disarm = min(counts.untouched_since_disarm, MOST_UNTOUCHED)
    for index, amounts in taken.get("faults", {}).items():
        _add_fault(state.faults.setdefault(int(index), FaultCounts()), amounts)
    for change in taken.get("changes", ()):
        state.note_change(change)
    if "cap" in taken and state.cap is not None:
        state.cap.hurt += taken["cap"][0]
        state.cap.withheld += taken["cap"][1]
    if "seconds" in taken:
        _add_seconds(state, taken["seconds"])


def _add_fault(counts: FaultCounts, amounts: Json) -> None:
    for name, amount in amounts.items():
        held = getattr(counts, name)
        if name in ("first_effect", "last_effect"):
            pick = min if name == "first_effect" else max
            both = amount if held is None else pick(held, amount, key=lambda effect: float(effect["monotonic_s"]))
            setattr(counts, name, both)
        else:
            setattr(counts, name, held + amount)


def _add_seconds(state: RunState, seconds: list[dict[str, Any]]) -> None:
    rows = {row["wall_s"]: row for row in state.seconds}
    for more in seconds:
        row = rows.setdefault(more["wall_s"], {"wall_s": more["wall_s"]})
        for group, amounts in more.items():
            if group != "wall_s":
                held = row.setdefault(group, dict.fromkeys(amounts, 0))
                for name, amount in amounts.items():
                    held[name] += amount
    state.seconds = deque((rows[second] for second in sorted(rows)), maxlen=state.seconds.maxlen)
