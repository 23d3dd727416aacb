"""What the comparison of the arms will be able to tell, and when: said by the plan, before anything is hurt. Pure.

A prediction for a steady load and a flat base rate, from `chaos.statistics.power`; the run's own comparison needs neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chaos.comparisons import EACH, HELD_MARGIN, TITLE, Compared
from chaos.statistics import Traffic, chance_to_tell, seconds_to_tell, smallest_ratio
from chaos.units import format_duration, format_share

LIKELY = 0.8
"""The chance with which something is foretold to suffice."""


@dataclass(frozen=True, slots=True)
class ComparisonForesight:
    """One comparison. `base_rate` is control's usual share of bad ones; None when nobody knows, and then the rest is None, too.

    The smallest ratio that is found within the fault's time with 80 % and 90 % power (None: not even the largest possible one), the
    seconds after which half of all runs tell a doubling or say that arms which are alike have held (None: more than a week), and the
    chance that such arms are said to have held within the fault's time.
    """

    what: Compared
    base_rate: float | None
    smallest_ratio_80: float | None = None
    smallest_ratio_90: float | None = None
    doubled_s: float | None = None
    held_s: float | None = None
    held_chance: float | None = None


@dataclass(frozen=True, slots=True)
class ArmsForesight:
    """What the arms' comparisons can tell with so many subjects a second, this share of them treated, within `seconds`.

    `alpha` is that of one comparison.
    """

    rate_per_s: float
    traffic: float
    seconds: float
    alpha: float
    comparisons: tuple[ComparisonForesight, ...]

    def told(self) -> tuple[str, ...]:
        """One sentence for each comparison."""
        return tuple(_told(self, one) for one in self.comparisons)


def foresee_arms(
    rate_per_s: float, traffic: float, seconds: float, base_rates: Mapping[Compared, float | None]
) -> ArmsForesight | None:
    """The foresight for these base rates; None where there are no two arms, or no time."""
    if rate_per_s <= 0 or not 0 < traffic < 1 or seconds <= 0:
        return None
    rows = tuple(_foresee(rate_per_s, traffic, seconds, what, base) for what, base in base_rates.items())
    return ArmsForesight(rate_per_s, traffic, seconds, EACH, rows)


def _foresee(
    rate_per_s: float, traffic: float, seconds: float, what: Compared, base: float | None
) -> ComparisonForesight:
    if base is None or not 0 < base <= 1:
        return ComparisonForesight(what, None)
    seen = Traffic(rate_per_s, traffic, base)
    return ComparisonForesight(
        what,
        base,
        smallest_ratio(seen, seconds, 0.8, EACH),
        smallest_ratio(seen, seconds, 0.9, EACH),
        seconds_to_tell(seen, 2.0, alpha=EACH) if base <= 0.5 else None,
        seconds_to_tell(seen, 1.0, margin=HELD_MARGIN, answer="held"),
        chance_to_tell(seen, 1.0, seconds, margin=HELD_MARGIN, answer="held"),
    )


def _told(arms: ArmsForesight, one: ComparisonForesight) -> str:
    title, base = TITLE[one.what], one.base_rate
    if base is None:
        return f"{title}: how many there usually are is not known, so what can be told apart is not predicted"
    who = f"with {arms.rate_per_s:g}/s at {format_share(arms.traffic)}"
    if base > 0.5:
        doubled = f"more than half are bad already ({_share(base)}), so none can be twice as many"
    else:
        when = f"is told in about {_about(one.doubled_s)}" if one.doubled_s is not None else "is not told within a week"
        doubled = f"{who} a doubling of {title} ({_share(base)} → {_share(2 * base)}) {when}"
    smallest = f"x{one.smallest_ratio_80:.3g}" if one.smallest_ratio_80 is not None else "none"
    return f"{doubled}; the smallest change found in {format_duration(arms.seconds)} ({LIKELY:.0%}) is {smallest}"


def undecidable(arms: ArmsForesight, what: Compared) -> str | None:
    """Why `arms: held` cannot be decided by this comparison in the fault's time, and what would suffice; None when it can, or nobody knows.

    It can when at least half of the runs whose arms are alike end with an answer.
    """
    one = next((one for one in arms.comparisons if one.what == what), None)
    if one is None or one.base_rate is None or one.held_chance is None or one.held_chance >= 0.5:
        return None
    here = Traffic(arms.rate_per_s, arms.traffic, one.base_rate)
    needed = seconds_to_tell(here, 1.0, LIKELY, margin=HELD_MARGIN, answer="held")
    ways = [f"`duration: {_about(needed)}`"] if needed is not None else []
    if arms.traffic < 0.5:
        even = seconds_to_tell(
            Traffic(arms.rate_per_s, 0.5, one.base_rate), 1.0, LIKELY, margin=HELD_MARGIN, answer="held"
        )
        ways += [f"`traffic: 50%` and `duration: {_about(even)}`"] if even is not None else []
    advice = f"write {', or '.join(ways)}, or more `rate:`" if ways else "write more `rate:`"
    return (
        f"`arms: held` cannot be decided by {TITLE[what]} within {format_duration(arms.seconds)}: with {arms.rate_per_s:g}/s at "
        f"{format_share(arms.traffic)}, of which {_share(one.base_rate)} are usual, arms that are alike are told to be so in "
        f"{_percent(one.held_chance)} of runs; {advice}"
    )


def _share(share: float) -> str:
    """Two digits that count: 5%, 0.12%."""
    return f"{share * 100:.2g}%" if share < 0.995 else "100%"


def _percent(chance: float) -> str:
    return "under 1%" if chance < 0.01 else f"{chance:.0%}"


def _about(seconds: float) -> str:
    """Rounded up to whole seconds, beyond two minutes to whole minutes, and written as durations are."""
    step = 1 if seconds <= 120 else 60
    return format_duration(float(-(-seconds // step) * step))
