"""A journal that a real run wrote: every beginning of it is judged, and every alteration is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.events import Apply, Collected, StateEntered, Undone
from chaos.journal import BrokenJournal, read
from chaos.judging import judge
from tests.fuzzing import examples

RECORDED = Path(__file__).with_name("confirmed.jsonl").read_bytes()
LINES = read(RECORDED.decode())
ROWS = RECORDED.split(b"\n")[:-1]


def test_the_recorded_run_is_confirmed_and_says_when_everything_happened():
    verdict = judge(LINES)
    assert (verdict.verdict, verdict.exit_code) == ("confirmed", 0)
    assert all(finding.good for finding in verdict.findings)
    told = verdict.detections[0]
    assert (told.outcome, round(told.told_after_s or 0, 1), round(told.resolved_after_s or 0, 1)) == (
        "detected",
        28.7,
        14.8,
    )
    times = [stage.after_s for stage in told.stages if stage.gate.value != "reset"]
    assert times == sorted(time for time in times if time is not None)
    assert [phase.name for phase in verdict.phases] == ["warmup", "baseline", "inject", "undo", "recovery"]
    assert verdict.effects[0].hurt == 113
    assert [(row.arm, row.labelled, row.wrong) for row in verdict.arms] == [
        ("treatment", 118, 109),
        ("control", 1082, 80),
    ]


def test_every_beginning_of_it_is_judged_and_none_passes_before_the_evidence_is_collected():
    collected = next(place for place, line in enumerate(LINES) if isinstance(line.record, Collected))
    applied = next(
        n for n, line in enumerate(LINES) if isinstance(line.record, Apply) and "fault" in line.record.effect
    )
    undone = max(n for n, line in enumerate(LINES) if isinstance(line.record, Undone))
    for count in range(1, len(LINES) + 1):
        verdict = judge(LINES[:count])
        if count <= collected:
            assert verdict.exit_code != 0, count
        if applied < count <= undone:
            assert verdict.verdict == "invalid", count
            assert "the runner died" in verdict.sentence, count


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, len(RECORDED)))
def test_a_journal_cut_at_any_byte_is_read_up_to_the_cut_or_is_no_run(size: int):
    lines = read(RECORDED[:size].decode("utf-8", "replace"))
    assert [line.sequence for line in lines] == list(range(1, len(lines) + 1))
    assert len(lines) in (RECORDED[:size].count(b"\n"), RECORDED[:size].count(b"\n") + 1)
    if not lines:
        with pytest.raises(BrokenJournal):
            judge(lines)
    else:
        judge(lines)


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, len(ROWS) - 2))
def test_a_line_that_is_taken_out_doubled_or_moved_is_noticed(place: int):
    for rows in (
        ROWS[:place] + ROWS[place + 1 :],
        ROWS[: place + 1] + ROWS[place:],
        [*ROWS[:place], ROWS[place + 1], ROWS[place], *ROWS[place + 2 :]],
    ):
        with pytest.raises(BrokenJournal):
            read(b"\n".join([*rows, b""]).decode())


@settings(max_examples=examples(34), deadline=None)
@given(st.integers(0, sum(len(row) + 1 for row in ROWS[:-1]) - 1), st.integers(1, 255))
def test_a_byte_that_is_altered_before_the_last_line_is_noticed(place: int, difference: int):
    altered = bytearray(RECORDED)
    altered[place] = (altered[place] + difference) % 256
    with pytest.raises(BrokenJournal):
        read(altered.decode("utf-8", "replace"))


def test_states_are_entered_in_the_order_of_the_machine():
    states = [line.record.state.value for line in LINES if isinstance(line.record, StateEntered)]
    assert states == ["preflight", "warmup", "baseline", "inject", "undo", "recovery", "collect", "ended"]
