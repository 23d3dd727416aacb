"""junit.xml: what a CI server makes of a run."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.judging import judge
from chaos.report.junit import junit
from chaos.verdict import EXIT_CODE, Finding, Verdict
from tests.judging.journals import SILENT, Story

CONFIRMED, UNDETECTED = judge(Story().lines()), judge(SILENT.lines())


def suite_of(verdict: Verdict) -> ET.Element:
    root = ET.fromstring(junit(verdict))
    assert root.tag == "testsuites"
    (suite,) = root
    return suite


def cases_of(verdict: Verdict) -> list[ET.Element]:
    return suite_of(verdict).findall("testcase")


def test_a_confirmed_run_has_one_passed_case_per_finding():
    suite, cases = suite_of(CONFIRMED), cases_of(CONFIRMED)
    assert [case.get("name") for case in cases] == [finding.question for finding in CONFIRMED.findings]
    assert [case.findtext("system-out") for case in cases] == [finding.answer for finding in CONFIRMED.findings]
    assert [suite.get(count) for count in ("tests", "failures", "errors", "skipped")] == [
        str(len(cases)),
        "0",
        "0",
        "0",
    ]
    assert suite.get("name") == "quick"
    assert float(suite.get("time") or 0) == pytest.approx(CONFIRMED.ended_wall_s - CONFIRMED.started_wall_s, abs=1e-3)


def test_a_failure_says_the_finding_and_its_evidence():
    (failure,) = [element for case in cases_of(UNDETECTED) for element in case.findall("failure")]
    finding = next(one for one in UNDETECTED.findings if not one.good)
    assert failure.get("message") == f"undetected: {finding.answer}"
    text = failure.text or ""
    assert text.startswith(f"undetected: {finding.answer}")
    assert "\nsignal, s: 2.5" in text
    assert "None" not in text
    assert suite_of(UNDETECTED).get("failures") == "1"


@pytest.mark.parametrize("name", EXIT_CODE)
def test_weaknesses_fail_what_is_open_is_skipped_and_a_broken_run_is_an_error(name: str):
    finding = Finding("detection", "Did it?", name, "because")  # type: ignore[arg-type]
    suite = suite_of(replace(CONFIRMED, verdict=name, findings=(finding,)))
    kind = {0: None, 1: "failure"}.get(EXIT_CODE[name], "error") if name != "inconclusive" else "skipped"  # type: ignore[index]
    (case,) = suite.findall("testcase")
    assert [child.tag for child in case] == [kind or "system-out"]
    assert {count: suite.get(count) for count in ("failures", "errors", "skipped")} == {
        "failures": "1" if kind == "failure" else "0",
        "errors": "1" if kind == "error" else "0",
        "skipped": "1" if kind == "skipped" else "0",
    }


def test_stage_times_are_properties_and_stages_that_were_not_reached_are_none():
    told = {one.get("name"): one.get("value") for one in suite_of(CONFIRMED).iter("property")}
    assert told["ModelAccuracyLow.outcome"] == "detected"
    assert told["ModelAccuracyLow.delivered_s"] == "9.900"
    assert (told["verdict"], told["run"], told["seed"]) == ("confirmed", "run-1", "seed")
    missed = {one.get("name") for one in suite_of(UNDETECTED).iter("property")}
    assert "ModelAccuracyLow.signal_s" in missed
    assert "ModelAccuracyLow.firing_s" not in missed


def test_the_file_declares_the_encoding_that_it_is_written_in():
    text = junit(replace(CONFIRMED, experiment="Größe ✓"))
    assert text.startswith("<?xml version='1.0' encoding='utf-8'?>\n")
    assert ET.fromstring(text.encode("utf-8"))[0].get("name") == "Größe ✓"


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(), max_size=30))
def test_any_text_makes_well_formed_xml_and_keeps_its_letters(text: str):
    """Control characters and lone surrogates, which XML cannot hold, become a replacement sign."""
    finding = Finding("safety", text, "deviated", text, {text: text})
    verdict = replace(CONFIRMED, experiment=text, run=text, system=text, findings=(finding,))
    root = ET.fromstring(junit(verdict).encode("utf-8"))
    kept = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
    (case,) = root.iter("testcase")
    assert case.get("name") == kept
    assert case[0].get("message") == f"deviated: {kept}"


def test_markup_in_names_stays_text():
    finding = Finding("safety", "<b>&amp;</b>", "deviated", "]]> <failure>")
    (case,) = cases_of(replace(CONFIRMED, findings=(finding,)))
    assert case.get("name") == "<b>&amp;</b>"
    assert (case.findtext("failure") or "").startswith("deviated: ]]> <failure>")
    assert len(case) == 1
