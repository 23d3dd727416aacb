"""docs/interop.md has what `make interop` tries, and a run that could not try everything says so instead of writing it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.interop import environments
from tests.interop.cases import CASES, SUBJECTS, Case, hurt
from tests.interop.environments import NotInstalled, environment
from tests.interop.matrix import CHECKS, PAGE, Results, cell, checks

ROWS = re.findall(r"^\| (\S+) (\S+?)(,[^|]*)? \| (\S+) \S+ \| ([^|]+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
CELLS = {
    (server + variant, client, protocol): dict(zip(CHECKS, cells.split(" | "), strict=True))
    for server, _, variant, client, protocol, cells in ROWS
}


def tried(outcome: str = "") -> Results:
    """The results of a run in which every check came out like this."""
    return Results({(case.name, check): outcome for case in CASES for check in checks(case)})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace("×", "-"))
def test_every_cell_is_in_the_page_and_holds_where_it_applies(case: Case) -> None:
    wanted = {check: cell(tried(), case, check) for check in CHECKS}
    assert CELLS[case.server, case.client, case.protocol] == wanted, "run `make interop`"


def test_the_page_has_nothing_that_is_not_tried() -> None:
    assert set(CELLS) == {(case.server, case.client, case.protocol) for case in CASES}


def test_a_cell_that_was_not_tried_leaves_the_matrix_incomplete() -> None:
    results = tried()
    assert results.whole()
    del results.outcomes[CASES[0].name, "idle"]
    assert not results.whole()


def test_a_failed_check_is_no_ok_even_where_the_fault_does_not_apply() -> None:
    failed = tried("why")
    assert {cell(failed, case, check) for case in CASES for check in checks(case)} == {"**failed**: why"}


def test_the_seed_selects_some_users_and_not_others() -> None:
    assert {hurt(subject) for subject in SUBJECTS} == {True, False}


def test_what_cannot_be_installed_is_told_in_one_sentence_and_not_tried_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    monkeypatch.setitem(environments.NEEDS, "server", ("./nowhere",))
    with pytest.raises(NotInstalled, match=r"\A\./nowhere cannot be installed: .*nowhere.*\Z") as first:
        environment("server")
    assert "\n" not in str(first.value)
    with pytest.raises(NotInstalled) as second:
        environment("server")
    assert second.value is first.value
    assert not environments.installed("server")
