"""The page, end to end: a browser starts a run in the lab, watches it, stops it, and reads its report."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import browser
from tests.browser.pages import opened
from tests.system.labs import EXPERIMENTS, Work, hurried

__all__ = ["browser"]
pytestmark = [pytest.mark.system, pytest.mark.browser]
LONG_MS = 90_000


@pytest.fixture
def page_server(process_lab: Work) -> Iterator[str]:
    """`chaos ui` on the lab; the address that lets a browser in."""
    (process_lab.folder / "experiments").mkdir(exist_ok=True)
    # Pictures show the experiment as it is shipped.
    shipped = "CHAOS_SHOTS" in os.environ
    text = (EXPERIMENTS / "quickstart.yaml").read_text() if shipped else hurried("quickstart")
    (process_lab.folder / "experiments" / "quick.yaml").write_text(text)
    server = subprocess.Popen(
        [sys.executable, "-m", "chaos", "ui", "--no-browser", "--system", process_lab.name],
        cwd=process_lab.folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0


def shot(page: object, name: str) -> None:
    """For the docs: `CHAOS_SHOTS=FOLDER` keeps what a person sees."""
    if folder := os.environ.get("CHAOS_SHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"))  # type: ignore[attr-defined]


def test_a_run_is_started_watched_stopped_and_read(browser: Browser, process_lab: Work, page_server: str) -> None:
    process_lab.quiet()
    with opened(browser, page_server, height=1000) as seen:
        page = seen.page
        assert "token" not in page.url
        page.get_by_role("link", name="Experiments").click()
        page.get_by_role("link", name="wrong-predictions-page-the-on-call").click()
        expect(page.get_by_role("heading", name="What would happen")).to_be_visible(timeout=LONG_MS)
        shot(page, "ui-plan")
        page.get_by_label(re.compile("Hurt .*10% of synthetic subjects")).check()
        page.get_by_role("button", name="Start this run").click()
        page.wait_for_url(re.compile("/runs/.*wrong-predictions"), timeout=LONG_MS)
        run = page.url.rpartition("/")[2]
        live = page.locator("[data-now]")
        expect(live).to_contain_text("The fault is on", timeout=LONG_MS)
        expect(live).to_contain_text("the first proven effect", timeout=LONG_MS)
        expect(live).to_contain_text("ModelAccuracyLow")
        assert (seen.weak(), seen.overflow()) == ([], 0)
        shot(page, "ui-live")
        page.get_by_role("button", name="Stop this run").click()
        expect(page.get_by_text("everything is undone")).to_be_visible(timeout=LONG_MS)
        page.get_by_role("link", name="Go on").click()
        # By its folder: another run of the same experiment may be over already.
        over = page.locator(f'#over a[href="/runs/{run}"]')
        for _ in range(60):
            if over.count():
                break
            page.wait_for_timeout(500)
            page.reload()
        over.click()
        expect(page.locator(".stamp")).to_contain_text("interrupted")
        report = page.frame_locator("iframe").locator("h1")
        expect(report).to_contain_text("wrong-predictions-page-the-on-call", timeout=LONG_MS)
        page.get_by_role("link", name="Read the whole report").click()
        expect(page.locator("h1")).to_contain_text("wrong-predictions-page-the-on-call")
        assert [one for one in seen.asked if not one.startswith(page_server.split("/enter", maxsplit=1)[0])] == []
