"""What a person reads: whole at every width, and never obeyed by the terminal."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from chaos.arms_foresight import foresee_arms
from chaos.detection import FAILURE, Gate
from chaos.foresight import Foresight
from chaos.judging import judge
from chaos.plans import Plan, PlannedGuard
from chaos.report.terminal import plan_view, summary
from chaos.verdict import EXIT_CODE, Verdict
from tests.judging.journals import JUDGED, SILENT, Story
from tests.worlds import ALERT, HOLD, KILL, WRONG

FOLDER = "runs/20261125-203616-wrong-predictions-page-the-on-call-c5a66182"
LONG = f"/home/somebody/{'a-rather-long-directory-name/' * 6}{FOLDER}"
CONFIRMED, UNDETECTED = judge(Story().lines()), judge(SILENT.lines())
WIDTHS = (80, 120)
EVIL = "[red]Evil[/red] \x1b[31mred\x1b]0;title\x07 [link=http://x]\u202eback\r\nover\x9b2J :boom: \\[b]"


def shown(what: RenderableType, width: int, *, terminal: bool = False) -> str:
    """What the command line would print at this width."""
    out = io.StringIO()
    Console(
        file=out, width=width, highlight=False, force_terminal=terminal, color_system="standard" if terminal else None
    ).print(what)
    return out.getvalue()


def lines(what: RenderableType, width: int) -> list[str]:
    return [line.rstrip() for line in shown(what, width).splitlines()]


def unfolded(what: RenderableType, width: int) -> str:
    """Without line breaks and blanks: what the text says, wherever it was folded."""
    return re.sub(r"\s+", "", shown(what, width))


def evil_plan() -> Plan:
    labels = {"severity": EVIL}
    effects = (HOLD, replace(WRONG, explain=EVIL), replace(KILL, container=replace(KILL.container, name=EVIL)))  # type: ignore[type-var]
    return replace(
        JUDGED, experiment=EVIL, description=EVIL, system=EVIL, effects=effects, warnings=(EVIL,), refusals=(EVIL,), notes=(EVIL,),
        by_hand={EVIL: EVIL}, guards=(PlannedGuard(EVIL, alert=labels),),
        alerts=(replace(ALERT, alert=EVIL, expr=EVIL, severity=EVIL, routed_to=(EVIL,)),),
    )  # fmt: skip


def evil_verdict() -> Verdict:
    stages = tuple(replace(stage, source=EVIL) for stage in CONFIRMED.detections[0].stages)
    return replace(
        CONFIRMED, experiment=EVIL, system=EVIL, sentence=EVIL,
        detections=(replace(CONFIRMED.detections[0], alert=EVIL, explanation=EVIL, stages=stages),),
        probes=tuple(replace(row, title=EVIL, unit=EVIL, bound=EVIL) for row in CONFIRMED.probes),
        findings=tuple(replace(finding, question=EVIL, answer=EVIL) for finding in CONFIRMED.findings),
    )  # fmt: skip


# --- golden -----------------------------------------------------------------------------------------------------------

GOLDEN = """
 CONFIRMED   quick on lab
Every expectation was met. 10% wrong, for 10% of traffic: ModelAccuracyLow told
after 9.9s.

Did monitoring notice?
  ModelAccuracyLow  detected  told after 9.9s
    0.0s   first effect
    +2.5s  signal        ± 2s, left side of the rule against its baseline band
    +3.7s  pending       ± 1s, activeAt
    +8.7s  firing        ± 1s, ALERTS{alertstate="firing"}
    +9.8s  active        ± 1s, Alertmanager, looked at every second
    +9.9s  delivered     ± 0.1s, the sink's clock
    after the removal: resolved +7.9s, the sink's clock

Steady state
                bound    baseline  fault on  recovered  asked to
  accuracy      min 88%     94.0%     84.0%      93.0%  break
  availability  min 99%    100.0%    100.0%     100.0%  hold

Treatment against control, while the fault was on
             requests  errors  wrong  95 % interval  p99 ≤
  treatment        48    0.0%  83.3%  69.8% – 92.5%  100ms
  control         432    0.0%   5.6%    3.6% – 8.2%  100ms

Findings
  ✓ Was every effect undone? yes, 1 of 1
  ✓ Is the removal at model proven? yes: 60 treatment requests passed unchanged
  afterwards
