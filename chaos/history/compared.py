"""Two runs side by side: what differs between them, and which differences are larger than what the times are known to. Pure.

A time that was looked at every second may really be up to a second earlier: of every gate the journal says by how much. A difference is
called `beyond` only when it cannot come from that alone. How much runs differ by themselves two runs cannot say; a history can.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import yaml

from chaos.detection import Detection, Gate, Stage
from chaos.plans import Plan
from chaos.verdict import Finding, Verdict, VerdictName

LONGEST = 120
"""Characters of a value that is shown; a longer one is cut."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs: its verdict, its plan, and the texts that it was made of, as its folder keeps them."""

    verdict: Verdict
    plan: Plan
    experiment: str
    system: str = ""


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
class Difference:
    """One thing that was not the same: `what` is the experiment, the system, the plan or the version."""

    what: str
    place: str
    first: str
    second: str


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
        differences=tuple(_differences(first, second)),
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


def _differences(first: Side, second: Side) -> Iterator[Difference]:
    if first.verdict.version != second.verdict.version:
        yield Difference("version", "chaos-ml", first.verdict.version, second.verdict.version)
    for what, before, after in (
        ("experiment", _flat_text(first.experiment), _flat_text(second.experiment)),
        ("system", _flat_text(first.system), _flat_text(second.system)),
        ("plan", dict(_planned(first.plan)), dict(_planned(second.plan))),
    ):
        if before and after:
            for place in dict.fromkeys([*before, *after]):
                if before.get(place) != after.get(place):
                    yield Difference(what, place, _shown(before, place), _shown(after, place))


def _shown(values: Mapping[str, str], place: str) -> str:
    said = values.get(place, "–")
    return said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"


def _flat_text(text: str) -> dict[str, str]:
    """Every scalar of a YAML text by its place; nothing of a text that cannot be read."""
    try:
        return dict(_flat(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), ""))  # noqa: S506 - safe, in C
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}


def _flat(value: object, place: str) -> Iterator[tuple[str, str]]:
    match value:
        case dict():
            for name, inner in value.items():
                yield from _flat(inner, f"{place}.{name}" if place else str(name))
        case list():
            for number, inner in enumerate(value):
                yield from _flat(inner, f"{place}[{number}]")
        case None:
            return  # what an older version did not know is not there, and what says nothing is as good as not there
        case _:
            yield place, " ".join(str(value).split())


def _planned(plan: Plan) -> Iterator[tuple[str, str]]:
    """What the plan found on the day, and no file says: the rules, Prometheus' own pace, and who is in which arm."""
    yield "seed", plan.seed
    yield "scrape interval", f"{plan.scrape_s:g}s"
    yield "evaluation interval", f"{plan.evaluation_s:g}s"
    for alert in plan.alerts:
        yield f"{alert.alert}: rule", " ".join(alert.expr.split())
        yield f"{alert.alert}: for", f"{alert.for_s:g}s"
        yield f"{alert.alert}: group_wait", f"{alert.group_wait_s:g}s"
        yield f"{alert.alert}: routed to", ", ".join(alert.routed_to)
