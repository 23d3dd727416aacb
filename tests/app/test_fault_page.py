"""own_fault: what a fault's file says reaches the page and the terminal.

In real life: somebody adds one.
"""

from __future__ import annotations

import io
from typing import ClassVar, Literal

import pytest
from pydantic import Field
from rich.console import Console, RenderableType

from chaos.app import fault_facts, fault_page, manual
from chaos.app.fault_facts import facts_of
from chaos.faults import catalogue
from chaos.faults.base import Example, Fault
from chaos.units import Duration, Share


class OwnFault(Fault):
    """It does what it says.

    Others pass.
    """

    acts_on = "load"
    works_on = "text"
    semantic = True
    family = "of our own"
    must = "an alert | or two"
    quiet = "another"
    blind = "Nobody looks there."
    examples: ClassVar = (
        Example("{fault: own_fault, target: m}", does="it happens"),
        Example("{fault: own_fault}", refused="x"),
    )

    fault: Literal["own_fault"] = "own_fault"
    part: Share | None = Field(None, ge=0.1, le=0.5, description="how much")
    wait: Duration = Field(90.0, gt=1, description="how long", examples=["90s"])
    kind: Literal["a", "b", "c"] = Field("a", description="which")
    loud: bool = Field(True, description="whether it is heard")
    factor: float = Field(ge=1, description="how many times")
    count: int = Field(3, description="how many")
    value: str | int | float | bool | None = Field(None, description="what")
    names: list[str] = Field([], description="whose")
    from_: str = Field("x", alias="from", description="where it begins")


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**catalogue(), "own_fault": OwnFault}
    monkeypatch.setattr(fault_facts, "catalogue", lambda: known)
    monkeypatch.setattr(manual, "fault_catalogue", lambda: known)


def printed(renderable: RenderableType) -> str:
    console = Console(width=400, file=io.StringIO(), record=True)
    console.print(renderable)
    return console.export_text()


def test_parameters_say_what_may_be_written_with_their_units() -> None:
    assert {one.name: (one.needed, one.form, one.says) for one in facts_of(OwnFault).parameters} == {
        "part": ("default none", "share, at least 10%, at most 50%", "how much"),
        "wait": ("default 1m30s", "duration, more than 1s", "how long, such as 90s"),
        "kind": ("default a", "`a`, `b` or `c`", "which"),
        "loud": ("default true", "`true` or `false`", "whether it is heard"),
        "factor": ("required", "number, at least 1", "how many times"),
        "count": ("default 3", "whole number", "how many"),
        "value": ("default none", "text, number, `true` or `false`", "what"),
        "names": ("default []", "list", "whose"),
        "from": ("default x", "text", "where it begins"),
    }


def test_the_page_says_everything_of_a_fault_that_somebody_added() -> None:
    page = fault_page.page()
    section = page[page.index("### own_fault") :]
    assert section.startswith(
        "### own_fault\n\nWhat a fault's file says reaches the page and the terminal.\n\nIn real life: somebody adds one.\n\n"
        "It does what it says.\n\nOthers pass.\n\n"
        "- It happens in what the run's own load sends.\n- It needs an experiment with `load:`, and a language model"
    )
    assert (
        "- Must catch it: an alert | or two.\n- Must stay quiet: another.\n- Blind spot: Nobody looks there.\n"
        in section
    )
    assert "```yaml\nfaults:\n- {fault: own_fault, target: m}\n  # it happens\n```" in section
    assert "refused" not in section
    assert "an alert \\| or two | another |" in page  # in a table
    assert page.index("## Of our own") > page.index("## Containers")


def test_the_terminal_says_the_same() -> None:
    told = printed(manual.explain_fault("own_fault"))
    facts = facts_of(OwnFault)
    for text in (
        facts.what,
        facts.needs,
        *facts.real_life,
        *facts.does,
        *facts.notes,
        facts.must,
        facts.quiet,
        facts.blind,
    ):
        assert text in told
    for parameter in facts.parameters:
        assert all(text in told for text in (parameter.name, parameter.needed, parameter.form, parameter.says))


def test_the_terminal_explains_and_lists_every_fault_of_the_catalogue() -> None:
    explained = {name: printed(manual.explain_fault(name)) for name in catalogue()}
    assert all(text.startswith(f"{name}: ") for name, text in explained.items())
    listed = printed(manual.list_faults())
    assert all(f"\n{name} " in listed for name in [*catalogue(), "own_fault"])
