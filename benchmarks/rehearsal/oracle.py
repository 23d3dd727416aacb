"""Prometheus' own unit tests of rules as the oracle: at every evaluation of a scenario, as many alerts fire as rehearsal says.

scenario ─▶ episodes_of() ─▶ how many fire at each evaluation ─▶ promtool test rules, over the same samples
"""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from chaos.app.rehearsing import episodes_of
from chaos.drivers.throwaway import Programs
from chaos.rehearsal.alert_states import Episode
from chaos.rehearsal.alteration import Alteration, Played
from chaos.rehearsal.timeline import Timeline, openmetrics
from chaos.telemetry import RecordingRule, RuleInfo

TIMEOUT_S = 900.0


def complaint(
    programs: Programs,
    folder: Path,
    alteration: Alteration,
    line: Timeline,
    played: Sequence[Played],
    rules: Sequence[RuleInfo],
    recording_rules: Sequence[RecordingRule] = (),
) -> str:
    """What promtool says against the rehearsal of these scenarios; empty when it agrees at every evaluation of all of them.

    promtool scrapes all targets at once, and evaluates then: so samples are put at the end of their slot, and the timeline's evaluations
    must have the phase of its scrapes (`aligned`).
    """
    alteration = replace(alteration, baseline=replace(alteration.baseline, age=0 * alteration.baseline.age))
    found = episodes_of(programs, alteration, line, played, rules, recording_rules)
    tests = [
        {
            "name": f"scenario {place}",
            "interval": f"{round(line.slot_s * 1000)}ms",
            "input_series": series_of(alteration, line, played, place),
            "promql_expr_test": [
                check
                for number, rule in enumerate(rules)
                for check in _checks(rule, found[number][place], line, place)
            ],
        }
        for place in range(len(played))
    ]  # fmt: skip
    return promtool(programs, folder, rules, recording_rules, line.evaluation_s, tests).complaint


@dataclass(frozen=True, slots=True)
class Tested:
    """What promtool complained about, empty when it did not, and how long it took."""

    complaint: str
    took_s: float


def promtool(
    programs: Programs,
    folder: Path,
    rules: Sequence[RuleInfo],
    recording_rules: Sequence[RecordingRule],
    evaluation_s: float,
    tests: Sequence[Mapping[str, Any]],
) -> Tested:
    """What `promtool test rules` says of these tests."""
    every = f"{round(evaluation_s * 1000)}ms"
    recorded = [{"record": one.record, "expr": one.expr, "labels": dict(one.labels)} for one in recording_rules]
    group = {"name": "all", "interval": every, "rules": [*recorded, *(_rule(one) for one in rules)]}
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [group]}, width=10_000))
    file = folder / "test.yml"
    file.write_text(
        yaml.safe_dump({"rule_files": ["rules.yml"], "evaluation_interval": every, "tests": list(tests)}, width=10**9)
    )
    begun_s = time.monotonic()
    done = subprocess.run(
        [str(programs.promtool), "test", "rules", str(file)], capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )  # fmt: skip
    return Tested("" if done.returncode == 0 else done.stdout + done.stderr, time.monotonic() - begun_s)


def aligned(alteration: Alteration) -> float:
    """A moment of the wall clock at which this telemetry was scraped, for a timeline whose evaluations come with the scrapes."""
    return round(alteration.baseline.start_wall_s, 3) + alteration.baseline.slot_s


def series_of(alteration: Alteration, line: Timeline, played: Sequence[Played], place: int) -> list[dict[str, str]]:
    """The samples of one scenario in promtool's notation; a scrape that failed is `stale`, as a server would mark it."""
    shown: dict[str, dict[int, str]] = {}
    alone = replace(line, start_wall_s=line.begin(place), count=1)
    for block in openmetrics(alteration, alone, [played[place]]):
        for text in block.splitlines():
            if text.startswith("#"):
                continue
            name, value, at = text.rsplit(" ", 2)
            slot = round((float(at) - line.begin(place)) / line.slot_s) - 1
            if 0 <= slot < line.course.slots:
                shown.setdefault(name, {})[slot] = _value(float(value))
    found: list[dict[str, str]] = []
    for name, values in shown.items():
        words = [values.get(slot) or ("stale" if slot - 1 in values else "_") for slot in range(line.course.slots)]
        found.append({"series": name, "values": " ".join(words)})
    return found


def _value(value: float) -> str:
    return repr(value) if math.isfinite(value) else {math.inf: "Inf", -math.inf: "-Inf"}.get(value, "NaN")


def _rule(rule: RuleInfo) -> dict[str, Any]:
    made: dict[str, Any] = {"alert": rule.name, "expr": rule.expr, "labels": dict(rule.labels)}
    for key, seconds in (("for", rule.for_s), ("keep_firing_for", rule.keep_firing_s)):
        if seconds:
            made[key] = f"{round(seconds * 1000)}ms"
    return made


def _checks(rule: RuleInfo, found: Sequence[Episode], line: Timeline, place: int) -> list[dict[str, Any]]:
    """How many of the rule's alerts fire at each evaluation, once the rules' windows are full."""
    origin = line.begin(place) + line.slot_s
    checks: list[dict[str, Any]] = []
    for at in line.evaluations(place):
        after_s = round(at - origin, 3)
        if at < line.watched(place):
            continue
        firing = sum(
            one.fired_s is not None and one.fired_s <= at + 1e-3 and (one.over_s is None or at < one.over_s - 1e-3)
            for one in found
        )
        checks.append(
            {
                "expr": f'count(ALERTS{{alertname="{rule.name}", alertstate="firing"}}) or vector(0)',
                "eval_time": f"{round(after_s * 1000)}ms",
                "exp_samples": [{"labels": "{}", "value": firing}],
            }
        )
    return checks
