"""What is known of one alert rule, and what is wrong with it, as values. Pure; the asking is done by `chaos.drivers.rule_facts`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["cannot fire", "always firing", "doubtful"]


@dataclass(frozen=True, slots=True)
class RuleProblem:
    """One thing that is wrong with a rule. `kind` never changes its name; `sentence` says what to do; `evidence` what was seen."""

    kind: str
    verdict: Verdict
    sentence: str
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """The least and the most that an expression read over the recording, all of its series together."""

    least: float
    most: float


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """What the servers said about one rule. A key that is missing was not asked; None: the server could not say.

    `series`, `spans` and `labels` are keyed by expressions: those that `chaos.rulecheck.checker.unanswered` asks for.
    """

    recording_s: float = 3600.0
    """How far back was looked: no further than there is a recording."""
    scrape_s: float = 0.0
    """The shortest time between two scrapes of what the rule reads; 0 when nobody knows."""
    names: Mapping[str, bool] = field(default_factory=dict)
    """Metric that the rule reads → whether it has, or had, any series at all."""
    near: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Metric without any series → metrics whose names are like it, the nearest first."""
    types: Mapping[str, str] = field(default_factory=dict)
    """Metric → `counter`, `gauge`, `histogram` or `summary`, as its targets declare it; left out when they do not, or contradict."""
    declares: bool = True
    """Whether the server says at all what targets declare."""
    target_labels: tuple[str, ...] = ()
    """Labels that the scrape configuration gives to every series, such as `job`."""
    series: Mapping[str, int | None] = field(default_factory=dict)
    """Expression → how many series it returns now."""
    spans: Mapping[str, Span | None] = field(default_factory=dict)
    """Expression → what it read over the recording; None when it read nothing."""
    labels: Mapping[str, tuple[Mapping[str, str], ...] | None] = field(default_factory=dict)
    """Expression → the labels of the series that it returns now, a few of them."""
    fired_share: float | None = None
    """In which share of the recording it was firing; None when nobody knows."""
    receivers: Mapping[str, bool] = field(default_factory=dict)
    """Receiver that the alert may be routed to → whether it has any integration, so that it can tell anybody."""
    silenced: str | None = None
    """Which active silence holds the alert back, whatever its series; None: no such silence is known."""
