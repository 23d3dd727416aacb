"""What runs have shown, as metrics that every reader of metrics reads alike."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from chaos.events import State
from chaos.history import histories
from chaos.history.exposition import Family, text
from chaos.history.now import FaultNow, Now
from chaos.history.now import families as families_now
from chaos.history.openmetrics import Score, families
from chaos.lab import monitoring
from chaos.verdict import MEANING
from tests.history.test_histories import RUN, after

STATE = Path(__file__).parents[2] / ".chaos"
NOW = Now(
    "wrong-1", "wrong", "lab", 1.7e9, 1.7e9 + 40, State.inject,
    (FaultNow("f-0", "delay", "model", "300 ms", True), FaultNow("f-1", "kill", "model", "one replica")),
)  # fmt: skip
HOSTILE = 'a "quoted" \\ back\nslash \ud800'

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(said: str, parser=openmetrics) -> Samples:
    return {(one.name, frozenset(one.labels.items())): one.value for family in parser(said) for one in family.samples}


def value(found: Samples, name: str, **labels: str) -> float | None:
    return next(
        (value for (called, has), value in found.items() if called == name and has >= frozenset(labels.items())), None
    )


def told(*runs, scores=None) -> Samples:
    return samples(text(families(histories(runs), scores or {})))


def test_exactly_the_last_verdict_is_one_and_all_are_counted() -> None:
    found = told(replace(after(1, 30.0), verdict="late"), after(2, 30.0), after(3, 30.0))
    last = {name: value(found, "chaos_last_run_verdict", verdict=name) for name in MEANING}
    assert last == {name: float(name == "confirmed") for name in MEANING}
    assert value(found, "chaos_kept_runs", verdict="confirmed") == 2
    assert value(found, "chaos_kept_runs", verdict="late") == 1
    assert value(found, "chaos_last_run_timestamp_seconds", experiment="wrong", system="lab") == RUN.ended_wall_s
    assert value(found, "chaos_last_run_info", owner="risk", run="wrong-3", environment="lab") == 1


def test_an_alert_has_its_last_time_its_median_and_its_budget() -> None:
    found = told(after(1, 30.0), after(2, 50.0), after(3, 34.0))
    assert value(found, "chaos_alert_time_to_detect_seconds", alert="ModelAccuracyLow") == 34.0
    assert value(found, "chaos_alert_time_to_detect_median_seconds") == 34.0
    assert value(found, "chaos_alert_time_to_detect_budget_seconds") == 60.0
    assert value(found, "chaos_alert_detected") == 1
    assert value(found, "chaos_alert_missed_runs") == 0
    assert value(found, "chaos_alert_slower") is None


def test_a_miss_has_no_time_and_is_not_detected() -> None:
    found = told(after(1, 30.0), after(2, None))
    assert value(found, "chaos_alert_time_to_detect_seconds") is None
    assert value(found, "chaos_alert_time_to_detect_median_seconds") is None
    assert value(found, "chaos_alert_detected") == 0
    assert value(found, "chaos_alert_missed_runs") == 1


def test_an_alert_that_the_last_run_expected_no_longer_is_no_metric() -> None:
    renamed = after(3, 30.0)
    found = told(
        after(1, 30.0), after(2, None), replace(renamed, alerts=(replace(renamed.alerts[0], alert="Renamed"),))
    )
    assert {value for _, labels in found for name, value in labels if name == "alert"} == {"Renamed"}


def test_an_alert_that_told_too_late_is_not_detected() -> None:
    run = after(1, 70.0)
    found = told(replace(run, alerts=(replace(run.alerts[0], outcome="late"),)))
    assert value(found, "chaos_alert_detected") == 0
    assert value(found, "chaos_alert_time_to_detect_seconds") == 70.0


def test_an_alert_that_has_become_slower_says_so() -> None:
    runs = [after(place, 30.0 + place / 10) for place in range(1, 9)]
    later = [after(place, 50.0 + place) for place in range(9, 14)]
    assert value(told(*runs, *later), "chaos_alert_slower") == 1
    assert value(told(*runs, after(9, 30.0), after(10, 30.4)), "chaos_alert_slower") == 0


def test_runs_of_a_sweep_are_left_out() -> None:
    assert told(replace(RUN, swept="2%")) == {}


def test_the_score_is_a_share_and_there_is_none_of_nothing() -> None:
    found = told(RUN, scores={"lab": Score(3, 1), "new": Score(0, 0)})
    assert value(found, "chaos_detection_score_ratio", system="lab") == 0.75
    assert value(found, "chaos_undetected_faults", system="lab") == 1
    assert value(found, "chaos_detection_score_ratio", system="new") is None


def test_a_fault_is_active_while_it_is_on() -> None:
    found = samples(text(families_now(NOW)))
    assert value(found, "chaos_fault_active", experiment="wrong", fault="delay", target="model") == 1
    assert value(found, "chaos_fault_active", fault="kill") == 0
    assert value(found, "chaos_run_state", state="inject") == 1
    assert sum(value(found, "chaos_run_state", state=one.value) or 0 for one in State) == 1
    assert value(found, "chaos_run_seen_timestamp_seconds") == 1.7e9 + 40


def test_a_fault_in_two_containers_is_on_while_one_of_them_is_hurt() -> None:
    twice = (
        replace(NOW.faults[0], on=False),
        replace(NOW.faults[0], id="f-2"),
        replace(NOW.faults[0], id="f-3", on=False),
    )
    found = samples(text(families_now(replace(NOW, faults=twice))))
    assert value(found, "chaos_fault_active", fault="delay") == 1


def everything() -> str:
    runs = [replace(after(place, 30.0), experiment="x" if place % 2 else "y", owner=HOSTILE) for place in range(1, 23)]
    return text([*families(histories(runs), {"lab": Score(3, 1)}), *families_now(NOW)])


def test_openmetrics_and_prometheus_own_format_read_the_same_samples() -> None:
    said = everything()
    assert samples(said) == samples(said, prometheus)
    assert len(samples(said)) > 60
    assert said.endswith("# EOF\n")


def test_promtool_finds_nothing_to_complain_of() -> None:
    argv = [str(monitoring.find(STATE).promtool), "check", "metrics"]
    checked = subprocess.run(argv, input=everything(), capture_output=True, text=True, check=False, timeout=30)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.parametrize("said", [HOSTILE, "", "ü€", 'x"} 1\nforged 1'])
def test_no_text_forges_a_sample(said: str) -> None:
    made = text([Family("chaos_x", said, [({"a": said}, 1.0)])])
    [(name, labels)] = samples(made)
    assert name == "chaos_x"
    assert dict(labels)["a"] == said.encode("utf-8", "replace").decode()


def test_a_family_without_samples_is_left_out() -> None:
    assert text([Family("chaos_x", "nothing", [])]) == "# EOF\n"
