"""Alert rules are asked for at a real Prometheus and a real Alertmanager, which alone say what an expression returns."""

from __future__ import annotations

import json

import pytest

from chaos.drivers.ports import free_ports
from chaos.drivers.prometheus import PrometheusDriver
from chaos.drivers.rule_facts import Asked as FactsAsked
from chaos.drivers.rule_facts import Servers, ask_about
from chaos.errors import Unreachable
from chaos.rulecheck.checker import check
from chaos.rulecheck.standing import standing
from chaos.telemetry import RuleInfo
from tests.drivers.conftest import Watch
from tests.drivers.loopback import Asked, Said, serving
from tests.drivers.rule_stand import BROKEN, FIRING, MANY, RIGHT, Stand


@pytest.fixture(scope="module")
def asked(rule_stand: Stand) -> FactsAsked:
    """The facts of the named rules."""
    return ask_about(
        list(rule_stand.rules.values()),
        Servers(rule_stand.prometheus, rule_stand.prometheus),
        recording_s=86400.0,
        closest=True,
    )


def test_exactly_the_broken_rules_are_found_each_for_what_it_is(rule_stand: Stand, asked: FactsAsked) -> None:
    assert asked.untold == []
    found = {
        name: [f"{one.kind}: {one.verdict}" for one in check(rule, facts)]
        for (name, rule), facts in zip(rule_stand.rules.items(), asked.facts, strict=True)
    }
    wanted = {**{name: list(kinds) for name, (_, kinds) in BROKEN.items()}, **{name: [] for name in (*RIGHT, *FIRING)}}
    assert found == wanted


def test_every_rule_has_its_place_and_what_came_nearest_is_told(rule_stand: Stand, asked: FactsAsked) -> None:
    placed = {
        name: standing(rule, facts) for (name, rule), facts in zip(rule_stand.rules.items(), asked.facts, strict=True)
    }
    for name, (_, kinds) in BROKEN.items():
        verdict = kinds[0].partition(": ")[2]
        if verdict != "doubtful":
            assert placed[name].place == verdict, name
    quiet = [
        name for name in RIGHT if not name.startswith("Absent")
    ]  # before the first scrape, they were right to fire
    assert {name: placed[name].place for name in quiet} == dict.fromkeys(quiet, "never fired")
    assert placed["Fires"].place == "fired"
    assert placed["Accuracy"].sentence == "`model_accuracy` read at least 0.93, and `< 0.5` is asked for"
    assert 'did you mean `"exporter"`' in placed["NoSuchJob"].sentence
    assert "did you mean `model_accuracy`" in placed["NoSuchMetric"].sentence
    assert "write `histogram_quantile(0.95, sum by (le) (rate(request_seconds_bucket[5m])))`" in (
        placed["QuantileOfNoHistogram"].sentence
    )


def test_the_recording_is_no_longer_than_there_is_one(asked: FactsAsked) -> None:
    assert 1.0 <= asked.recording_s < 600.0, "a day was asked for, of a Prometheus that is seconds old"


def test_five_hundred_rules_are_sorted_as_each_of_them_alone(rule_stand: Stand) -> None:
    many = ask_about(rule_stand.many, Servers(rule_stand.prometheus, rule_stand.prometheus), recording_s=3600.0)
    assert many.untold == []
    assert len(rule_stand.many) == MANY
    of_expr: dict[str, set[tuple[str, ...]]] = {}
    for rule, facts in zip(rule_stand.many, many.facts, strict=True):
        # Each of these groups is evaluated every ten seconds, which is longer than the windows.
        kinds = tuple(one.kind for one in check(rule, facts) if one.kind != "interval_longer_than_window")
        of_expr.setdefault(rule.expr, set()).add(kinds)
    named = {rule.expr: BROKEN.get(name, ("", []))[1] for name, rule in rule_stand.rules.items() if name not in FIRING}
    named[rule_stand.rules["HighErrorRate"].expr] = []  # it is called what it is not, and these are not
    assert of_expr == {expr: {tuple(one.partition(":")[0] for one in kinds)} for expr, kinds in named.items()}


