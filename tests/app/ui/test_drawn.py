"""Pages that are drawn from every run."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from chaos.app.ui.drawn import Drawn
from chaos.app.ui.kept import Kept
from chaos.drivers.state import State
from tests.app.ui.serving import over


def test_a_page_is_drawn_anew_once_what_it_shows_has_changed_and_not_before() -> None:
    drawn, pages = Drawn(), iter(["first", "second"])

    async def said() -> list[str]:
        return [await drawn.page("history", lambda seen=seen: seen, lambda: next(pages)) for seen in (1, 1, 2, 2)]

    assert asyncio.run(said()) == ["first", "first", "second", "second"]


def test_two_pages_are_never_drawn_at_once() -> None:
    drawn, both = Drawn(), threading.Barrier(2)

    def draw() -> str:
        try:
            both.wait(0.3)
        except threading.BrokenBarrierError:
            return "alone"
        return "beside another"

    async def said() -> list[str]:
        return await asyncio.gather(*(drawn.page(str(number), lambda: 0, draw) for number in range(2)))

    assert asyncio.run(said()) == ["alone", "alone"]


def test_a_page_whose_drawing_failed_is_tried_again() -> None:
    drawn = Drawn()

    async def said() -> str:
        try:
            await drawn.page("coverage", lambda: 0, lambda: str(1 // 0))
        except ZeroDivisionError:
            return await drawn.page("coverage", lambda: 0, lambda: "drawn")
        return "nothing was raised"

    assert asyncio.run(said()) == "drawn"


def test_a_run_that_is_added_or_judged_is_seen(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "runs", State(tmp_path / "state"))
    before = kept.seen()
    folder = over(tmp_path / "runs")
    added = kept.seen()
    (folder / "verdict.json").write_text("{}")
    assert len({before, added, kept.seen()}) == 3
