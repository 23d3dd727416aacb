"""What ends a run at once: guards on probes, on alerts and on arms, and the proxies' own. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.observation import SLOW_S
from chaos.plans import PlannedGuard, PlannedProbe
from chaos.progress.seen import Progress
from chaos.readings import judged, values_of
from chaos.telemetry import carries


def breached(progress: Progress, at_s: float, breaking_since: dict[str, float]) -> tuple[str, str] | None:
    """The first guard that is broken now, and why. `breaking_since` keeps since when each is broken or blind."""
    for guard in progress.plan.guards:
        why = _unexpected(progress, guard.alert) if guard.alert is not None else None
        if guard.probe is not None:
            why = _guard_broken(progress, guard, guard.probe, at_s, breaking_since)
        if why is not None:
            return guard.title, why
    proven = progress.arms.breached(progress.first_effect_wall_s) if progress.first_effect_wall_s is not None else None
    return proven or _control_hurt(progress)


def _guard_broken(
    progress: Progress, guard: PlannedGuard, probe: PlannedProbe, at_s: float, breaking_since: dict[str, float]
) -> str | None:
    """Out of its bound for as long as it allows, or not read for the longer of that and three evaluations."""
    reading = progress.sliding.get(probe.title)
    values = values_of(probe, reading) if reading is not None else ()
    blind = f"{guard.title}, unread"
    if values:
        breaking_since[blind] = progress.sliding_at_s[probe.title]
    if at_s - breaking_since.setdefault(blind, at_s) >= max(guard.for_s, 3 * progress.plan.evaluation_s, 3.0):
        return "it cannot be read"
    seen = judged(probe, reading, progress.baseline.get(probe.title.removeprefix("guard:")))
    broken = seen.standing == "broken"
    if broken and at_s - breaking_since.setdefault(guard.title, at_s) >= guard.for_s:
        return f"it reads {seen.told()}"
    if values and not broken:
        breaking_since.pop(guard.title, None)
    return None


def _unexpected(progress: Progress, labels: Mapping[str, str]) -> str | None:
    expected = {alert.alert for alert in progress.plan.alerts}
    for name, instances in progress.alert_labels.items():
        if name not in expected and any(
            carries({**instance, "alertname": name}, {**progress.plan.match, **labels}) for instance in instances
        ):
            return f"{name} fires and nobody expected it"
    return None


def _control_hurt(progress: Progress) -> tuple[str, str] | None:
    """The proxy's own guard: of the control arm's requests of the last looks, half fail, or half are slow that were fast before."""
    for target, history in progress.control_history.items():
        recent = history[-6:]
        answered = recent[-1].first_attempts - recent[0].first_attempts
        if answered < 20:
            continue
        failed, slow = recent[-1].errors - recent[0].errors, recent[-1].slow - recent[0].slow
        if failed * 2 >= answered:
            return f"control arm at {target}", f"{failed} of {answered} control requests failed"
        before = progress.control_before.get(target)
        usually_fast = before is not None and before.slow * 10 <= before.first_attempts
        if usually_fast and slow * 2 >= answered:
            return f"control arm at {target}", f"{slow} of {answered} control requests took longer than {SLOW_S:g}s"
    return None
