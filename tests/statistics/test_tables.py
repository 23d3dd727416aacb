"""The tables of docs/detection.md are those that the code makes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.statistics.__main__ import BEGIN, END, RUNS
from benchmarks.statistics.scenarios import ALIKE
from benchmarks.statistics.tables import SECTIONS, smallest, with_tables

PAGE = (Path(__file__).parents[2] / "docs" / "detection.md").read_text()
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def test_the_page_holds_every_table_of_enough_runs() -> None:
    made = PAGE.partition(BEGIN)[2].partition(END)[0]
    assert re.findall(r"^#### (.*)$", made, re.MULTILINE) == list(SECTIONS)
    told = re.search(r"^([\d,]+) runs a cell", made, re.MULTILINE)
    assert told is not None
    assert int(told[1].replace(",", "")) >= 2_000
    assert all(f"| {one.title} |" in made for one in ALIKE)


def test_a_table_that_is_made_again_says_the_same() -> None:
    """To three points, so that another numpy's numbers by chance do no harm."""
    written = PAGE.partition("#### The smallest change that is found\n\n")[2].partition("\n\n")[0]
    made = smallest(RUNS)
    assert NUMBER.sub("", made) == NUMBER.sub("", written)
    for now, then in zip(NUMBER.findall(made), NUMBER.findall(written), strict=True):
        assert float(now) == pytest.approx(float(then), abs=3.0)


def test_a_page_without_a_place_is_refused() -> None:
    assert with_tables(f"a{BEGIN}old{END}z", "new", BEGIN, END) == f"a{BEGIN}\n\nnew\n\n{END}z"
    with pytest.raises(ValueError, match="no lines"):
        with_tables("a page", "new", BEGIN, END)
