"""Every broken rule is found for what it is, and nothing else is said of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.rulecheck.checker import check, nearest_miss, unanswered
from chaos.rulecheck.facts import RuleFacts, Span
from tests.rulecheck.cases import CASES, EVERYTHING_THERE, NOTHING_KNOWN, Case, Server, answered, rule_of

PACKAGE = Path(__file__).parents[2] / "chaos" / "rulecheck"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.verdict}")
def test_a_broken_rule_is_found_for_what_it_is_with_a_sentence_that_says_what_to_do(case: Case) -> None:
    assert [(one.kind, one.verdict, one.sentence) for one in case.found()] == [(case.kind, case.verdict, case.sentence)]


def test_there_is_a_broken_rule_for_each_kind_of_problem() -> None:
    source = "".join(path.read_text() for path in PACKAGE.glob("*.py"))
    kinds = set(re.findall(r'RuleProblem\(\s*"(\w+)"', source)) | {"negative_threshold", "out_of_range"}
    assert kinds == {case.kind for case in CASES}


def kinds(
    expr: str, facts: RuleFacts = NOTHING_KNOWN, server: Server = EVERYTHING_THERE, name: str = "Alert"
) -> list[str]:
    rule = rule_of(expr, name)
    return [f"{one.kind}: {one.verdict}" for one in check(rule, answered(rule, facts, server))]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.verdict}")
def test_nothing_is_claimed_by_what_the_server_did_not_say(case: Case) -> None:
    """Only what stands in the expression, or was told before, is left."""
    if case.kind in (
        "unknown_metric",
        "no_series_yet",
        "no_series",
        "stale",
        "no_match",
        "scalar_of_many",
        "percent_as_share",
    ):
        rule = rule_of(case.expr)
        silent = answered(rule, case.facts, Server(otherwise=None))
        assert check(rule, silent) == ()


def test_a_rule_that_cannot_be_parsed_here_is_left_to_prometheus() -> None:
    assert kinds("holt_winters(x[5m], 0.1, 0.1) >") == []
    assert not unanswered(rule_of("sum("), RuleFacts())


DEAD = RuleFacts(names={"nothing": False, "there": True})
NOTHING = Server({"nothing": 0})


def test_one_arm_of_an_or_that_cannot_be_true_makes_the_rule_doubtful_and_all_of_them_make_it_dead() -> None:
    assert kinds("nothing > 1 or there > 1", DEAD, NOTHING) == ["unknown_metric: doubtful"]
    assert kinds("nothing > 1 or nothing > 2", DEAD, NOTHING) == ["unknown_metric: cannot fire"]
    assert kinds("rate(x[5m]) < 0 or there > 1") == ["negative_threshold: doubtful"]
    assert kinds("rate(x[5m]) < 0 and there > 1") == ["negative_threshold: cannot fire"]
    assert kinds("there > 1 and rate(x[5m]) >= 0") == [], "the other comparison decides"
    assert kinds("rate(x[5m]) < 0 unless there > 1") == ["negative_threshold: cannot fire"]
    assert kinds("there > 1 unless rate(x[5m]) < 0") == [], "nothing is taken away"


def test_an_empty_right_side_kills_what_needs_it_and_nothing_else() -> None:
    for expr, dead in (
        ("there > 1 and nothing > 1", True),
        ("there / nothing > 1", True),
        ("there > nothing", True),
        ("there > scalar(nothing)", True),
        ("there > 1 unless nothing > 1", False),
        ("(nothing or there) > 1", False),
        ("(nothing or vector(0)) < 1", False),
    ):
        rule = rule_of(expr)
        root = {one: 0 for one in unanswered(rule, DEAD).series if "nothing" in one and " or " not in one}
        found = kinds(expr, DEAD, Server({**root, "nothing": 0}))
        assert found == (["unknown_metric: cannot fire"] if dead else []), expr


def test_what_was_read_says_which_comparison_was_not_met_and_how_near_it_came() -> None:
    rule = rule_of("accuracy < 0.88 and requests > 100")
    low = RuleFacts(spans={"accuracy": Span(0.86, 0.9), "requests": Span(0.0, 80.0)})
    assert nearest_miss(rule, low) == "`requests` read at most 80, and `> 100` is asked for"
    high = replace(low, spans={**low.spans, "accuracy": Span(0.9, 0.95)})
    assert nearest_miss(rule, high) == "`accuracy` read at least 0.9, and `< 0.88` is asked for"
    both = replace(low, spans={"accuracy": Span(0.8, 0.9), "requests": Span(0.0, 200.0)})
    assert nearest_miss(rule, both) == "its thresholds were passed, and never all of them for long enough"
    assert nearest_miss(rule, RuleFacts()) is None


def test_an_alert_that_fired_all_the_time_of_a_short_recording_is_not_one_that_always_does() -> None:
    assert kinds("x > 1", RuleFacts(recording_s=600.0, fired_share=1.0)) == []
    assert kinds("x > 1", RuleFacts(recording_s=86400.0, fired_share=0.99)) == []


def test_the_questions_end_whatever_is_answered() -> None:
    for case in CASES:
        for otherwise in (0, 1, 7, None):
            rule = rule_of(case.expr)
            check(rule, answered(rule, case.facts, Server(otherwise=otherwise)))


DIVIDED = "a / b > 1"
LEFT, RIGHT = {"job": "x", "pod": "1"}, {"job": "x", "pod": "2"}


def divided(left: dict[str, str], right: dict[str, str], earlier: int | None = 0, expr: str = DIVIDED) -> list[str]:
    """What is said of two metrics with these labels that give nothing together."""
    whole = expr.removesuffix(" > 1")
    series = {whole: 0, f"count_over_time(({whole})[1h:60s])": earlier}
    return kinds(expr, server=Server(series, labels={"a": (left,), "b": (right,)}))


def test_sides_that_never_match_are_told_by_the_names_of_their_labels_and_doubted_by_the_values() -> None:
    assert divided(LEFT, {"job": "x"}) == ["no_match: cannot fire"]
    assert divided(LEFT, RIGHT) == ["no_match: doubtful"]
    assert divided(LEFT, RIGHT, earlier=2) == [], "they have matched"
    assert divided(LEFT, RIGHT, earlier=None) == [], "nobody knows"
    on = "a / on (pod) b > 1"
    assert divided(LEFT, {"pod": "2"}, expr=on) == ["no_match: doubtful"]
    assert divided(LEFT, {"job": "x"}, expr=on) == ["no_match: cannot fire"]
    ignoring = "a / ignoring (pod) b > 1"
    assert divided(LEFT, {"job": "y"}, expr=ignoring) == ["no_match: doubtful"]
    assert divided({"__name__": "a", "job": "x"}, {"__name__": "b", "job": "y"}) == ["no_match: doubtful"]


def test_where_the_server_does_not_say_what_targets_declare_nothing_is_certain_about_names() -> None:
    silent = RuleFacts(names={"nothing": False, "there": True}, declares=False)
    assert kinds("nothing > 1", silent, NOTHING) == ["unknown_metric: doubtful"]
    gone = Server({"there": 0, "last_over_time(there[1h])": 2})
    assert kinds("there > 1", silent, gone) == ["stale: doubtful"]
    assert kinds("there > 1", replace(silent, declares=True), gone) == ["stale: cannot fire"]
    by_rule = Server({"job:there:sum": 0, "last_over_time(job:there:sum[1h])": 2})
    assert kinds("job:there:sum > 1", RuleFacts(names={"job:there:sum": True}), by_rule) == ["stale: doubtful"]
    declared = replace(silent, declares=True, types={"there": "gauge"})
    assert kinds("there > 1", declared, gone) == ["stale: doubtful"]


def test_alerts_that_do_not_fire_now_are_nothing_that_is_missing() -> None:
    others = {"group by (alertname) (ALERTS)": ({"alertname": "B"},)}
    quiet = Server({'ALERTS{alertname="A"}': 0, 'last_over_time(ALERTS{alertname="A"}[1h])': 0}, labels=others)
    assert kinds('ALERTS{alertname="A"} == 1', server=quiet) == []
    assert kinds('ALERTS{alertname="A"}') == [], "an alert on an alert compares nothing"


def test_a_window_is_certainly_too_short_only_where_the_server_returns_nothing() -> None:
    scraped = RuleFacts(scrape_s=15.0)
    assert kinds("rate(x[15s]) > 1", scraped) == ["window_too_short: doubtful"]
    assert kinds("rate(x[15s]) > 1", scraped, Server({"rate(x[15s])": 0})) == ["window_too_short: cannot fire"]
    assert kinds("rate(x[20s]) > 1", scraped, Server({"rate(x[20s])": 0})) == ["window_too_short: doubtful"]
    assert kinds("rate(x[30s]) > 1", scraped) == []
    assert kinds("max_over_time(x[15s]) > 1", scraped) == [], "one sample is enough"
    assert kinds("rate(job:x:sum[15s]) > 1", scraped) == [], "it is written by a rule, and not scraped"


def test_one_receiver_that_tells_somebody_is_enough() -> None:
    assert kinds("x > 1", RuleFacts(receivers={"null": False, "pager": True})) == []
    assert kinds("x > 1", RuleFacts(receivers={"null": False, "void": False})) == ["nobody_told: doubtful"]


def test_a_quotient_that_people_call_a_percentage_is_doubted_only_while_it_reads_as_a_share() -> None:
    expr = "rate(failed_total[5m]) / rate(asked_total[5m])"
    for read, said, found in (
        (Span(0.0, 0.4), "{{ $value }} percent fail", ["share_as_percent: doubtful"]),
        (Span(0.0, 40.0), "{{ $value }} percent fail", []),
        (Span(0.0, 0.4), "many fail", []),
        (Span(0.0, 0.4), "{{ $value | humanizePercentage }} fail", ["share_as_percent: doubtful"]),
    ):
        rule = rule_of(f"{expr} > 5", summary=said)
        facts = answered(rule, NOTHING_KNOWN, Server(spans={expr: read}))
        assert [f"{one.kind}: {one.verdict}" for one in check(rule, facts)] == found
    scaled = rule_of(f"100 * {expr} > 5", summary="{{ $value }} percent fail")
    assert (
        check(
            scaled,
            answered(
                scaled,
                NOTHING_KNOWN,
                Server(spans={"(100 * rate(failed_total[5m])) / rate(asked_total[5m])": Span(0.0, 0.4)}),
            ),
        )
        == ()
    )


def test_a_counter_that_only_guards_another_comparison_is_read_rightly() -> None:
    counter = RuleFacts(types={"a_total": "counter"})
    assert kinds("a_total > 0 and b > 5", counter) == []
    assert kinds("a_total > 0", counter) == ["raw_counter: doubtful"]
    assert kinds("a_total > 3 and b > 5", counter) == ["raw_counter: doubtful"]
