"""Treatment against control, by what the run's own load counted second by second. Pure.

samples ─▶ counts() ─▶ RiskRatio, looked at every second ─▶ Comparison: what it says, and when it was decided

Counted are first requests of their subjects alone: a subject that comes back, or a retry, is no new evidence. The comparisons that
judge a run share ALPHA, so that the chance that any of them ever says broken wrongly is at most that, at whatever moment it ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from chaos.exposure import ArmSample, Sample
from chaos.statistics import ArmCounts, ArmValues, MeanDifference, RiskRatio, bonferroni, quantile_bound, slower_than

Compared = Literal["wrong", "errors", "slow", "positive"]

JUDGED: tuple[Compared, ...] = ("wrong", "errors", "slow")
"""The comparisons that judge a run. Positive decisions do not: more of them are neither better nor worse."""
TITLE: dict[Compared, str] = {
    "wrong": "mistakes", "errors": "errors", "slow": "slow requests", "positive": "positive decisions",
}  # fmt: skip
COUNTED: dict[str, Compared] = {
    "accuracy": "wrong", "error_ratio": "errors", "availability": "errors", "latency": "slow",
}  # fmt: skip
"""Signal of a steady-state probe → which of the load's counts per arm says the same."""
ALPHA = 0.05
"""The chance, over all comparisons that judge a run and all looks at them, of ever saying broken wrongly."""
EACH = bonferroni(ALPHA, len(JUDGED))
"""The same for one of them."""
HELD_MARGIN = 1.5
"""Treatment held when it is certain to be less than so many times as bad as control (with an error of 5 % for each comparison)."""
QUANTILE = 0.99
"""Slow is what was slower than this quantile of the control arm before the fault, up to the next bound of the histogram."""


def deciding(signals: Iterable[str | None]) -> tuple[Compared, ...]:
    """The comparisons that `arms: held` is decided by: those that say what these signals of the steady state do, else all."""
    named = {COUNTED[signal] for signal in signals if signal in COUNTED}
    return tuple(what for what in JUDGED if what in named or not named)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One running comparison. A value: `after` gives the next one. `decided_wall_s` is when its decision was first right."""

    what: Compared
    result: RiskRatio
    bound_s: float | None = None
    """What slow requests took longer than; None for the others."""
    decided_wall_s: float | None = None

    def after(self, sample: Sample) -> Comparison:
        """With one more second of the load."""
        return self.with_window(sample.wall_s, *counts(sample, self.what, self.bound_s))

    def with_window(self, wall_s: float, treatment: ArmCounts, control: ArmCounts) -> Comparison:
        """With what was counted of both arms in one more window, which ended then."""
        result = self.result.update(treatment, control)
        changed = result.decision != self.result.decision
        return replace(self, result=result, decided_wall_s=wall_s if changed else self.decided_wall_s)


def begun(what: Compared, alpha: float, worse_than: float = 1.0, bound_s: float | None = None) -> Comparison:
    """The comparison before anything was counted: broken will mean that treatment is more than `worse_than` times as bad as control."""
    return Comparison(what, RiskRatio(alpha=alpha, broken_margin=worse_than, held_margin=HELD_MARGIN), bound_s)


def compare(samples: Iterable[Sample], what: Compared, alpha: float = EACH, bound_s: float | None = None) -> Comparison:
    """The arms' comparison over these seconds, looked at every second; `alpha` is the chance of ever saying broken wrongly."""
    running = begun(what, alpha, bound_s=bound_s)
    for sample in samples:
        running = running.after(sample)
    return running


def counts(sample: Sample, what: Compared, bound_s: float | None = None) -> tuple[ArmCounts, ArmCounts]:
    """Treatment's and control's exposure and bad events in one second. `slow` needs the bound that slow begins at."""
    treatment, control = (_of_arm(sample.arms.get(arm), what, bound_s) for arm in ("treatment", "control"))
    return treatment, control


def _of_arm(seen: ArmSample | None, what: Compared, bound_s: float | None) -> ArmCounts:
    if seen is None:
        return ArmCounts(0, 0)
    match what:
        case "errors":
            return ArmCounts(seen.first, seen.first_errors)
        case "wrong":
            return ArmCounts(seen.labelled - seen.repeats.labelled, seen.wrong - seen.repeats.wrong)
        case "positive":
            return ArmCounts(seen.first_decided, seen.first_positive)
        case "slow":
            within = _first_within(seen)
            return slower_than(bound_s, within, seen.first) if bound_s in within else ArmCounts(0, 0)


def _first_within(seen: ArmSample) -> dict[float, int]:
    """Bound → first requests that were answered within it."""
    repeated = seen.repeats.latency_le
    return {float(bound): min(seen.first, count - repeated.get(bound, 0)) for bound, count in seen.latency_le.items()}


def slow_bound(samples: Iterable[Sample], quantile: float = QUANTILE) -> float | None:
    """The least bound of the load's histogram that holds this quantile of the control arm in these seconds; None: nobody knows."""
    within: dict[float, int] = {}
    total = 0
    for sample in samples:
        seen = sample.arms.get("control")
        if seen is None:
            continue
        total += seen.first
        for bound, count in _first_within(seen).items():
            within[bound] = within.get(bound, 0) + count
    return quantile_bound(within, total, quantile)


def mean_latency(samples: Iterable[Sample], alpha: float = EACH) -> MeanDifference:
    """The arms' mean latencies compared (seconds, treatment – control). Asymptotic: see `MeanDifference`."""
    running = MeanDifference(alpha)
    for sample in samples:
        arms = [sample.arms.get(arm, ArmSample()) for arm in ("treatment", "control")]
        running = running.update(*(ArmValues(a.first, a.first_latency_s, a.first_latency_squares) for a in arms))
    return running


def segments(samples: Sequence[Sample]) -> dict[str, RiskRatio]:
    """Slice → the comparison of the mistakes in it, over these seconds. For `e_benjamini_hochberg`: there may be many."""
    names = sorted({name for sample in samples for arm in sample.arms.values() for name in arm.slices})
    found: dict[str, RiskRatio] = {}
    for name in names:
        running = RiskRatio()
        for sample in samples:
            parts = [sample.arms.get(arm, ArmSample()).slices.get(name) for arm in ("treatment", "control")]
            running = running.update(*(ArmCounts(one.labelled, one.wrong) if one else ArmCounts(0, 0) for one in parts))
        found[name] = running
    return found


def moved(
    before: Iterable[Sample], during: Iterable[Sample], what: Compared, alpha: float, bound_s: float | None = None
) -> bool:
    """Whether the control arm has left its own baseline, up or down, with this chance of saying so wrongly.

    By itself that is no harm: both arms may have drifted. But a fault that reached control (through a shared queue, cache or model)
    makes arms look alike that are not.
    """
    return moved_counts(_summed(before, what, bound_s), _summed(during, what, bound_s), alpha)


def moved_counts(then: ArmCounts, now: ArmCounts, alpha: float) -> bool:
    """The same of the control arm's own counts, before the fault and under it."""
    up = RiskRatio(alpha=alpha / 2).update(now, then)
    down = RiskRatio(alpha=alpha / 2).update(then, now)
    return "broken" in (up.decision, down.decision)


def _summed(samples: Iterable[Sample], what: Compared, bound_s: float | None) -> ArmCounts:
    control = [counts(sample, what, bound_s)[1] for sample in samples]
    return ArmCounts(sum(one.exposed for one in control), sum(one.bad for one in control))
