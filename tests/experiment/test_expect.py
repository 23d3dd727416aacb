"""What must be told, and by whom: an alert that only a sink knows, and how alerts are judged."""

from __future__ import annotations

from tests.values import experiment, planned, survey


def test_who_knows_of_an_alert_is_prometheus_and_it_is_judged_live_unless_somebody_says_otherwise():
    expect = experiment().expect
    assert (expect.alerts[0].via, expect.judge) == ("prometheus", "live")


SINK = ("      within: 60s", "      within: 60s\n      via: sink")
PROJECTED = ("harms: [accuracy]", "judge: projected\n  harms: [accuracy]")


def test_an_alert_of_a_sink_needs_no_rule():
    drawn = planned(SINK, found=survey(rules=(), rule_values={}))
    assert drawn.refusals == ()
    (alert,) = drawn.alerts
    assert (alert.via, alert.delivered_to, alert.within_s, alert.severity) == ("sink", "oncall", 60.0, "page")
    assert (alert.expr, alert.left, alert.lower_bound_s) == ("", None, 0.0)
    assert "told of by the sink of oncall alone" in drawn.notes[0]
    assert planned(found=survey(rules=(), rule_values={})).refusals != ()


def test_an_alert_of_a_sink_is_asked_for_no_route_but_for_a_sink_that_answers():
    assert planned(SINK, found=survey(route=None)).refusals == ()
    gone = planned(SINK, found=survey(sinks={"oncall": "connection refused"}))
    assert gone.refusals == ("the sink of the receiver `oncall` cannot be used: connection refused",)


def test_a_plan_says_that_a_projection_is_no_proof():
    assert experiment(PROJECTED).expect.judge == "projected"
    assert planned(PROJECTED).judge == "projected"
    assert any("such an answer is no proof" in note for note in planned(PROJECTED).notes)
    assert planned().judge == "live"


def test_a_plan_is_of_one_severity():
    swept = ("expect:\n", "sweep: {parameter: share, over: [2%, 5%]}\nexpect:\n")
    assert planned(swept).refusals == (
        "this experiment has a `sweep:`, and a run is at one severity; leave `sweep:` out to run it as its faults stand there",
    )


SILENCE = ("      within: 60s", "      within: 60s\n      via: silence\n      silent_for: 20s")
BREAKS = ("harms: [accuracy]", "breaks: [alertmanager]\n  harms: [accuracy]")


def test_an_alert_that_tells_by_silence_needs_no_rule_and_may_fire_all_the_time():
    drawn = planned(SILENCE, BREAKS, found=survey(rules=(), rule_values={}))
    assert drawn.refusals == ()
    assert (drawn.alerts[0].via, drawn.alerts[0].silent_for_s, drawn.breaks) == ("silence", 20.0, ("alertmanager",))
    assert type(drawn).from_json(drawn.to_json()) == drawn


def test_a_fault_shorter_than_the_silence_that_tells_is_refused():
    (refused,) = planned(
        ("      within: 60s", "      within: 60s\n      via: silence\n      silent_for: 200s")
    ).refusals
    assert "tells by a silence of 3m20s, and the fault lasts" in refused
