"""Who may be told, when only some of an alert's labels are known."""

from __future__ import annotations

import json

import pytest

from chaos.routes import ActiveSilence, Matcher, parse_alertmanager_config, parse_integrations

CONFIG = """
route:
  receiver: oncall
  routes:
    - {receiver: tickets, matchers: ['severity="ticket"']}
    - {receiver: audit, matchers: ['severity="page"'], continue: true}
    - {receiver: team-a, matchers: ['team="a"']}
    - {receiver: odd, matchers: ['team=~"(?=l).+"']}
receivers:
  - {name: oncall, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}
  - {name: tickets}
  - {name: audit, webhook_configs: []}
  - {name: team-a, email_configs: [{to: a@example.org}]}
  - {name: odd}
"""


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"severity": "ticket"}, {"tickets"}),
        ({"severity": "ticket", "team": "b"}, {"tickets"}),
        ({"severity": "page"}, {"audit", "team-a", "odd"}),
        ({"severity": "page", "team": "a"}, {"audit", "team-a"}),
        ({"severity": "none", "team": "long name"}, {"odd", "oncall"}),
        ({}, {"tickets", "audit", "team-a", "odd", "oncall"}),
    ],
)
def test_every_receiver_is_named_that_an_alert_with_at_least_these_labels_may_go_to(
    labels: dict[str, str], told: set[str]
) -> None:
    """The last receiver's expression is one that no server takes: nobody knows whom it holds for."""
    assert parse_alertmanager_config(CONFIG).receivers_for(labels) == told


def test_a_receiver_without_integrations_tells_nobody() -> None:
    assert parse_integrations(CONFIG) == {
        "oncall": True, "tickets": False, "audit": False, "team-a": True, "odd": False,
    }  # fmt: skip
    for text in ("", "[]", "route: {receiver: a}", "receivers: 3"):
        with pytest.raises(ValueError, match="no receivers"):
            parse_integrations(text)


def test_a_silence_covers_only_what_its_labels_are_known_for() -> None:
    silence = ActiveSilence(
        (Matcher("alertname", "=", "A"), Matcher("team", "=~", "a|b")), "ada", "deploy", "2030-01-01"
    )
    assert silence.covers({"alertname": "A", "team": "b"})
    assert not silence.covers({"alertname": "A"}), "the team may be another one"
    assert not silence.covers({"alertname": "A", "team": "c"})
    assert not ActiveSilence(()).covers({"alertname": "A"})
    assert not ActiveSilence((Matcher("alertname", "=~", "(?=A)A"),)).covers({"alertname": "A"})
    assert str(silence) == '{alertname="A", team=~"a|b"} by ada until 2030-01-01 (deploy)'


GO_ONLY = """
route:
  receiver: default
  routes:
    - {receiver: pages, matchers: ['severity=~"(?i:PAGE)"']}
    - {receiver: greek, matchers: ['team=~"\\\\pL+"'], continue: true}
    - {receiver: nobody-knows, matchers: ['team=~"(?=x)"']}
receivers: [{name: default}]
"""


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"severity": "page"}, ["pages"]),
        ({"team": "7"}, ["nobody-knows", "default"]),
        ({"team": "β"}, ["greek", "nobody-knows"]),
    ],
)
def test_an_alert_goes_the_way_that_expressions_of_go_send_it_and_every_way_where_nobody_can_tell(
    labels: dict[str, str], told: list[str]
) -> None:
    assert [one.receiver for one in parse_alertmanager_config(GO_ONLY).routes_for(labels)] == told


def test_a_silence_of_an_expression_that_nobody_can_read_covers_nothing() -> None:
    assert not ActiveSilence((Matcher("team", "=~", "(?=x)"),)).covers({"team": "x"})
    assert ActiveSilence((Matcher("team", "=~", "(?i:X)"),)).covers({"team": "x"})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r'team=~"a{1,2}"', [("team", "=~", "a{1,2}")]),
        (r'{team="a,b", severity!="page"}', [("team", "=", "a,b"), ("severity", "!=", "page")]),
        (r'team=~"\\pL \"x\" \d"', [("team", "=~", r'\pL "x" \d')]),
        ("team = a", [("team", "=", "a")]),
    ],
)
def test_a_matcher_is_read_with_the_commas_and_the_quotes_that_stand_in_its_value(
    written: str, read: list[tuple[str, str, str]]
) -> None:
    route = parse_alertmanager_config(json.dumps({"route": {"receiver": "a", "matchers": [written]}}))
    assert [(one.name, one.operator, one.value) for one in route.matchers] == read
