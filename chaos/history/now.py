"""A run at one moment, for those who look on: its state, and which faults are on. A value, with what it is as metrics. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chaos.events import State
from chaos.history.exposition import Family


@dataclass(frozen=True, slots=True)
class FaultNow:
    """One fault on one target. It is `on` from the moment its Apply is issued until its Undo has shown that it is gone.

    `since_wall_s` is the first proven effect, None until there is one; `until_wall_s` is its removal, None until it is proven.
    """

    id: str
    fault: str
    target: str
    explain: str
    on: bool = False
    since_wall_s: float | None = None
    until_wall_s: float | None = None


@dataclass(frozen=True, slots=True)
class Now:
    """The run at this moment."""

    run: str
    experiment: str
    system: str
    started_wall_s: float
    seen_wall_s: float
    state: State
    faults: tuple[FaultNow, ...]


def families(now: Now) -> list[Family]:
    """The moment as metrics. One fault may be on in several containers of a target: it is on while any of them is hurt."""
    whose = {"experiment": now.experiment, "system": now.system}
    on: dict[tuple[str, str], float] = {}
    for one in now.faults:
        on[one.fault, one.target] = max(on.get((one.fault, one.target), 0.0), float(one.on))
    faults = [({**whose, "fault": fault, "target": target}, value) for (fault, target), value in on.items()]
    states = [({**whose, "state": state.value}, float(state is now.state)) for state in State]
    return [
        Family("chaos_fault_active", "1 while this fault is on at this target, else 0.", faults),
        Family("chaos_run_state", "1 for the state in which the run is, 0 for all others.", states),
        Family(
            "chaos_run_start_timestamp_seconds", "When the run began.", _one(whose, now.started_wall_s), "seconds"
        ),
        Family(
            "chaos_run_seen_timestamp_seconds",
            "When the run last said that it is there: what is older says nothing of now.",
            _one(whose, now.seen_wall_s),
            "seconds",
        ),
    ]  # fmt: skip


def _one(labels: dict[str, str], value: float) -> Sequence[tuple[dict[str, str], float]]:
    return [(labels, round(value, 3))]
