"""What a game day showed: every step, the worst verdict, one sentence. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from chaos.gameday.course import Outcome, over_early
from chaos.gameday.file import GameDay
from chaos.verdict import EXIT_CODE, VerdictName

_ORDER = list(EXIT_CODE)


@dataclass(frozen=True, slots=True)
class Summary:
    """A game day that is over. `ended_early` says why steps are missing; times are wall-clock seconds."""

    name: str
    purpose: str
    owner: str | None
    scheduled_wall_s: float | None
    began_wall_s: float
    ended_wall_s: float
    steps: int
    outcomes: tuple[Outcome, ...]
    ended_early: str | None
    verdict: VerdictName
    exit_code: int
    sentence: str
    version: str
    frozen: str | None = None
    """The freeze that the day was played in all the same, and why."""

    def to_json(self) -> str:
        """`summary.json`: stable keys, one object, two spaces."""
        return json.dumps(asdict(self), indent=2)

    def ran(self) -> tuple[Outcome, ...]:
        """The steps that were run."""
        return tuple(one for one in self.outcomes if one.status == "ran")


def summary(
    day: GameDay,
    outcomes: Sequence[Outcome],
    *,
    began_wall_s: float,
    ended_wall_s: float,
    version: str,
    scheduled_wall_s: float | None = None,
    frozen: str | None = None,
) -> Summary:
    """The summary. Its verdict is the worst of its runs; a day on which nothing was run proves nothing, and is invalid."""
    counted: list[VerdictName] = [one.verdict for one in outcomes if one.verdict is not None]
    worst: VerdictName = min(counted, key=_ORDER.index, default="invalid")
    early = over_early(outcomes)
    if early is None and len(outcomes) < len(day.steps):
        early = "somebody ended it between two steps"
        worst = min(worst, "interrupted", key=_ORDER.index)
    return Summary(
        name=day.name,
        purpose=day.purpose,
        owner=day.owner,
        scheduled_wall_s=scheduled_wall_s,
        began_wall_s=began_wall_s,
        ended_wall_s=ended_wall_s,
        steps=len(day.steps),
        outcomes=tuple(outcomes),
        ended_early=early,
        verdict=worst,
        exit_code=EXIT_CODE[worst],
        sentence=_sentence(day, outcomes, early),
        version=version,
        frozen=frozen,
    )


def _sentence(day: GameDay, outcomes: Sequence[Outcome], early: str | None) -> str:
    ran = [one for one in outcomes if one.status == "ran"]
    weak = sum(one.verdict is not None and EXIT_CODE[one.verdict] == 1 for one in ran)
    sound = sum(one.verdict == "confirmed" for one in ran)
    told = f"{len(ran)} of {len(day.steps)} experiments were run: {sound} confirmed, {weak} with a weakness"
    rest = len(ran) - sound - weak
    if rest:
        told += f", {rest} without an answer"
    refused = sum(one.status == "refused" for one in outcomes)
    if refused:
        told += f"; {refused} could not be run"
    return f"{told}; it ended early: {early}" if early is not None else told
