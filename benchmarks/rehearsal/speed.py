"""How long a rehearsal takes, and how long promtool's unit tests take for the same: rounds of both, one after the other.

Both get the same samples and the same rules, and say at every evaluation which alerts fire; making the samples is in ours; the input of
promtool is made beforehand.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from benchmarks.rehearsal.oracle import aligned, promtool, series_of
from benchmarks.rehearsal.synthetic import day, rules
from chaos.app.rehearsing import episodes_of
from chaos.drivers.throwaway import Programs
from chaos.rehearsal.alteration import Alteration, Course, Played, play
from chaos.rehearsal.timeline import Timeline, timeline
from chaos.telemetry import RuleInfo

FILE = Path(__file__).parent / "speed.json"
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Work:
    """The same work for both: scenarios of a timeline, and rules."""

    name: str
    alteration: Alteration
    line: Timeline
    played: tuple[Played, ...]
    rules: tuple[RuleInfo, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of each round."""

    name: str
    samples: int
    evaluations: int
    ours_s: tuple[float, ...]
    promtool_s: tuple[float, ...]

    def said(self) -> str:
        """One line: medians and ranges."""
        return f"{self.name}: rehearsal {_range(self.ours_s)}, promtool test rules {_range(self.promtool_s)}"


def _range(seconds: Sequence[float]) -> str:
    return f"{median(seconds):.1f} s ({min(seconds):.1f} – {max(seconds):.1f})" if seconds else "not measured"


def work() -> list[Work]:
    """A day of fifty rules over fifty series, and a hundred short scenarios."""
    return [
        _work("24 h × 50 rules × 50 series", 15.0, Course(40, 5480, 160, 80), 1, 50, "10m", 60.0),
        _work("100 scenarios of 5 minutes × 4 rules", 1.0, Course(62, 60, 120, 60), 100, 4, "1m", 5.0),
    ]


def _work(name: str, scrape_s: float, course: Course, scenarios: int, count: int, window: str, for_s: float) -> Work:
    alteration = day(scrape_s, 600, 160)
    wanted = rules(count, window, for_s, scrape_s)
    chance = np.random.default_rng(0)
    played = tuple(play(alteration, course, 1.0, chance) for _ in range(scenarios))
    line = timeline(
        alteration, course, scenarios, window_s=600.0, evaluation_s=scrape_s, evaluated_wall_s=aligned(alteration)
    )
    return Work(name, alteration, line, played, tuple(wanted))


def measure(one: Work, programs: Programs, rounds: int, say: Callable[[str], None]) -> Measured:
    """So many rounds of both, in turn."""
    tests = [
        {
            "interval": f"{round(one.line.slot_s * 1000)}ms",
            "input_series": series_of(one.alteration, one.line, one.played, place),
            "promql_expr_test": [
                {"expr": "vector(0)", "eval_time": _last(one), "exp_samples": [{"labels": "{}", "value": 0}]}
            ],
        }
        for place in range(len(one.played))
    ]  # fmt: skip
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            begun_s = time.monotonic()
            found = episodes_of(programs, one.alteration, one.line, one.played, one.rules)
            ours.append(round(time.monotonic() - begun_s, 2))
            theirs.append(_timed(one, programs, Path(folder), tests))
            say(f"{one.name}, round {number + 1}: {ours[-1]:.1f} s, promtool {theirs[-1]:.1f} s")
    assert any(episode.fired_s is not None for rule in found for scenario in rule for episode in scenario)
    steps = sum(len(one.line.evaluations(place)) for place in range(len(one.played)))
    samples = len(one.alteration.fault.series) * one.line.course.slots * len(one.played)
    return Measured(one.name, samples, steps * len(one.rules), tuple(ours), tuple(theirs))


def _last(one: Work) -> str:
    return f"{round((one.line.course.slots - 1) * one.line.slot_s * 1000)}ms"


def _timed(one: Work, programs: Programs, folder: Path, tests: Sequence[Mapping[str, Any]]) -> float:
    spent = promtool(programs, folder, one.rules, (), one.line.evaluation_s, tests)
    if spent.complaint:
        raise RuntimeError(f"promtool refuses its own samples: {spent.complaint[:400]}")
    return round(spent.took_s, 2)


_ADAPTER: TypeAdapter[list[Measured]] = TypeAdapter(list[Measured])


def store(found: Sequence[Measured]) -> None:
    """They stand in their file."""
    FILE.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")


def stored() -> list[Measured]:
    """What was measured last; nothing where it never was."""
    return _ADAPTER.validate_json(FILE.read_text()) if FILE.is_file() else []
