"""Runs are sorted into what is repeated."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from chaos.history import AlertSummary, RunSummary, histories, to_json

ALERT = AlertSummary(
    "ModelAccuracyLow", "detected", 60.0, 30.0, None, {"firing": 28.0, "delivered": 30.0}, {"firing": 1.0, "delivered": 0.1}
)  # fmt: skip
MISSED = replace(ALERT, outcome="undetected", told_after_s=None, failed_gate="signal")
RUN = RunSummary(
    "wrong-1", "f-1", "wrong", "lab", "lab", "risk", ("loan",), 1000.0, 1100.0, "confirmed", 0, "Well.", (), (ALERT,), "0.1.0", "seed"
)  # fmt: skip


def after(place: int, told_after_s: float | None) -> RunSummary:
    """The run of that place in time, with this time to detect; None missed it."""
    alert = replace(ALERT, told_after_s=told_after_s) if told_after_s is not None else MISSED
    return replace(RUN, run=f"wrong-{place}", folder=f"f-{place}", started_wall_s=1000.0 * place, alerts=(alert,))


def test_each_experiment_on_each_system_is_its_own_and_the_newest_is_first() -> None:
    runs = [
        replace(RUN, started_wall_s=5.0),
        replace(RUN, started_wall_s=1.0),
        replace(RUN, system="staging", started_wall_s=9.0),
        replace(RUN, swept="2%", started_wall_s=7.0),
    ]
    found = histories(runs)
    assert [(one.title, one.system, len(one.runs)) for one in found] == [
        ("wrong", "staging", 1),
        ("wrong at 2%", "lab", 1),
        ("wrong", "lab", 2),
    ]
    assert [run.started_wall_s for run in found[-1].runs] == [1.0, 5.0]


def test_times_stand_in_order_and_a_miss_is_later_than_all() -> None:
    [one] = histories([after(3, None), after(1, 30.0), after(2, 34.0)])
    [times] = one.alerts
    assert [point.time_s for point in times.points] == [30.0, 34.0, math.inf]
    assert (times.missed, times.within_s, times.middle.median_s) == (1, 60.0, 34.0)
    assert times.last is not None
    assert times.last.folder == "f-3"


def test_a_run_that_proves_nothing_of_an_alert_gives_no_time() -> None:
    silent = [
        replace(after(2, 99.0), verdict="aborted"),
        replace(after(3, None), projected=True),
        replace(after(4, 99.0), alerts=(replace(ALERT, outcome="not_observed"),)),
    ]
    [one] = histories([after(1, 30.0), *silent])
    assert [point.time_s for point in one.alerts[0].points] == [30.0]
    assert one.alerts[0].undecided == 3
    assert len(one.runs) == 4


def test_a_named_alert_leaves_only_what_expected_it() -> None:
    other = replace(RUN, experiment="bias", alerts=(replace(ALERT, alert="Other"),))
    both = replace(RUN, experiment="both", alerts=(ALERT, replace(ALERT, alert="Other")))
    found = histories([RUN, other, both], "Other")
    assert {one.title for one in found} == {"bias", "both"}
    assert all([times.alert for times in one.alerts] == ["Other"] for one in found)


def test_how_exactly_a_time_is_known_is_what_its_last_gate_says() -> None:
    assert ALERT.error_s == 0.1
    assert replace(ALERT, gates={"firing": 28.0, "delivered": None}).error_s == 1.0
    assert MISSED.error_s == 0.1


def test_json_says_everything_and_no_infinity() -> None:
    found = json.loads(to_json(histories([after(place, None) for place in range(7)]), [("bad", "why")]))
    [alert] = found["histories"][0]["alerts"]
    assert (alert["median_s"], alert["median_missed"], alert["missed"]) == (None, True, 7)
    assert alert["median_interval_s"] == [None, None]
    assert found["unreadable"] == [{"folder": "bad", "reason": "why"}]
    assert len(found["histories"][0]["runs"]) == 7
