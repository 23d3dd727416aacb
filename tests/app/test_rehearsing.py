"""Scenarios before Prometheus' own engine: at every evaluation the same alerts fire as in Prometheus' own unit tests of rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.rehearsal.oracle import aligned, complaint
from chaos.app.rehearsing import Lengths, Wanted, rehearse
from chaos.drivers.throwaway import Programs
from chaos.lab import monitoring
from chaos.rehearsal.alteration import Alteration, Course, play
from chaos.rehearsal.of_runs import measured
from chaos.rehearsal.outcome import by_severity
from chaos.rehearsal.timeline import timeline
from chaos.telemetry import RecordingRule, RuleInfo
from tests.rehearsal.telemetry import START_S, grown, recording, series

COURSE = Course(warmup=22, baseline=15, fault=30, recovery=25)


@pytest.fixture(scope="module")
def programs() -> Programs:
    """Prometheus and promtool, from PATH or unpacked below .chaos."""
    found = monitoring.find(Path(__file__).parents[2] / ".chaos")
    return Programs(found.prometheus, found.promtool)


def alteration() -> Alteration:
    """Errors, latency, a level that is exact, and a replica that is gone for the time of the fault."""
    chance = np.random.default_rng(5)
    errors = np.concatenate([chance.poisson(1, 60), chance.poisson(20, 30), chance.poisson(1, 30)])
    born: list[float | None] = [None] * 63 + [float(value) for value in np.cumsum(errors[:57]) + 1]
    gone: list[float | None] = [1.0] * 61 + [None] * 30 + [1.0] * 30
    fast = chance.poisson(30, 120)
    slow = np.concatenate([chance.poisson(1, 60), chance.poisson(30, 30), chance.poisson(1, 30)])
    found = [
        series("requests_total", grown(chance.poisson(100, 120)), code="200"),
        series("requests_total", grown(errors), code="500"),
        series("born_total", born),
        series("level", [1.0] * 61 + [3.0] * 30 + [1.0] * 30, "gauge"),
        series("wave", [float(second % 7) for second in range(121)], "gauge"),
        series("there", gone, "gauge"),
        series("there", [1.0] * 121, "gauge", instance="b"),
        series("undefined", [1.0] * 61 + [float("nan")] * 30 + [1.0] * 30, "gauge"),
        series("t_bucket", grown(fast), le="0.1"), series("t_bucket", grown(fast + slow), le="1"),
        series("t_bucket", grown(fast + slow), le="+Inf"), series("t_count", grown(fast + slow)),
        series("at_seconds", [START_S + min(second, 61) for second in range(121)], "gauge"),
    ]  # fmt: skip
    return measured(recording(found, 120.5, effect_s=60.5, removal_s=90.5))


def rule(name: str, expr: str, for_s: float = 0.0, keep_s: float = 0.0) -> RuleInfo:
    return RuleInfo(name, expr, for_s, {"severity": "page"}, keep_firing_s=keep_s)


ERRORS = 'sum(rate(requests_total{code="500"}[20s])) / sum(rate(requests_total[20s]))'
RULES = (
    rule("Errors", f"{ERRORS} > 0.05"),
    rule("ErrorsFor", f"{ERRORS} > 0.05", 5.0),
    rule("AtThreshold", "level >= 3", 0.0),
    rule("AboveThreshold", "level > 3", 0.0),
    rule("EqualThreshold", "level == 3", 2.0),
    rule("ExactlyAsLong", "wave >= 2", 4.0),
    rule("OneTooLong", "wave >= 2", 5.0),
    rule("KeptOverTheGap", "wave >= 2", 4.0, 3.0),
    rule("KeptNotLongEnough", "wave >= 2", 4.0, 2.0),
    rule("Gone", 'absent(there{instance="a"})', 3.0),
    rule("NeverThere", 'absent(nothing{job="app"})', 3.0),
    rule("OneByOne", "there == 1", 10.0),
    rule("FewerThanTwo", "count(there) < 2", 1.0),
    rule("Undefined", "undefined != undefined", 2.0),
    rule("Born", "increase(born_total[10s]) > 5"),
    rule("Slow", "histogram_quantile(0.9, sum by (le) (rate(t_bucket[15s]))) > 0.5", 2.0),
    rule("CountAgrees", 'sum(t_count) != sum(t_bucket{le="+Inf"})'),
    rule("Offset", "sum(rate(requests_total[10s] offset 5s)) > 0 and level > level offset 8s"),
    rule("Flaps", "changes(level[15s]) > 0", 1.0),
)


def said(
    programs: Programs,
    folder: Path,
    rules: Sequence[RuleInfo],
    recorded: Sequence[RecordingRule] = (),
    every_s: float = 1.0,
) -> str:
    found = alteration()
    chance = np.random.default_rng(0)
    played = [play(found, COURSE, severity, chance) for severity in (0.0, 0.5, 1.0)]
    line = timeline(found, COURSE, 3, window_s=30.0, evaluation_s=every_s, evaluated_wall_s=aligned(found))
    return complaint(programs, folder, found, line, played, rules, recorded)


@pytest.mark.parametrize("every_s", [1.0, 5.0])
def test_at_every_evaluation_the_same_alerts_fire_as_in_promtool(
    programs: Programs, tmp_path: Path, every_s: float
) -> None:
    """Values at the threshold, `for` of exactly so many evaluations, series that vanish and are born, absent(), keep_firing_for."""
    assert said(programs, tmp_path, RULES, every_s=every_s) == ""


def test_chains_of_recording_rules_fire_as_in_promtool(programs: Programs, tmp_path: Path) -> None:
    recorded = [
        RecordingRule("job:errors:rate", 'sum by (job) (rate(requests_total{code="500"}[20s]))'),
        RecordingRule("job:requests:rate", "sum by (job) (rate(requests_total[20s]))"),
        RecordingRule("job:errors:ratio", "job:errors:rate / job:requests:rate", {"made": "yes"}),
    ]
    rules = [
        rule("Ratio", "job:errors:ratio > 0.05", 3.0),
        rule("Made", 'job:errors:ratio{made="yes"} > 0.01'),
        rule("OfRecorded", "avg_over_time(job:errors:ratio[10s]) > 0.05", 1.0),
    ]
    assert said(programs, tmp_path, rules, recorded) == ""


def test_the_oracle_would_say_so(programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a series gone a scrape later than a server knows it, promtool would not agree."""
    monkeypatch.setattr("chaos.app.rehearsing.LOOKBACK", 2.0)
    assert "Gone" in said(programs, tmp_path, [rule("Gone", 'absent(there{instance="a"})', 3.0)])


