"""The experiment file: what is left out is safe, what is written is kept, what is wrong is placed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.app.files import content
from chaos.bounds import Bound
from chaos.errors import InvalidFile
from chaos.experiment import (
    AlertMatch,
    GuardArms,
    GuardProbe,
    SteadyInline,
    SteadyProbe,
    json_schema,
    link,
    model,
    parse,
)
from chaos.faults import catalogue
from tests.values import EXPERIMENT, KILL, edited, experiment, probes, system

SMALLEST = """\
name: smallest
system: lab
steady_state: [{probe: accuracy, min: 88%}]
load: {rate: 1/s, data: rows.jsonl}
blast_radius: {max_duration: 1m}
faults: [{fault: wrong_predictions, target: loan-model, duration: 30s}]
expect: {}
"""


def test_what_is_left_out_hurts_the_least_and_forgives_the_least():
    made, _ = parse(SMALLEST, "smallest.yaml", {})
    radius = made.blast_radius
    assert (radius.subjects, radius.traffic, radius.containers, radius.where) == ("synthetic", 0.01, 1, None)
    assert made.faults[0].until == "decided"
    assert made.holding() == ["accuracy"]
    assert made.load is not None
    assert made.load.feedback is None
    assert made.load.returning == 0.0


def test_whatever_is_not_harmed_must_hold():
    assert experiment().holding() == ["latency"]
    assert experiment(("harms: [accuracy]", "harms: [accuracy]\n  holds: []")).holding() == []


def test_steady_state_entries_are_told_apart_by_what_stands_in_them():
    made = experiment(
        ("  - probe: latency\n    max: 2x baseline", "  - {name: approvals, promql: sum(up), unit: 1/s, min: 1}")
    )
    assert isinstance(made.steady_state[0], SteadyProbe)
    assert isinstance(made.steady_state[1], SteadyInline)
    assert made.steady_state[1].min == Bound("number", 1.0)
    assert [entry.title for entry in made.steady_state] == ["accuracy", "approvals"]


def test_guards_are_probes_or_alerts_or_arms():
    guards = "[{probe: errors, max: 5%, for: 5s}, {alert: {severity: page}}, {arms: errors, worse_than: 2.5x}]"
    made = experiment(("max_duration: 2m", f"max_duration: 2m, abort: {guards}"))
    probe, alert, arms = made.blast_radius.abort
    assert isinstance(arms, GuardArms)
    assert (arms.arms, arms.worse_than) == ("errors", 2.5)
    assert isinstance(probe, GuardProbe)
    assert probe.for_ == 5.0
    assert isinstance(alert, AlertMatch)
    assert alert.alert == {"severity": "page"}


def test_the_subject_is_the_experiments_word_or_else_the_systems():
    assert experiment().subject_header(system()) == "header:x-applicant-id"
    by = ("max_duration: 2m", "max_duration: 2m, by: 'header:x-session'")
    assert experiment(by).subject_header(system()) == "header:x-session"


EXPERIMENTS = sorted(path for path in content("experiments").glob("*.yaml") if path.name != "gameday.yaml")


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_every_fault_of_the_catalogue_is_read_or_refused_as_its_examples_say(name):
    for example in catalogue()[name].examples:
        told = ("data: rows.jsonl}", "data: rows.jsonl, feedback: {after: 1s}}")  # which faults of labels need
        aimed = (
            "[{probe: accuracy, min: 88%}]",
            "[{probe: accuracy, min: 88%}, {name: recall, promql: r, unit: ratio, min: 50%}]",
        )
        text = edited(
            SMALLEST, ("{fault: wrong_predictions, target: loan-model, duration: 30s}", example.yaml), told, aimed
        )
        if example.refused is None:
            made, _ = parse(text, "example.yaml", {})
            assert type(made.faults[0]) is catalogue()[name]
            assert made.faults[0].explain() == example.does
        else:
            with pytest.raises(InvalidFile, match=example.refused):
                parse(text, "example.yaml", {})


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.name)
def test_every_shipped_experiment_is_without_a_mistake(path: Path):
    made, _ = parse(path.read_text(), path.name, {})
    assert made.faults


def test_an_experiment_is_equal_after_being_written_as_json():
    made = experiment()
    assert model().model_validate_json(made.model_dump_json(by_alias=True)) == made


def test_a_frozen_experiment_cannot_be_changed_after_it_was_judged():
    with pytest.raises(ValueError, match="frozen"):
        experiment().name = "another"


def test_experiments_that_fit_their_system_have_no_problem():
    made, document = parse(EXPERIMENT, "experiment.yaml", {})
    assert link(made, document, system(), probes()) == []


def test_container_faults_need_something_to_run_in_and_no_proxy():
    made, document = parse(edited(EXPERIMENT, KILL), "experiment.yaml", {})
    assert link(made, document, system(("    proxies: ['http://127.0.0.1:8474']\n", "")), probes()) == []


def test_container_faults_alone_need_no_load():
    load = "load: {rate: 40/s, data: lab:applications, feedback: {after: 2s, share: 50%}}\n"
    assert experiment(KILL, (load, "")).load is None


def test_faults_of_the_load_need_no_proxy_and_no_container():
    drift = ("wrong_predictions\n    target", "concept_drift\n    target")
    made, document = parse(edited(EXPERIMENT, drift), "experiment.yaml", {})
    labelled = ("subject: header:x-applicant-id}", "subject: header:x-applicant-id, label: label}")
    bare = (
        "    proxies: ['http://127.0.0.1:8474']\n    process: {table: processes.json, labels: {app: loan-model}}\n",
        "    protocol: oip\n",
    )
    assert link(made, document, system(labelled, bare), probes()) == []


def test_a_fault_may_last_exactly_as_long_as_the_blast_radius():
    assert experiment(("duration: 60s", "duration: 2m")).faults[0].duration == 120.0


def test_a_relative_bound_fits_every_unit():
    made, document = parse(edited(EXPERIMENT, ("min: 88%", "min: 0.9x baseline")), "experiment.yaml", {})
    assert link(made, document, system(), probes()) == []


def test_a_probe_whose_name_the_system_does_not_give_a_value_is_told():
    made, document = parse(EXPERIMENT, "experiment.yaml", {})
    problems = link(made, document, system(("variables: {job: loan, window: 30s}", "variables: {}")), probes())
    assert [problem.message for problem in problems] == [
        f"the probe `{name}` needs `job`; add it under `variables:` in the system file"
        for name in ("accuracy", "latency")
    ]


LINES = EXPERIMENT.splitlines()


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, len(LINES) - 1),
    st.sampled_from(
        ["", "null", "[]", "{}", "7", "true", "x", "[[]]", "{a: b}", "*a", "!x y", "${N}", "-1", "1e999", "'"]
    ),
)
def test_one_spoilt_value_is_either_read_or_refused_with_its_place(line, spoilt):
    key, colon, _ = LINES[line].partition(": ")
    text = "\n".join([*LINES[:line], f"{key}{colon or ': '}{spoilt}", *LINES[line + 1 :]])
    try:
        parse(text, "spoilt.yaml", {})
    except InvalidFile as refused:
        for problem in refused.problems:
            assert 1 <= problem.line <= len(LINES) + 1
            assert problem.column >= 1
            assert not re.search(r"\b(None|NoneType|True|False|dict|str|int|float)\b", problem.message), problem.message


def test_editors_get_a_schema_that_knows_every_fault_and_its_units():
    text = str(json_schema())
    for name in catalogue():
        assert name in text
    assert "90s" in text
    assert json_schema()["additionalProperties"] is False
