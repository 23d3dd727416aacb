"""Two runs side by side: what differs between them, and which differences are larger than what the times are known to. Pure.

A time that was looked at every second may really be up to a second earlier: of every gate the journal says by how much. A difference is
called `beyond` only when it cannot come from that alone. How much runs differ by themselves two runs cannot say; a history can.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from chaos.detection import Detection, Gate, Stage
from chaos.history.differences import Difference, Side, differences
from chaos.verdict import Finding, Verdict, VerdictName


@dataclass(frozen=True, slots=True)
class GateTimes:
    """One gate in both runs, in seconds from the first effect (reset: from the removal); None where it was not passed.

    The true difference lies in [`least_s`, `most_s`], as far as both times are known.
    """

    gate: str
    first_s: float | None
    second_s: float | None
    difference_s: float | None
    least_s: float | None
    most_s: float | None

    @property
    def beyond(self) -> bool | None:
        """Whether the difference is larger than the errors; None where there is none."""
        if self.least_s is None or self.most_s is None:
            return None
        return self.least_s > 0 or self.most_s < 0


@dataclass(frozen=True, slots=True)
class AlertCompared:
    """One expected alert in both runs; an outcome is None where the run did not expect it."""

    alert: str
    first: str | None
    second: str | None
    first_told_s: float | None
    second_told_s: float | None
    gates: tuple[GateTimes, ...]

    @property
    def slower_s(self) -> float | None:
        """By how many seconds the second run told later. Infinite where only the first told; None where the first did not."""
        if self.first_told_s is None or self.second is None:
            return None
        return float("inf") if self.second_told_s is None else self.second_told_s - self.first_told_s


@dataclass(frozen=True, slots=True)
class FindingCompared:
    """A question that the runs answer differently. `change` is what the second run's answer makes of it."""

    question: str
    first: VerdictName | None
    second: VerdictName | None
    first_answer: str
    second_answer: str
    change: str
    """better | worse | other"""


@dataclass(frozen=True, slots=True)
class Compared:
    """Everything that differs between two runs."""

    first: str
    second: str
    first_experiment: str
    second_experiment: str
    first_verdict: VerdictName
    second_verdict: VerdictName
    alerts: tuple[AlertCompared, ...]
    findings: tuple[FindingCompared, ...]
    differences: tuple[Difference, ...]

    def slower_than(self, limit_s: float) -> list[AlertCompared]:
        """The alerts that told later in the second run by more than this, or that it did not tell any more."""
        return [one for one in self.alerts if one.slower_s is not None and one.slower_s > limit_s]

    def to_json(self) -> str:
        """One object with stable keys."""
        made = asdict(self)
        for row, alert in zip(made["alerts"], self.alerts, strict=True):
            for gate, times in zip(row["gates"], alert.gates, strict=True):
                gate["beyond"] = times.beyond
        return json.dumps(made, indent=2, allow_nan=False)


def compare(first: Side, second: Side) -> Compared:
    """What differs. The order of the runs is the reader's: differences are the second's minus the first's."""
    names = dict.fromkeys(one.alert for side in (first, second) for one in side.verdict.detections)
    return Compared(
        first=first.verdict.run,
        second=second.verdict.run,
        first_experiment=first.verdict.experiment,
        second_experiment=second.verdict.experiment,
        first_verdict=first.verdict.verdict,
        second_verdict=second.verdict.verdict,
        alerts=tuple(_alert(name, _of(first, name), _of(second, name)) for name in names),
        findings=tuple(_findings(first.verdict, second.verdict)),
        differences=differences(first, second),
    )


def _of(side: Side, alert: str) -> Detection | None:
    return next((one for one in side.verdict.detections if one.alert == alert), None)


def _alert(name: str, first: Detection | None, second: Detection | None) -> AlertCompared:
    return AlertCompared(
        name,
        first.outcome if first is not None else None,
        second.outcome if second is not None else None,
        first.told_after_s if first is not None else None,
        second.told_after_s if second is not None else None,
        tuple(_gate(gate, _stage(first, gate), _stage(second, gate)) for gate in Gate if gate is not Gate.alive),
    )


def _stage(found: Detection | None, gate: Gate) -> Stage | None:
    return next((one for one in found.stages if one.gate is gate), None) if found is not None else None


def _gate(gate: Gate, first: Stage | None, second: Stage | None) -> GateTimes:
    before = first.after_s if first is not None else None
    after = second.after_s if second is not None else None
    if first is None or second is None or before is None or after is None:
        return GateTimes(gate.value, before, after, None, None, None)
    difference = after - before
    return GateTimes(
        gate.value, before, after, difference, difference - second.error_s, difference + first.error_s
    )  # each may be earlier by its error, and never later


def _findings(first: Verdict, second: Verdict) -> Iterator[FindingCompared]:
    before, after = ({one.question: one for one in verdict.findings} for verdict in (first, second))
    for question in dict.fromkeys([*before, *after]):
        old, new = before.get(question), after.get(question)
        old_verdict, new_verdict = _verdict(old), _verdict(new)
        if old_verdict != new_verdict:
            answers = old.answer if old is not None else "", new.answer if new is not None else ""
            yield FindingCompared(question, old_verdict, new_verdict, *answers, _change(old, new))


def _verdict(one: Finding | None) -> VerdictName | None:
    return one.verdict if one is not None else None


def _change(old: Finding | None, new: Finding | None) -> str:
    """A question that only one run asked is worse or better when its answer is bad, and otherwise no change at all."""
    was_good, is_good = old is None or old.good, new is None or new.good
    return "other" if was_good == is_good else "better" if is_good else "worse"
