"""The page about one run, in a real browser: what it asks for, who can read it, and what its cursor reads out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

from chaos.events import GuardBreached, Observed, State, StopRequested
from chaos.journal import Line
from chaos.judging.trace import trace
from chaos.observation import AlertSeen, AlertsRead
from tests.browser.pages import opened
from tests.report.report_pages import inserted, planned, real_run, rendered

pytestmark = pytest.mark.browser

HOSTILE = """x"'></title></style></svg><script>alert(1)</script><img src=//evil.example onerror=alert(2)>"""
Colours = Literal["light", "dark"]


@pytest.fixture(scope="module")
def confirmed() -> list[Line]:
    return real_run()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, confirmed: list[Line]) -> str:
    path: Path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(rendered(confirmed))
    assert path.stat().st_size < 1_500_000
    return path.as_uri()


def test_the_page_asks_for_nothing_and_complains_of_nothing(browser: Browser, address: str) -> None:
    with opened(browser, address) as seen:
        seen.page.wait_for_load_state("networkidle")
        assert (seen.asked, seen.said) == ([], [])


# --- for everyone -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1200, 390], ids=["page", "phone"])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(
    browser: Browser, address: str, colours: Colours, width: int
) -> None:
    with opened(browser, address, colours=colours, width=width) as seen:
        seen.page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
        seen.page.locator("input[type=range]").focus()
        assert seen.weak() == []


def test_the_measure_of_contrast_finds_what_is_weak(browser: Browser, address: str) -> None:
    with opened(browser, address) as seen:
        seen.page.add_style_tag(content=".lead{color:#9a9a9a!important}.picture .wide text{fill:#bbb!important}")
        weak = seen.weak()
        assert any("Every expectation was met" in one for one in weak)
        assert any("baseline" in one for one in weak)


def test_dark_is_dark_and_light_is_light(browser: Browser, address: str) -> None:
    grounds = []
    for colours in ("light", "dark"):
        with opened(browser, address, colours=colours) as seen:  # type: ignore[arg-type]
            grounds.append(
                seen.page.evaluate(
                    "['body', '.card', '.picture .wide path'].map(one => getComputedStyle(document.querySelector(one)))"
                    ".map(style => style.backgroundColor + style.color)"
                )
            )
    assert all(light != dark for light, dark in zip(*grounds, strict=True))


def test_a_phone_shows_all_of_it_without_scrolling_sideways(browser: Browser, address: str) -> None:
    with opened(browser, address, width=390, height=844, touch=True) as seen:
        assert seen.overflow() == 0
        assert seen.page.locator("svg.tall").first.is_visible()
        assert not seen.page.locator("svg.wide").first.is_visible()
        widest = seen.page.locator(".timeline svg.tall").bounding_box()
        assert widest is not None
        assert widest["x"] >= 0
        assert widest["x"] + widest["width"] <= 390
        small = seen.page.locator(".timeline svg.tall text").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().height)"
        )
        assert min(small) >= 10  # pixels: words that one can read


@pytest.mark.parametrize("width", [1200, 390], ids=["page", "phone"])
def test_no_words_of_a_drawing_are_cut_off(browser: Browser, address: str, width: int) -> None:
    with opened(browser, address, width=width) as seen:
        cut = seen.page.locator(".picture svg").evaluate_all(
            """all => all.filter(svg => svg.clientWidth).flatMap(svg => {
                 const frame = svg.getBoundingClientRect();
                 return [...svg.querySelectorAll("text")].filter(one => {
                   const box = one.getBoundingClientRect();
                   return box.left < frame.left - 2 || box.right > frame.right + 2;
                 }).map(one => one.textContent);
               })"""
        )
        assert cut == []


def test_on_paper_nothing_is_cut_and_everything_is_there(browser: Browser, address: str) -> None:
    with opened(browser, address, width=688, media="print") as seen:  # A4 between its margins
        assert seen.overflow() == 0
        assert seen.page.locator("svg.wide").first.is_visible()
        assert not seen.page.locator("nav").is_visible()
        assert not seen.page.locator("input[type=range]").is_visible()
        hidden = seen.page.locator(".scroll").evaluate_all(
            "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).length"
        )
        assert hidden == 0
        paper = seen.page.pdf(format="A4")
        assert 3 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 15


def test_without_scripts_every_finding_and_every_picture_is_there(
    browser: Browser, address: str, confirmed: list[Line]
) -> None:
    from chaos.judging import judge

    with opened(browser, address, scripts=False) as seen:
        said = " ".join(seen.page.locator("body").inner_text().split())
        for finding in judge(confirmed).findings:
            assert finding.question in said
        assert seen.page.locator(".timeline svg.wide").is_visible()
        assert not seen.page.locator("input[type=range]").is_visible()
        seen.page.locator("summary").first.click()
        assert seen.page.locator("details dl").first.is_visible()


# --- the cursor -------------------------------------------------------------------------------------------------------


def readout(seen_text: str, lane: str) -> str:
    """What stands beside the name of this lane."""
    lines = [one.strip() for one in seen_text.splitlines() if one.strip()]
    return lines[lines.index(lane) + 1]


