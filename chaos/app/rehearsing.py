"""Plays scenarios before Prometheus' own engine: what would have fired, when, and from which severity on. Wiring.

alteration ─▶ scenarios ─▶ a throw-away store ─▶ rules' expressions, step by step ─▶ alert states ─▶ Rehearsed
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from chaos.drivers.prometheus import PrometheusDriver
from chaos.drivers.throwaway import Programs, throwaway
from chaos.promql import looks_back_s, selected
from chaos.rehearsal.alert_states import Episode, episodes
from chaos.rehearsal.alteration import Alteration, Course, Played, play
from chaos.rehearsal.outcome import Rehearsed, rehearsed
from chaos.rehearsal.timeline import Timeline, openmetrics, series_text, stamp, timeline
from chaos.telemetry import RecordingRule, RuleInfo, Series

MOST_STEPS = 10_000
"""Of one question; the server allows 11,000."""
LOOKBACK = 1.0
"""Scrapes after which a series without a sample is gone: telemetry from a file has no marks of staleness, with which a server knows of a
failed scrape at once."""
AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """One alert that is rehearsed: its rule, and the labels that it must carry."""

    rule: RuleInfo
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long the parts of a scenario are, in seconds."""

    baseline_s: float
    fault_s: float
    recovery_s: float


def rehearse(
    programs: Programs,
    alteration: Alteration,
    wanted: Sequence[Wanted],
    severities: Sequence[float],
    scenarios: int,
    lengths: Lengths,
    *,
    evaluation_s: float,
    recording_rules: Sequence[RecordingRule] = (),
    seed: int = 0,
    report: Callable[[str], None] = lambda said: None,
) -> list[Rehearsed]:
    """What each wanted alert did in each scenario: at each severity so many of them."""
    window_s = _reach([one.rule.expr for one in wanted], recording_rules)
    read = [
        one
        for expr in (*(one.rule.expr for one in wanted), *(rule.expr for rule in recording_rules))
        for one in selected(expr)
    ]
    alteration = alteration.read_by(read)
    course = course_of(alteration, lengths, window_s)
    chances = np.random.default_rng(seed)
    played = [play(alteration, course, severity, chances) for severity in severities for _ in range(scenarios)]
    evaluated = (
        max((one.rule.last_evaluation_wall_s for one in wanted), default=0.0) or alteration.baseline.start_wall_s
    )
    interval_s = next((one.rule.interval_s for one in wanted if one.rule.interval_s > 0), evaluation_s)
    intervals_s = [
        every
        for every in (*(one.rule.interval_s for one in wanted), *(one.interval_s for one in recording_rules))
        if every
    ]
    line = timeline(
        alteration, course, len(played), window_s=window_s, evaluation_s=interval_s, evaluated_wall_s=evaluated,
        intervals_s=intervals_s,
    )  # fmt: skip
    hours = len(played) * course.slots * line.slot_s / 3600
    report(f"playing {len(played)} scenarios, {hours:.1f} hours of telemetry, rules asked: {len(wanted)}")
    found = episodes_of(programs, alteration, line, played, [one.rule for one in wanted], recording_rules)
    return [
        rehearsed(
            one.rule.name, one.labels, scenario.severity, found[number][place], line.watched(place),
            line.effect(place, scenario), line.removal(place, scenario),
        )
        for number, one in enumerate(wanted)
        for place, scenario in enumerate(played)
    ]  # fmt: skip


def episodes_of(
    programs: Programs,
    alteration: Alteration,
    line: Timeline,
    played: Sequence[Played],
    rules: Sequence[RuleInfo],
    recording_rules: Sequence[RecordingRule] = (),
) -> list[list[list[Episode]]]:
    """For each rule and each scenario, every time that one of its alerts was active. Raises Unreachable."""
    # What a recording rule makes has a sample at each of its evaluations alone.
    every_s = {one.interval_s or line.evaluation_s for one in rules}
    every_s |= {one.interval_s or line.evaluation_s for one in recording_rules}
    apart_s = max((rule.interval_s for rule in recording_rules), default=0.0) if len(every_s) > 1 else 0.0

    def phased(rule: RuleInfo) -> Timeline:
        # Of one group, what a recording rule makes is there when the alert is looked at: all have one phase then.
        return line.evaluated(rule.interval_s, 0.0 if recording_rules else rule.last_evaluation_wall_s)

    with throwaway(programs, LOOKBACK * max(line.slot_s, apart_s)) as store:
        store.put(openmetrics(alteration, line, played))
        for rule in recording_rules:
            store.put(_recorded(rule, _asked(store.driver(), rule.expr, line.evaluated(rule.interval_s, 0.0))))
        server = store.driver()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda rule: _one_rule(server, rule, phased(rule), len(played)), rules))


def course_of(alteration: Alteration, lengths: Lengths, window_s: float) -> Course:
    """The parts in whole slots; the warm-up is as long as the rules look back."""
    slot_s = alteration.baseline.slot_s

    def slots(seconds: float) -> int:
        return max(1, math.ceil(seconds / slot_s))

    return Course(slots(window_s) + 2, slots(lengths.baseline_s), slots(lengths.fault_s), slots(lengths.recovery_s))


def _reach(exprs: Sequence[str], recording_rules: Sequence[RecordingRule]) -> float:
    """How far back rules look, through the recording rules that they read."""
    return max((looks_back_s(expr) for expr in exprs), default=0.0) + sum(
        looks_back_s(rule.expr) for rule in recording_rules
    )


def _asked(server: PrometheusDriver, expr: str, line: Timeline) -> list[Series]:
    """The expression at every evaluation of the whole timeline, in as many questions as the server wants."""
    first, last = line.evaluations(0)[0], line.evaluations(line.count - 1)[-1]
    steps = round((last - first) / line.evaluation_s) + 1
    merged: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    for begin in range(0, steps, MOST_STEPS):
        end = min(begin + MOST_STEPS, steps) - 1
        for one in server.query_range(
            expr, first + begin * line.evaluation_s, first + end * line.evaluation_s, line.evaluation_s
        ):
            merged.setdefault(tuple(sorted(one.labels.items())), []).extend(one.samples)
    return [Series(dict(labels), tuple(samples)) for labels, samples in merged.items()]


def _recorded(rule: RecordingRule, found: Sequence[Series]) -> list[str]:
    """What the recording rule would have kept, as text for the store."""
    lines: list[str] = []
    for one in found:
        name = series_text({**one.labels, **rule.labels, "__name__": rule.record})
        lines += [f"{name} {value!r} {stamp(at)}\n" for at, value in one.samples if not math.isnan(value)]
    return [*lines, "# EOF\n"]


def _one_rule(server: PrometheusDriver, rule: RuleInfo, line: Timeline, count: int) -> list[list[Episode]]:
    held: list[dict[tuple[tuple[str, str], ...], list[float]]] = [{} for _ in range(count)]
    for series in _asked(server, rule.expr, line):
        labels = {name: value for name, value in series.labels.items() if name != "__name__"}
        key = tuple(sorted({**labels, **rule.labels, "alertname": rule.name}.items()))
        for at, _ in series.samples:
            place = int((at - line.start_wall_s) // line.length_s)
            if 0 <= place < count:
                held[place].setdefault(key, []).append(at)
    return [
        [
            one
            for key, times in held[place].items()
            for one in episodes(dict(key), times, line.evaluations(place), rule.for_s, rule.keep_firing_s)
        ]
        for place in range(count)
    ]
