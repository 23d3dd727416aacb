"""The dashboard asks only for what is exported, in PromQL that parses, and stands in the repository as it is made."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import promql_parser
import pytest

from chaos.history import histories
from chaos.history.now import families as families_now
from chaos.history.openmetrics import Score, families
from chaos.proxy.armed import active_text
from chaos.proxy.counters import Counters
from chaos.report.grafana import PANELS, dashboard
from tests.history.test_histories import after
from tests.history.test_openmetrics import NOW

KEPT = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboard.json"
QUERIES = [(panel.title, query) for panel in PANELS for query, _ in panel.queries]


def exported() -> dict[str, set[str]]:
    """Every metric that we export → its labels, where we say which."""
    runs = [after(place, 30.0 + place) for place in range(1, 14)]
    made = [*families(histories(runs), {"lab": Score(1, 1)}), *families_now(NOW)]
    found = {one.name: {label for labels, _ in one.samples for label in labels} for one in made}
    counters = Counters()
    for name in re.findall(r"# TYPE (\S+)", counters.text(armed=0, expiries=0) + active_text(())):
        found[name] = {"arm", "fault", "route", "run"}
    return found


def parsed(query: str) -> promql_parser.Expr:
    return promql_parser.parse(query.replace("$__rate_interval", "1m"))


def selectors(expression: object) -> list[tuple[str, set[str]]]:
    """Each metric that a parsed query names, with the labels that it selects by."""
    text = str(expression)
    return [
        (name, set(re.findall(r"(\w+)\s*[=!]~?\s*\"", inside)))
        for name, inside in re.findall(r"\b(chaos_\w+)(?:\{([^}]*)\})?", text)
    ]


@pytest.mark.parametrize(("title", "query"), QUERIES)
def test_every_query_parses_and_names_only_what_is_exported(title: str, query: str) -> None:
    found = selectors(parsed(query))
    assert found, title
    for name, labels in found:
        assert name in exported(), name
        assert labels <= exported()[name], (name, labels)


def test_every_metric_of_runs_and_of_now_is_on_the_dashboard_or_is_named_here() -> None:
    used = {name for _, query in QUERIES for name, _ in selectors(parsed(query))}
    unused = {name for name in exported() if not name.startswith("chaos_proxy_")} - used
    assert unused == {
        "chaos_alert_missed_runs", "chaos_alert_time_to_detect_median_seconds", "chaos_last_run_duration_seconds",
        "chaos_last_run_verdict", "chaos_run_start_timestamp_seconds", "chaos_run_state", "chaos_undetected_faults",
    }  # fmt: skip


def test_legends_name_only_labels_that_the_query_leaves() -> None:
    for panel in PANELS:
        for query, legend in panel.queries:
            wanted = set(re.findall(r"\{\{(\w+)\}\}", legend))
            grouped = re.search(r"by \(([^)]*)\)", query)
            left = set(re.split(r",\s*", grouped[1])) if grouped else exported()[selectors(parsed(query))[0][0]]
            assert wanted <= left, (panel.title, legend)


def test_panels_do_not_lie_on_each_other() -> None:
    cells = [
        (x, y)
        for panel in PANELS
        for x in range(panel.x, panel.x + panel.width)
        for y in range(panel.y, panel.y + panel.height)
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_the_file_in_the_repository_is_what_is_made() -> None:
    assert KEPT.read_text() == dashboard(), "chaos export grafana-dashboard --out deploy/grafana/dashboard.json"


def test_an_import_asks_for_a_data_source_and_names_no_other() -> None:
    made = json.loads(dashboard())
    assert [one["name"] for one in made["__inputs"]] == ["DS_PROMETHEUS"]
    sources = {panel["datasource"]["uid"] for panel in made["panels"]}
    assert sources == {"${DS_PROMETHEUS}"}
    assert len({panel["id"] for panel in made["panels"]}) == len(PANELS)


def test_a_query_that_names_an_unknown_metric_would_be_found() -> None:
    broken = replace(PANELS[0], queries=(("chaos_nothing", ""),))
    assert selectors(parsed(broken.queries[0][0]))[0][0] not in exported()
