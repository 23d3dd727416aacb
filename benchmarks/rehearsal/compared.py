"""What a rehearsal of the first run says, held against the second: as a value and as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from chaos.app.rehearsing import Lengths, Wanted, rehearse
from chaos.app.telemetry_kept import kept
from chaos.detection import Gate
from chaos.drivers.folder import RunFolder
from chaos.drivers.throwaway import Programs
from chaos.journal import Line
from chaos.judging import judge
from chaos.judging.trace import Trace, trace
from chaos.rehearsal.of_runs import measured
from chaos.rehearsal.outcome import AtSeverity, Rehearsed, by_severity
from chaos.rehearsal.recording import Recording

FOLDER = Path(__file__).parent / "results"
SCENARIOS = 200
SURE = 0.9
"""The share of scenarios from which on a rehearsal says that an alert tells; below 1 - SURE it says that it does not."""
NEAR = 2
"""Evaluations by which a live run may miss the band: a scrape and an evaluation stand between what happens and what is known."""
FEW_S = 1.0


@dataclass(frozen=True, slots=True)
class Held:
    """One alert: what the rehearsal of the first run says, and what both runs did. Seconds after the effect; None: it did not fire.

    `share` is that of the scenarios in which it fired in the time that the experiment gives it.
    """

    alert: str
    share: float
    earliest_s: float | None
    median_s: float | None
    latest_s: float | None
    first_s: float | None
    second_s: float | None

    @property
    def said(self) -> str:
        """What the rehearsal says: told, silent, or either where it is in between."""
        return "told" if self.share >= SURE else "silent" if self.share <= 1 - SURE else "either"

    def agrees(self, evaluation_s: float) -> bool:
        """Whether the second run did what was said, and when it was said."""
        if self.second_s is None:
            return self.said != "told"
        if self.said == "silent":
            return False
        return self.off_s(evaluation_s) == 0.0

    def line(self, evaluation_s: float) -> str:
        """One line for people."""
        live = ", ".join("silent" if at is None else f"{at:.1f} s" for at in (self.first_s, self.second_s))
        return (
            f"{self.share:4.0%} in {self.band()}; live {live}: {'agrees' if self.agrees(evaluation_s) else 'DIFFERS'}"
        )

    def band(self) -> str:
        """The times in which it is told, the 5th to the 95th hundredth."""
        if self.earliest_s is None or self.latest_s is None or self.median_s is None:
            return "–"
        return f"{self.median_s:.1f} s [{self.earliest_s:.1f}, {self.latest_s:.1f}]"

    def off_s(self, evaluation_s: float) -> float:
        """By how many seconds the second run lies outside of the band and the evaluations around it; negative: before it."""
        if self.second_s is None or self.earliest_s is None or self.latest_s is None:
            return 0.0
        room = NEAR * evaluation_s
        early, late = self.second_s - (self.earliest_s - room), self.second_s - (self.latest_s + room)
        return round(min(early, 0.0) + max(late, 0.0), 3)


@dataclass(frozen=True, slots=True)
class Compared:
    """One experiment. `folders` are the two runs."""

    name: str
    fault: str
    severity: float
    date: str
    evaluation_s: float
    verdicts: tuple[str, str]
    scenarios: int
    alerts: tuple[Held, ...]
    folders: tuple[str, str]
    known: str = ""
    """Why the two disagree, as far as somebody has found it."""

    @property
    def agrees(self) -> bool:
        """Whether all alerts do."""
        return all(one.agrees(self.evaluation_s) for one in self.alerts)


def compare(name: str, folders: Sequence[Path], programs: Programs, reasons: Mapping[str, str]) -> Compared:
    """The first run rehearsed at its own severity, and held against the second. Raises NoFolder, NoModel, Unreachable."""
    first, second = folders[0], folders[1]
    recording = kept(first)
    seen = trace(RunFolder(first).lines())
    expected = {alert.alert: alert for alert in seen.plan.alerts}
    watched = [rule for rule in recording.rules if rule.name in expected]
    fired = [fired_of(RunFolder(one).lines()) for one in folders]
    found = rehearse(
        programs,
        measured(recording),
        [Wanted(rule, dict(expected[rule.name].labels)) for rule in watched],
        [recording.severity],
        SCENARIOS,
        lengths_of(seen),
        evaluation_s=recording.evaluation_s,
        recording_rules=recording.recording_rules,
    )
    held = [
        _held(row_of(found, rule.name, expected[rule.name].within_s), [one[rule.name] for one in fired])
        for rule in watched
    ]
    return Compared(
        name=name,
        fault=next(effect.fault for effect in seen.plan.faults() if effect.fault is not None),
        severity=recording.severity,
        date=f"{second.name[:4]}-{second.name[4:6]}-{second.name[6:8]}",
        evaluation_s=evaluation_of(recording),
        verdicts=(judge(RunFolder(first).lines()).verdict, judge(RunFolder(second).lines()).verdict),
        scenarios=SCENARIOS,
        alerts=tuple(held),
        folders=(first.name, second.name),
        known=reasons.get(name, ""),
    )


def fired_of(lines: Sequence[Line]) -> dict[str, float | None]:
    """Expected alert → when it fired, in seconds after the effect, by the server's own sample times; None where it did not.

    Not when somebody saw it: a run looks once a second, and that is up to a second later.
    """
    return {one.alert: one.stage(Gate.firing).after_s for one in judge(lines).detections}


def _held(row: AtSeverity, fired: Sequence[float | None]) -> Held:
    return Held(row.alert, row.share, row.earliest_s, row.median_s, row.latest_s, fired[0], fired[1])


def row_of(found: Sequence[Rehearsed], alert: str, within_s: float | None) -> AtSeverity:
    """All scenarios of one alert, counted."""
    (row,) = by_severity([one for one in found if one.alert == alert], within_s)
    return row


def evaluation_of(recording: Recording) -> float:
    """How often the rules are evaluated."""
    return max((rule.interval_s for rule in recording.rules), default=0.0) or recording.evaluation_s


def lengths_of(seen: Trace) -> Lengths:
    """The parts of a scenario, as the experiment's plan has them."""
    fault_s = max((effect.duration_s for effect in seen.plan.faults()), default=60.0)
    return Lengths(max(seen.plan.baseline_s, 5 * FEW_S), fault_s, seen.plan.recovery_s)


_ADAPTER: TypeAdapter[Compared] = TypeAdapter(Compared)


def store(one: Compared) -> None:
    """It stands in its file."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{one.name}.json").write_text(json.dumps(asdict(one), indent=1) + "\n")


def stored() -> dict[str, Compared]:
    """Every one that is stored, by name."""
    return {path.stem: _ADAPTER.validate_json(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
