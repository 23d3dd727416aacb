"""Alert rules are asked for at a real Prometheus and a real Alertmanager, which alone say what an expression returns."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
import yaml

from chaos.drivers.prometheus import PrometheusDriver
from chaos.drivers.rule_facts import Asked as FactsAsked
from chaos.drivers.rule_facts import Servers, ask_about
from chaos.errors import Unreachable
from chaos.lab.monitoring import Tools
from chaos.lab.processes import free_ports
from chaos.rulecheck.checker import check
from chaos.rulecheck.standing import standing
from chaos.telemetry import RuleInfo
from tests.drivers.conftest import Watch, _up
from tests.drivers.loopback import Asked, Said, eventually, running, serving

PAGE = """\
# TYPE requests_total counter
requests_total{{code="200"}} {n}
requests_total{{code="500"}} {few}
# TYPE errors_total counter
errors_total{{kind="a"}} {few}
# TYPE unborn_total counter
# TYPE request_seconds histogram
request_seconds_bucket{{le="0.1"}} {few}
request_seconds_bucket{{le="1.0"}} {n}
request_seconds_bucket{{le="+Inf"}} {n}
request_seconds_sum {n}
request_seconds_count {n}
# TYPE model_accuracy gauge
model_accuracy{{model="a"}} 0.93
# TYPE queue_length gauge
queue_length{{queue="left"}} 3
queue_length{{queue="right"}} 4
# TYPE queue_limit gauge
queue_limit{{queue="up"}} 9
queue_limit{{queue="down"}} 9
"""
GONE = "# TYPE gone_gauge gauge\ngone_gauge 1\n"
"""What is exposed at first, and then no more."""

BROKEN = {
    # the broken rules that were read in public repositories, in this page's metrics
    "QuantileOfNoHistogram": ("histogram_quantile(0.95, request_seconds) > 0.5", ["no_buckets: cannot fire"]),
    "QuantileOfSum": ("histogram_quantile(0.95, rate(request_seconds_sum[5s])) > 0.5", ["no_buckets: cannot fire"]),
    "QuantileOfCounter": ("histogram_quantile(0.95, rate(requests_total[5s])) > 0.5", ["no_buckets: cannot fire"]),
    "QuantileWithoutRate": (
        "histogram_quantile(0.95, sum by (le) (request_seconds_bucket)) > 5",
        ["buckets_without_rate: doubtful"],
    ),
    "HighErrorRate": ("rate(errors_total[5s]) > 0.1", ["per_second_as_share: doubtful"]),
    "NoSuchMetric": ("model_acuracy < 0.5", ["unknown_metric: cannot fire"]),
    # the others
    "QuantileWithoutLe": (
        "histogram_quantile(0.95, sum by (job) (rate(request_seconds_bucket[5s]))) > 0.5",
        ["le_dropped: cannot fire"],
    ),
    "QuantileOfPercent": (
        "histogram_quantile(95, sum by (le) (rate(request_seconds_bucket[5s]))) > 0.5",
        ["quantile_out_of_range: always firing"],
    ),
    "NoSuchJob": ('up{job="exportre"} == 0', ["no_series: cannot fire"]),
    "NoSuchLabel": ('rate(requests_total{status="500"}[5s]) > 1', ["no_series: cannot fire"]),
    "NoSuchValue": ('rate(requests_total{code="418"}[5s]) > 1', ["no_series: doubtful"]),
    "NotYet": ("rate(unborn_total[5s]) > 1", ["no_series_yet: doubtful"]),
    "Gone": ("gone_gauge < 1", ["stale: cannot fire"]),
    "OtherLabels": ("rate(errors_total[5s]) / sum(rate(requests_total[5s])) > 2", ["no_match: cannot fire"]),
    "OtherLabelsOfAnd": ("model_accuracy < 0.5 and sum(rate(requests_total[5s])) > 1", ["no_match: cannot fire"]),
    "OtherValues": ("queue_length > on (queue) queue_limit", ["no_match: doubtful"]),
    "WindowTooShort": ("rate(requests_total[500ms]) > 1", ["window_too_short: cannot fire"]),
    "Percent": (
        'sum(rate(requests_total{code="500"}[5s])) / sum(rate(requests_total[5s])) > 5',
        ["share_as_percent: cannot fire"],
    ),
    "PercentOfAccuracy": ("model_accuracy < 85", ["share_as_percent: always firing"]),
    "Negative": ("rate(requests_total[5s]) < 0", ["negative_threshold: cannot fire"]),
    "RateOfGauge": ("rate(queue_length[5s]) > 100", ["rate_of_gauge: doubtful"]),
    "RawCounter": ("sum(errors_total) > 1e12", ["raw_counter: doubtful"]),
    "NothingCompared": ("sum(rate(errors_total[5s]))", ["no_comparison: always firing"]),
    "Bool": ("up == bool 0", ["bool_comparison: always firing"]),
    "ManyScalars": ("vector(5) > scalar(queue_length)", ["scalar_of_many: cannot fire"]),
    "AbsentOfNothing": ('absent(up{job="exportre"})', ["absent_of_nothing: always firing"]),
    "ManyToMany": ("queue_length * on () queue_limit > 0", ["unhealthy: cannot fire"]),
}
RIGHT = {
    "ErrorShare": 'sum(rate(requests_total{code=~"5.."}[5s])) / sum(rate(requests_total[5s])) > 0.9',
    "ErrorPercent": '100 * sum(rate(requests_total{code=~"5.."}[5s])) / sum(rate(requests_total[5s])) > 90',
    "Latency": "histogram_quantile(0.95, sum by (le) (rate(request_seconds_bucket[5s]))) > 5",
    "Accuracy": "model_accuracy < 0.5 and on () sum(rate(requests_total[5s])) > 1",
    "Down": 'up{job="exporter"} == 0',
    "Absent": 'absent(requests_total{job="exporter"})',
    "AbsentOrFew": 'sum(rate(requests_total[5s])) < 0.001 or absent(requests_total{job="exporter"})',
    "Mean": "rate(request_seconds_sum[5s]) / rate(request_seconds_count[5s]) > 5",
    "LastWeek": "sum(rate(requests_total[5s])) > 10 + 2 * sum(rate(requests_total[5s] offset 1w))",
    "DownCount": "count(up == 0) > 5",
    "Queues": "queue_length > 100 unless on (queue) queue_limit < 5",
    "Limit": "sum(queue_length) > scalar(sum(queue_limit))",
    "Fallback": "(sum(rate(errors_total[5s])) or vector(0)) > 1e9",
    "Quiet": "ALERTS{alertname='NoSuchAlert', alertstate='firing'} > 0",
    'Od"d': r'requests_total{code!~"\\d+\\.\""} offset 1s > 1e12',
}
FIRING = {"Fires": "sum(queue_length) > 1"}
MANY = 500


@dataclass(frozen=True, slots=True)
class Stand:
    """A Prometheus with good and bad rules."""

    prometheus: PrometheusDriver
    rules: dict[str, RuleInfo]
    many: list[RuleInfo]


def groups() -> str:
    named = [
        {"alert": name, "expr": expr, "labels": {"severity": "page"}}
        for name, expr in [*((name, one[0]) for name, one in BROKEN.items()), *RIGHT.items(), *FIRING.items()]
    ]
    bad, good = [one[0] for one in BROKEN.values()], list(RIGHT.values())
    many = [
        {"alert": f"Many{place}", "expr": expr, "labels": {"place": str(place)}}
        for place, expr in zip(range(MANY), itertools.cycle([*bad, *good]), strict=False)
    ]
    return yaml.safe_dump(
        {
            "groups": [
                {"name": "named", "interval": "1s", "rules": named},
                {"name": "many", "interval": "10s", "rules": many},
            ]
        }
    )


@pytest.fixture(scope="module")
def stand(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """It has scraped for some seconds, and one metric is gone."""
    folder = tmp_path_factory.mktemp("stand")
    scraped = itertools.count(1)
    [port] = free_ports(1)

    def page(_: Asked) -> Said:
        n = next(scraped)
        text = PAGE.format(n=10 * n, few=2 * n) + (GONE if n <= 3 else "")
        return Said(200, text.encode(), "text/plain; version=0.0.4; charset=utf-8")

    with ExitStack() as stack:
        exporter = stack.enter_context(serving(page)).url.removeprefix("http://")
        (folder / "rules.yml").write_text(groups())
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s}\n"
            f"rule_files: ['{folder}/rules.yml']\n"
            f"scrape_configs: [{{job_name: exporter, static_configs: [{{targets: ['{exporter}']}}]}}]\n"
        )
        argv = [
            str(tools.prometheus), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
        ]  # fmt: skip
        stack.enter_context(running(argv, folder, "prometheus"))
        prometheus = PrometheusDriver(f"http://127.0.0.1:{port}", timeout_s=10.0)
        _up(prometheus, folder)
        gone = "last_over_time(gone_gauge[1h]) unless gone_gauge"
        eventually(lambda: prometheus.query(gone), 30, "one metric has been there and is gone")
        # Prometheus remembers for ten scrapes what a target declared.
        eventually(lambda: "gone_gauge" not in prometheus.declared(), 30, "nobody declares it any more")

        def loaded() -> dict[str, RuleInfo]:
            found = {rule.name: rule for rule in prometheus.rules()}
            return found if found["ManyToMany"].health == "err" and found["Fires"].state == "firing" else {}

        rules = eventually(loaded, 20, "the rules are evaluated")
        eventually(lambda: prometheus.query('ALERTS{alertname="Fires"}'), 20, "the alert is recorded")
        many = [rule for rule in rules.values() if rule.group == "many"]
        yield Stand(prometheus, {name: rule for name, rule in rules.items() if rule.group == "named"}, many)


@pytest.fixture(scope="module")
def asked(stand: Stand) -> FactsAsked:
    """The facts of the named rules."""
    return ask_about(
        list(stand.rules.values()), Servers(stand.prometheus, stand.prometheus), recording_s=86400.0, closest=True
    )


def test_exactly_the_broken_rules_are_found_each_for_what_it_is(stand: Stand, asked: FactsAsked) -> None:
    assert asked.untold == []
    found = {
        name: [f"{one.kind}: {one.verdict}" for one in check(rule, facts)]
        for (name, rule), facts in zip(stand.rules.items(), asked.facts, strict=True)
    }
    wanted = {**{name: list(kinds) for name, (_, kinds) in BROKEN.items()}, **{name: [] for name in (*RIGHT, *FIRING)}}
    assert found == wanted


def test_every_rule_has_its_place_and_what_came_nearest_is_told(stand: Stand, asked: FactsAsked) -> None:
    placed = {name: standing(rule, facts) for (name, rule), facts in zip(stand.rules.items(), asked.facts, strict=True)}
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


def test_five_hundred_rules_are_sorted_as_each_of_them_alone(stand: Stand) -> None:
    many = ask_about(stand.many, Servers(stand.prometheus, stand.prometheus), recording_s=3600.0)
    assert many.untold == []
    assert len(stand.many) == MANY
    of_expr: dict[str, set[tuple[str, ...]]] = {}
    for rule, facts in zip(stand.many, many.facts, strict=True):
        # Each of these groups is evaluated every ten seconds, which is longer than the windows.
        kinds = tuple(one.kind for one in check(rule, facts) if one.kind != "interval_longer_than_window")
        of_expr.setdefault(rule.expr, set()).add(kinds)
    named = {rule.expr: BROKEN.get(name, ("", []))[1] for name, rule in stand.rules.items() if name not in FIRING}
    named[stand.rules["HighErrorRate"].expr] = []  # it is called what it is not, and these are not
    assert of_expr == {expr: {tuple(one.partition(":")[0] for one in kinds)} for expr, kinds in named.items()}


def test_what_was_asked_can_be_kept_as_json_and_says_the_same(stand: Stand, asked: FactsAsked) -> None:
    from dataclasses import asdict

    from pydantic import TypeAdapter

    from chaos.rulecheck.facts import RuleFacts

    for rule, facts in zip(stand.rules.values(), asked.facts, strict=True):
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


def test_one_question_that_is_refused_spoils_no_other(stand: Stand) -> None:
    """Many questions stand in one query, and Prometheus refuses the whole of it."""
    rules = [RuleInfo(f"R{place}", f"model_accuracy{{n!='{place}'}} < 0", 0.0) for place in range(5)]
    bad = RuleInfo("Bad", "sum(queue_length * on () queue_limit) > 1", 0.0)
    found = ask_about([*rules, bad], Servers(stand.prometheus, stand.prometheus), recording_s=60.0)
    counts = [count for facts in found.facts[:5] for count in facts.series.values()]
    assert counts == [1] * 5
    assert set(found.facts[5].series.values()) == {None}
