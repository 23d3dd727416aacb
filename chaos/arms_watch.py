"""What the arms say while a run goes on: which comparisons are open, and which guard on them is broken. Pure.

It says what happens next. Findings are the judge's, from the journal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from chaos.comparisons import ALPHA, EACH, TITLE, Compared, Comparison, begun, deciding, slow_bound
from chaos.exposure import Sample
from chaos.plans import Plan, PlannedGuard
from chaos.statistics import bonferroni

__all__ = ["ArmsWatch", "each_guard"]


def each_guard(guards: Sequence[PlannedGuard]) -> float:
    """The chance of ever ending a run wrongly that each of these guards on arms has: all together have ALPHA."""
    return bonferroni(ALPHA, max(1, sum(guard.compared is not None for guard in guards)))


@dataclass
class ArmsWatch:
    """The comparisons that `arms: held` waits for, and those that guards are written on."""

    deciding: tuple[Compared, ...]
    guards: tuple[PlannedGuard, ...] = ()
    alpha: float = EACH
    """Of one guard."""
    samples: list[Sample] = field(default_factory=list)
    """Since the baseline began."""
    _asked: dict[Compared, Comparison] = field(default_factory=dict)
    _guarded: dict[str, Comparison] = field(default_factory=dict)
    _first_wall_s: float | None = None
    _taken: int = 0

    @staticmethod
    def of(plan: Plan) -> ArmsWatch:
        """What this plan asks of its arms; nothing, where it has none."""
        if not plan.divides() or plan.traffic >= 1:
            return ArmsWatch(())
        asked = deciding(probe.signal for probe in plan.steady()) if plan.arms_held else ()
        guards = tuple(guard for guard in plan.guards if guard.compared is not None)
        return ArmsWatch(asked, guards, each_guard(guards))

    def learn(self, sample: Sample) -> None:
        """One more second of the load."""
        if self.deciding or self.guards:
            self.samples.append(sample)

    def baseline_begins(self) -> None:
        """What was counted so far was the warm-up."""
        self.samples.clear()
        self._first_wall_s = None

    def open(self, first_wall_s: float) -> list[Compared]:
        """The comparisons that are undecided over the seconds that ended after the first effect."""
        self._advance(first_wall_s)
        return [what for what, one in self._asked.items() if one.result.decision == "undecided"]

    def breached(self, first_wall_s: float) -> tuple[str, str] | None:
        """The first guard on arms whose harm is proven, and why."""
        self._advance(first_wall_s)
        broken = ((name, one) for name, one in self._guarded.items() if one.result.decision == "broken")
        return next(((name, _proven(one)) for name, one in broken), None)

    def _advance(self, first_wall_s: float) -> None:
        if first_wall_s != self._first_wall_s:
            self._begin(first_wall_s)
        fresh, self._taken = self.samples[self._taken :], len(self.samples)
        for sample in fresh:
            if sample.wall_s > first_wall_s:
                self._asked = {what: one.after(sample) for what, one in self._asked.items()}
                self._guarded = {name: one.after(sample) for name, one in self._guarded.items()}

    def _begin(self, first_wall_s: float) -> None:
        bound_s = slow_bound(sample for sample in self.samples if sample.wall_s <= first_wall_s)
        self._first_wall_s, self._taken = first_wall_s, 0
        self._asked = {what: begun(what, EACH, bound_s=bound_s) for what in self.deciding}
        self._guarded = dict(self._guards_begun(bound_s))

    def _guards_begun(self, bound_s: float | None) -> Iterator[tuple[str, Comparison]]:
        for guard in self.guards:
            assert guard.compared is not None
            yield guard.title, begun(guard.compared, self.alpha, guard.worse_than, bound_s)


def _proven(found: Comparison) -> str:
    low, high = found.result.interval
    return (
        f"treatment is proven to have more than {found.result.broken_margin:g} times control's share of {TITLE[found.what]}: "
        f"risk ratio {found.result.ratio:.2f} [{low:.2f}, {high:.2f}] (alpha {found.result.alpha:.1%})"
    )
