"""The coverage matrix and a sweep's page, which stand on the same base as the report, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

from chaos.report import coverage, sensitivity
from tests.browser.pages import opened
from tests.report.test_coverage_view import CAUGHT, found
from tests.report.test_sensitivity_view import FOUND, GRID

pytestmark = pytest.mark.browser


@pytest.fixture(params=["coverage", "sensitivity"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    path = tmp_path / "page.html"
    if request.param == "coverage":
        path.write_text(coverage.page(found(CAUGHT), "the lab"))
    else:
        path.write_text(sensitivity.page(FOUND, GRID, {"AccuracyLow": 60.0}))
    return path.as_uri()


@pytest.mark.parametrize("width", [1200, 390], ids=["page", "phone"])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_page_holds_in_every_light_and_on_every_width(
    browser: Browser, address: str, colours: Literal["light", "dark"], width: int
) -> None:
    with opened(browser, address, width=width, colours=colours) as seen:
        seen.page.wait_for_load_state("networkidle")
        assert (seen.asked, seen.said, seen.overflow(), seen.weak()) == ([], [], 0, [])


def test_on_paper_the_page_is_not_cut(browser: Browser, address: str) -> None:
    with opened(browser, address, width=688, media="print") as seen:
        assert seen.overflow() == 0
