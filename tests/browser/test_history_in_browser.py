"""The page of many runs and the page of two, in a real browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from chaos.history import histories
from chaos.history.compared import compare
from chaos.report import compared, history
from tests.browser.pages import opened
from tests.history.test_compared import SIDE, VERDICT, later
from tests.history.test_histories import after
from tests.judging.journals import Story

pytestmark = pytest.mark.browser
DAY_S = 86400.0


def many() -> str:
    """A page with times, misses, late ones, something slower, and a folder that could not be read."""
    runs = []
    for place in range(1, 24):
        told_s = None if place in (5, 12) else 30.0 + place % 3 + (20.0 if place > 18 else 0.0)
        run = replace(after(place, told_s), started_wall_s=1.79e9 + place * 3 * DAY_S)
        if place == 21:
            run = replace(run, verdict="late", alerts=(replace(run.alerts[0], outcome="late", told_after_s=70.0),))
        if place in (5, 12):
            run = replace(run, verdict="undetected")
        runs.append(replace(run, verdict="inconclusive") if place == 9 else run)
    return history.page(histories(runs), [("20260101-broken", "cut in its middle")], 1.8e9, "runs/")


def two() -> str:
    lines = Story().lines()
    found = compare(SIDE, replace(later(8.0), experiment="name: quick\nblast_radius: {traffic: 50%}\n"))
    return compared.page(found, (VERDICT, lines), (VERDICT, lines))


@pytest.fixture(scope="module", params=[many, two], ids=["history", "compare"])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(request.param())
    return path.as_uri()


def test_the_page_asks_for_nothing_and_complains_of_nothing(browser: Browser, address: str) -> None:
    with opened(browser, address) as seen:
        seen.page.wait_for_load_state("networkidle")
        assert (seen.asked, seen.said) == ([], [])


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(browser: Browser, address: str, colours: str) -> None:
    with opened(browser, address, colours=colours) as seen:  # type: ignore[arg-type]
        assert seen.weak() == []


@pytest.mark.parametrize("width", [360, 1200])
def test_no_page_is_wider_than_its_window(browser: Browser, address: str, width: int) -> None:
    with opened(browser, address, width=width, touch=width < 500) as seen:
        assert seen.overflow() <= 0


@pytest.mark.parametrize(("width", "shown"), [(360, "tall"), (1200, "wide")])
def test_one_picture_of_the_weeks_is_shown_and_its_dots_lead_to_reports(
    browser: Browser, tmp_path: Path, width: int, shown: str
) -> None:
    path = tmp_path / "history.html"
    path.write_text(many())
    with opened(browser, path.as_uri(), width=width) as seen:
        pictures = seen.page.locator("figure.picture svg")
        visible = [one.get_attribute("class") for one in pictures.all() if one.is_visible()]
        assert visible == [shown]
        links = seen.page.locator(f"svg.{shown} a")
        assert links.count() == 23
        assert links.first.get_attribute("href") == "runs/f-1/report.html"
