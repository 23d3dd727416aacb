"""Prometheus' rule files are read as Prometheus reads them, and what is none is refused in a sentence."""

from __future__ import annotations

import pytest

from chaos.rules_file import parse_rules
from chaos.telemetry import RecordingRule

FILE = """
groups:
  - name: app
    interval: 15s
    rules:
      - record: job:errors:rate
        expr: sum by (job) (rate(errors_total[1m]))
        labels: {made: "yes"}
      - alert: ErrorsHigh
        expr: |
          job:errors:rate > 0.05
        for: 5m
        keep_firing_for: 1m30s
        labels: {severity: page, tier: 1}
        annotations: {summary: "{{ $value }}"}
  - name: other
    rules:
      - {alert: Down, expr: up == 0}
  - name: empty
    rules:
"""


def test_a_file_is_read_with_its_groups_intervals() -> None:
    (errors, down), recording = parse_rules(FILE)
    assert (errors.name, errors.expr, errors.for_s, errors.keep_firing_s) == (
        "ErrorsHigh",
        "job:errors:rate > 0.05",
        300.0,
        90.0,
    )
    assert errors.labels == {"severity": "page", "tier": "1"}
    assert (errors.group, errors.interval_s) == ("app", 15.0)
    assert (down.name, down.for_s, down.keep_firing_s, down.interval_s) == ("Down", 0.0, 0.0, 60.0)
    assert recording == [
        RecordingRule("job:errors:rate", "sum by (job) (rate(errors_total[1m]))", {"made": "yes"}, 15.0)
    ]


def test_a_file_without_groups_has_no_rules() -> None:
    assert parse_rules("groups:\n") == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "groups: [", "rules: []", "groups: [{name: a, rules: [{alert: X}]}]", "groups: [{rules: [{record: x}]}]",
        "groups: 3", "groups: [{rules: [{alert: X, expr: y, for: soon}]}]", "groups: [3]",
    ],
)  # fmt: skip
def test_what_is_no_file_of_rules_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_rules(text)


def test_what_is_no_yaml_is_said_in_one_line_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"^these rules are no YAML: line 3, column 9: [^\n]+$"):
        parse_rules("groups:\n  - name: [x\n   rules: }\n")