def test_the_pointer_reads_the_value_that_the_journal_has(
    browser: Browser, address: str, confirmed: list[Line]
) -> None:
    seen_run = trace(confirmed)
    zero = seen_run.first_effect()
    samples = seen_run.series("probe:accuracy")[0].samples
    assert zero is not None
    at, value = min(samples, key=lambda one: abs(one[0] - zero - 20.0))
    with opened(browser, address) as seen:
        place = seen.page.evaluate("JSON.parse(document.getElementById('timeline-data').textContent)")
        drawing = place["drawings"]["wide"]
        svg = seen.page.locator(".timeline svg.wide")
        box = svg.bounding_box()
        assert box is not None
        share = (at - zero - place["start"]) / (place["end"] - place["start"])
        x = (drawing["left"] + share * (drawing["right"] - drawing["left"])) / drawing["width"] * box["width"]
        svg.hover(position={"x": x, "y": 150})
        text = seen.page.locator(".readout").inner_text()
        assert text.startswith(("20.", "19."))
        assert readout(text, "accuracy") == f"{round(value * 100, 2):g}%"
        assert readout(text, "wrong_predictions") == "on"
        seen.page.mouse.move(0, 0)
        assert not seen.page.locator(".readout").is_visible()


def test_keys_alone_reach_the_cursor_move_it_and_hear_its_values(browser: Browser, address: str) -> None:
    with opened(browser, address) as seen:
        slider = seen.page.locator("input[type=range]")
        for _ in range(40):
            seen.page.keyboard.press("Tab")
            if slider.evaluate("one => one === document.activeElement"):
                break
        before = slider.get_attribute("aria-valuetext") or ""
        assert before.startswith("0.0 s after the first effect")
        assert "availability 100%" in before
        for _ in range(10):
            seen.page.keyboard.press("ArrowRight")
        seen.page.keyboard.press("PageUp")
        after = slider.get_attribute("aria-valuetext") or ""
        moved = float(after.split(" s ")[0])
        assert moved == pytest.approx(20 * 86 / 200, abs=1.0)
        assert seen.page.locator(".readout").is_visible()
        line = seen.page.locator(".timeline svg.wide .cursor")
        assert line.evaluate("one => getComputedStyle(one).display") != "none"


def test_keys_alone_open_the_evidence_and_the_journal(browser: Browser, address: str) -> None:
    with opened(browser, address) as seen:
        for place in (0, -1):
            summary = seen.page.locator("summary").nth(place)
            summary.focus()
            seen.page.keyboard.press("Enter")
            assert seen.page.locator("details").nth(place).evaluate("one => one.open")
        outlined = summary.evaluate("one => getComputedStyle(one).outlineStyle")
        assert outlined == "solid"
        lines = seen.page.locator("#journal pre").inner_text().splitlines()
        assert lines[0].startswith('{"sequence":1,')


def test_a_tap_on_a_phone_reads_values_below_the_drawing(browser: Browser, address: str) -> None:
    with opened(browser, address, width=390, height=844, touch=True) as seen:
        seen.page.locator(".timeline svg.tall").tap(position={"x": 250, "y": 150})
        assert seen.page.locator(".readout").is_visible()
        assert "accuracy" in seen.page.locator(".readout").inner_text()
        assert seen.overflow() == 0


# --- hostile and odd --------------------------------------------------------------------------------------------------


def test_what_the_system_said_runs_nothing_and_asks_for_nothing(
    browser: Browser, confirmed: list[Line], tmp_path: Path
) -> None:
    plan = trace(confirmed).plan
    probes = tuple(replace(probe, title=probe.title + HOSTILE) for probe in plan.probes)
    odd = planned(confirmed, experiment=HOSTILE, description=HOSTILE, system=HOSTILE, probes=probes, seed=HOSTILE)
    zero = trace(confirmed).first_effect()
    assert zero is not None
    alert = Observed(AlertsRead(zero + 5.0, (AlertSeen(HOSTILE, {"alertname": HOSTILE}, "firing", zero),)))
    path = tmp_path / "report.html"
    path.write_text(rendered(inserted(odd, State.undo, alert, GuardBreached(HOSTILE, HOSTILE), StopRequested(HOSTILE))))
    with opened(browser, path.as_uri()) as seen:
        seen.page.on("dialog", lambda dialog: seen.said.append(dialog.message))
        seen.page.locator("input[type=range]").fill("5.5")
        seen.page.wait_for_load_state("networkidle")
        assert (seen.asked, seen.said) == ([], [])
        assert "<script>alert(1)</script>" in seen.page.locator(".readout").inner_text()
        assert seen.page.locator("img").count() == 0


def test_a_run_that_ended_at_once_has_a_page_that_holds(
    browser: Browser, confirmed: list[Line], tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(rendered(confirmed[:1]))
    with opened(browser, path.as_uri(), width=390) as seen:
        seen.page.locator("input[type=range]").focus()
        assert (seen.asked, seen.said, seen.overflow(), seen.weak()) == ([], [], 0, [])
