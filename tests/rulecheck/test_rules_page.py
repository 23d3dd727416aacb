"""docs/rules.md shows what is really found, and every kind of it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.rulecheck.cases import CASES, Case

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()


def test_the_page_has_a_section_for_each_kind_with_its_rule_and_the_sentence_that_is_printed() -> None:
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
    shown: dict[str, Case] = {}
    for case in CASES:
        shown.setdefault(case.kind, case)
    assert sections.keys() == shown.keys()
    for kind, case in shown.items():
        assert f"```promql\n{case.expr}\n```" in sections[kind], kind
        told = " ".join(line[2:] for line in sections[kind].splitlines() if line.startswith("> "))
        assert told == f"{case.verdict}: {case.sentence}", kind
