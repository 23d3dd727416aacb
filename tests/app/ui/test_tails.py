"""Live runs by server-sent events: a real server, real connections."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from itertools import takewhile
from pathlib import Path

import pytest

from chaos.app.ui.tails import LONGEST_LINE, MOST_BYTES, JournalTail, Tail, Tails
from chaos.journal import BrokenJournal
from tests.app.ui.serving import FOLDER, going_on, lines, served, until

EVENTS = f"/runs/{FOLDER}/events"


def test_a_viewer_sees_the_run_go_on_to_its_end(tmp_path: Path) -> None:
    rows = lines()
    with going_on(tmp_path, "".join(rows[:60])) as journal, served(tmp_path) as at:
        said = (one for one in at.events(EVENTS) if one.get("event"))
        first = next(said)
        assert first["id"] == "60"
        assert "Warming up" in first["data"]
        with journal.open("a") as file:
            file.write("".join(rows[60:]))
        *_, last, end = said
        assert end["event"] == "over"
        assert "oncall was told: ModelAccuracyLow is firing" in last["data"]
        assert "This run is over" in last["data"]


def test_a_line_that_is_cut_in_its_middle_counts_once_it_is_whole(tmp_path: Path) -> None:
    rows = lines()
    cut = rows[60][:40]
    with going_on(tmp_path, "".join(rows[:60]) + cut) as journal, served(tmp_path) as at:
        said = (one for one in at.events(EVENTS) if one.get("event"))
        assert next(said)["id"] == "60"
        with journal.open("a") as file:
            file.write(rows[60][40:])
        following = next(said)
        assert (following["event"], following["id"]) == ("now", "61")


def test_two_viewers_share_one_reader_which_ends_when_both_have_gone(tmp_path: Path) -> None:
    with going_on(tmp_path, "".join(lines()[:60])), served(tmp_path) as at:
        one, two = at.events(EVENTS), at.events(EVENTS)
        until(lambda: next(one).get("event") == "now", "the first viewer sees nothing")
        until(lambda: next(two).get("event") == "now", "the second viewer sees nothing")
        assert at.ui.tails.count() == 1
        one.close()
        until(lambda: "nothing new" in next(two).get("", ""), "the second viewer is not served any more")
        assert at.ui.tails.count() == 1
        two.close()
        until(lambda: at.ui.tails.count() == 0, "nobody looks, and the journal is still read")


@pytest.mark.parametrize("turns", range(6))
def test_a_viewer_that_goes_in_the_moment_of_news_is_gone(tmp_path: Path, turns: int) -> None:
    async def left_over() -> int:
        journal = tmp_path / "journal.jsonl"
        journal.write_text("".join(lines()[:60]))
        heard: asyncio.Queue[Tail | None] = asyncio.Queue()
        with ThreadPoolExecutor(1) as reading:
            tails = Tails(lambda run: True, reading)

            async def look() -> None:
                async with aclosing(tails.follow(journal)) as news:
                    async for one in news:
                        await heard.put(one)

            viewer = asyncio.create_task(look())
            tail = await heard.get()
            assert tail is not None
            async with tail.changed:
                tail.version += 1
                tail.changed.notify_all()
            for _ in range(turns):
                await asyncio.sleep(0)
            viewer.cancel()
            await asyncio.wait([viewer], timeout=5)
            left = tails.viewers()
            viewer.cancel()
            return left

    assert asyncio.run(left_over()) == 0


def test_whoever_comes_back_is_not_sent_what_it_has(tmp_path: Path) -> None:
    rows = lines()
    with going_on(tmp_path, "".join(rows[:60])) as journal, served(tmp_path) as at:
        said = at.events(EVENTS, **{"Last-Event-ID": "60"})
        until_the_beat = list(takewhile(lambda one: "nothing new" not in one.get("", ""), said))
        assert not any("event" in one for one in until_the_beat)
        with journal.open("a") as file:
            file.write(rows[60])
        assert next(one for one in said if one.get("event"))["id"] == "61"


def test_a_run_that_has_died_is_said_to_be_over(tmp_path: Path) -> None:
    with going_on(tmp_path, "".join(lines()[:60])):
        pass
    with served(tmp_path) as at:
        said = [one for one in at.events(EVENTS) if one.get("event")]
        assert said[-1]["event"] == "over"
        assert "has died" in said[-2]["data"]


def test_a_line_without_end_is_given_up(tmp_path: Path) -> None:
    endless = tmp_path / "journal.jsonl"
    with endless.open("wb") as file:
        file.truncate(2 * LONGEST_LINE)  # of zeros, none of which takes room on the disk
    journal = JournalTail(endless)
    for _ in range(LONGEST_LINE // MOST_BYTES):
        assert not journal.read()
    with pytest.raises(BrokenJournal, match="longer than"):
        journal.read()


def test_a_journal_that_breaks_is_said_and_ends(tmp_path: Path) -> None:
    with going_on(tmp_path, "".join(lines()[:60]) + "{}\n"), served(tmp_path) as at:
        said = [one for one in at.events(EVENTS) if one.get("event")]
        assert [one["event"] for one in said] == ["now", "over"]
        assert "cannot be followed" in said[0]["data"]


def test_the_list_of_runs_follows_all_of_them_in_one_stream(tmp_path: Path) -> None:
    rows = lines()
    other = "20261128-171501-other"
    (tmp_path / "runs" / other).mkdir(parents=True)
    (tmp_path / "runs" / other / "journal.jsonl").write_text("".join(rows))
    with going_on(tmp_path, "".join(rows[:60])), served(tmp_path) as at:
        page = at.get("/").text
        assert page.count('data-live="') == 1
        said = at.events(f"/events?run={FOLDER}&run={other}&run=none")
        heard: dict[str, str] = {}
        while not {f"now{FOLDER}", f"now{other}", "over"} <= heard.keys():
            one = next(said)
            heard[one.get("event", "")] = one.get("data", "")
        assert "Warming up" in heard[f"now{FOLDER}"]
        assert "This run is over" in heard[f"now{other}"]
        said.close()
        until(lambda: at.ui.tails.count() == 0, "nobody looks, and the journals are still read")
        assert at.get("/events?run=../x").status_code == 404


def test_a_journal_of_an_effect_that_its_plan_does_not_have_is_broken_and_ends_the_stream(tmp_path: Path) -> None:
    rows = lines()
    strange = rows[2].replace('"effect":"hold@loan-model"', '"effect":"nobody@nowhere"')
    assert strange != rows[2]
    with going_on(tmp_path, "".join([*rows[:2], strange])), served(tmp_path) as at:
        *_, last, end = (one for one in at.events(EVENTS) if one.get("event"))
        assert end["event"] == "over"
        assert "nobody@nowhere" in last["data"]
        assert at.get(f"/runs/{FOLDER}").status_code == 200
