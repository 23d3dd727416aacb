"""What the arms' comparisons will be able to tell: how often things usually go wrong, from what was surveyed. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.arms_foresight import ArmsForesight, foresee_arms, undecidable
from chaos.comparisons import COUNTED, QUANTILE, TITLE, Compared, deciding
from chaos.observation import SLOW_S
from chaos.plans import Plan, PlannedAlert, PlannedProbe
from chaos.survey import Survey

_MISTAKES_UNKNOWN = (
    "`arms: held` is to be decided by mistakes, and proxies know errors and slow answers alone; write `load:`, or leave out the probe "
    "of accuracy or `arms: held`"
)
_GOOD_IS_HIGH = ("accuracy", "availability")


def arms_of(drawn: Plan, survey: Survey) -> ArmsForesight | None:
    """What the comparisons of the steady state's probes can tell; None without a load of our own, or without two arms."""
    touching = [effect for effect in drawn.faults() if effect.kind in ("proxy", "load") and not effect.whole]
    if drawn.load is None or not touching or not drawn.divides():
        return None
    seconds = max(one.start_s + one.duration_s for one in touching) - min(one.start_s for one in touching)
    rates = base_rates(drawn.steady(), drawn.alerts, survey.outcomes)
    return foresee_arms(drawn.load.rate_per_s * (1 - drawn.load.returning), drawn.traffic, seconds, rates)


def base_rates(
    probes: tuple[PlannedProbe, ...], alerts: tuple[PlannedAlert, ...], outcomes: Mapping[str, float | None]
) -> dict[Compared, float | None]:
    """Comparison → control's usual share of bad ones, as far as anybody knows: by a probe of the last hour, else by an alert's rule now.

    Slow is by its own definition at most one in a hundred. A share of 0 is none that anybody knows: it was not seen yet.
    """
    found: dict[Compared, float | None] = {}
    for probe in probes:
        what = COUNTED.get(probe.signal or "")
        if what is None or found.get(what) is not None:
            continue
        now = [alert.foresight.now for alert in alerts if alert.foresight and alert.foresight.signal == probe.signal]
        reading = outcomes.get(probe.title)
        value = reading if reading is not None else next(iter(now), None)
        found[what] = 1 - QUANTILE if what == "slow" else _bad(value, probe.signal or "")
    return found


def _bad(value: float | None, signal: str) -> float | None:
    if value is None or not 0 <= value <= 1:
        return None
    bad = 1 - value if signal in _GOOD_IS_HIGH else value
    return bad if bad > 0 else None


def arms_refusals(drawn: Plan) -> list[str]:
    """Why a guard on arms sees nothing, or `arms: held` cannot be decided at all, or in time; only where they were asked for."""
    return [*_guard_refusals(drawn), *_held_refusals(drawn)]


def _guard_refusals(drawn: Plan) -> list[str]:
    guards = [guard.title for guard in drawn.guards if guard.compared is not None]
    if not drawn.divides() or not 0 < drawn.traffic < 1:
        return [
            f"the guard on {title} compares two arms, and here are none; write `traffic:` below 100% and a fault with arms, or leave it out"
            for title in guards[:1]
        ]
    unknown = [guard.title for guard in drawn.guards if guard.compared == "wrong" and drawn.load is None]
    return [
        f"the guard on {title} needs to know which answers are wrong, which only the run's own load knows; write `load:`, or leave it out"
        for title in unknown[:1]
    ]


def _held_refusals(drawn: Plan) -> list[str]:
    if not drawn.arms_held or drawn.traffic <= 0:
        return []
    if drawn.compared_at():
        named = {COUNTED[probe.signal] for probe in drawn.steady() if probe.signal in COUNTED}
        return [_MISTAKES_UNKNOWN] if "wrong" in named else []
    if drawn.arms is None:
        return [
            (
                "`arms: held` compares two arms by what the run's own load counts, and here is no load, or are no two arms; write `load:`, "
                "`traffic:` below 100% and a fault that has arms, or leave `arms: held` out"
            )
        ]
    asked = deciding(probe.signal for probe in drawn.steady())
    return [why for what in asked if (why := undecidable(drawn.arms, what)) is not None]


def arms_notes(drawn: Plan) -> list[str]:
    """Who compares the arms where no load does, and what `arms: held` asks for and nobody can foretell."""
    asks = drawn.arms_held or any(guard.compared is not None for guard in drawn.guards)
    if asks and drawn.compared_at():
        at = " and of ".join(drawn.compared_at())
        return [
            (
                f"the arms are compared by what the proxy of {at} counts: subjects whose first answer failed, or took longer than "
                f"{SLOW_S:g}s. How many come is not known before, so what can be told apart is not predicted"
            )
        ]
    if not drawn.arms_held or drawn.arms is None:
        return []
    known = {one.what for one in drawn.arms.comparisons if one.base_rate is not None}
    unknown = [TITLE[what] for what in deciding(probe.signal for probe in drawn.steady()) if what not in known]
    return [
        f"how often {name} usually happen is not known (or they never do), so `arms: held` may stay undecided"
        for name in unknown
    ]
