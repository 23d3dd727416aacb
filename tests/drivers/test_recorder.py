"""What rules read is recorded, whole, from a real Prometheus; what recording rules make is recorded at its source."""

from __future__ import annotations

import pytest

from chaos.drivers.prometheus import PrometheusDriver
from chaos.drivers.recorder import needed_rules, record, wanted_selectors
from chaos.errors import Unreachable
from chaos.telemetry import RecordingRule, RuleInfo
from tests.drivers.conftest import ODD, Watch
from tests.drivers.loopback import eventually

A = RecordingRule("job:a", "sum by (job) (rate(a_total[1m]))")
B = RecordingRule("job:b", "job:a / on (job) group_left job:size")
SIZE = RecordingRule("job:size", "count by (job) (up)")
OTHER = RecordingRule("job:other", "sum(other)")
LOOP = RecordingRule("loop", "loop + 1")


def test_recording_rules_come_after_those_that_they_read_and_no_others() -> None:
    assert needed_rules(["job:b > 1"], [B, OTHER, SIZE, A]) == [A, SIZE, B]
    assert needed_rules(["up == 0"], [A, B]) == []


def test_a_rule_that_reads_itself_ends() -> None:
    assert needed_rules(["loop > 1"], [LOOP]) == [LOOP]


def test_both_rules_of_one_name_are_needed() -> None:
    twin = RecordingRule("job:a", "sum(other_total)", {"kind": "other"})
    assert needed_rules(["job:a > 1"], [A, twin]) == [A, twin]


def test_what_a_recording_rule_makes_is_not_asked_for() -> None:
    assert wanted_selectors(["job:b > 1", B.expr, A.expr, "up == 0", "up"], [A, B, SIZE]) == ["a_total", "up"]


def test_every_sample_of_what_a_rule_reads_is_recorded_with_the_servers_own_times(watch: Watch) -> None:
    now = watch.prometheus.now_wall_s
    rule = RuleInfo("GaugeHigh", "max_over_time(chaos_gauge[5s]) > 1 and up == 1", 2.0, {})
    begun = now()
    eventually(lambda: now() > begun + 4, 20, "some scrapes")
    made = record(watch.prometheus, [rule], begun, now(), about="a test")
    by = {one.name: one for one in made.series}
    assert set(by) == {"chaos_gauge", "up"}
    assert by["chaos_gauge"].labels["odd"] == ODD
    assert len([at for at, _ in by["chaos_gauge"].samples if at >= begun]) >= 3
    assert (made.scrape_s, made.evaluation_s, made.about, made.whole) == (1.0, 1.0, "a test", True)
    assert (made.rules, made.baseline_wall_s) == ((rule,), begun)
    assert begun - made.start_wall_s == pytest.approx(6.0)  # the window and a scrape
    assert watch.prometheus.raw("chaos_gauge", 3.0, made.end_wall_s)[0].samples[-1] in by["chaos_gauge"].samples


def test_a_time_of_which_nothing_is_left_is_refused(watch: Watch) -> None:
    with pytest.raises(Unreachable, match="no samples of what the rules read"):
        record(watch.prometheus, [RuleInfo("Up", "up == 0", 0.0, {})], 1000.0, 1100.0)


def test_a_server_that_is_gone_is_said(watch: Watch) -> None:
    with pytest.raises(Unreachable):
        record(PrometheusDriver("http://127.0.0.1:9"), [RuleInfo("Up", "up == 0", 0.0, {})], 0.0, 1.0)
