"""What a run does to the fault proxies of its targets: what each is armed with, and for how long at most. Wiring."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from chaos.drivers.http import without_secrets
from chaos.plans import Plan
from chaos.system import System

if TYPE_CHECKING:
    from chaos.app.performer import HeldProxies
    from chaos.app.running import Prepared
    from chaos.app.warden import Proxies

WHOLE = "header:host"
"""What everybody's request has: where all that goes to a target is hurt, that is the subject."""
DEADLINE_SLACK_S = 2.0
"""A proxy drops a fault by itself this long after `max_duration`, even if its lease is renewed: the runner's own end comes first."""


def whole_s(made: Plan) -> float:
    """The longest that a run can hold a proxy: everything until the last effect must be gone."""
    warmup_s = made.load.warmup_s if made.load else 0.0
    return warmup_s + made.baseline_s + made.max_duration_s + made.undo_deadline_s + 60.0


def targets_by_name(system: System, targets: Iterable[str]) -> list[str]:
    """These targets, each by what is the same whatever file it stands in: its proxies' addresses; else the system's name and its own.

    By these names no two runs of a user hurt a target at once of which one wants to be alone.
    """
    found: list[str] = []
    for name in targets:
        target = system.targets.get(name)
        found += (
            [without_secrets(one) for one in target.proxies] if target and target.proxies else [f"{system.name}/{name}"]
        )
    return list(dict.fromkeys(found))


def held_proxies(prepared: Prepared, run_id: str, key: str) -> dict[str, HeldProxies]:
    """Target → its proxies, with what they are armed with."""
    from chaos.app.performer import HeldProxies
    from chaos.drivers.proxy import Arming

    made, system = prepared.plan, prepared.loaded.system
    held: dict[str, HeldProxies] = {}
    for effect in made.effects:
        if effect.kind not in ("hold", "proxy"):
            continue
        target = system.targets[effect.target]
        arms = {"traffic": made.traffic, "by": made.subject_by, "where": made.where}
        if effect.whole:
            arms = {"traffic": 1.0, "by": WHOLE, "where": None}

        def arming(
            faults: Any, held_s: float, target: Any = target, whole: bool = effect.whole, arms: Any = arms
        ) -> Arming:
            names = target.input.model_dump()
            return Arming(
                {
                    **({"mode": made.mode} if made.shadows() else {}),  # what an older proxy does not know, it refuses
                    **({"most": str(made.most_of_a_target())} if made.most is not None else {}),
                    **({"input": names} if any(names.values()) else {}),
                    "seed": made.seed,
                    "arms": arms,
                    "subjects": "users" if whole else made.subjects,
                    "synthetic_key": key,
                    "protocol": target.protocol,
                    "output": target.output.model_dump(),
                    "faults": [{"index": index, "fault": json.loads(text)} for index, text in sorted(faults.items())],
                    "lease_s": made.lease_s,
                    "deadline_s": min(whole_s(made), held_s + made.max_duration_s + DEADLINE_SLACK_S)
                    if faults
                    else whole_s(made),
                }
            )

        one = held.setdefault(effect.target, HeldProxies(prepared.drivers.fleets[effect.target], run_id, arming))
        if effect.kind == "proxy":
            one.later.add(effect.id)
        else:
            one.holds = True
    return held


def proxies_of(prepared: Prepared) -> list[Proxies]:
    """The fault proxies that this run will hold."""
    from chaos.app.warden import Proxies

    beside, held = prepared.loaded.system_path.parent, []
    for name in dict.fromkeys(effect.target for effect in prepared.plan.effects if effect.kind in ("hold", "proxy")):
        target = prepared.loaded.system.targets[name]
        ca = str((beside / target.control_ca).resolve()) if target.control_ca is not None else None
        held.append(Proxies(tuple(target.proxies), target.token.get_secret_value(), ca))
    return held
