"""What a benchmark found: single runs, and what they become (medians, ranges, ratios inside rounds). Pure.

Peers follow each other within a round, so slow moments of the machine meet all of them; a ratio is formed inside of each
round first, and its median is told. Runs with failed requests are left out of every number, and counted. A few rounds say
little: how many there were goes with every median, so that a verdict can say what it rests on.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Run:
    """One load on one peer. `cpu_s` is the peer's CPU, `load_cpu_s` that of load and backend, both in seconds."""

    section: str
    case: str
    peer: str
    round: int
    requests: int
    errors: int
    seconds: float
    cpu_s: float
    load_cpu_s: float
    foreign: float
    """Share of the peer's core that others used meanwhile: the noise."""
    rss_mb: float
    p50_ms: float
    p99_ms: float
    pss_mb: float = 0.0
    """Memory of the peer's processes where shared pages count once; `rss_mb` counts them for each. 0: not measured."""
    parent_mb: float = 0.0
    """Resident in the peer's first process alone."""
    largest_mb: float = 0.0
    """Resident in the largest of the others; 0 when it is one process."""

    @property
    def cpu_us(self) -> float:
        """Microseconds of the peer's CPU per request."""
        return self.cpu_s * 1e6 / self.requests if self.requests else 0.0

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds if self.seconds else 0.0


Value = Callable[[Run], float]


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several rounds, the lowest and the highest, and how many there were."""

    median: float
    low: float
    high: float
    rounds: int


def spread(values: Sequence[float]) -> Spread | None:
    """Of all values; None when there is none."""
    return Spread(statistics.median(values), min(values), max(values), len(values)) if values else None


@dataclass(frozen=True, slots=True)
class Noise:
    """How far single rounds lie from the median of their measurement, as shares of it.

    Unlike a range, this does not grow with the number of rounds.
    """

    usual: float
    """Half of the rounds lie closer."""
    seldom: float
    """One round in twenty lies further off."""


def noise(groups: Iterable[Sequence[float]]) -> Noise | None:
    """Over all groups of at least two rounds that measured the same; None when there is none."""
    off: list[float] = []
    for values in groups:
        middle = statistics.median(values) if len(values) > 1 else 0.0
        if middle > 0:
            off += [abs(value / middle - 1) for value in values]
    off.sort()
    return Noise(statistics.median(off), off[min(len(off) - 1, int(0.95 * len(off)))]) if off else None


@dataclass(frozen=True, slots=True)
class Result:
    """A whole benchmark. `peers` has who took part with its version, `absent` who did not, with the reason."""

    taken: str
    machine: dict[str, str]
    settings: dict[str, float]
    peers: dict[str, str]
    absent: dict[str, str]
    runs: tuple[Run, ...] = field(default=())

    def good(self, section: str, case: str, peer: str) -> dict[int, Run]:
        """Round → the run of it, where no request failed."""
        return {
            run.round: run
            for run in self.runs
            if (run.section, run.case, run.peer) == (section, case, peer) and not run.errors and run.requests
        }

    def failed(self) -> list[Run]:
        """Runs with failed requests, or without any."""
        return [run for run in self.runs if run.errors or not run.requests]

    def spread(self, section: str, case: str, peer: str, value: Value) -> Spread | None:
        """Of one value over the rounds; None when there is no good run."""
        return spread([value(run) for run in self.good(section, case, peer).values()])

    def paired(self, section: str, case: str, peer: str, to: str, value: Value) -> list[tuple[float, float]]:
        """The values of `peer` and of `to` in each round in which both are good, round by round."""
        ours, theirs = self.good(section, case, peer), self.good(section, case, to)
        return [(value(ours[one]), value(theirs[one])) for one in sorted(ours.keys() & theirs.keys())]

    def ratios(self, section: str, case: str, peer: str, to: str, value: Value) -> list[float]:
        """`peer` as a multiple of `to`, formed inside of each round in which both are good."""
        return [one / other for one, other in self.paired(section, case, peer, to, value) if other > 0]

    def ratio(self, section: str, case: str, peer: str, to: str, value: Value) -> Spread | None:
        """The median and range of `ratios`; None when there is none."""
        return spread(self.ratios(section, case, peer, to, value))

    def noise(self, sections: Collection[str], value: Value) -> Noise | None:
        """Of one value, over every case and peer of these sections. `direct` has no CPU, and counts where it has a value."""
        keys = dict.fromkeys((run.section, run.case, run.peer) for run in self.runs if run.section in sections)
        return noise([[value(run) for run in self.good(*key).values()] for key in keys])

    def foreign(self) -> Spread | None:
        """Share of the peers' core that others used, over all runs."""
        return spread([run.foreign for run in self.runs])

    def as_json(self) -> dict[str, Any]:
        """For a file; `from_json` reads it back."""
        return {"format": FORMAT, **asdict(self)}


def from_json(body: dict[str, Any]) -> Result:
    """A stored result; what runs of earlier days did not measure is 0.

    Raises ValueError when it is of another format, or when something is missing in it.
    """
    if body.get("format") != FORMAT:
        raise ValueError(f"this is no result of format {FORMAT}")
    try:
        whole = {name: value for name, value in body.items() if name != "format"}
        return Result(**{**whole, "runs": tuple(Run(**run) for run in whole["runs"])})
    except (TypeError, KeyError) as error:
        raise ValueError(f"this result is not whole: {error}") from error