def test_what_was_asked_can_be_kept_as_json_and_says_the_same(rule_stand: Stand, asked: FactsAsked) -> None:
    from dataclasses import asdict

    from pydantic import TypeAdapter

    from chaos.rulecheck.facts import RuleFacts

    for rule, facts in zip(rule_stand.rules.values(), asked.facts, strict=True):
        kept = TypeAdapter(RuleFacts).validate_json(json.dumps(asdict(facts)))
        assert check(rule, kept) == check(rule, facts)


def test_who_is_told_of_nobody_and_what_is_silenced_is_found_at_alertmanager(watch: Watch) -> None:
    names = ("GaugeHigh", "Silenced", "Inhibited")
    rules = [next(rule for rule in watch.prometheus.rules() if rule.name == name) for name in names]
    found = ask_about(rules, Servers(watch.prometheus, watch.prometheus, watch.alertmanager), recording_s=60.0)
    kinds = [{one.kind for one in check(rule, facts)} for rule, facts in zip(rules, found.facts, strict=True)]
    assert [one & {"nobody_told", "silenced"} for one in kinds] == [set(), {"nobody_told", "silenced"}, {"nobody_told"}]
    [silenced] = [one for one in check(rules[1], found.facts[1]) if one.kind == "silenced"]
    assert 'alertname="Silenced"} by a test until 2099-01-01' in silenced.sentence


def vector(*rows: dict[str, object]) -> Said:
    data = {"resultType": "vector", "result": list(rows)}
    return Said(body=json.dumps({"status": "success", "data": data}).encode())


RULE = RuleInfo("Alert", "rate(nothing_total[5m]) > 1", 0.0)


def test_a_server_that_lacks_some_endpoints_is_asked_for_the_rest_and_each_is_one_sentence() -> None:
    """Thanos and Mimir lack some, depending on their version."""

    def answer(asked: Asked) -> Said:
        if asked.path.startswith("/api/v1/query?"):
            return vector()
        return Said(404, b"404 page not found", "text/plain")

    with serving(answer) as server:
        prometheus = PrometheusDriver(server.url)
        found = ask_about([RULE], Servers(prometheus, prometheus), recording_s=3600.0)
    assert len(found.facts) == 1
    assert len(found.untold) == 5 + 1
    assert all("\n" not in said and "404" in said for said in found.untold if "query_range" not in said)
    assert any(said.startswith("names of metrics are not checked: ") for said in found.untold)
    assert {one.verdict for one in check(RULE, found.facts[0])} == {"doubtful"}, "who declares it is not known"


def test_a_server_that_is_not_there_is_told_once() -> None:
    prometheus = PrometheusDriver(f"http://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(Unreachable, match="cannot be reached"):
        ask_about([RULE], Servers(prometheus, prometheus))


def test_what_is_not_answered_in_time_is_said_and_nothing_is_claimed_of_it() -> None:
    def answer(asked: Asked) -> Said:
        if "vector%281%29" in asked.path:
            return vector({"metric": {}, "value": [1_700_000_000, "1"]})
        return Said(404, b"", "text/plain")

    with serving(answer) as server:
        prometheus = PrometheusDriver(server.url)
        found = ask_about([RULE], Servers(prometheus, prometheus), budget_s=0.0)
    assert "not everything was answered within 0 s, so that some rules are not fully checked" in found.untold
    assert check(RULE, found.facts[0]) == ()


def test_one_question_that_is_refused_spoils_no_other(rule_stand: Stand) -> None:
    """Many questions stand in one query, and Prometheus refuses the whole of it."""
    rules = [RuleInfo(f"R{place}", f"model_accuracy{{n!='{place}'}} < 0", 0.0) for place in range(5)]
    bad = RuleInfo("Bad", "sum(queue_length * on () queue_limit) > 1", 0.0)
    found = ask_about([*rules, bad], Servers(rule_stand.prometheus, rule_stand.prometheus), recording_s=60.0)
    counts = [count for facts in found.facts[:5] for count in facts.series.values()]
    assert counts == [1] * 5
    assert set(found.facts[5].series.values()) == {None}
