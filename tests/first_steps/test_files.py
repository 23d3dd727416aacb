"""What is written is right as it stands: it passes `chaos check`, and says itself what only its owner can fill in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chaos.app.files import load
from chaos.experiment import parse
from chaos.first_steps.clue_table import CLUES
from chaos.first_steps.clues import Candidate
from chaos.first_steps.experiment_text import Subject, experiment_text
from chaos.first_steps.files import files_of
from chaos.first_steps.found import ContainersFound, Found, Metric, ProxySeen
from chaos.first_steps.rule_reading import reading_of
from chaos.first_steps.system_text import Targets, Wish
from chaos.first_steps.writing import marks, scalar
from chaos.planning import plan
from chaos.routes import Route
from chaos.survey import Survey
from chaos.system import parse_system
from chaos.telemetry import RuleInfo
from tests.first_steps.field_rules import _DECLARED, FIELD, LAB_RULES

FOUND = Found(
    "http://127.0.0.1:9090",
    alertmanager="http://127.0.0.1:9093",
    scrape_s=1.0,
    evaluation_s=1.0,
    rules=LAB_RULES,
    metrics=_DECLARED,
    jobs={"loan-gateway": 1, "loan-model": 2, "llm-gateway": 1},
    route=Route("oncall", group_by=("alertname",), group_wait_s=1.0, group_interval_s=5.0),
    integrations={"oncall": True},
    proxies=(ProxySeen("http://127.0.0.1:8474"), ProxySeen("http://127.0.0.1:8475", in_monitoring=True)),
    containers=(ContainersFound(("app", "loan-model"), ("replica-1", "replica-2"), 2),),
)
FIELD_RULES = tuple(RuleInfo(name, expr, 300.0, {"severity": "page"}) for name, expr, _ in FIELD)
BARE = Found("http://127.0.0.1:9090", rules=FIELD_RULES)


def written(found: Found, folder: Path, wish: Wish | None = None) -> list[Path]:
    """The experiments, standing in the folder beside their system file."""
    files, _ = files_of(found, wish or Wish())
    for one in files:
        (folder / one.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / one.path).write_text(one.text)
    return [folder / one.path for one in files[1:]]


@pytest.mark.parametrize(
    "found", [FOUND, replace(FOUND, containers=(), proxies=()), BARE], ids=["lab", "unproxied", "bare"]
)
def test_every_experiment_fits_its_system_file_before_anything_is_filled_in(found: Found, tmp_path: Path) -> None:
    experiments = written(found, tmp_path)
    assert len(experiments) == sum(rule.name != "Watchdog" for rule in found.rules)
    for path in experiments:
        load(path)


@pytest.mark.parametrize("columns", [(), ("id", "a", "label"), ("a", "label")])
def test_outcomes_that_experiments_tell_are_told_by_what_stands_in_the_row_or_in_the_answer(
    columns: tuple[str, ...], tmp_path: Path
) -> None:
    told = [load(path) for path in written(FOUND, tmp_path, Wish(columns=columns))]
    assert any(one.experiment.load and one.experiment.load.feedback for one in told)
    system = told[0].system
    assert system.request.answer is not None  # of an answer whose decision nobody can read, no outcome is told
    assert system.feedback is not None
    by_row = "id" in columns
    assert system.feedback.json_ == {"id": "$row.id" if by_row else "$answer.id", "outcome": "$label"}
    assert (system.request.answer.id is None) is by_row


def test_times_are_those_in_which_the_rule_can_fire_so_that_no_plan_refuses_them(tmp_path: Path) -> None:
    for path in written(FOUND, tmp_path):
        loaded = load(path)
        survey = Survey(at_wall_s=0.0, rules=FOUND.rules, route=FOUND.route)
        refused = plan(loaded.experiment, loaded.system, loaded.probes, survey, "seed").refusals
        assert not [one for one in refused if "cannot tell before" in one or "cannot fire in time" in one], path.name


@pytest.mark.parametrize("fault", sorted({clue.fault for clue in CLUES}))
def test_every_fault_is_written_with_all_that_it_needs(fault: str) -> None:
    rule = RuleInfo("Odd", "some_metric > 0.1", 60.0)
    subject = Subject(rule, reading_of(rule, FOUND.metric), Candidate(fault, 9.0, ("so",)), (), fault)
    text = experiment_text(subject, FOUND, Targets("model", ("scrapes",), containers=True), Wish(), [rule])
    experiment, _ = parse(text, "odd.yaml", {})
    assert [one.fault for one in experiment.faults] == [fault]


def test_a_rule_that_nothing_fits_gets_an_external_fault_and_says_so(tmp_path: Path) -> None:
    written(BARE, tmp_path)
    text = (tmp_path / "experiments" / "gpu-busy.yaml").read_text()
    assert "fault: external" in text
    assert "Nothing in the rule says which fault" in text


def test_a_fault_that_nothing_here_can_do_stands_commented_beside_an_external_one(tmp_path: Path) -> None:
    written(BARE, tmp_path)
    text = (tmp_path / "experiments" / "fraud-model-down.yaml").read_text()
    assert "- fault: external" in text
    assert "# - fault: kill" in text
    assert "kill cannot be done yet" in text


def test_two_rules_of_one_name_get_two_files() -> None:
    twice = replace(BARE, rules=(FIELD_RULES[0], replace(FIELD_RULES[0], expr="other_seconds > 1")))
    assert [one.path for one in files_of(twice, Wish())[0][1:]] == [
        "experiments/time-to-first-token-high.yaml",
        "experiments/time-to-first-token-high-2.yaml",
    ]


def test_only_rules_with_the_asked_label_are_taken() -> None:
    files, guesses = files_of(FOUND, Wish(match={"service": "llm"}))
    assert {one.alert[:3] for one in guesses} == {"Llm"}
    assert "alerts: {match: {service: llm}}" in files[0].text


def test_what_is_known_is_not_marked() -> None:
    bare = files_of(BARE, Wish())[0][0]
    told = files_of(
        FOUND, Wish(entry="http://127.0.0.1:8000/score", data="rows.csv", columns=("x",), token="${file:token}")
    )[0][0]
    assert told.left < bare.left
    assert not [said for _, _, said in marks(told.text) if "users' traffic" in said or "proxy" in said]


@pytest.mark.parametrize("text", ["a: b", "# no", "${HOME}", "yes", "'", '"', "a\nb", "*x", "1:30", "@x", "\x1b[31m"])
def test_no_name_of_a_rule_or_label_breaks_a_file(text: str) -> None:
    rule = RuleInfo(text, 'odd_errors_total{job="x"} > 1', 0.0, {"service": text}, {"summary": text})
    found = replace(BARE, rules=(rule, rule, rule), integrations={text: True})
    files, _ = files_of(found, Wish())
    system, _ = parse_system(files[0].text, "system.yaml", {})
    experiment, _ = parse(files[1].text, "experiment.yaml", {})
    if text == "a\nb" or "\x1b" in text or "${" in text:
        return  # what no name can be is written visibly, and then it is another name
    assert system.alerts.match == {"service": text}
    assert experiment.expect.alerts[0].alert == text


def test_a_plain_word_stays_plain() -> None:
    assert [scalar(one) for one in ("loan-model", "http://127.0.0.1:9090", "no", "5s")] == [
        "loan-model", "http://127.0.0.1:9090", '"no"', '"5s"',
    ]  # fmt: skip


def test_a_known_server_of_predictions_gets_no_fault_of_language_models() -> None:
    rule = RuleInfo("ModelServerRefuses", 'sum(rate(rest_server_requests_total{status_code=~"4.."}[1m])) > 0.05', 0.0)
    found = replace(BARE, rules=(rule,), metrics={"model_infer_request_success_total": Metric("counter")})
    assert [one.fault for one in files_of(found, Wish())[1]] == ["schema_change"]
    vllm = replace(found, metrics={"vllm:num_requests_running": Metric("gauge")})
    assert [one.fault for one in files_of(vllm, Wish())[1]] == ["refusal"]


def test_a_rule_that_reads_what_the_server_measures_itself_says_that_it_stands_behind_the_fault() -> None:
    rule = RuleInfo("Slow", "histogram_quantile(0.9, rate(rest_server_request_duration_seconds_bucket[1m])) > 1", 0.0)
    assert "the fault proxy stands in front of it" in files_of(replace(BARE, rules=(rule,)), Wish())[0][1].text


def test_columns_of_any_name_make_a_file_that_parses_and_says_which_cannot_be_written(tmp_path: Path) -> None:
    columns = ("fico score", "a, b", "x}", "y", "age", "größe", "#", "a.b", "")
    written(FOUND, tmp_path, Wish(data="rows.csv", columns=columns))
    text = (tmp_path / "system.yaml").read_text()
    system, _ = parse_system(text, "system.yaml", {})
    plain = {"y": "$row.y", "age": "$row.age", "größe": "$row.größe"}
    assert system.request.json_ == {name: plain.get(name) for name in columns}
    assert any("where null stands" in said for _, _, said in marks(text))
    named = files_of(FOUND, Wish(columns=("age", "y")))[0][0].text
    assert "where null stands" not in named


def test_no_secret_of_an_address_stands_in_the_file(tmp_path: Path) -> None:
    def secret(port: int) -> str:
        return f"http://ada:s3cret@127.0.0.1:{port}"

    found = replace(
        FOUND, prometheus=secret(9090), alertmanager=secret(9093), sinks={"oncall": secret(9099)},
        proxies=(ProxySeen(secret(8474)), ProxySeen(secret(8475), in_monitoring=True)),
    )  # fmt: skip
    files, _ = files_of(found, Wish(entry=secret(8080)))
    assert not [one.path for one in files if "s3cret" in one.text]
    variables = {
        "PROMETHEUS_URL": secret(9090), "ALERTMANAGER_URL": secret(9093), "SINK_URL_1": secret(9099), "ENTRY_URL": secret(8080),
        "PROXY_URL_1": secret(8474), "PROXY_URL_2": secret(8475),
    }  # fmt: skip
    system, _ = parse_system(files[0].text, "system.yaml", variables)
    assert system.telemetry.prometheus == secret(9090)
    assert [one for target in system.targets.values() for one in target.proxies] == [secret(8474), secret(8475)]
