"""A rehearsal in a terminal: what it rests on, its limits and every curve, whole at every width, and never obeyed."""

from __future__ import annotations

import pytest

from chaos.rehearsal.outcome import Rehearsed
from chaos.rehearsal.report import RehearsalReport, alert_report
from chaos.report.rehearsal import rehearsal_view
from tests.report.test_terminal import EVIL, shown

NOTE = (
    "gauges do not add up over traffic, and are mixed in proportion: queue_length, another_rather_long_name_of_a_gauge"
)


def report(
    *, early: int = 0, source: str = "the measured effect of run quickstart-1a2b3c4d", name: str = "AccuracyLow"
) -> RehearsalReport:
    scenarios = [
        Rehearsed(name, severity, 1.0, 123.4 + place if place < told else None, None, early=place < early)
        for severity, told in ((0.0, 0), (0.0275, 17), (0.319, 41), (1.0, 50))
        for place in range(50)
    ]
    alert = alert_report(scenarios, name, 300.0, 0.319)
    return RehearsalReport("quickstart", "lab", source, True, 0.319, 50, 18.06, (alert,), (NOTE,))


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_cut_or_wrapped_within_a_row(width: int) -> None:
    text = shown(rehearsal_view(report(early=3)), width)
    assert "…" not in text
    assert all(len(line) <= width for line in text.splitlines())
    (row,) = [line for line in text.splitlines() if line.strip().startswith("31.9%")]
    assert "38/50 [62%, 87%]" in row
    assert row.split()[-1] == "3"


def test_source_limits_and_notes_are_there() -> None:
    text = " ".join(shown(rehearsal_view(report()), 80).split())
    assert "from the measured effect of run quickstart-1a2b3c4d" in text
    assert NOTE in text
    assert "nothing was hurt" in text
    assert "18.1 virtual hours, 50 scenarios for each severity" in text
    assert "within 5m" in text


def test_the_column_of_false_alarms_is_only_there_when_there_are_any() -> None:
    assert "before" in shown(rehearsal_view(report(early=1)), 80)
    assert "before" not in shown(rehearsal_view(report()), 80)


def test_the_experiments_own_severity_stands_out() -> None:
    text = shown(rehearsal_view(report(early=3)), 80, terminal=True)
    assert sum("\x1b[1m" in line and "38/50" in line for line in text.splitlines()) == 1


def test_a_name_from_somebody_else_is_shown_and_not_obeyed() -> None:
    text = shown(rehearsal_view(report(source=EVIL, name=EVIL)), 80, terminal=True)
    assert "\x1b]0;" not in text
    assert "\x1b[31mred" not in text
