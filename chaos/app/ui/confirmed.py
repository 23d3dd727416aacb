"""What somebody confirms who starts a plan, as one fingerprint: the files, and whom and what the system said that they mean. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from chaos.plans import Plan, PlannedAlert, PlannedEffect


def fingerprint(plan: Plan, *texts: str) -> str:
    """The same for two plans of the same files that hurt the same containers and proxies and wait for the same alerts on the same ways.

    What is measured while planning (how much traffic there is, what an alert would do) is left out: it is never twice the same.
    """
    known = {
        "texts": texts,
        "whose": [plan.system, plan.environment, plan.mode, plan.subjects, plan.where, plan.most, plan.allowed],
        "probes": [asdict(one) for one in plan.probes],
        "guards": [asdict(one) for one in plan.guards],
        "effects": [_effect(one, plan.by_hand.get(one.id, "")) for one in plan.effects],
        "alerts": [_alert(one) for one in plan.alerts],
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()


def _effect(effect: PlannedEffect, by_hand: str) -> list[object]:
    found = effect.container
    return [
        effect.id, effect.target, effect.kind, effect.fault, effect.start_s, effect.duration_s, effect.until, effect.whole,
        [effect.driver, found.name, found.id] if found is not None else sorted(by_hand.split()),  # else the proxies' addresses
        effect.fault_json if effect.aim is None else asdict(effect.aim),  # the share of one that aims is measured
    ]  # fmt: skip


def _alert(alert: PlannedAlert) -> list[object]:
    return [
        alert.alert, dict(alert.labels), alert.expr, alert.for_s, alert.severity, alert.within_s, alert.resolved_within_s,
        alert.delivered_to, alert.routed_to, alert.group_wait_s, alert.group_interval_s, alert.via, alert.silent_for_s,
    ]  # fmt: skip
