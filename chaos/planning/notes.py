"""What forbids nothing, and should be known. Pure."""

from __future__ import annotations

from chaos.experiment import Experiment
from chaos.foresight import has_value
from chaos.plans import (
    PlannedAlert,
)
from chaos.survey import Survey
from chaos.system import System


def warnings_of(experiment: Experiment, system: System, alerts: tuple[PlannedAlert, ...]) -> tuple[str, ...]:
    told = [alert.foresight.warning for alert in alerts if alert.foresight and alert.foresight.warning]
    if not experiment.expect.alerts:
        told.append("no alert is expected, so only the resilience half is judged")
    if system.environment == "production" and (system.announce is None or system.announce.webhook is None):
        told.append(
            "nobody is told of runs against production; write `announce: {webhook: URL}` in the system file, "
            "so that those on call know who does this, and how to stop it"
        )
    return tuple(told)


SHADOW_NOTE = (
    "shadow: nobody is hurt. Clients get untouched answers; what would have changed is kept by the proxies, "
    "and posted to their --shadow-to"
)


PROJECTED_NOTE = (
    "projected: an alert that does not tell live is judged by what it would do with all traffic hurt, from what the arms show; "
    "such an answer is no proof"
)
EXTERNAL_NOTE = "leases do not apply: another tool does this, and must end it, too"


def notes_of(experiment: Experiment, alerts: tuple[PlannedAlert, ...], survey: Survey) -> tuple[str, ...]:
    shadow = (SHADOW_NOTE,) if experiment.blast_radius.mode == "shadow" else ()
    outside = tuple(
        f"{fault.fault} at {fault.target}: {EXTERNAL_NOTE}" for fault in experiment.faults if fault.acts_on == "outside"
    )
    heard = tuple(
        f"{alert.alert} is told of by the sink of {alert.delivered_to} alone: when it was pending or firing nobody sees"
        for alert in alerts
        if alert.via == "sink"
    )
    projected = (PROJECTED_NOTE,) if experiment.expect.judge == "projected" else ()
    return (
        shadow
        + outside
        + projected
        + heard
        + tuple(
            f"{alert.alert} has no value now, so what dilution lets it see is not predicted"
            for alert in alerts
            if alert.threshold is not None and not has_value(survey.rule_values.get(alert.alert))
        )
    )
