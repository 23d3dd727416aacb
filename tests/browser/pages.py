"""Pages opened in a real browser, with what they asked for and complained about, and the contrast of every text that is seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page

CONTRAST = (Path(__file__).parent / "contrast.js").read_text()


@dataclass
class Opened:
    """A page in the browser. `asked` are the addresses it wanted besides its own, `said` what it wrote on its console."""

    page: Page
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def weak(self, least: float = 4.5) -> list[str]:
        """Every visible text whose colour has less contrast than this to what is painted behind it, in words; also inside SVG."""
        return [str(one) for one in self.page.evaluate(CONTRAST, least)]

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@contextmanager
def opened(
    browser: Browser,
    address: str,
    *,
    width: int = 1200,
    height: int = 900,
    colours: Literal["light", "dark"] = "light",
    media: Literal["screen", "print"] = "screen",
    scripts: bool = True,
    touch: bool = False,
) -> Iterator[Opened]:
    """The page at this address (`file:` too) in a window of its own."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=colours, java_script_enabled=scripts, has_touch=touch, reduced_motion="reduce"
    )  # fmt: skip
    page = context.new_page()
    seen = Opened(page)
    page.on("request", lambda request: seen.asked.append(request.url) if request.url != address else None)
    page.on("console", lambda message: seen.said.append(message.text))
    page.on("pageerror", lambda error: seen.said.append(str(error)))
    page.emulate_media(media=media, color_scheme=colours)
    page.goto(address)
    yield seen
    context.close()
