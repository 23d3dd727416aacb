"""A real browser for tests of pages: Debian's Chromium, driven by Playwright, which brings no browser of its own here.

    def test_…(browser: Browser) -> None:
        with opened(browser, page_of_text, width=390) as page: ...

`opened` (tests/browser/pages.py) also says what the page asked the network for, and what it said on its console.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def executable() -> str:
    """Where Chromium is. Fails the test with the command that installs it; nothing is skipped."""
    found = next((path for name in NAMES if (path := shutil.which(name)) is not None), None)
    if found is None:
        pytest.fail(
            "these tests open pages in Chromium, which was not found: run `scripts/browser` (Debian: apt install chromium-headless-shell)"
        )
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without a window, for the tests of one module. Root may not use its sandbox."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable(), chromium_sandbox=os.getuid() != 0)
        yield started
        started.close()
