"""Labels are matched as Prometheus and Alertmanager match them, and what no server takes says nothing."""

from __future__ import annotations

import pytest

from chaos.expressions import matches


@pytest.mark.parametrize(
    ("expression", "text", "told"),
    [
        ("a|b", "b", True),
        ("a|b", "ab", False),
        ("(?i:PAGE)-x", "page-x", True),
        ("pay(?i)MENT", "payment", True),
        (r"\pL+", "käse", True),
        (r"\pL+", "7", False),
        (r"team\z", "team", True),
        (r"\Qa.b\E", "a.b", True),
        (r"\Qa.b\E", "axb", False),
        (r"[[:alpha:]]+", "abc", True),
        ("a.b", "a\nb", False),
        (r"\d", "٣", False),  # RE2's digits are ASCII's
        ("(?=a)a", "a", None),
        (r"(a)\1", "aa", None),
        ("(", "(", None),
        (".{5000}", "a", None),
    ],
)
def test_an_expression_matches_the_whole_text_as_re2_reads_it(expression: str, text: str, told: bool | None) -> None:
    assert matches(expression, text) is told


def test_an_expression_that_takes_others_for_ever_is_answered_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    assert matches("(a+)+b", "a" * 200) is False
    assert matches("(", "") is None
    assert capfd.readouterr().err == ""
