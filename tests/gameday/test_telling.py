"""Everybody whom a day names hears what they want to hear, its systems' webhooks too, each once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos.app.gameday.telling import announce, announce_before
from chaos.errors import Refused
from chaos.gameday import Pass
from chaos.gameday.messages import MOST_STARTS, Message, passed_over
from tests.drivers.loopback import Said, serving
from tests.gameday.days import loaded
from tests.gameday.values import at, day

BEFORE = Message("before", "drill begins", "It begins.")
TROUBLE = Message("trouble", "drill: missed", "It was missed.")


def telling(url: str, *more: str) -> tuple[str, str]:
    return ("name: drill", "\n".join(["name: drill", "tell:", f"  - {{webhook: {url}/a}}", *more]))


def test_everybody_hears_what_they_want_and_a_systems_webhook_that_the_day_names_hears_it_once(tmp_path: Path) -> None:
    with serving(lambda _: Said()) as here:
        edit = telling(here.url, f"  - {{slack: {here.url}/b, when: [trouble]}}")
        made = loaded(tmp_path, edit, system=(("name: lab", f"name: lab\nannounce: {{webhook: {here.url}/a}}"),))
        announce_before(made, BEFORE)
        announce(made, TROUBLE)
        heard = [(asked.path, json.loads(asked.body)["text"]) for asked in here.asked]
    assert heard == [("/a", "It begins."), ("/a", "It was missed."), ("/b", "It was missed.")]


def test_a_systems_own_webhook_is_told_of_the_day_too(tmp_path: Path) -> None:
    with serving(lambda _: Said()) as here:
        made = loaded(tmp_path, system=(("name: lab", f"name: lab\nannounce: {{webhook: {here.url}/c}}"),))
        announce(made, TROUBLE)
        assert [asked.path for asked in here.asked] == ["/c"]


def test_one_who_hears_is_enough_to_begin_and_nobody_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(lambda asked: Said(200 if asked.path == "/b" else 500)) as here:
        announce_before(loaded(tmp_path, telling(here.url, f"  - {{slack: {here.url}/b}}")), BEFORE)
        assert "not everybody could be told" in caplog.text
        with pytest.raises(Refused, match="nobody could be told of this game day beforehand"):
            announce_before(loaded(tmp_path, telling(here.url)), BEFORE)
        announce(loaded(tmp_path, telling(here.url)), TROUBLE)  # what has happened has happened


def test_many_passed_over_starts_are_one_message_that_names_the_last_of_them() -> None:
    starts = [Pass(at(f"2026-11-{number:02} 10:00"), "missed", f"nobody {number}") for number in range(1, 21)]
    message = passed_over(day(), starts)
    assert message.subject == "game day drill: missed"
    assert len(message.text.splitlines()) == MOST_STARTS + 1
    assert "20 starts" in message.text.splitlines()[0]
    assert message.text.endswith("Fri 2026-11-20 10:00 CET: nobody 20.")
