"""What a benchmark found: single runs, and what they become (medians, ranges, ratios inside rounds). Pure.

Peers follow each other within a round, so slow moments of the machine meet all of them; a ratio is formed inside of each
round first, and its median is told. Runs with failed requests are left out of every number, and counted.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
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
    """The median of several rounds, and the lowest and highest."""

    median: float
    low: float
    high: float

    @property
    def noise(self) -> float:
        """How far apart the rounds are, as a share of the median."""
        return (self.high - self.low) / self.median if self.median else 0.0


def spread(values: Sequence[float]) -> Spread | None:
    """Of all values; None when there is none."""
    return Spread(statistics.median(values), min(values), max(values)) if values else None


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

    def ratio(self, section: str, case: str, peer: str, to: str, value: Value) -> Spread | None:
        """`peer` as a multiple of `to`, formed inside of each round in which both are good; None when there is none."""
        ours, theirs = self.good(section, case, peer), self.good(section, case, to)
        both = [(value(ours[one]), value(theirs[one])) for one in ours.keys() & theirs.keys()]
        return spread([one / other for one, other in both if other > 0])

    def noise(self) -> Spread | None:
        """How far apart the rounds of the same case and peer are, over all of them."""
        keys = dict.fromkeys((run.section, run.case, run.peer) for run in self.runs if run.peer != "direct")
        spreads = [self.spread(*key, value=lambda run: run.cpu_us) for key in keys]
        return spread([one.noise for one in spreads if one is not None])

    def foreign(self) -> Spread | None:
        """Share of the peers' core that others used, over all runs."""
        return spread([run.foreign for run in self.runs])

    def as_json(self) -> dict[str, Any]:
        """For a file; `from_json` reads it back."""
        return {"format": FORMAT, **asdict(self)}


def from_json(body: dict[str, Any]) -> Result:
    """A stored result. Raises ValueError when it is of another format, or when something is missing in it."""
    if body.get("format") != FORMAT:
        raise ValueError(f"this is no result of format {FORMAT}")
    try:
        whole = {name: value for name, value in body.items() if name != "format"}
        return Result(**{**whole, "runs": tuple(Run(**run) for run in whole["runs"])})
    except (TypeError, KeyError) as error:
        raise ValueError(f"this result is not whole: {error}") from error
