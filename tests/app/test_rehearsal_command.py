"""`chaos rehearse`, from files to its report: what it takes, what it refuses, and what it says of its own limits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chaos.app.files import Loaded, load
from chaos.app.rehearsal_command import Asked, rehearsal, system_for
from chaos.app.telemetry_kept import NAME
from chaos.drivers.folder import NoFolder, RunFolder
from chaos.drivers.throwaway import Programs
from chaos.errors import Refused
from chaos.lab import monitoring
from chaos.rehearsal.recording import Recording
from chaos.telemetry import RuleInfo
from tests.rehearsal.telemetry import grown, recording, series
from tests.values import EXPERIMENT, PROBES, SYSTEM, edited

EXPR = 'sum(increase(seen{result="right"}[20s])) / sum(increase(seen[20s])) < 0.88'
RULE = RuleInfo("ModelAccuracyLow", EXPR, 5.0, {"severity": "page"}, interval_s=1.0)
RULES = f"groups: [{{name: a, rules: [{{alert: ModelAccuracyLow, expr: '{EXPR.replace('0.88', '0.01')}', labels: {{severity: page}}}}]}}]"


@pytest.fixture(scope="module")
def programs() -> Programs:
    """Prometheus and promtool, from PATH or unpacked below .chaos."""
    found = monitoring.find(Path(__file__).parents[2] / ".chaos")
    return Programs(found.prometheus, found.promtool)


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """An experiment on a tenth of traffic; nothing of its system is up."""
    (tmp_path / "probes").mkdir()
    (tmp_path / "probes" / "all.yaml").write_text(PROBES)
    (tmp_path / "lab.yaml").write_text(SYSTEM)
    (tmp_path / "traffic.jsonl").write_text("{}\n")
    path = tmp_path / "experiment.yaml"
    path.write_text(edited(EXPERIMENT, ("system: lab", "system: lab.yaml")))
    return load(path, system=str(tmp_path / "lab.yaml"))


def measured(*, severity: float = 0.1, wrong: float = 0.4) -> Recording:
    """A run in which of all answers of a minute so many were wrong; before, one in twenty."""
    chance = np.random.default_rng(0)
    total = chance.poisson(40, 180)
    bad = chance.binomial(total, np.repeat([0.05, wrong, 0.05], 60))
    found = [series("seen", grown(total - bad), result="right"), series("seen", grown(bad), result="wrong")]
    return recording(found, 180, effect_s=60.5, removal_s=120.5, severity=severity, rules=[RULE])


def asked(tmp_path: Path, made: Recording, **more: object) -> Asked:
    folder = RunFolder.make(tmp_path / "runs", "20260101-000000", "wrong-predictions", "1a2b3c4d")
    folder.write_packed(NAME, made.lines())
    folder.write("verdict.json", '{"verdict": "confirmed", "experiment": "wrong-predictions"}')
    folder.write("plan.json", "{}")
    return replace(Asked(tmp_path / "runs", scenarios=10), **more)  # type: ignore[arg-type]


def said(loaded: Loaded, question: Asked, programs: Programs):
    return rehearsal(loaded, question, programs, lambda text: None)


def test_the_newest_run_is_rehearsed_up_to_what_it_measured(loaded: Loaded, tmp_path: Path, programs: Programs) -> None:
    made = said(loaded, asked(tmp_path, measured()), programs)
    (alert,) = made.alerts
    assert (made.measured, made.severity, made.exit_code) == (True, 0.1, 0)
    assert "measured effect of run test" in made.source
    assert max(row.severity for row in alert.rows) == 0.1
    assert (alert.rows[0].severity, alert.rows[0].caught, alert.rows[0].early) == (0.0, 0, 0)
    assert alert.told is True
    assert alert.threshold.smallest is not None
    assert alert.threshold.smallest < 0.1


def found_system(loaded: Loaded, question: Asked, system: str | None = None) -> tuple[str | None, list[str]]:
    heard: list[str] = []
    return system_for(loaded.path, system, {}, question, loaded.path.parent / ".chaos", heard.append), heard


@pytest.mark.parametrize("named", [None, "nowhere.yaml"])
def test_without_its_system_an_experiment_is_rehearsed_with_the_one_that_the_run_keeps(
    loaded: Loaded, tmp_path: Path, programs: Programs, named: str | None
) -> None:
    question = asked(tmp_path, measured())
    (folder,) = question.runs.iterdir()
    loaded.system_path.rename(folder / "system.yaml")
    where, heard = found_system(loaded, question, named)
    assert where is not None
    assert Path(where) == (folder / "system.yaml").resolve()
    assert "is not here; taking it as the run had it" in heard[0]
    assert said(load(loaded.path, system=where), question, programs).exit_code == 0
    assert found_system(loaded, replace(question, run=folder, runs=tmp_path / "none"), named)[0] == where


def test_the_system_that_is_named_and_there_is_taken(loaded: Loaded, tmp_path: Path) -> None:
    question = asked(tmp_path, measured())
    (folder,) = question.runs.iterdir()
    (folder / "system.yaml").write_text(SYSTEM)
    assert found_system(loaded, question) == (None, [])
    assert found_system(loaded, question, "lab.yaml") == ("lab.yaml", [])
    assert found_system(loaded, question, "nowhere.yaml")[0] == str((folder / "system.yaml").resolve())


def test_a_stated_model_is_of_the_system_now_and_takes_none_of_a_run(loaded: Loaded, tmp_path: Path) -> None:
    question = asked(tmp_path, measured(), model=True)
    (folder,) = question.runs.iterdir()
    loaded.system_path.rename(folder / "system.yaml")
    assert found_system(loaded, question) == (None, [])


def test_a_folder_of_a_run_that_is_not_there_is_said(loaded: Loaded, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"there is no folder .*none"):
        found_system(loaded, asked(tmp_path, measured(), run=tmp_path / "none"))


def test_rules_of_a_file_are_rehearsed_instead_of_those_that_were_loaded(
    loaded: Loaded, tmp_path: Path, programs: Programs
) -> None:
    (tmp_path / "rules.yml").write_text(RULES)
    made = said(loaded, asked(tmp_path, measured(), rules=tmp_path / "rules.yml"), programs)
    assert (made.alerts[0].told, made.exit_code) == (False, 1)


def test_more_traffic_than_was_measured_is_not_known_and_said(
    loaded: Loaded, tmp_path: Path, programs: Programs
) -> None:
    made = said(loaded, asked(tmp_path, measured(severity=0.05)), programs)
    assert made.alerts[0].told is None
    assert made.exit_code == 3
    assert any("only 5% were measured" in note for note in made.notes)


def test_a_fault_that_was_on_for_less_is_said(loaded: Loaded, tmp_path: Path, programs: Programs) -> None:
    short = replace(measured(), removal_wall_s=measured().start_wall_s + 75.5)
    made = said(loaded, asked(tmp_path, short), programs)
    assert any("its later half is repeated" in note for note in made.notes)


def test_an_alert_without_a_rule_is_refused_with_what_to_do(loaded: Loaded, tmp_path: Path, programs: Programs) -> None:
    with pytest.raises(Refused, match="no rule for the alert ModelAccuracyLow"):
        said(loaded, asked(tmp_path, replace(measured(), rules=())), programs)


def test_a_file_that_is_none_of_rules_is_refused(loaded: Loaded, tmp_path: Path, programs: Programs) -> None:
    (tmp_path / "rules.yml").write_text("groups: 3")
    with pytest.raises(Refused, match=r"rules\.yml: this is no file"):
        said(loaded, asked(tmp_path, measured(), rules=tmp_path / "rules.yml"), programs)


def test_a_run_that_kept_nothing_is_refused(loaded: Loaded, tmp_path: Path, programs: Programs) -> None:
    with pytest.raises(NoFolder, match=f"no {NAME}"):
        said(loaded, asked(tmp_path, measured(), run=tmp_path), programs)


def test_a_run_whose_fault_was_too_short_is_refused(loaded: Loaded, tmp_path: Path, programs: Programs) -> None:
    with pytest.raises(Refused, match="make it longer"):
        said(loaded, asked(tmp_path, replace(measured(), removal_wall_s=measured().effect_wall_s)), programs)
