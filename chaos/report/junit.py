"""junit.xml: one suite a run, one case a finding; weaknesses fail, what is open is skipped, the rest is an error."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from chaos.units import format_measured
from chaos.verdict import EXIT_CODE, Finding, Verdict

_NOT_XML = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def _clean(text: object) -> str:
    """XML 1.0 has no control characters: they become a replacement sign."""
    return _NOT_XML.sub("\ufffd", str(text))


def _outcome(finding: Finding) -> str | None:
    """Passed is None; else `failure`, `error` or `skipped`."""
    if finding.verdict == "inconclusive":
        return "skipped"
    code = EXIT_CODE[finding.verdict]
    return {0: None, 1: "failure"}.get(code, "error")


def junit(verdict: Verdict) -> str:
    """The report as a CI server reads it. Stage times are properties."""
    outcomes = [_outcome(finding) for finding in verdict.findings]
    counts = {name: str(outcomes.count(name)) for name in ("failure", "error", "skipped")}
    suite = ET.Element(
        "testsuite",
        name=_clean(verdict.experiment), tests=str(len(outcomes)), failures=counts["failure"], errors=counts["error"],
        skipped=counts["skipped"], time=f"{verdict.ended_wall_s - verdict.started_wall_s:.3f}",
    )  # fmt: skip
    properties = ET.SubElement(suite, "properties")
    told = {
        "run": verdict.run,
        "seed": verdict.seed,
        "system": verdict.system,
        "verdict": verdict.verdict,
        "version": verdict.version,
    }
    for detection in verdict.detections:
        told[f"{detection.alert}.outcome"] = detection.outcome
        told |= {
            f"{detection.alert}.{stage.gate.value}_s": format_measured(
                stage.after_s, detection.within_s, digits=3
            ).removesuffix("s")
            for stage in detection.stages
            if stage.after_s is not None
        }
    for name, value in told.items():
        ET.SubElement(properties, "property", name=_clean(name), value=_clean(value))
    for finding, outcome in zip(verdict.findings, outcomes, strict=True):
        case = ET.SubElement(
            suite, "testcase", classname=_clean(f"{verdict.experiment}.{finding.half}"), name=_clean(finding.question)
        )
        if outcome is not None:
            said = _clean(f"{finding.verdict}: {finding.answer}")
            evidence = "".join(f"\n{name}: {value}" for name, value in finding.evidence.items() if value is not None)
            ET.SubElement(case, outcome, message=said).text = said + _clean(evidence)
        else:
            ET.SubElement(case, "system-out").text = _clean(finding.answer)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    # ElementTree would declare the machine's own encoding; the file is always written in this one.
    return "<?xml version='1.0' encoding='utf-8'?>\n" + ET.tostring(root, encoding="unicode") + "\n"
