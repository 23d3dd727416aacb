"""The questions that a run asks of what it has seen, phase by phase; their answers are what the live view says it waits for. Pure.

baseline: baseline_problems() ─▶ under fault: decided(), waiting_for() ─▶ recovery: unsettled()
"""

from __future__ import annotations

from chaos.comparisons import TITLE, Compared
from chaos.plans import REMOVAL_PROOF, PlannedAlert, PlannedProbe
from chaos.progress.seen import Progress
from chaos.readings import enough, judged, values_of

# --- the baseline -----------------------------------------------------------------------------------------------------


def unread(progress: Progress) -> bool:
    """Whether a probe that the baseline is judged by has not been read at all in this phase."""
    return any(probe.title not in progress.phase for probe in progress.plan.steady() if "before" in probe.judged)


def baseline_problems(progress: Progress) -> list[str]:
    """Why the baseline is not met: a bound broken, too little data, or an expected alert that is already active."""
    problems: list[str] = []
    for probe in progress.plan.steady():
        problem = _not_met(progress, probe)
        if problem is not None and "before" in probe.judged:
            problems.append(problem)
    problems += [
        f"{alert.alert} is already {progress.active[alert.alert]}"
        for alert in progress.plan.alerts
        if alert.alert in progress.active and alert.via != "silence"
    ]
    problems += [
        f"what another tool is to do to {effect.target} is there already: {effect.shows.query} reads as if it were on"
        for effect in progress.externals_on()
        if effect.shows is not None
    ]
    return problems


def _not_met(progress: Progress, probe: PlannedProbe) -> str | None:
    """Why the baseline of this probe is not met, or None."""
    reading = progress.phase.get(probe.title)
    if reading is None or not values_of(probe, reading):
        return f"{probe.title} has no data"
    if not enough(probe, reading):
        return f"{probe.title} rests on {reading.count or 0:g} events and needs {probe.needs:g}"
    seen = judged(probe, reading, reading)
    match seen.standing:
        case "broken":
            return f"{probe.title} is {seen.told()}"
        case "unknown":
            return f"{probe.title} has no data for {seen.silent or 'one of its series'}"
        case _:
            return None


# --- under fault ------------------------------------------------------------------------------------------------------


def decided(progress: Progress) -> bool:
    """Whether every question that a fault can decide has its answer; then nobody needs to be hurt longer.

    Where nothing is asked that has one (an alert, or arms that are to hold), it never is. A harm alone is none: its bound is no
    test that may be looked at again and again until it breaks.
    """
    if progress.first_effect_wall_s is None or not (progress.plan.alerts or _arms_decide(progress)):
        return False
    told = all(_told(progress, alert) for alert in progress.plan.alerts)
    return told and all(harmed(progress, name) for name in progress.plan.harms) and not _arms_open(progress)


def waiting_for(progress: Progress) -> list[str]:
    """What is still open under fault, in words, for the live view."""
    open_ = [
        f"the external effect at {effect.target}"
        for effect in progress.plan.externals()
        if not any(one.on for one in progress.seen_of(effect))
    ]
    if progress.first_effect_wall_s is None:
        return open_ or ["the first effect"]
    for alert in progress.plan.alerts:
        if alert.via == "silence":
            open_.append(f"{alert.delivered_to} to hear no more of {alert.alert}")
        elif not _told(progress, alert):
            fired = (alert.via == "sink" or alert.alert in progress.firing) and alert.delivered_to
            open_.append(f"{alert.alert} to {f'reach {alert.delivered_to}' if fired else 'fire'}")
    open_ += [f"{name} to leave its bound" for name in progress.plan.harms if not harmed(progress, name)]
    return open_ + [
        f"treatment and control to be told apart, or alike, in {TITLE[what]}" for what in _arms_open(progress)
    ]


def harmed(progress: Progress, title: str) -> bool:
    """Whether this probe has left its bound since the first effect, on enough events."""
    probe = next(probe for probe in progress.plan.steady() if probe.title == title)
    reading = progress.phase.get(title)
    if reading is None or not enough(probe, reading):
        return False
    return judged(probe, reading, progress.baseline.get(title)).standing == "broken"


def _told(progress: Progress, alert: PlannedAlert) -> bool:
    if alert.via == "silence":  # how long it lasts is known when it is over
        return False
    if alert.via != "sink" and alert.alert not in progress.firing:
        return False
    return alert.delivered_to is None or progress.delivered(alert)


def _arms_decide(progress: Progress) -> bool:
    """Whether the arms' comparisons may end the fault by themselves: what begins later may still change what they say."""
    return bool(progress.arms.deciding) and progress.plan.begins_at_once()


def _arms_open(progress: Progress) -> list[Compared]:
    """The comparisons of the arms that were asked for and are undecided, though their samples have come."""
    return progress.arms.open(progress.first_effect_wall_s) if progress.first_effect_wall_s is not None else []


# --- recovery ---------------------------------------------------------------------------------------------------------


def unsettled(progress: Progress) -> list[str]:
    """What has not come back since the undo, in words; empty when everything has."""
    waiting = [f"the external effect at {effect.target} to end" for effect in progress.externals_on()]
    for target, seen in progress.proxies.items():
        hurt = any(effect.target == target and effect.kind == "proxy" for effect in progress.plan.faults())
        wanted = progress.plan.removal_proof(target)
        if hurt and seen.untouched < wanted:
            waiting.append(f"{wanted} untouched treatment requests at {target} ({seen.untouched} so far)")
    hurt = any(effect.kind == "load" for effect in progress.plan.faults())
    if hurt and progress.untouched_by_load < REMOVAL_PROOF:
        waiting.append(
            f"{REMOVAL_PROOF} untouched treatment requests of the load ({progress.untouched_by_load} so far)"
        )
    beats = {alert.alert for alert in progress.plan.alerts if alert.via == "silence"}
    waiting += [f"{name} to resolve" for name in progress.firing if name in progress.active and name not in beats]
    for alert in (one for one in progress.plan.alerts if one.via != "silence"):
        # An alert that flaps is told again: what counts is what the receiver knows last.
        if "firing" in progress.told(alert).values():
            waiting.append(f"{alert.delivered_to} to hear that {alert.alert} is resolved")
    for probe in progress.plan.steady():
        if not {"after", "eventually"} & set(probe.judged):
            continue
        if judged(probe, progress.sliding.get(probe.title), progress.baseline.get(probe.title)).standing != "met":
            waiting.append(f"{probe.title} to be back within its bound")
    return waiting
