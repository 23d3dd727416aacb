"""The coverage matrix as people see it: the number first, what survived with its gate, and nothing of what others said obeyed."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from chaos.coverage import Column, Matrix, Told, Tried, matrix
from chaos.report.coverage import coverage_view, headline, page, percent

NOW_S = 1_800_000_000.0
TOLD = Told("AccuracyLow", "detected", None, 31.0, 60.0)
CAUGHT = Tried("r-1", "e", "lab", "delay", "300 ms later", NOW_S, "confirmed", "broken", 0.1, (TOLD,), {})
MISSED = replace(
    CAUGHT, fault="biased_outputs", verdict="undetected", told=(Told("Gap", "undetected", "signal", None, 60.0),)
)


def found(*runs: Tried, columns: tuple[Column, ...] = ()) -> Matrix:
    return matrix(runs, {"delay": "time", "biased_outputs": "bias", "kill": "containers"}, columns, NOW_S)


def shown(what: Matrix) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(coverage_view(what))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_number_says_of_how_many_and_how_sure() -> None:
    assert headline(found(CAUGHT, MISSED)).startswith(
        "Monitoring mutation score: 50% [1%, 99%]: of 2 faults that broke"
    )
    assert "none yet" in headline(found())


def test_what_survived_stands_first_with_the_gate_that_failed() -> None:
    text = shown(found(CAUGHT, MISSED))
    assert text.index("Survived (1)") < text.index("Killed (1)") < text.index("Never tried (1)")
    assert "✗ Gap (signal)" in text
    assert "✓ AccuracyLow 31s at 10%" in text


def test_a_rule_that_cannot_fire_says_why() -> None:
    text = shown(found(CAUGHT, columns=(Column("Dead", "cannot fire", "its metric is gone"),)))
    assert "alerts that cannot fire: 1 of 2" in text
    assert "Dead cannot fire: its metric is gone" in text


def test_the_page_obeys_nothing_that_comes_from_outside_and_needs_no_script() -> None:
    text = page(
        found(
            replace(CAUGHT, explain="<script>alert(1)</script>"), columns=(Column("<b>x</b>", "cannot fire", "<i>"),)
        ),
        "<u>lab",
    )
    assert "<script" not in text
    assert "<b>x" not in text
    assert "<u>lab" not in text
    assert "Monitoring mutation score: 100%" in text
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_no_score_is_rounded_up() -> None:
    assert percent(0.796) == "79%"
    assert percent(0.999) == "99%"
    assert percent(1.0) == "100%"


def test_what_goes_on_in_a_list_of_names_is_indented_more_than_the_list() -> None:
    catalogue = {f"a_fault_with_a_name_{number}": "time" for number in range(8)}
    console = Console(file=io.StringIO(), width=80)
    console.print(coverage_view(matrix((), catalogue, (), NOW_S)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    named = [line for line in text.splitlines() if "a_fault_with" in line]
    assert len(named) > 1
    assert all(line.startswith("      a_fault_with") and len(line) <= 80 for line in named[1:])