def test_a_fault_is_told_from_some_severity_on_and_none_without(programs: Programs) -> None:
    found = rehearse(
        programs, alteration(), [Wanted(rule("Errors", f"{ERRORS} > 0.05", 2.0), {})], [0.0, 0.02, 1.0], 20,
        Lengths(20, 30, 20), evaluation_s=1.0,
    )  # fmt: skip
    none, little, all_ = by_severity(found, None)
    assert (none.caught, none.early, little.caught, all_.caught) == (0, 0, 0, 20)
    assert all_.median_s is not None
    assert 2 <= all_.median_s < 15


def test_the_same_seed_tells_the_same(programs: Programs) -> None:
    wanted = [Wanted(rule("Errors", f"{ERRORS} > 0.1", 2.0), {})]
    one, other = (
        rehearse(programs, alteration(), wanted, [0.7], 5, Lengths(10, 30, 10), evaluation_s=1.0, seed=3)
        for _ in range(2)
    )
    assert one == other


def test_rules_that_are_evaluated_at_different_paces_each_fire_at_their_own(programs: Programs) -> None:
    slow = RuleInfo("Slow", "level >= 3", 0.0, {}, interval_s=15.0, last_evaluation_wall_s=START_S + 3.0)
    fast = RuleInfo("Fast", "level >= 3", 0.0, {}, interval_s=1.0, last_evaluation_wall_s=START_S + 0.5)
    found = rehearse(
        programs, alteration(), [Wanted(fast, {}), Wanted(slow, {})], [1.0], 30, Lengths(20, 30, 20), evaluation_s=1.0
    )
    (quick,) = by_severity([one for one in found if one.alert == "Fast"], None)
    times = [one.fired_s for one in found if one.alert == "Slow" and one.fired_s is not None]
    assert quick.latest_s is not None
    assert quick.latest_s <= 2.1
    both = zip(times, [one.fired_s for one in found if one.alert == "Fast"], strict=True)
    assert {round((one - (other or 0.0)) % 1, 3) for one, other in both} == {0.5}  # each at its own moment
    assert len(times) == 30
    assert max(times) > 5


def test_a_rule_whose_series_nobody_saw_is_silent(programs: Programs) -> None:
    found = rehearse(
        programs,
        alteration(),
        [Wanted(rule("Never", "nothing_total > 0"), {})],
        [1.0],
        2,
        Lengths(5, 30, 5),
        evaluation_s=1.0,
    )
    assert [one.fired_s for one in found] == [None, None]
