"""What the arms say while a run goes on: which comparisons are open, and which guard on them is broken. Pure.

It says what happens next. Findings are the judge's, from the journal. Counts come from the run's own load; where there is none, from the
proxies of each target.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from chaos.comparisons import ALPHA, EACH, TITLE, Compared, Comparison, begun, deciding, slow_bound
from chaos.exposure import Sample
from chaos.observation import SLOW_S, ProxyRead
from chaos.plans import Plan, PlannedGuard
from chaos.proxy_counts import KNOWN, each_at_proxies, windows_of_subjects
from chaos.statistics import bonferroni

__all__ = ["ArmsWatch", "each_guard"]

LOAD = "the load"


def each_guard(guards: Sequence[PlannedGuard], targets: int = 0) -> float:
    """The chance of ever ending a run wrongly that each of these guards on arms has at each target: all together have ALPHA."""
    return bonferroni(ALPHA, max(1, sum(guard.compared is not None for guard in guards)) * max(1, targets))


@dataclass(frozen=True, slots=True)
class _Watched:
    """One comparison: who counts, and the guard that it is for; None: `arms: held` waits for it."""

    source: str
    what: Compared
    guard: PlannedGuard | None = None


@dataclass
class ArmsWatch:
    """The comparisons that `arms: held` waits for, and those that guards are written on."""

    deciding: tuple[Compared, ...] = ()
    guards: tuple[PlannedGuard, ...] = ()
    targets: tuple[str, ...] = ()
    """Whose proxies count; none where the load does."""
    samples: list[Sample] = field(default_factory=list)
    """Since the baseline began."""
    looks: dict[str, list[ProxyRead]] = field(default_factory=dict)
    _running: dict[_Watched, Comparison] = field(default_factory=dict)
    _first_wall_s: float | None = None
    _taken: dict[str, int] = field(default_factory=dict)
    _looked: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def of(plan: Plan) -> ArmsWatch:
        """What this plan asks of its arms; nothing, where it has none."""
        if not plan.divides() or plan.traffic >= 1:
            return ArmsWatch()
        asked = deciding(probe.signal for probe in plan.steady()) if plan.arms_held else ()
        guards = tuple(guard for guard in plan.guards if guard.compared is not None)
        targets = plan.compared_at()
        return ArmsWatch(tuple(what for what in asked if not targets or what in KNOWN), guards, targets)

    def learn(self, seen: Sample | ProxyRead) -> None:
        """One more second of the load, or look at the proxies of a target."""
        if not self.deciding and not self.guards:
            return
        if isinstance(seen, Sample):
            self.samples.append(seen)
        elif seen.target in self.targets:
            self.looks.setdefault(seen.target, []).append(seen)

    def baseline_begins(self) -> None:
        """What was counted so far was the warm-up."""
        self.samples.clear()
        self._first_wall_s = None

    def open(self, first_wall_s: float) -> list[Compared]:
        """What is undecided over the time since the first effect."""
        self._advance(first_wall_s)
        asked = ((one.what, found) for one, found in self._running.items() if one.guard is None)
        return list(dict.fromkeys(what for what, found in asked if found.result.decision == "undecided"))

    def breached(self, first_wall_s: float) -> tuple[str, str] | None:
        """The first guard on arms whose harm is proven, and why."""
        self._advance(first_wall_s)
        for one, found in self._running.items():
            if one.guard is not None and found.result.decision == "broken":
                return one.guard.title, _proven(found, one.source)
        return None

    def _advance(self, first_wall_s: float) -> None:
        if first_wall_s != self._first_wall_s:
            self._begin(first_wall_s)
        fresh = self.samples[self._taken.get(LOAD, 0) :]
        self._taken[LOAD] = len(self.samples)
        for sample in fresh:
            if sample.wall_s > first_wall_s:
                self._running = {one: found.after(sample) for one, found in self._running.items()}
        for target, looks in self.looks.items():
            if self._looked.get(target) != len(looks):
                self._looked[target] = len(looks)
                self._advance_at(target, first_wall_s)

    def _advance_at(self, target: str, first_wall_s: float) -> None:
        windows = windows_of_subjects(self.looks[target], first_wall_s)
        for wall_s, counted in islice(windows, self._taken.get(target, 0), None):
            self._taken[target] = self._taken.get(target, 0) + 1
            for one in self._running:
                found = counted.get(one.what) if one.source == target else None
                if found is not None:
                    self._running[one] = self._running[one].with_window(wall_s, *found)

    def _begin(self, first_wall_s: float) -> None:
        bound_s = slow_bound(sample for sample in self.samples if sample.wall_s <= first_wall_s)
        self._first_wall_s, self._taken, self._looked = first_wall_s, {}, {}
        self._running = dict(self._begun(SLOW_S if self.targets else bound_s))

    def _begun(self, bound_s: float | None) -> Iterator[tuple[_Watched, Comparison]]:
        held = each_at_proxies(len(self.targets)) if self.targets else EACH
        guarded = each_guard(self.guards, len(self.targets))
        for source in self.targets or (LOAD,):
            for what in self.deciding:
                yield _Watched(source, what), begun(what, held, bound_s=bound_s if what == "slow" else None)
            for guard in self.guards:
                assert guard.compared is not None
                watched = _Watched(source, guard.compared, guard)
                yield watched, begun(guard.compared, guarded, guard.worse_than, bound_s)


def _proven(found: Comparison, source: str) -> str:
    low, high = found.result.interval
    return (
        f"treatment is proven to have more than {found.result.broken_margin:g} times control's share of {TITLE[found.what]}: "
        f"risk ratio {found.result.ratio:.2f} [{low:.2f}, {high:.2f}] "
        f"(by {'the load' if source == LOAD else f'the proxy of {source}'}, alpha {found.result.alpha:.1%})"
    )
