"""What a check needs to know: read from the facts where it stands there, and noted down as a question where it does not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.promql_tree import Unwritable, duration, free
from chaos.rulecheck.facts import RuleFacts, Span


@dataclass(frozen=True, slots=True)
class Questions:
    """Expressions that the server must still be asked about: how many series, between which values, with which labels."""

    series: tuple[str, ...] = ()
    spans: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.series or self.spans or self.labels)


@dataclass
class Asking:
    """The facts of one rule, and what was looked for in them in vain."""

    facts: RuleFacts
    _series: dict[str, None] = field(default_factory=dict)
    _spans: dict[str, None] = field(default_factory=dict)
    _labels: dict[str, None] = field(default_factory=dict)

    @property
    def open(self) -> Questions:
        """What was not known."""
        return Questions(tuple(self._series), tuple(self._spans), tuple(self._labels))

    def series(self, expr: str) -> int | None:
        """How many series the expression returns now; None when that is not known, or not yet."""
        if expr not in self.facts.series:
            self._series[expr] = None
        return self.facts.series.get(expr)

    def recorded(self, selector: str) -> int | None:
        """How many series of this selector there were in the recording."""
        return self.series(f"last_over_time({selector}[{self.recording}])")

    def span(self, expr: str) -> Span | None:
        """What the expression read over the recording."""
        if expr not in self.facts.spans:
            self._spans[expr] = None
        return self.facts.spans.get(expr)

    def labels(self, expr: str) -> tuple[Mapping[str, str], ...] | None:
        """The labels of some of the series that the expression returns now."""
        if expr not in self.facts.labels:
            self._labels[expr] = None
        return self.facts.labels.get(expr)

    def returns(self, node: Any) -> int | None:
        """How many series this part of a rule returns when every threshold in it is met."""
        try:
            return self.series(free(node))
        except Unwritable:
            return None

    @property
    def recording(self) -> str:
        """The length of the recording as PromQL writes it."""
        return duration(max(60.0, round(self.facts.recording_s)))
