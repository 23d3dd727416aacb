"""The page about one run, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.pages import opened
from tests.report.report_pages import real_run, rendered

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(rendered(real_run()))
    return path.as_uri()


def test_the_page_asks_for_nothing_and_complains_of_nothing(browser: Browser, address: str) -> None:
    with opened(browser, address) as seen:
        seen.page.wait_for_load_state("networkidle")
        assert (seen.asked, seen.said) == ([], [])


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(browser: Browser, address: str, colours: str) -> None:
    with opened(browser, address, colours=colours) as seen:  # type: ignore[arg-type]
        assert seen.weak() == []
