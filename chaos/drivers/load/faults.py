"""The load's own faults: which are on, and what they make of a request and of its outcome. Pure; time is passed in.

All that may ever be on stands in the load's plan. What is switched on ends by itself: with its lease, which the runner renews, and
at the latest a little after its own duration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from chaos.arms import HeaderValues
from chaos.drivers.load.tally import Deed
from chaos.faults import catalogue
from chaos.faults.base import Call, Memory
from chaos.faults.loads import Drawn, LoadFault, Population, Told

OVERTIME_S = 3.0
"""How long a fault may outlast its duration before it ends here, whoever renews its lease: the runner's own end comes first."""

Deeds = tuple[tuple[int, Deed], ...]


@dataclass(slots=True)
class _On:
    since_s: float
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True, slots=True)
class Due:
    """An outcome as it is told: None is never. `waits`: which faults make it wait for how many more seconds, one after another."""

    told: Told | None
    deeds: Deeds = ()
    waits: tuple[tuple[int, float], ...] = ()


def read_fault(text: str) -> LoadFault:
    """The load's fault that this JSON describes. Raises ValueError when it is none."""
    from pydantic_core import from_json

    kind = catalogue()[from_json(text)["fault"]]
    if not issubclass(kind, LoadFault):
        raise ValueError(f"{kind.__name__} is no fault of the load")
    return kind.model_validate_json(text)


def unfit(faults: Iterable[str], population: Population) -> list[str]:
    """Why some of these faults, as JSON, cannot happen with these rows; one sentence each."""
    said = (read_fault(text).unfit(population) for text in faults)
    return [why for why in said if why is not None]


class LoadFaults:
    """The faults of one load. Times are seconds of one monotonic clock."""

    def __init__(self, faults: Mapping[str, str], population: Population, seed: str) -> None:
        self._faults = {int(index): read_fault(text) for index, text in faults.items()}
        self._population = population
        self._seed = seed
        self._on: dict[int, _On] = {}
        self._lease_until_s = 0.0

    def switch(self, on: Iterable[int], lease_s: float, now_s: float) -> set[int]:
        """These faults are on and no others, for as long as the lease lasts; which went off. KeyError: one is not in the plan."""
        wanted = set(on)
        unknown = wanted - set(self._faults)
        if unknown:
            raise KeyError(f"the plan has no fault {min(unknown)}")
        ended = self.expire(now_s)
        went = {index for index in self._on if index not in wanted}
        self._on = {index: self._on.get(index) or _On(now_s) for index in sorted(wanted)}
        self._lease_until_s = now_s + lease_s
        return (ended | went) - wanted

    def expire(self, now_s: float) -> set[int]:
        """What has outlived its lease or its duration is off; which."""
        over = {index for index, on in self._on.items() if self._over(index, on, now_s)}
        for index in over:
            del self._on[index]
        return over

    def _over(self, index: int, on: _On, now_s: float) -> bool:
        longest_s = (self._faults[index].duration or 0.0) + OVERTIME_S
        return now_s > self._lease_until_s or now_s - on.since_s > longest_s

    def on(self) -> list[int]:
        """The faults that are on."""
        return list(self._on)

    def draw(self, drawn: Drawn, subject: str, headers: HeaderValues, now_s: float) -> tuple[Drawn, Deeds]:
        """What a treated subject's request is made of, and which faults saw to that."""
        deeds: list[tuple[int, Deed]] = []
        for index, fault, call in self._calls(subject, headers, now_s):
            before, drawn = drawn, fault.draw(drawn, self._population, call)
            if drawn is not before:
                deeds.append((index, "shifted"))
        return drawn, tuple(deeds)

    def feedback(self, told: Told, subject: str, headers: HeaderValues, now_s: float) -> Due:
        """What is told of a treated subject, and which faults saw to that."""
        deeds: list[tuple[int, Deed]] = []
        waits: list[tuple[int, float]] = []
        for index, fault, call in self._calls(subject, headers, now_s):
            after = fault.feedback(told, self._population, call)
            if after is None:
                return Due(None, (*deeds, (index, "lost")))
            if after.label != told.label:
                deeds.append((index, "relabelled"))
            if after.later_s > told.later_s:
                deeds.append((index, "delayed"))
                waits.append((index, after.later_s - told.later_s))
            told = after
        return Due(told, tuple(deeds), tuple(waits))

    def _calls(self, subject: str, headers: HeaderValues, now_s: float) -> Iterable[tuple[int, LoadFault, Call]]:
        for index, on in self._on.items():
            if self._over(index, on, now_s):
                continue  # `expire` takes it off, and says so
            fault = self._faults[index]
            elapsed_s = now_s - on.since_s
            share = fault.share * fault.shape.intensity(elapsed_s)
            yield index, fault, Call(self._seed, index, subject, share, headers, b"", elapsed_s, on.memory)
