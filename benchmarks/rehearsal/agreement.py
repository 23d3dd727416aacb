"""The oracle on telemetry of real runs: each run's own rules over scenarios of its own, at every evaluation against promtool."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.rehearsal.oracle import aligned, complaint
from chaos.app.rehearsing import Lengths, course_of
from chaos.app.telemetry_kept import kept
from chaos.drivers.throwaway import Programs
from chaos.promql import looks_back_s, selected
from chaos.rehearsal.alteration import play
from chaos.rehearsal.of_runs import measured
from chaos.rehearsal.timeline import timeline

FILE = Path(__file__).parent / "oracle.json"
LENGTHS = Lengths(10, 40, 40)
SCENARIOS = 4
LONGEST_S = 60.0
"""Rules that look back further are left out: their warm-up alone takes promtool minutes."""


def agreement(folders: Sequence[Path], programs: Programs, say: Callable[[str], None]) -> bool:
    """Whether promtool agrees on all of these runs; how much was looked at stands in oracle.json."""
    rows: list[dict[str, object]] = []
    for folder in folders:
        recording = kept(folder)
        rules = [
            replace(rule, interval_s=1.0, last_evaluation_wall_s=0.0)
            for rule in recording.rules
            if rule.labels.get("severity") != "none"
            and looks_back_s(rule.expr) <= LONGEST_S
            and "time()" not in rule.expr
        ]
        alteration = measured(recording).read_by([one for rule in rules for one in selected(rule.expr)])
        window_s = max((looks_back_s(rule.expr) for rule in rules), default=0.0)
        course = course_of(alteration, LENGTHS, window_s)
        chance = np.random.default_rng(0)
        severities = np.linspace(alteration.severity / 4, alteration.severity, SCENARIOS)
        played = [play(alteration, course, float(one), chance) for one in severities]
        line = timeline(
            alteration, course, len(played), window_s=window_s, evaluation_s=1.0, evaluated_wall_s=aligned(alteration)
        )
        with tempfile.TemporaryDirectory() as temporary:
            said = complaint(programs, Path(temporary), alteration, line, played, rules)
        checks = sum(len(line.evaluations(place)) for place in range(len(played))) * len(rules)
        wrong = said.count("expr:")
        rows.append(
            {"run": folder.name, "rules": len(rules), "scenarios": len(played), "evaluations": checks, "differ": wrong}
        )
        say(f"{folder.name}: {len(rules)} rules, {checks} evaluations, {wrong} differ {said[:600] if wrong else ''}")
    FILE.write_text(json.dumps(rows, indent=1) + "\n")
    return not any(row["differ"] for row in rows)
