"""How a rule stands when nothing is injected: it cannot fire, always does, never did in the recording, or did. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from chaos.rulecheck.checker import check, nearest_miss
from chaos.rulecheck.facts import RuleFacts, RuleProblem
from chaos.telemetry import RuleInfo
from chaos.units import format_duration

Place = Literal["cannot fire", "always firing", "never fired", "fired", "unknown"]
PLACES: dict[Place, str] = {
    "cannot fire": "cannot fire",
    "always firing": "always firing",
    "never fired": "never fired in the recording",
    "fired": "fired in the recording",
    "unknown": "not known: the history of alerts could not be read",
}
"""Every place a rule can have, the worst first, and what it is called."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One rule's place, why in one sentence, and everything that is wrong with it."""

    alert: str
    group: str
    place: Place
    sentence: str
    problems: tuple[RuleProblem, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    """The rule's own."""

    @property
    def also(self) -> tuple[RuleProblem, ...]:
        """The problems that the sentence does not tell of."""
        return tuple(one for one in self.problems if one.sentence != self.sentence)


def standing(rule: RuleInfo, facts: RuleFacts) -> Standing:
    """The rule's place by what is known of it."""
    problems = check(rule, facts)
    place = _place(problems, facts)
    return Standing(rule.name, rule.group, place, _sentence(place, problems, rule, facts), problems, rule.labels)


def _place(problems: tuple[RuleProblem, ...], facts: RuleFacts) -> Place:
    verdicts = {one.verdict for one in problems}
    if "cannot fire" in verdicts:
        return "cannot fire"
    if "always firing" in verdicts:
        return "always firing"
    if facts.fired_share is None:
        return "unknown"
    return "fired" if facts.fired_share > 0 else "never fired"


def _sentence(place: Place, problems: tuple[RuleProblem, ...], rule: RuleInfo, facts: RuleFacts) -> str:
    told = next((one.sentence for one in problems if one.verdict == place), None)
    if told is not None:
        return told
    if place == "fired":
        share = facts.fired_share or 0.0
        if share >= 1:
            return f"it was firing all the time, which is {format_duration(round(facts.recording_s))} so far"
        return f"it was firing for about {max(share, 0.001):.1%} of the time"
    miss = nearest_miss(rule, facts)
    if miss is not None:
        return miss
    return problems[0].sentence if problems else "nothing is known to be wrong with it"
