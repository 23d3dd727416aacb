"""What was asked for all rules together comes to each rule as far as it concerns it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.routes import ActiveSilence, Matcher, Route
from chaos.rulecheck.known import Fired, Known, type_of
from tests.rulecheck.cases import rule_of


def test_a_metric_that_is_not_there_comes_with_names_that_are_like_it() -> None:
    names = frozenset(
        ["model_accuracy", "http_requests_total", "request_seconds_bucket", *(f"other_{n}" for n in range(5000))]
    )
    known = Known(names=names)
    assert known.near("model_acuracy") == ("model_accuracy",)
    assert known.near("http_request_total")[0] == "http_requests_total"
    assert known.near("request_seconds")[0] == "request_seconds_bucket"
    assert known.near("something_else_entirely") == ()
    facts = known.facts(rule_of("model_acuracy < 1 and http_requests_total > 0"))
    assert facts.names == {"model_acuracy": False, "http_requests_total": True}
    assert facts.near == {"model_acuracy": ("model_accuracy",)}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a_total", "counter"), ("b_total", "counter"), ("h_bucket", "histogram"), ("h_count", "histogram"), ("s_sum", "summary"),
        ("h", "histogram"), ("s_bucket", None), ("g", "gauge"), ("two", "unknown"), ("nobody", None), ("g_count", None),
    ],
)  # fmt: skip
def test_a_metric_is_what_its_family_is_declared_as(name: str, kind: str | None) -> None:
    declared = {
        "a_total": {"counter"}, "b": {"counter"}, "h": {"histogram"}, "s": {"summary"}, "g": {"gauge"}, "two": {"gauge", "counter"},
    }  # fmt: skip
    assert type_of(name, {family: frozenset(kinds) for family, kinds in declared.items()}) == kind


def test_an_alert_has_fired_where_its_name_and_its_rules_labels_did() -> None:
    rule = replace(rule_of("up == 0", "Down"), labels={"severity": "page", "summary": "{{ $value }}"})
    fired = (
        Fired({"alertname": "Down", "severity": "ticket"}, 0.5),
        Fired({"alertname": "Up", "severity": "page"}, 1.0),
    )
    assert Known(fired=fired).facts(rule).fired_share == 0.0
    assert Known(fired=(*fired, Fired({"alertname": "Down", "severity": "page"}, 0.2))).facts(rule).fired_share == 0.2
    assert Known().facts(rule).fired_share is None


def test_the_scrape_interval_is_that_of_the_jobs_that_the_rule_names() -> None:
    known = Known(scrape_s={"fast": 1.0, "slow": 60.0})
    assert known.facts(rule_of('rate(a{job="slow"}[1m]) > 1')).scrape_s == 60.0
    assert known.facts(rule_of("rate(a[1m]) > 1")).scrape_s == 1.0
    assert known.facts(rule_of('rate(a{job="pushed"}[1m]) > 1')).scrape_s == 1.0
    assert Known().facts(rule_of("rate(a[1m]) > 1")).scrape_s == 0.0


def test_receivers_and_silences_are_those_of_the_alert() -> None:
    rule = replace(rule_of("up == 0", "Down"), labels={"severity": "page"})
    route = Route("null", children=(Route("pager", (Matcher("severity", "=", "page"),)),))
    silence = ActiveSilence((Matcher("alertname", "=", "Down"),), "ada", "", "2030")
    facts = Known(route=route, integrations={"null": False, "pager": True}, silences=(silence,)).facts(rule)
    assert facts.receivers == {"pager": True}
    assert facts.silenced == '{alertname="Down"} by ada until 2030'
    assert Known(route=route).facts(rule).receivers == {}, "nobody knows which of them tell anybody"
