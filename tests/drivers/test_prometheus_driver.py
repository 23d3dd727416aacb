"""Prometheus as the driver reads it, against a real one."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from chaos.drivers.prometheus import PrometheusDriver, wall_of
from chaos.errors import Unreachable
from chaos.telemetry import RuleInfo
from tests.drivers.conftest import GAUGE, ODD, WAITING, Watch, escaped
from tests.drivers.loopback import eventually, now_wall_s


def rule(watch: Watch, name: str) -> RuleInfo:
    return next(rule for rule in watch.prometheus.rules() if rule.name == name)


def test_a_rule_goes_from_inactive_over_pending_to_firing_and_back_with_the_times_of_its_evaluations(
    watch: Watch,
) -> None:
    assert rule(watch, "GaugeHigh").state == "inactive"
    assert rule(watch, "GaugeHigh").alerts == ()
    set_at_wall_s = now_wall_s()
    watch.gauges.set(GAUGE, 7)
    try:
        pending = eventually(
            lambda: [one for one in rule(watch, "GaugeHigh").alerts if one.state == "pending"],
            8,
            "GaugeHigh is pending",
        )[0]
        firing = eventually(
            lambda: [one for one in rule(watch, "GaugeHigh").alerts if one.state == "firing"], 8, "GaugeHigh fires"
        )[0]
    finally:
        watch.gauges.set(GAUGE, 0)
    assert pending.active_at_wall_s == firing.active_at_wall_s
    assert set_at_wall_s - 0.01 <= firing.active_at_wall_s <= set_at_wall_s + 4
    assert firing.value == 7
    assert dict(firing.labels)["odd"] == ODD
    assert dict(firing.labels)["severity"] == "page"
    eventually(lambda: rule(watch, "GaugeHigh").state == "inactive", 8, "GaugeHigh is inactive again")

    samples = {
        state: watch.prometheus.raw(
            f'ALERTS{{alertname="GaugeHigh", alertstate="{state}"}}', now_wall_s() - set_at_wall_s
        )
        for state in ("pending", "firing")
    }
    first_pending, first_firing = (samples[state][0].samples[0][0] for state in ("pending", "firing"))
    assert first_pending == pytest.approx(firing.active_at_wall_s, abs=0.002), (
        "ALERTS and activeAt are the same evaluation"
    )
    assert first_firing - first_pending >= 2.0 - 0.002, "`for: 2s` was waited for"


def test_a_rule_that_does_not_last_stays_pending(watch: Watch) -> None:
    watch.gauges.set(WAITING, 2)
    try:
        found = eventually(lambda: rule(watch, "NeverLongEnough").alerts, 8, "NeverLongEnough is pending")
    finally:
        watch.gauges.set(WAITING, 0)
    assert [one.state for one in found] == ["pending"]
    assert rule(watch, "NeverLongEnough").for_s == 3600.0


def test_a_rule_is_read_with_everything_that_the_plan_needs(watch: Watch) -> None:
    found = rule(watch, "GaugeHigh")
    assert (found.expr, found.for_s, dict(found.labels), found.group, found.interval_s) == (
        "chaos_gauge > 1", 2.0, {"severity": "page"}, "tests", 1.0,
    )  # fmt: skip
    assert dict(found.annotations) == {"summary": "it is {{ $value }}"}
    assert abs(found.last_evaluation_wall_s - now_wall_s()) < 5
    assert 0 < found.evaluation_time_s < 1


def test_a_rule_that_cannot_be_evaluated_is_told_from_one_that_is_merely_inactive(watch: Watch) -> None:
    broken = eventually(
        lambda: (found := rule(watch, "ManyToMany")).health == "err" and found, 8, "ManyToMany is unhealthy"
    )
    assert broken.state == "inactive", "the trap: it looks quiet"
    assert "many-to-many" in broken.last_error
    assert rule(watch, "Quiet").health == "ok"


def test_an_instant_query_keeps_odd_characters_of_labels(watch: Watch) -> None:
    (found,) = watch.prometheus.query(f'chaos_gauge{{odd="{escaped(ODD)}"}}')
    assert found.labels["odd"] == ODD
    assert found.labels["job"] == "exporter"
    assert len(found.samples) == 1


def test_an_instant_query_returns_every_series_and_can_be_asked_for_the_past(watch: Watch) -> None:
    assert {series.labels["n"] for series in watch.prometheus.query("chaos_many")} == {"1", "2"}
    assert watch.prometheus.query("chaos_many", now_wall_s() - 3600) == []


def test_a_scalar_and_not_a_number_are_read(watch: Watch) -> None:
    assert watch.prometheus.query("scalar(vector(3))")[0].samples[0][1] == 3
    assert math.isnan(watch.prometheus.query("vector(0) / 0")[0].samples[0][1])
    assert watch.prometheus.query("vector(1) / 0")[0].samples[0][1] == math.inf


def test_the_servers_clock_is_this_machines(watch: Watch) -> None:
    assert abs(watch.prometheus.now_wall_s() - now_wall_s()) < 1


def test_raw_samples_carry_the_times_of_their_scrapes(watch: Watch) -> None:
    (found,) = eventually(
        lambda: (rows := watch.prometheus.raw("chaos_always", 20)) and len(rows[0].samples) >= 3 and rows,
        8,
        "three scrapes",
    )
    times = [at for at, _ in found.samples]
    assert all(0.5 < later - earlier < 2.5 for earlier, later in pairwise(times)), "one a second"
    assert any(at != int(at) for at in times), "to the millisecond"


def test_a_range_query_evaluates_at_exactly_the_moments_that_were_asked_for(watch: Watch) -> None:
    whole_s = float(int(now_wall_s()) - 10)
    for start_wall_s in (whole_s, whole_s + 0.3, whole_s + 0.7):
        (found,) = watch.prometheus.query_range("vector(1)", start_wall_s, start_wall_s + 1.6, 0.5)
        expected = [start_wall_s + step / 2 for step in range(4)]
        assert [at for at, _ in found.samples] == pytest.approx(expected, abs=0.002)


def test_targets_are_read_with_their_health_and_why(watch: Watch) -> None:
    found = eventually(
        lambda: (rows := watch.prometheus.targets()) and all(row.health != "unknown" for row in rows) and rows,
        10,
        "both scraped",
    )
    health = {row.instance: row for row in found}
    alive = health[watch.exporter.removeprefix("http://")]
    assert (alive.job, alive.health, alive.interval_s, alive.last_error) == ("exporter", "up", 1.0, "")
    assert abs(alive.last_scrape_wall_s - now_wall_s()) < 5
    assert health["127.0.0.1:9"].health == "down"
    assert "refused" in health["127.0.0.1:9"].last_error


def test_intervals_and_version_are_read(watch: Watch) -> None:
    assert watch.prometheus.config() == (1.0, 1.0)
    assert watch.prometheus.version()[0].isdigit()


def test_a_query_that_prometheus_refuses_is_one_sentence_that_names_it(watch: Watch) -> None:
    with pytest.raises(Unreachable, match=r"refused the query `sum\(`.*parse error") as caught:
        watch.prometheus.query("sum(")
    assert "\n" not in str(caught.value)
    with pytest.raises(Unreachable, match="refused the query"):
        watch.prometheus.query_range("chaos_many * on() chaos_many", now_wall_s() - 2, now_wall_s(), 1)


def test_an_address_with_a_slash_at_its_end_is_the_same_server(watch: Watch) -> None:
    other = PrometheusDriver(watch.prometheus.url + "/")
    other.ready()
    assert other.query("vector(1)")[0].samples[0][1] == 1
    assert len(other.rules()) == len(watch.prometheus.rules())


@pytest.mark.parametrize(
    ("text", "wall_s"),
    [
        ("2024-01-02T03:04:05Z", 1704164645.0),
        ("2024-01-02T03:04:05.123456789Z", 1704164645.123456),
        ("2024-01-02T03:04:05.5+02:00", 1704157445.5),
        ("2024-01-02T03:04:05.1Z", 1704164645.1),
        ("0001-01-01T00:00:00Z", 0.0),
        ("0001-01-01T00:00:00.000Z", 0.0),
        ("", 0.0),
        (None, 0.0),
    ],
)
def test_times_are_read_with_nanoseconds_and_zones_and_gos_zero_is_none(text: str | None, wall_s: float) -> None:
    assert wall_of(text) == pytest.approx(wall_s, abs=1e-6)
