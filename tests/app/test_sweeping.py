"""A run of a sweep is an experiment like any other, whose text says what was run and keeps secrets as they were written."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from chaos.app import files
from chaos.app.running import Ended
from chaos.app.sweeping import Swung, at_severity, sweep, trial_of
from chaos.errors import Refused
from chaos.judging import judge
from tests.judging.journals import JUDGED, SILENT, Entry, Story, among, lines_of
from tests.judging.test_judge import GUARD
from tests.values import EXPERIMENT, PROBES, SYSTEM


@pytest.fixture
def loaded(tmp_path: Path) -> files.Loaded:
    (tmp_path / "system.yaml").write_text(SYSTEM)
    (tmp_path / "probes").mkdir()
    (tmp_path / "probes" / "all.yaml").write_text(PROBES)
    text = EXPERIMENT.replace("system: lab", "system: system.yaml\ndescription: ${SECRET}")
    (tmp_path / "e.yaml").write_text(f"{text}sweep: {{parameter: share, over: [2%, 5%]}}\n")
    return files.load(tmp_path / "e.yaml", variables={"SECRET": "hunter2"})


def test_its_text_is_an_experiment_at_that_severity_without_a_sweep(loaded: files.Loaded) -> None:
    one = at_severity(loaded, 0.041)
    assert one.experiment.faults[0].share == pytest.approx(0.041)
    assert one.text.startswith("# e.yaml at 4.1% of its sweep\n")
    written = yaml.safe_load(one.text)
    assert written["faults"][0]["share"] == "4.1%"
    assert "sweep" not in written
    assert one.swept == "4.1%"


def test_what_a_variable_held_stands_in_no_text(loaded: files.Loaded) -> None:
    one = at_severity(loaded, 0.02)
    assert one.experiment.description == "hunter2"
    assert "hunter2" not in one.text
    assert "${SECRET}" in one.text


@pytest.mark.parametrize(
    ("story", "told", "gate", "outcome"),
    [
        (Story(), True, None, "detected"),
        (SILENT, False, "pending", "undetected"),
        (Story(resolved=None, recovered=100.0), True, None, "unresolved"),
    ],
)
def test_a_trial_says_whether_its_alert_told_and_else_which_gate_failed(
    story: Story, told: bool, gate: str | None, outcome: str
) -> None:
    found = trial_of(judge(lines_of(story.entries())), JUDGED.traffic, "10%", "runs/r")
    assert (found.alerts[0].told, found.alerts[0].outcome) == (told, outcome)
    assert told or found.alerts[0].gate == gate
    assert found.broken
    assert found.proves


def test_a_run_that_a_guard_ended_proves_nothing_of_its_severity() -> None:
    verdict = judge(lines_of(among(Story().entries(), GUARD)))
    assert not trial_of(verdict, 0.1, "10%", "runs/r").proves


def swung(loaded: files.Loaded, entries: list[Entry] | BaseException) -> tuple[Swung, list[str]]:
    """A sweep whose every run says this, or raises it; and what was said meanwhile."""
    said: list[str] = []

    def run(one: files.Loaded) -> Ended:
        if isinstance(entries, BaseException):
            raise entries
        return Ended(Path("runs/r"), judge(lines_of(entries)), JUDGED)

    return sweep(loaded, run, None, said.append), said


def test_what_a_guard_ended_at_one_severity_is_not_tried_at_a_larger_one(loaded: files.Loaded) -> None:
    found, said = swung(loaded, among(Story().entries(), GUARD))
    assert [trial.text for trial in found.found.trials] == ["2%"]
    assert (found.worst, found.found.stopped) == (4, "the run at 2% ended aborted")
    assert said == ["sweep: run 1 at 2%"]


def test_whoever_ends_a_sweep_between_two_runs_gets_what_it_has_and_the_exit_code_of_an_interrupted_run(
    loaded: files.Loaded,
) -> None:
    found, _ = swung(loaded, KeyboardInterrupt())
    assert (found.worst, found.found.trials) == (130, ())


def test_a_sweep_whose_first_run_is_refused_is_refused(loaded: files.Loaded) -> None:
    with pytest.raises(Refused):
        swung(loaded, Refused(["no"]))