"""


def test_the_summary_reads_as_agreed_at_80_columns():
    wanted = GOLDEN.rstrip().split("\n")
    assert lines(summary(CONFIRMED, JUDGED, FOLDER), 80)[: len(wanted)] == wanted


@pytest.mark.parametrize("width", WIDTHS)
def test_what_to_read_next_stands_whole_on_lines_of_its_own(width: int):
    found = lines(summary(CONFIRMED, JUDGED, FOLDER), width)
    assert found[found.index("Read on") + 1 :] == [
        f"{FOLDER}/report.html", f"{FOLDER}/journal.jsonl", f"chaos judge {FOLDER}",
    ]  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
def test_a_path_wider_than_the_terminal_is_folded_and_loses_nothing(width: int):
    said = unfolded(summary(CONFIRMED, JUDGED, LONG), width)
    assert said.endswith(f"{LONG}/report.html{LONG}/journal.jsonlchaosjudge{LONG}")
    assert "…" not in said


def test_the_command_to_judge_again_can_be_pasted_into_a_shell():
    assert "chaos judge 'my runs/one'" in shown(summary(CONFIRMED, JUDGED, "my runs/one"), 120)


def test_without_a_folder_there_is_nothing_to_read_on():
    assert "Read on" not in shown(summary(CONFIRMED, JUDGED, None), 80)


def test_an_undetected_alert_shows_the_gate_that_failed_and_what_it_means():
    said = unfolded(summary(UNDETECTED, JUDGED, None), 80)
    assert f"✗pending{re.sub(r' ', '', FAILURE[Gate.pending])}" in said
    assert "UNDETECTED" in said


@pytest.mark.parametrize("name", EXIT_CODE)
def test_every_verdict_is_named_in_capitals_and_red_unless_it_is_good(name: str):
    out = shown(summary(replace(CONFIRMED, verdict=name), JUDGED, None), 80, terminal=True)
    colour = {"confirmed": "32", "inconclusive": "33"}.get(name, "31")
    assert re.search(rf"\x1b\[1;7;{colour}m {name.upper()} \x1b\[0m", out)


def test_every_finding_is_told_with_its_mark():
    said = unfolded(summary(UNDETECTED, JUDGED, None), 120)
    for finding in UNDETECTED.findings:
        mark = "✓" if finding.good else "✗"
        assert re.sub(r"\s+", "", f"{mark}{finding.question}{finding.answer}") in said


# --- at every width ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 79, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_cut_off(width: int):
    for what in (
        summary(CONFIRMED, JUDGED, LONG), summary(UNDETECTED, JUDGED, FOLDER), summary(evil_verdict(), JUDGED, EVIL),
        plan_view(replace(JUDGED, by_hand={WRONG.id: LONG})), plan_view(evil_plan()),
    ):  # fmt: skip
        found = lines(what, width)
        assert max(cell_len(line) for line in found) <= width
        assert "…" not in "".join(found)


def test_a_wide_probe_table_folds_instead_of_losing_digits():
    row = replace(
        CONFIRMED.probes[0], title="segment_accuracy_of_a_model_with_a_name", bound="min 0.5x baseline, max 2x baseline"
    )
    said = unfolded(summary(replace(CONFIRMED, probes=(row,)), JUDGED, None), 50)
    assert "…" not in said


# --- shown, never obeyed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what", [summary(evil_verdict(), JUDGED, EVIL), plan_view(evil_plan())], ids=["summary", "plan"]
)
def test_names_and_labels_cannot_command_the_terminal(what: RenderableType):
    out = shown(what, 400)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out)
    assert (
        "[red]Evil[/red] \\x1b[31mred\\x1b]0;title\\x07 [link=http://x]\\u202eback\\r\\nover\\x9b2J :boom: \\[b]" in out
    )


@pytest.mark.parametrize(
    "what", [summary(evil_verdict(), JUDGED, EVIL), plan_view(evil_plan())], ids=["summary", "plan"]
)
def test_only_our_own_styles_reach_a_terminal(what: RenderableType):
    out = shown(what, 400, terminal=True)
    assert not re.search(r"[\x00-\x09\x0b-\x1a\x1c-\x1f\x7f-\x9f]", out)
    assert not re.search(r"\x1b(?!\[[0-9;]*m)", out)  # colours and boldness, nothing else
    assert "\x1b]8" not in out  # no link


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40))
def test_no_text_whatsoever_becomes_a_control_character(text: str):
    one = replace(CONFIRMED.findings[0], answer=text, question=text)
    out = shown(summary(replace(CONFIRMED, findings=(one,), sentence=text, experiment=text), JUDGED, text), 80)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", out)


def test_letters_of_other_scripts_and_our_own_marks_stay_as_they_are():
    one = replace(CONFIRMED.findings[0], answer="Größe ≤ 0.5 → 模型 é")
    assert "Größe ≤ 0.5 → 模型 é" in shown(summary(replace(CONFIRMED, findings=(one,)), JUDGED, None), 120)


# --- the plan ---------------------------------------------------------------------------------------------------------


def test_the_plan_says_what_the_arms_comparison_can_tell():
    foreseen = foresee_arms(40.0, 0.5, 60.0, {"wrong": 0.05})
    said = unfolded(plan_view(replace(JUDGED, arms=foreseen)), 80)
    assert "arms:with40/sat50%adoublingofmistakes(5%→10%)istoldinabout26s" in said
    assert "arms:" not in unfolded(plan_view(JUDGED), 80)


def test_the_plan_says_what_is_done_to_whom_and_who_will_be_told():
    seen = Foresight("accuracy", now=0.94, reachable=0.84, crosses=True, expected_s=9.0, needed_traffic=0.06)
    plan = replace(
        JUDGED,
        refusals=("model is held by another run",),
        warnings=("no guard",),
        alerts=(replace(ALERT, foresight=seen),),
    )
    said = shown(plan_view(plan), 120)
    for part in (
        "quick on lab (lab)", "fault-0@model: 10% wrong", "synthetic subjects, by header:x-applicant-id",
        "treatment 10%: at most 120 requests in 30s; control: 1080", "told by this rule: oncall",
        "fires no sooner than 8s after the first effect; asked for within 1m", "fault-0@model: curl -X DELETE …",
        "reads 0.94 now, would read 0.84: crosses < 0.88, expected after 9s", "! no guard", "✗ model is held by another run",
    ):  # fmt: skip
        assert part in said, part
