"""What a soak saw, and what is wrong with it. Pure: samples and counts go in, sentences come out."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

MOST_GROWTH = 0.1
"""Share by which memory, descriptors or tasks may be above what they were after the warm-up."""
FEW = 16
"""Descriptors and tasks may differ by so many in any case: clients come and go."""
LEFT_OVER_TASKS = 2
"""Tasks that may still be there when every client has gone, beyond those of the start: one that is just ending."""
MOST_COMPLAINTS = 50
"""So many different complaints are kept; after that they are only counted."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the proxy's processes, so many seconds after traffic began."""

    at_s: float
    rss_mb: float
    descriptors: int
    tasks: int | None
    """Tasks of its event loop; None where they cannot be seen."""


@dataclass(slots=True)
class Tally:
    """What the clients met. `asked` are things that were meant to happen: changed answers, injected errors, cut ones."""

    requests: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    slowest_s: dict[str, float] = field(default_factory=dict)
    """Of each kind of client, the longest that it took one to get what it asked for."""

    def met(self, kind: str, outcome: str, took_s: float) -> None:
        """A client of this kind got what it could expect."""
        self.requests[kind] += 1
        self.asked[outcome] += 1
        self.slow(kind, took_s)

    def slow(self, kind: str, took_s: float) -> None:
        """Somebody of this kind had to wait for so long."""
        self.slowest_s[kind] = max(took_s, self.slowest_s.get(kind, 0.0))

    def complain(self, what: str) -> None:
        """Something happened that nobody asked for."""
        known = what in self.unexpected or len(self.unexpected) < MOST_COMPLAINTS
        self.unexpected[what if known else "more of other kinds"] += 1


@dataclass(frozen=True, slots=True)
class Trend:
    """How one value went: at the start, after the warm-up, at the end, and along the line that fits best since the warm-up."""

    start: float
    warm: float
    end: float
    per_hour: float

    @property
    def growth(self) -> float:
        """From after the warm-up to the end, as a share."""
        return self.end / self.warm - 1 if self.warm else 0.0


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the straight line with the least squares through (x, y); 0 when there is none."""
    if len({x for x, _ in points}) < 2:
        return 0.0
    middle_x, middle_y = statistics.fmean(x for x, _ in points), statistics.fmean(y for _, y in points)
    above = sum((x - middle_x) * (y - middle_y) for x, y in points)
    return above / sum((x - middle_x) ** 2 for x, _ in points)


def trend(samples: Sequence[Sample], value: Callable[[Sample], float | None], warm_up_s: float) -> Trend | None:
    """Medians of the first and the last tenth after the warm-up, so that no single sample decides; None without samples."""
    seen = [(one.at_s, found) for one in samples if (found := value(one)) is not None]
    after = [point for point in seen if point[0] >= warm_up_s]
    if not after:
        return None
    tenth = max(1, len(after) // 10)
    warm, end = (statistics.median(y for _, y in part) for part in (after[:tenth], after[-tenth:]))
    return Trend(seen[0][1], warm, end, slope(after) * 3600)


VALUES: Mapping[str, Callable[[Sample], float | None]] = {
    "memory (MB)": lambda one: one.rss_mb,
    "descriptors": lambda one: float(one.descriptors),
    "tasks": lambda one: float(one.tasks) if one.tasks is not None else None,
}


def grown(samples: Sequence[Sample], warm_up_s: float) -> list[str]:
    """What has grown since the warm-up by more than it may."""
    found = []
    for name, value in VALUES.items():
        seen = trend(samples, value, warm_up_s)
        if seen is None:
            continue
        counted = name != "memory (MB)"
        if seen.growth > MOST_GROWTH and not (counted and seen.end - seen.warm <= FEW):
            found.append(
                f"{name} grew by {seen.growth:.0%} since the warm-up, from {seen.warm:.4g} to {seen.end:.4g}; "
                f"at most {MOST_GROWTH:.0%} is allowed"
            )
    return found


def left_over(before: Sample, after: Sample) -> list[str]:
    """What is still there when every client has gone."""
    if before.tasks is None or after.tasks is None or after.tasks <= before.tasks + LEFT_OVER_TASKS:
        return []
    return [f"{after.tasks} tasks are left when every client has gone; there were {before.tasks} before the first came"]


def missing(
    samples: Sequence[Sample], tally: Tally, warm_up_s: float, kinds: Sequence[str], outcomes: Sequence[str]
) -> list[str]:
    """What should have happened and never did: a soak without it proves less than it says."""
    found = [f"not one request of the kind {kind!r} went well" for kind in kinds if not tally.requests[kind]]
    found += [f"nothing was ever {outcome}" for outcome in outcomes if not tally.asked[outcome]]
    if not any(one.at_s >= warm_up_s for one in samples):
        found.append(f"nobody looked at the proxy after the warm-up of {warm_up_s:.0f} s; let it run for longer")
    return found


def problems(samples: Sequence[Sample], tally: Tally, warm_up_s: float) -> list[str]:
    """Everything for which a soak fails, one sentence each; none when it passes."""
    return [
        *(f"{count} × not asked for: {what}" for what, count in tally.unexpected.most_common()),
        *grown(samples, warm_up_s),
    ]


def report(samples: Sequence[Sample], tally: Tally, warm_up_s: float) -> str:
    """What was seen, for people."""
    lines = [f"requests: {sum(tally.requests.values()):,}"]
    lines += [
        f"  {kind}: {count:,}, the slowest {tally.slowest_s.get(kind, 0.0):.2f} s"
        for kind, count in sorted(tally.requests.items())
    ]
    lines.append("asked for: " + ", ".join(f"{count:,} {what}" for what, count in sorted(tally.asked.items())))
    lines.append(f"errors that were not asked for: {sum(tally.unexpected.values()):,}")
    for name, value in VALUES.items():
        seen = trend(samples, value, warm_up_s)
        if seen is None:
            lines.append(f"{name}: not seen after the warm-up of {warm_up_s:.0f} s")
        else:
            lines.append(
                f"{name}: {seen.start:.4g} at the start, {seen.warm:.4g} after {warm_up_s:.0f} s, {seen.end:.4g} at the end "
                f"({seen.growth:+.1%}); slope since then {seen.per_hour:+.3g} an hour"
            )
    return "\n".join(lines)
