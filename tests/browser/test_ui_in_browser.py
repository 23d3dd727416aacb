"""The pages of `chaos ui` in a real browser, from a real server; the run in them only seems to go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.app.ui.serving import FOLDER, RUN, Served, going_on, lines, over, served, until
from tests.browser.pages import opened

pytestmark = pytest.mark.browser
EXPERIMENTS = Path(__file__).parents[2] / "experiments"
PATHS = (
    "/",
    f"/runs/{FOLDER}",
    "/runs/20261127-000000-past-12345678",
    "/experiments",
    "/plan?file=quickstart.yaml",
    "/coverage",
    "/history",
    "/calendar",
)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Served]:
    """A server with one run that goes on, one that is over, one that is broken, and a few files."""
    over(tmp_path / "runs", "20261127-000000-past-12345678")
    (over(tmp_path / "runs", "20261127-000000-broken-12345678") / "journal.jsonl").write_text("{}\n")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "catalogue").mkdir()
    for name in ("quickstart.yaml", "gameday.yaml", "delay.yaml", "catalogue/biased_outputs.yaml"):
        (tmp_path / "experiments" / name).write_text((EXPERIMENTS / name).read_text())
    with going_on(tmp_path, "".join(lines()[:100])), served(tmp_path, enter=False) as it:
        yield it


def entrance(at: Served) -> str:
    return f"{at.address}/enter?token={at.ui.access.token()}"


@pytest.mark.parametrize(("width", "colours"), [(1200, "light"), (390, "dark")])
def test_every_page_can_be_read_fits_and_asks_nobody_else(
    browser: Browser, at: Served, width: int, colours: str
) -> None:
    with opened(browser, entrance(at), width=width, colours=colours) as seen:  # type: ignore[arg-type]
        assert "token" not in seen.page.url
        for path in PATHS:
            seen.page.goto(at.address + path)
            for fold in seen.page.locator("details").all():
                fold.evaluate("fold => { fold.open = true; }")
            if path in PATHS[:2]:
                expect(seen.page.locator("[data-now] .lead")).to_be_visible()
            assert (path, seen.weak(), seen.overflow()) == (path, [], 0)
            unnamed = seen.page.evaluate(
                "[...document.querySelectorAll('button,a,input:not([type=hidden]),iframe')]"
                ".filter(one => !(one.textContent.trim() || one.title || one.ariaLabel || one.labels?.length)).length"
            )
            assert (path, unnamed) == (path, 0)
        assert [one for one in seen.asked if not one.startswith((at.address, "data:"))] == []
        assert seen.said == []


def test_a_run_moves_on_the_page_as_its_journal_grows(browser: Browser, at: Served, tmp_path: Path) -> None:
    with opened(browser, f"{entrance(at)}") as seen:
        seen.page.goto(f"{at.address}/runs/{FOLDER}")
        now = seen.page.locator("[data-now]")
        expect(now).to_contain_text("preflight: the plan is accepted")
        expect(now).not_to_contain_text("oncall was told")
        with (tmp_path / "runs" / FOLDER / "journal.jsonl").open("a") as file:
            file.write("".join(lines()[100:-40]))
        expect(now).to_contain_text("oncall was told: ModelAccuracyLow is firing", timeout=15_000)


@pytest.mark.parametrize(
    ("path", "button"),
    [(f"/runs/{FOLDER}", "Stop this run"), ("/coverage", "Stop everything")],
    ids=["run", "everything"],
)
def test_no_stop_waits_behind_windows_that_watch(browser: Browser, at: Served, path: str, button: str) -> None:
    with opened(browser, entrance(at)) as seen:
        seen.page.goto(at.address + path)
        for _ in range(6 if path == "/coverage" else 5):  # a browser has six connections to one server
            watching = seen.page.context.new_page()
            watching.goto(f"{at.address}/runs/{FOLDER}", wait_until="load")
            expect(watching.locator("[data-now] .lead")).to_be_visible()
        until(lambda: at.ui.tails.viewers() == 6, "not every window watches")
        seen.page.get_by_role("button", name=button).click(no_wait_after=True)
        expect(seen.page.get_by_text("everything is undone")).to_be_visible(timeout=10_000)
    assert at.ui.kept.state.run(RUN).stop_asked() is not None


def test_a_hidden_window_holds_no_connection_and_goes_on_once_it_is_seen(browser: Browser, at: Served) -> None:
    with opened(browser, entrance(at)) as seen:
        seen.page.goto(f"{at.address}/runs/{FOLDER}")
        for hidden in (True, False):
            seen.page.evaluate(
                "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
                " document.dispatchEvent(new Event('visibilitychange')); }",
                hidden,
            )
            until(lambda wanted=0 if hidden else 1: at.ui.tails.viewers() == wanted, f"{hidden=}")  # type: ignore[misc]


def test_a_run_that_ends_while_a_form_is_answered_does_not_take_the_answer_away(browser: Browser, at: Served) -> None:
    run = at.ui.kept.state.run(RUN)
    run.note("issued", "delay@model")  # whoever stops waits until it is undone
    with opened(browser, entrance(at)) as seen:
        beside = seen.page.context.new_page()
        beside.goto(f"{at.address}/coverage")
        seen.page.goto(f"{at.address}/runs/{FOLDER}")
        expect(seen.page.locator("[data-now] .lead")).to_be_visible()
        seen.page.evaluate(  # its clock stands until the window beside it says that all is due
            """() => {
              const due = [];
              window.setTimeout = (act) => due.push(act);
              new BroadcastChannel("clock").onmessage = () => { due.forEach(act => act()); navigator.sendBeacon("/due"); };
              source.dispatchEvent(new Event("over"));
            }"""
        )
        with seen.page.expect_request("**/stop-everything"):
            seen.page.get_by_role("button", name="Stop everything").click(no_wait_after=True)
        with seen.page.expect_request("**/due"):
            beside.evaluate("new BroadcastChannel('clock').postMessage('')")
        run.note("undone", "delay@model")
        expect(seen.page.get_by_role("heading", name="Stopped")).to_be_visible()


def test_the_page_of_a_run_is_loaded_anew_when_the_run_is_over(browser: Browser, at: Served, tmp_path: Path) -> None:
    with opened(browser, entrance(at)) as seen:
        address = f"{at.address}/runs/{FOLDER}"
        seen.page.goto(address)
        expect(seen.page.locator("[data-now] .lead")).to_be_visible()
        with (tmp_path / "runs" / FOLDER / "journal.jsonl").open("a") as file:
            file.write("".join(lines()[100:]))
        with seen.page.expect_navigation(url=address):
            pass


def test_without_script_a_run_is_seen_and_can_be_stopped_by_the_keyboard(
    browser: Browser, at: Served, tmp_path: Path
) -> None:
    with opened(browser, entrance(at), scripts=False) as seen:
        seen.page.goto(f"{at.address}/runs/{FOLDER}")
        expect(seen.page.locator("[data-now]")).to_contain_text("preflight: the plan is accepted")
        seen.page.get_by_role("button", name="Stop this run").focus()
        seen.page.keyboard.press("Enter")
        expect(seen.page.get_by_text("everything is undone")).to_be_visible()
    assert at.ui.kept.state.run(RUN).stop_asked() is not None


def test_a_report_from_somebody_else_can_stop_nothing(browser: Browser, at: Served, tmp_path: Path) -> None:
    evil = f"""<h1>before</h1><script>
      document.querySelector("h1").textContent = "it ran";
      fetch("{at.address}/", {{credentials: "include"}}).then(a => a.text()).then(t => document.title = t, () => document.title = "refused");
      fetch("{at.address}/stop-everything", {{method: "POST", credentials: "include"}}).catch(() => 0);
    </script>"""
    (tmp_path / "runs" / "20261127-000000-past-12345678" / "report.html").write_text(evil)
    with opened(browser, entrance(at)) as seen:
        seen.page.goto(f"{at.address}/runs/20261127-000000-past-12345678/report.html")
        expect(seen.page.locator("h1")).to_have_text("it ran")
        expect(seen.page).to_have_title("refused")
    assert at.ui.kept.state.blocked() is None


def test_a_stop_waits_behind_no_stream_however_many_pages_are_open(browser: Browser, at: Served) -> None:
    with opened(browser, entrance(at)) as seen:
        pages = [seen.page, *(seen.page.context.new_page() for _ in range(5))]
        for page in pages:  # as many as a browser has connections for a server
            page.goto(at.address)
            expect(page.locator("[data-now] .lead")).to_be_visible()
        pages[-1].get_by_role("button", name=f"Stop {RUN}").click()
        expect(pages[-1].get_by_text("everything is undone")).to_be_visible(timeout=15_000)
