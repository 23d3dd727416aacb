"""No real person receives a wrong answer unless the system file says who allowed it and why: each part of that promise.

That a proxy touches only what the run has signed is shown on its wire: `tests/proxy/test_synthetic_subjects.py`.
"""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from chaos.errors import InvalidFile
from chaos.events import RunStarted
from chaos.faults import catalogue
from chaos.journal import Line
from chaos.judging import judge
from chaos.plans import Plan
from chaos.report.html import render
from chaos.report.terminal import plan_view
from chaos.system import System
from tests.judging.journals import Story
from tests.values import experiment, planned, system

USERS = ("traffic: 10%", "traffic: 10%, subjects: users")
STAGING = ("environment: lab", "environment: staging")
ALLOWED = ("environment: lab", "environment: staging\nreal_users: {allowed_by: Ada Lovelace, reason: consent of 2026}")

WRONG_ANSWERS = {"prediction quality", "scores", "bias", "input", "language models"}
"""The families of the law whose faults happen on the way of people's requests. Those of labels happen in the run's own load alone."""
ONLY_TIMING = {"slow_first_token", "slow_tokens", "stalled_stream"}
"""What these change is when an answer comes, and no word of it."""


@pytest.mark.parametrize("name", [name for name, kind in catalogue().items() if kind.family in WRONG_ANSWERS])
def test_every_fault_of_the_laws_families_is_under_the_law(name: str) -> None:
    assert catalogue()[name].semantic is (name not in ONLY_TIMING)


@pytest.mark.parametrize(
    "name", [name for name, kind in catalogue().items() if kind.family in ("labels", "data shift")]
)
def test_faults_on_labels_and_data_reach_nobodys_request_but_the_runs_own(name: str) -> None:
    assert catalogue()[name].acts_on == "load"


def test_subjects_are_the_runs_own_load_unless_the_file_says_otherwise() -> None:
    assert experiment().blast_radius.subjects == "synthetic"
    assert planned(of=system(STAGING)).subjects == "synthetic"


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_outside_the_lab_wrong_answers_to_real_people_are_refused(environment: str) -> None:
    [refusal] = planned(USERS, of=system(("environment: lab", f"environment: {environment}"))).refusals
    assert refusal == (
        "wrong_predictions would change answers that real people receive and nobody has allowed it; write "
        "`subjects: synthetic`, or `real_users: {allowed_by: NAME, reason: TEXT}` in the system file"
    )


def test_a_shadow_needs_nobodys_word_since_clients_get_the_models_own_answers() -> None:
    edits = (
        ("traffic: 10%", "traffic: 10%, subjects: users, mode: shadow"),
        ("expect:\n  harms: [accuracy]\n", "expect:\n  telemetry: shadow\n"),
    )
    made = planned(*edits, of=system(STAGING))
    assert made.refusals == ()
    assert made.allowed is None


def test_a_fault_that_leaves_answers_right_needs_nobodys_word() -> None:
    slow = (
        "  - fault: wrong_predictions\n    target: loan-model",
        "  - fault: delay\n    by: 1s\n    target: loan-model",
    )
    assert planned(USERS, slow, of=system(STAGING)).refusals == ()


@pytest.mark.parametrize(
    "said", ["{allowed_by: Ada}", "{reason: consent}", "{allowed_by: '', reason: a}", "{allowed_by: Ada, reason: ' '}"]
)
def test_a_permission_says_who_and_why(said: str) -> None:
    with pytest.raises(InvalidFile, match="real_users"):
        system(("environment: lab", f"environment: staging\nreal_users: {said}"))


def test_who_allowed_it_stands_in_the_plan() -> None:
    made = planned(USERS, of=system(ALLOWED))
    assert (made.refusals, made.allowed) == ((), "Ada Lovelace: consent of 2026")
    with open("/dev/null", "w") as nowhere:  # noqa: PTH123
        console = Console(width=200, record=True, file=nowhere)
        console.print(plan_view(made))
    assert "real people receive wrong answers; allowed by Ada Lovelace: consent of 2026" in console.export_text()


@pytest.mark.parametrize("edits", [(), (USERS,)], ids=["synthetic subjects", "the lab"])
def test_where_no_real_person_is_hurt_the_plan_names_nobody(edits: tuple[tuple[str, str], ...]) -> None:
    of = system() if edits else system(ALLOWED)
    assert planned(*edits, of=of).allowed is None


def allowed_journal() -> tuple[Plan, list[Line]]:
    from dataclasses import replace

    story = Story()
    plan = replace(story.plan, environment="staging", subjects="users", allowed="Ada Lovelace: <consent> of 2026")
    return plan, replace(story, plan=plan).lines()


def test_who_allowed_it_stands_in_the_journal() -> None:
    _, lines = allowed_journal()
    started = lines[0].record
    assert isinstance(started, RunStarted)
    assert json.loads(started.plan)["allowed"] == "Ada Lovelace: <consent> of 2026"


def test_who_allowed_it_stands_in_the_report_and_is_no_markup_there() -> None:
    plan, lines = allowed_journal()
    page = render(judge(lines), plan, lines)
    assert "allowed by Ada Lovelace: &lt;consent&gt; of 2026" in page


def announced(environment: str, *, told: bool) -> System:
    more = "\nannounce: {webhook: 'http://127.0.0.1:9/hooks/secret'}" if told else ""
    return system(("environment: lab", f"environment: {environment}{more}"))


@pytest.mark.parametrize(
    ("environment", "told", "warned"),
    [("production", False, True), ("production", True, False), ("staging", False, False)],
)
def test_a_plan_against_production_warns_when_nobody_is_told(environment: str, *, told: bool, warned: bool) -> None:
    made = planned(of=announced(environment, told=told))
    assert any("nobody is told of runs against production" in one for one in made.warnings) is warned
