"""Observations of a run, and what has been seen after them."""

from __future__ import annotations

from chaos.exposure import ArmSample, Sample, Touched
from chaos.observation import (
    AlertSeen,
    AlertsRead,
    ArmTraffic,
    Delivered,
    DeliveriesRead,
    FaultTraffic,
    LoadRead,
    ProbeReading,
    ProbesRead,
    ProxyRead,
)
from chaos.progress import Progress
from tests.worlds import PLAN

WALL = 1_000.0
LABELS = {"alertname": "ModelAccuracyLow", "severity": "page", "service": "loan"}
NAN = float("nan")
NOTHING = ArmTraffic()


def reading(*values: float, count: float | None = 400.0, scope: str = "phase", probe: str = "accuracy") -> ProbesRead:
    return ProbesRead((ProbeReading(probe, scope, 30.0, WALL, values, count),))  # type: ignore[arg-type]


def alerts(
    *names: str, state: str = "firing", active_at: float = WALL + 5, labels: dict[str, str] = LABELS
) -> AlertsRead:
    seen = tuple(AlertSeen(name, {**labels, "alertname": name}, state, active_at) for name in names)  # type: ignore[arg-type]
    return AlertsRead(WALL + 6, seen)


def told(
    status: str, *, at: float = WALL + 7, receiver: str = "oncall", labels: dict[str, str] = LABELS
) -> DeliveriesRead:
    return DeliveriesRead((Delivered(receiver, at, status, "f", labels, at),))  # type: ignore[arg-type]


def proxies(control: ArmTraffic = NOTHING, *, untouched: int = 0, first_effect: float | None = None) -> ProxyRead:
    faults = (FaultTraffic(0, 1, 1, 1, first_effect_wall_s=first_effect),)
    return ProxyRead("model", WALL, "armed", control=control, faults=faults, untouched=untouched)


def after(*seen: object, plan=PLAN) -> Progress:
    progress = Progress(plan)
    for at_s, one in enumerate(seen):
        progress.learn(one, float(at_s))  # type: ignore[arg-type]
    return progress


def counted(at: float, wrong: int) -> LoadRead:
    """One second in which so many of twenty answers of the treatment arm were wrong, and one of the control arm's."""
    arms = {
        "treatment": ArmSample(first=20, labelled=20, wrong=wrong),
        "control": ArmSample(first=20, labelled=20, wrong=1),
    }
    return LoadRead((Sample(int(at), WALL + at, 40.0, 40, 0, 0, 0.0, arms),))


def second(sent: int, *, deeds: int = 0) -> LoadRead:
    faults = {"2": Touched(shifted=deeds, first_wall_s=WALL + 3, last_wall_s=WALL + 3)} if deeds else {}
    arms = {"treatment": ArmSample(sent, faults=faults), "control": ArmSample(90)}
    return LoadRead((Sample(1, WALL, 100, 90 + sent, 0, 0, 0.0, arms),))


EVERYTHING = (proxies(first_effect=WALL), reading(0.80), alerts("ModelAccuracyLow"), told("firing"))
"""What decides a fault."""
