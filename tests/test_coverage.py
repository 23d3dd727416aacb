"""The catalogue of runs: every experiment can be planned against the lab, a run becomes a result, and the page says what results say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.catalogue.__main__ import (
    EXPERIMENTS,
    PAGE,
    alerts,
    experiments,
    needs_docker,
    rules,
    system_of,
    variables,
)
from benchmarks.catalogue.page import page
from benchmarks.catalogue.results import Result, Told, result_of, store, stored
from chaos.app.files import content
from chaos.experiment import link, parse
from chaos.faults import catalogue
from chaos.lab import assistant, topology
from chaos.lab.processes import LabStatus
from chaos.observation import AlertSeen
from chaos.planning import plan
from chaos.plans import Plan
from chaos.probe import merge
from chaos.routes import parse_alertmanager_config
from chaos.survey import ContainerFound, ProxyFound, Survey
from chaos.system import System, parse_system
from chaos.telemetry import RuleInfo
from chaos.units import parse_duration
from tests.judging.journals import WALL, Story

PLACES = {name: f"127.0.0.1:{9000 + place}" for place, name in enumerate(topology.PORTS)}
SYSTEMS = {
    "lab": topology.system_yaml("lab", PLACES, "process: {table: processes.json, labels: {app: loan-model}}"),
    "lab-llm": assistant.system_yaml("lab", PLACES),
}
"""What an experiment may call its system → what the lab writes."""
LAB = LabStatus("lab", Path("lab"), {}, PLACES)
FILES = sorted(EXPERIMENTS.glob("*.yaml"))
RULES = tuple(
    RuleInfo(rule["alert"], rule["expr"], parse_duration(rule.get("for", "0s")), rule["labels"]) for rule in rules()
)
REPLICAS = tuple(ContainerFound(name, f"id-{name}", "running", {}, opted_in=True) for name in topology.REPLICAS)


def system_for(path: Path) -> System:
    """The part of the lab that an experiment of the catalogue is about."""
    system, _ = parse_system(SYSTEMS[system_of(path, "lab")], "system.yaml", {"file:token": "0123456789abcdef"})
    return system


def planned(path: Path) -> Plan:
    """The plan of an experiment of the catalogue against a lab that is up and quiet."""
    given = variables(LAB, docker=needs_docker(path))
    experiment, document = parse(path.read_text(), path.name, given)
    system = system_for(path)
    probes = merge({str(one): one.read_text() for one in content("probes").glob("*.yaml")})
    assert link(experiment, document, system, probes) == []
    found = Survey(
        at_wall_s=1_700_000_000.0,
        scrape_s=1.0,
        evaluation_s=1.0,
        rules=RULES,
        route=parse_alertmanager_config(topology.alertmanager_yml(PLACES)),
        containers={"loan-model": REPLICAS} if "loan-model" in system.targets else {},
        driver={"loan-model": "docker" if needs_docker(path) else "process"} if "loan-model" in system.targets else {},
        proxies={name: (ProxyFound("http://127.0.0.1:1", "0.1.0"),) for name in system.targets},
        sinks={"oncall": None},
    )
    return plan(experiment, system, probes, found, "seed")


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_experiment_of_the_catalogue_can_be_planned_against_the_lab(path: Path) -> None:
    made = planned(path)
    assert made.refusals == ()
    assert {effect.fault for effect in made.faults()} == {path.stem}
    blind = catalogue()[path.stem].blind
    assert bool(made.alerts) != bool(blind), "an alert must catch it, or the fault says why none can"


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_an_experiment_of_the_catalogue_takes_about_ninety_seconds(path: Path) -> None:
    made = planned(path)
    warmup_s = made.load.warmup_s if made.load else 0.0
    assert warmup_s + made.baseline_s <= 50
    assert max(effect.start_s + effect.duration_s for effect in made.faults()) <= 90


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_the_alerts_that_must_stay_quiet_are_some_that_the_run_listens_to(path: Path) -> None:
    made = planned(path)
    heard = set(alerts(system_for(path).alerts.match))
    assert heard < set(alerts())
    assert set(made.silent) <= heard - {alert.alert for alert in made.alerts}


def test_every_fault_of_language_models_has_its_experiment() -> None:
    of_language_models = {name for name, fault in catalogue().items() if fault.family == "language models"}
    assert of_language_models == {path.stem for path in FILES if system_of(path, "lab") == "lab-llm"}


def test_what_has_a_result_is_not_run_again_unless_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.catalogue.__main__.stored", lambda: stored(tmp_path))
    here = [path for path in FILES if not needs_docker(path)]
    assert experiments([], docker=False, again=False) == here
    store(replace(RESULT, fault=here[0].stem), tmp_path)
    assert experiments([], docker=False, again=False) == here[1:]
    assert experiments([], docker=False, again=True) == here
    assert experiments([here[0].stem], docker=False, again=False) == here[:1]


def test_a_part_of_the_lab_is_a_part_of_the_lab_that_the_catalogue_brings_up(tmp_path: Path) -> None:
    for written, meant in (("lab", "catalogue"), ("lab-llm", "catalogue-llm")):
        (tmp_path / "one.yaml").write_text(f"system: {written}\n")
        assert system_of(tmp_path / "one.yaml", "catalogue") == meant


def test_an_experiment_that_nobody_wrote_cannot_be_asked_for() -> None:
    with pytest.raises(SystemExit, match="no experiment for nonsense"):
        experiments(["nonsense"], docker=False, again=False)


# --- results ----------------------------------------------------------------------------------------------------------

BESIDE = AlertSeen("FeatureDrift", {"alertname": "FeatureDrift", "service": "loan"}, "firing", WALL + 18.0)
ELSEWHERE = AlertSeen("DiskFull", {"alertname": "DiskFull", "service": "other"}, "firing", WALL + 18.0)
EARLIER = AlertSeen("LatencyHigh", {"alertname": "LatencyHigh", "service": "loan"}, "firing", WALL + 3.0)
NAMES = ["ModelAccuracyLow", "FeatureDrift", "LatencyHigh"]


def told_by(story: Story) -> Result:
    return result_of(story.lines(), date="2026-11-28", rules=NAMES, versions={"Prometheus": "2.42"})


RESULT = told_by(Story())


def test_a_result_says_what_fired_and_after_how_long() -> None:
    made = told_by(Story(others=(BESIDE, ELSEWHERE, EARLIER)))
    assert made.fault == "wrong_predictions"
    assert (made.date, made.seed, made.hurt) == ("2026-11-28", "seed", 40)
    (told,) = made.told
    assert (told.alert, told.outcome) == ("ModelAccuracyLow", "detected")
    assert told.fired_s == made.fired["ModelAccuracyLow"] == pytest.approx(25.2 - 16.5, abs=1.1)
    assert told.delivered_s == pytest.approx(26.4 - 16.5, abs=0.1)
    assert set(made.fired) == {"ModelAccuracyLow", "FeatureDrift"}, "neither another service's nor what fired before"
    assert made.quiet == ("LatencyHigh",)
    assert made.lasted_s == pytest.approx(27.1 - 16.5, abs=0.1)


def test_caught_is_what_every_expected_alert_told_of() -> None:
    assert RESULT.caught
    assert not told_by(Story(pending=None, firing=None, active=None, delivered=None, resolved=None)).caught
    assert not told_by(Story(changed_rows=0)).caught
    assert not replace(RESULT, told=()).caught


def test_a_stored_result_is_read_back_equal_and_replaced_by_the_next(tmp_path: Path) -> None:
    store(RESULT, tmp_path)
    assert stored(tmp_path) == {"wrong_predictions": RESULT}
    later = replace(RESULT, date="2026-12-01")
    store(later, tmp_path)
    assert stored(tmp_path) == {"wrong_predictions": later}


# --- the page ---------------------------------------------------------------------------------------------------------


def row(text: str, start: str) -> list[str]:
    """The cells of the first row of a table that begins so."""
    (found, *_) = (line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_the_page_has_a_row_for_every_fault_and_says_which_are_not_run() -> None:
    text = page(catalogue(), {"wrong_predictions": RESULT}, NAMES)
    for name in catalogue():
        assert row(text, name if name != "wrong_predictions" else "[wrong_predictions]")
    assert row(text, "kill")[1] == "not run"


def test_an_expected_alert_is_bold_with_its_seconds_and_one_beside_it_is_not() -> None:
    made = replace(RESULT, fired={"ModelAccuracyLow": 8.4, "FeatureDrift": 21.6})
    text = page(catalogue(), {"wrong_predictions": made}, NAMES)
    assert row(text, "[wrong_predictions]")[1:] == ["confirmed", "22 s", "**8 s**", "2026-11-28"]
    assert row(text, "ModelAccuracyLow") == ["ModelAccuracyLow", "wrong_predictions", ""]
    assert row(text, "FeatureDrift") == ["FeatureDrift", "", "wrong_predictions"]
    assert row(text, "LatencyHigh") == ["LatencyHigh", "", ""]


def test_a_missed_alert_is_told_with_the_verdicts_sentence() -> None:
    missed = replace(RESULT, verdict="undetected", fired={}, told=(Told("ModelAccuracyLow", "undetected", None, None),))
    text = page(catalogue(), {"wrong_predictions": missed}, NAMES)
    assert "**missed**" in row(text, "[wrong_predictions]")
    assert f"`wrong_predictions`: {missed.sentence}" in text
    assert "1 run and not caught: `wrong_predictions`" in text


def test_a_blind_spot_is_told_with_its_reason() -> None:
    class Blind(catalogue()["wrong_predictions"]):  # type: ignore[misc]
        blind = "the outcomes agree with it"

    text = page({"wrong_predictions": Blind}, {"wrong_predictions": replace(RESULT, told=())}, NAMES)
    assert "`wrong_predictions` cannot be seen: the outcomes agree with it" in text
    assert "1 that no alert can see, with the reason: `wrong_predictions`" in text


def test_the_committed_page_is_what_the_stored_results_say() -> None:
    assert PAGE.read_text() == page(catalogue(), stored(), alerts()), (
        "`python -m benchmarks.catalogue --page` writes it"
    )
