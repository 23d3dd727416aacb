"""Lines that fit: nothing is lost, nothing is wider than it must be, and what goes on is indented."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chaos.folded import HANGING, folded

WORDS = st.lists(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=15), min_size=1)


@given(words=WORDS, width=st.integers(30, 120))
def test_folding_keeps_every_word_and_no_line_is_wider(words: list[str], width: int) -> None:
    lines = folded(" ".join(words), width).split("\n")
    assert " ".join(lines).split() == words
    assert all(len(line) <= width for line in lines)
    assert all(line.startswith(HANGING) for line in lines[1:])


def test_what_fits_stays_as_it_is() -> None:
    assert folded("a  b   c", 8) == "a  b   c"


def test_what_goes_on_is_indented_more_than_its_line() -> None:
    assert folded("  - aaa bbb", 9) == "  - aaa\n      bbb"


def test_what_stands_between_backticks_stays_together_where_it_fits() -> None:
    assert folded("write `a b c d` now", 14) == "write\n    `a b c d`\n    now"
    assert folded("write `a b c d` now", 12) == "write `a b c\n    d` now"


def test_a_word_that_is_wider_than_a_line_stays_whole() -> None:
    assert folded("see https://example.org/a/long/path now", 20) == "see\n    https://example.org/a/long/path\n    now"
