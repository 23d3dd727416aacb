"""What the judge makes of a detection: whose samples count, who was really asked, and the evidence beside each finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from chaos.events import Collected, Observed, Record
from chaos.judging import judge
from chaos.observation import AlertsRead, DeliveriesRead, RuleClock, ScrapeClock, SeriesRead
from chaos.verdict import Finding, Verdict
from tests.judging.journals import JUDGED, SILENT, WALL, Story, lines_of
from tests.worlds import ALERT

UNTOLD = replace(SILENT, pending=20.2, firing=25.2, active=25.9, resolved=None)


def verdict(story: Story, change: Callable[[Record], Record] = lambda record: record) -> Verdict:
    return judge(lines_of((at, change(record)) for at, record in story.entries()))


def told(found: Verdict) -> Finding:
    return next(one for one in found.findings if one.question.endswith("tell?"))


def test_samples_of_an_instance_with_other_labels_are_not_the_expected_alerts() -> None:
    ticket = {"alertname": "ModelAccuracyLow", "severity": "ticket"}
    samples = tuple((WALL + 20.0 + step, 1.0) for step in range(20))
    more = tuple(
        SeriesRead(f"alert:ModelAccuracyLow:{state}", "ALERTS", ticket, samples) for state in ("pending", "firing")
    )

    def change(record: Record) -> Record:
        return replace(record, series=(*record.series, *more)) if isinstance(record, Collected) else record

    found = verdict(SILENT, change)
    assert found.verdict == "undetected"
    assert told(found).evidence["firing, s"] is None


def unanswered(record: Record) -> Record:
    """The look in which the receiver's sink, and no other, could not be asked."""
    match record:
        case Observed(observation=DeliveriesRead() as read):
            return Observed(replace(read, unanswered=("oncall",)))
        case _:
            return record


def test_a_receiver_whose_own_sink_was_never_asked_is_not_observed() -> None:
    assert told(verdict(UNTOLD)).verdict == "undelivered"
    found = verdict(UNTOLD, unanswered)
    assert (found.detections[0].outcome, told(found).verdict) == ("not_observed", "inconclusive")


def test_where_no_receiver_is_named_no_sink_is_missed() -> None:
    plan = replace(JUDGED, alerts=(replace(ALERT, delivered_to=None),))
    assert verdict(Story(plan=plan), unanswered).verdict == "confirmed"


def test_the_evidence_takes_the_time_apart_and_says_where_the_servers_look() -> None:
    def change(record: Record) -> Record:
        match record:
            case Collected():
                return replace(record, scrapes=(ScrapeClock("gateway", "a", WALL + 40.7, 1.0),))
            case Observed(observation=AlertsRead() as read):
                clock = RuleClock(read.at_wall_s // 1 + 0.2, 1.0)
                return Observed(replace(read, evaluated={"ModelAccuracyLow": clock}))
            case _:
                return record

    evidence = told(verdict(Story(), change)).evidence
    parts = {
        "scrape wait, s": 0.2, "evaluation wait, s": 0.5, "window and threshold, s": 3.0, "for, s": 5.0,
        "sending, s": 1.1, "group wait, s": 0.1,
    }  # fmt: skip
    assert {name: evidence[name] for name in parts} == parts
    assert round(sum(parts.values()), 3) == evidence["delivered, s"] == 9.9
    assert (evidence["scrape offset, s"], evidence["evaluation offset, s"]) == (0.7, 0.2)


def test_an_alert_instead_of_the_expected_one_leaves_the_fault_undetected_and_is_named() -> None:
    from tests.judging.test_judge import UNEXPECTED

    found = verdict(replace(SILENT, others=(UNEXPECTED,)))
    assert (found.verdict, found.detections[0].outcome) == ("undetected", "wrong_alert")
    assert told(found).answer.startswith(
        "wrong_alert at the gate `pending`: DiskFull (active 1.5s after the first effect)"
    )
