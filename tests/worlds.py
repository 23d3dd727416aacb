"""Plans and worlds for the engine's tests: values, no I/O."""

from __future__ import annotations

from dataclasses import replace

from chaos.plans import Plan, PlannedAlert, PlannedEffect, PlannedLoad, PlannedProbe
from chaos.survey import ContainerFound

ACCURACY = PlannedProbe(
    "accuracy",
    "acc[$window]",
    "count",
    "ratio",
    "higher",
    "inconclusive",
    30,
    "load",
    True,
    "accuracy",
    "88%",
    None,
    True,
)
ALERT = PlannedAlert(
    alert="ModelAccuracyLow",
    labels={"severity": "page"},
    within_s=60.0,
    delivered_to="oncall",
    resolved_within_s=60.0,
    severity="page",
    expr="accuracy < 0.88",
    left="accuracy",
    operator="<",
    threshold=0.88,
    for_s=5.0,
    group_wait_s=1.0,
    group_interval_s=5.0,
    lower_bound_s=8.0,
    routed_to=("oncall",),
)
HOLD = PlannedEffect("hold@model", "model", "hold", "holds the proxies")
WRONG = PlannedEffect(
    "fault-0@model", "model", "proxy", "10% wrong", 0.0, 30.0, 0, "wrong_predictions",
    '{"fault":"wrong_predictions","target":"model","duration":"30s"}',
)  # fmt: skip
KILL = PlannedEffect(
    "fault-1@replica-1", "model", "container", "replica-1 is killed", 5.0, 20.0, 1, "kill", '{"fault":"kill"}',
    container=ContainerFound("replica-1", "1:1", "running", {}, opted_in=True), driver="process",
)  # fmt: skip
DRIFT = PlannedEffect(
    "fault-2@load", "model", "load", "outcomes turn", 0.0, 30.0, 2, "concept_drift",
    '{"fault":"concept_drift","target":"model","duration":"30s"}',
)  # fmt: skip
SHOWS = PlannedProbe(
    "fault-3@model", "outage", None, "", "neither", "inconclusive", 0, "none", False, None, "1.0", None, False
)
OUTSIDE = PlannedEffect(
    "fault-3@model", "model", "external", "another tool hurts model", 0.0, 30.0, 3, "external",
    '{"fault":"external","target":"model","duration":"30s"}', shows=SHOWS,
)  # fmt: skip

PLAN = Plan(
    experiment="quick",
    description="",
    system="lab",
    environment="lab",
    seed="seed",
    subjects="synthetic",
    subject_by="header:x-applicant-id",
    traffic=0.1,
    where=None,
    baseline_s=10.0,
    max_duration_s=60.0,
    recovery_s=40.0,
    window_s=30.0,
    scrape_s=1.0,
    evaluation_s=1.0,
    load=PlannedLoad(40.0, 5.0, "lab:applications", 2.0, 0.5, 0.0, None),
    probes=(ACCURACY,),
    guards=(),
    effects=(HOLD, WRONG),
    alerts=(ALERT,),
    match={"service": "loan"},
    harms=("accuracy",),
    holds=(),
    quiet=True,
    silent=(),
    control=True,
    arms_held=False,
    by_hand={"fault-0@model": "curl -X DELETE …"},
)


def with_effects(*effects: PlannedEffect) -> Plan:
    """PLAN with other effects."""
    return replace(PLAN, effects=effects)
