"""The judge: each verdict arises from its own cause and from no other, from the journal alone, and worse data never improves it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.engine import Trigger
from chaos.errors import ChaosError
from chaos.events import (
    Applied,
    Apply,
    ApplyFailed,
    Collected,
    EffectLost,
    GuardBreached,
    LoadStopped,
    Observed,
    RunStarted,
    State,
    StateEntered,
    StopRequested,
    Undone,
)
from chaos.faults.aims import Aim
from chaos.journal import BrokenJournal
from chaos.judging import judge, worst
from chaos.observation import AlertSeen, AlertsRead, DeliveriesRead, LoadRead, ProxyRead
from chaos.plans import Plan
from chaos.statistics import ArmCounts, RiskRatio
from chaos.verdict import EXIT_CODE, Finding, Verdict
from tests.fuzzing import examples
from tests.judging.journals import JUDGED, SILENT, WALL, Entry, Story, among, lines_of, until, without
from tests.worlds import ALERT, HOLD, KILL, WRONG

AIMED = replace(JUDGED, effects=(HOLD, replace(WRONG, aim=Aim("accuracy", 0.7))))
UNEXPECTED = AlertSeen("DiskFull", {"alertname": "DiskFull", "service": "loan"}, "firing", WALL + 18.0)
STOPPED = (23.0, StopRequested("a person"))
GUARD = (23.0, GuardBreached("availability (min 90%)", "it reads 0.5, below 90%"))
LOST = (58.0, EffectLost("fault-0@model", "curl -X DELETE …"))
CONTAINER = replace(JUDGED, effects=(HOLD, WRONG, KILL), by_hand={"fault-1@replica-1": "start replica-1"})


def verdict_of(entries: list[Entry]) -> Verdict:
    return judge(lines_of(entries))


@cache
def verdict_by(cause: str) -> Verdict:
    """The verdict on this cause; judged once."""
    return verdict_of(CAUSES[cause][2])


def causes(verdict: Verdict) -> set[str]:
    """What the findings carry that is not good."""
    return {finding.verdict for finding in verdict.findings if not finding.good}


def bad(verdict: Verdict) -> list[Finding]:
    return [finding for finding in verdict.findings if not finding.good]


def observed(kind: type) -> Callable[[object], bool]:
    return lambda record: isinstance(record, Observed) and isinstance(record.observation, kind)


# --- each verdict from its cause --------------------------------------------------------------------------------------

CAUSES: dict[str, tuple[str, int, list[Entry]]] = {
    "everything met": ("confirmed", 0, Story().entries()),
    "an effect was lost": ("unsafe", 5, among(without(Story().entries(), lambda r: isinstance(r, Undone)), LOST)),
    "a person stopped it": ("interrupted", 130, among(Story().entries(), STOPPED)),
    "a guard ended it": ("aborted", 4, among(Story().entries(), GUARD)),
    "the fault touched nothing": ("invalid", 3, Story(changed_rows=0).entries()),
    "the apply failed": ("invalid", 3, among(Story().entries(), (17.0, ApplyFailed("fault-0@model", "refused")))),
    "an error of ours cut it short": ("invalid", 3, Story(undo_why="the lease could not be renewed").entries()),
    "the load sent half": ("invalid", 3, Story(treatment_per_s=2, control_per_s=18).entries()),
    "the split was not as planned": ("invalid", 3, Story(treatment_per_s=20, control_per_s=20).entries()),
    "the rule could not be evaluated": ("invalid", 3, Story(unhealthy={"ModelAccuracyLow": "parse error"}).entries()),
    "the alert was on before the fault": ("invalid", 3, Story(pending=9.0, firing=14.2).entries()),
    "nobody noticed": ("undetected", 1, SILENT.entries()),
    "another alert rang instead": (
        "undetected",
        1,
        replace(SILENT, plan=replace(JUDGED, quiet=False), others=(UNEXPECTED,)).entries(),
    ),
    "noticed too late": ("late", 1, Story(plan=replace(JUDGED, alerts=(replace(ALERT, within_s=9.0),))).entries()),
    "nobody was told": (
        "undelivered",
        1,
        replace(SILENT, pending=20.2, firing=25.2, active=25.9, resolved=None).entries(),
    ),
    "it did not resolve": ("unresolved", 1, Story(resolved=None, recovered=100.0).entries()),
    "somebody else rang": ("false_alarm", 1, Story(others=(UNEXPECTED,)).entries()),
    "what should hold did not": ("deviated", 1, Story(availability=(1.0, 0.95, 1.0)).entries()),
    "it did not come back": ("deviated", 1, Story(accuracy=(0.94, 0.84, 0.85)).entries()),
    "the control arm was hurt": ("deviated", 1, Story(control_wrong_under_fault=12).entries()),
    "the fault was too weak to harm": ("inconclusive", 3, Story(accuracy=(0.94, 0.91, 0.93)).entries()),
    "too few events": ("inconclusive", 3, Story(counted=20.0).entries()),
    "the removal is not proven": ("inconclusive", 3, Story(untouched=19).entries()),
    "the end was not watched": ("inconclusive", 3, Story(resolved=None).entries()),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_each_verdict_and_its_exit_code_arise_from_their_cause_and_no_other(cause: str):
    name, code, _ = CAUSES[cause]
    verdict = verdict_by(cause)
    assert (verdict.verdict, verdict.exit_code) == (name, code)
    # What was not undone or cut short may leave questions open besides; it proves nothing else.
    assert causes(verdict) - {"inconclusive"} == {name} - {"confirmed", "inconclusive"}, bad(verdict)


def test_every_verdict_that_exists_has_a_cause_here():
    assert {name for name, _, _ in CAUSES.values()} == set(EXIT_CODE)


@pytest.mark.parametrize("cause", [cause for cause, (name, _, _) in CAUSES.items() if name != "confirmed"])
def test_the_sentence_names_the_finding_that_made_the_verdict(cause: str):
    verdict = verdict_by(cause)
    decisive = next(finding for finding in verdict.findings if finding.verdict == verdict.verdict)
    assert decisive.question.rstrip("?") in verdict.sentence
    assert decisive.answer in verdict.sentence


def test_a_confirmed_sentence_says_for_how_much_traffic_and_how_fast_it_was_told():
    sentence = judge(Story().lines()).sentence
    assert sentence == "Every expectation was met. 10% wrong, for 10% of traffic: ModelAccuracyLow told after 9.9s."


# --- the worst wins ---------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(list(EXIT_CODE)), min_size=1))
def test_the_worst_finding_makes_the_verdict(names: list):
    findings = [Finding("safety", "?", name, "") for name in names]
    assert worst(findings) == min(names, key=list(EXIT_CODE).index)


def test_no_findings_prove_nothing():
    assert worst([]) == "invalid"


def test_not_undone_comes_before_everything_else():
    entries = among(SILENT.entries(), LOST, STOPPED, GUARD, (17.0, ApplyFailed("fault-0@model", "refused")))
    verdict = verdict_of(entries)
    assert (verdict.verdict, verdict.exit_code) == ("unsafe", 5)
    assert {"unsafe", "interrupted", "invalid", "undetected"} <= causes(verdict)  # all findings are computed


def test_a_persons_stop_comes_before_a_guard_and_a_guard_before_a_weakness():
    assert verdict_of(among(SILENT.entries(), STOPPED, GUARD)).verdict == "interrupted"
    assert verdict_of(among(SILENT.entries(), GUARD)).verdict == "aborted"


def test_a_broken_experiment_comes_before_a_weakness():
    assert verdict_of(Story(changed_rows=0, availability=(1.0, 0.5, 1.0)).entries()).verdict == "invalid"


def test_a_weakness_stands_whatever_else_stayed_open():
    verdict = verdict_of(Story(accuracy=(0.94, 0.91, 0.93), availability=(1.0, 0.95, 1.0)).entries())
    assert verdict.verdict == "deviated"
    assert causes(verdict) == {"deviated", "inconclusive"}


# --- undone or not ----------------------------------------------------------------------------------------------------


def hurt_replica(**measured: str) -> list[Entry]:
    applied = Applied("fault-1@replica-1", WALL + 17.1, "kill", {**measured, "status": "exited", "id": "1:1"})
    undone = Undone("fault-1@replica-1", 1, WALL + 27.1, "start", {"status": "running"})
    more = ((17.0, Apply("fault-1@replica-1")), (17.1, applied), (27.1, undone))
    return among(Story(plan=CONTAINER).entries(), *more)


def test_a_container_that_was_started_again_is_fine():
    assert verdict_of(hurt_replica()).verdict == "confirmed"


def test_what_was_measured_of_a_hurt_container_is_part_of_the_finding():
    told = [finding.answer for finding in verdict_of(hurt_replica(lost="5 of 5")).findings]
    assert "yes: kill → exited (lost 5 of 5)" in told


def test_a_dead_runner_leaves_containers_to_be_mended_by_hand():
    verdict = verdict_of(until(hurt_replica(), 20.0))
    assert verdict.verdict == "unsafe"
    assert "start replica-1" in verdict.sentence


def test_a_dead_runner_leaves_proxies_to_their_lease():
    verdict = verdict_of(until(Story().entries(), 20.0))
    assert verdict.verdict == "invalid"
    assert "ended 10s later by themselves" in verdict.sentence


def test_a_container_whose_undo_nobody_saw_is_not_taken_for_undone():
    entries = without(hurt_replica(), lambda r: isinstance(r, Undone) and r.effect == "fault-1@replica-1")
    assert verdict_of(entries).verdict == "unsafe"


def test_an_apply_that_lands_after_the_last_undo_is_not_taken_for_undone():
    late = Applied("fault-1@replica-1", WALL + 30.0, "kill", {"status": "exited"})
    assert verdict_of(among(hurt_replica(), (30.0, late))).verdict == "unsafe"
    undone = Undone("fault-1@replica-1", 2, WALL + 31.0, "start", {"status": "running"})
    assert verdict_of(among(hurt_replica(), (30.0, late), (31.0, undone))).verdict != "unsafe"


# --- missing data never passes ----------------------------------------------------------------------------------------

MISSING: dict[str, Callable[[object], bool]] = {
    "proxy": observed(ProxyRead),
    "load": observed(LoadRead),
    "alerts": observed(AlertsRead),
    "deliveries": observed(DeliveriesRead),
    "windows and series": lambda record: isinstance(record, Collected),
    "undone": lambda record: isinstance(record, Undone),
    "inject": lambda record: isinstance(record, StateEntered) and record.state is State.inject,
    "baseline": lambda record: isinstance(record, StateEntered) and record.state is State.baseline,
}


@pytest.mark.parametrize("what", MISSING)
def test_a_run_that_lacks_evidence_is_never_confirmed(what: str):
    verdict = verdict_of(without(Story().entries(), MISSING[what]))
    assert verdict.exit_code != 0, verdict.sentence


def test_a_load_that_died_under_the_fault_does_not_count_as_the_load_asked_for():
    entries = [one for one in SILENT.entries() if not (observed(LoadRead)(one[1]) and 20.0 < one[0] < 46.0)]
    assert any(
        f.question == "Was the load what was asked for?" and f.verdict == "invalid" for f in bad(verdict_of(entries))
    )


def test_looking_away_does_not_make_other_alerts_quiet():
    entries = [one for one in SILENT.entries() if not (observed(AlertsRead)(one[1]) and 17.0 < one[0] < 46.0)]
    quiet = next(f for f in verdict_of(entries).findings if f.question == "Did every other alert stay quiet?")
    assert quiet.verdict == "inconclusive"


def test_a_baseline_without_load_says_nothing_about_the_arms():
    entries = [one for one in Story().entries() if not (observed(LoadRead)(one[1]) and 5.0 < one[0] <= 18.0)]
    alike = next(f for f in verdict_of(entries).findings if "alike" in f.question)
    assert alike.verdict == "inconclusive"


@pytest.mark.parametrize(("wrong", "judged"), [(0, "confirmed"), (2, "confirmed"), (4, "invalid")])
def test_arms_that_differ_before_the_fault_by_what_chance_does_spoil_no_run_and_broken_ones_do(wrong: int, judged: str):
    samples = [ArmCounts(4, wrong)] * 4 + [ArmCounts(4, 0)] * 6
    running = RiskRatio()
    for treated in samples:
        running = running.update(treated, ArmCounts(36, 2))
    # What the 5 % of the run's own comparison would say, which every run would be exposed to once more.
    assert running.decision == ("broken" if wrong else "undecided")
    found = verdict_of(Story(treatment_wrong_in_baseline=wrong).entries()).findings
    assert next(f for f in found if "alike" in f.question).verdict == judged


def test_a_bound_relative_to_an_unknown_baseline_is_open():
    probe = replace(JUDGED.probes[1], minimum=None, maximum="2x baseline", signal=None)
    story = Story(plan=replace(JUDGED, probes=(JUDGED.probes[0], probe)), availability=(1.0, 1.0, 1.0))
    assert verdict_of(story.entries()).verdict == "confirmed"
    entries = [
        (at, _without_baseline(record) if isinstance(record, Collected) else record) for at, record in story.entries()
    ]
    assert verdict_of(entries).verdict == "inconclusive"


def _without_baseline(record: Collected) -> Collected:
    kept = tuple(window for window in record.windows if window[0] != "baseline" or window[1].probe != "availability")
    return replace(record, windows=kept)


def test_a_signal_that_is_not_a_number_is_missing_data():
    assert verdict_of(Story(availability=(1.0, float("nan"), 1.0)).entries()).verdict == "inconclusive"


@settings(max_examples=examples(14), deadline=None)
@given(st.data())
def test_evidence_that_is_lost_never_turns_a_weakness_into_a_pass(data: st.DataObject):
    cause = data.draw(st.sampled_from([cause for cause, (name, _, _) in CAUSES.items() if name != "confirmed"]))
    kind = data.draw(st.sampled_from([ProxyRead, LoadRead, AlertsRead, DeliveriesRead]))
    begin = data.draw(st.floats(0.0, 60.0))
    end = begin + data.draw(st.floats(0.0, 60.0))
    if CAUSES[cause][0] == "false_alarm" and kind is AlertsRead and end - begin < 17.0:
        return  # an alert that came and went between two looks: a gap that short is allowed
    kept = [one for one in CAUSES[cause][2] if not (observed(kind)(one[1]) and begin <= one[0] <= end)]
    assert verdict_of(kept).exit_code != 0, (cause, kind, begin, end)


# --- a function of the journal alone ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", CAUSES)
def test_judging_twice_gives_the_same_verdict(cause: str):
    again = verdict_of(CAUSES[cause][2])
    assert again == verdict_by(cause)
    assert again.to_json() == verdict_by(cause).to_json()


@pytest.mark.parametrize("cause", CAUSES)
def test_the_verdict_is_plain_json(cause: str):
    verdict = verdict_by(cause)
    read = json.loads(verdict.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (read["verdict"], read["exit_code"], read["sentence"]) == (
        verdict.verdict,
        verdict.exit_code,
        verdict.sentence,
    )
    assert len(read["findings"]) == len(verdict.findings)


def test_an_alert_that_comes_while_the_system_holds_is_an_early_warning():
    plan = replace(JUDGED, harms=(), holds=("availability",))
    told = next(f for f in verdict_of(Story(plan=plan).entries()).findings if f.question.endswith("tell?"))
    assert told.good
    assert "early warning" in told.answer


def test_lines_that_are_no_run_are_refused():
    entries = Story().entries()
    with pytest.raises(BrokenJournal):
        judge([])
    with pytest.raises(BrokenJournal):
        judge(lines_of(entries[1:]))
    with pytest.raises(BrokenJournal, match="plan"):
        judge(lines_of([(0.0, RunStarted("r", "0", "", "{}")), *entries[1:]]))


def test_a_load_that_ended_by_itself_is_told():
    entries = among(
        until(Story(undo_why="the load ended by itself: Locust is gone").entries(), 90.0),
        (26.9, LoadStopped(error="gone")),
    )
    verdict = verdict_of(entries)
    assert verdict.verdict == "invalid"
    assert "the load ended by itself" in verdict.sentence


def test_a_load_that_ended_after_the_undo_is_told_and_the_run_proves_nothing():
    verdict = verdict_of(Story(recovery_why="the load ended by itself: Locust is gone").entries())
    assert verdict.verdict == "invalid"
    assert "the load ended by itself" in verdict.sentence


def test_a_recovery_that_ran_its_time_was_not_cut_short():
    assert verdict_of(Story(recovery_why=Trigger.over.value).entries()).verdict == "confirmed"


def test_a_fault_that_ran_its_time_was_not_cut_short():
    assert verdict_of(Story(undo_why=Trigger.over.value).entries()).verdict == "confirmed"


@settings(max_examples=examples(14), deadline=None)
@given(st.sampled_from(sorted(CAUSES)), st.floats(0.0, 101.0))
def test_a_journal_that_ends_early_is_judged_and_never_passes(cause: str, dies_at_s: float):
    entries = CAUSES[cause][2]
    kept = [entries[0], *until(entries[1:], dies_at_s)]
    try:
        verdict = verdict_of(kept)
    except ChaosError as error:
        pytest.fail(f"{cause} at {dies_at_s}: {error}")
    collected = any(isinstance(record, Collected) for _, record in kept)
    assert verdict.exit_code != 0 or (collected and CAUSES[cause][1] == 0)


@pytest.mark.parametrize(
    ("seen", "counted", "judged"),
    [
        (0.985, 400.0, "inconclusive"),
        (0.95, 400.0, "deviated"),
        (0.95, 30.0, "inconclusive"),
        (0.996, 400.0, "confirmed"),
    ],
)
def test_a_share_that_left_its_bound_by_what_chance_does_is_left_open(seen: float, counted: float, judged: str) -> None:
    plan = replace(JUDGED, probes=tuple(replace(probe, needs=10) for probe in JUDGED.probes))
    verdict = judge(Story(plan=plan, availability=(1.0, seen, 1.0), counted=counted).lines())
    [finding] = [one for one in verdict.findings if "availability hold" in one.question]
    assert finding.verdict == judged, finding


# --- outcomes that were asked for ---------------------------------------------------------------------------------------


def delivered(plan: Plan) -> list[Finding]:
    """What the verdict says of outcomes that were asked for."""
    found = verdict_of(Story(plan=plan).entries()).findings
    return [finding for finding in found if finding.question.startswith("What was ")]


def test_what_was_delivered_is_told_beside_what_was_asked_for() -> None:
    (told,) = delivered(AIMED)
    row = next(row for row in verdict_of(Story(plan=AIMED).entries()).arms if row.arm == "treatment")
    assert row.wrong_share is not None
    assert row.wrong_interval is not None
    low, high = 1 - row.wrong_interval[1], 1 - row.wrong_interval[0]
    assert told.question == "What was accuracy in the treatment arm, where 70% was asked for?"
    assert told.evidence == {"asked": 0.7, "delivered": 1 - row.wrong_share, "low": low, "high": high}
    assert told.answer.startswith(f"{1 - row.wrong_share:.3f} ± {(high - low) / 2:.2f} of {row.labelled}")
    assert ("lies outside" in told.answer) is not (low <= 0.7 <= high)


def test_an_outcome_that_nobody_counts_by_arm_is_not_known() -> None:
    (told,) = delivered(replace(JUDGED, effects=(HOLD, replace(WRONG, aim=Aim("recall", 0.6)))))
    assert told.answer == "not known: the load does not count recall by arm"


def test_nothing_is_told_of_a_share_that_people_wrote_nor_of_copies() -> None:
    assert delivered(JUDGED) == []
    assert delivered(replace(AIMED, mode="shadow")) == []


# --- what the fault is meant to break ---------------------------------------------------------------------------------


def test_a_prometheus_that_the_fault_is_meant_to_break_makes_no_run_invalid():
    """Its silence under the fault is what the run is about: that nobody was told is then a weakness, and never a pass."""

    def alive(plan: Plan) -> Finding:
        dead = without(replace(SILENT, plan=plan).entries(), observed(AlertsRead))
        found = verdict_of(dead)
        assert found.exit_code != 0
        return next(f for f in found.findings if f.question == "Was monitoring itself alive?")

    assert alive(SILENT.plan).verdict == "invalid"
    meant = alive(replace(SILENT.plan, breaks=("prometheus",)))
    assert (meant.verdict, "is meant to break Prometheus" in meant.answer) == ("confirmed", True)
    assert alive(replace(SILENT.plan, breaks=("alertmanager",))).verdict == "invalid"
