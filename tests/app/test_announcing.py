"""A run is announced: before, or it does not begin; after, whatever came of it. Against a webhook on loopback."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from chaos.app.announcing import Announcement
from chaos.errors import InvalidFile, Refused
from chaos.judging import judge
from chaos.system import parse_system
from tests.drivers.loopback import Loopback, Said, serving
from tests.judging.journals import Story
from tests.values import SYSTEM, edited
from tests.worlds import PLAN

SECRET = "/hooks/secret-of-the-webhook"
STAGING = replace(PLAN, environment="staging")


@contextmanager
def webhook(status: int = 200) -> Iterator[tuple[Loopback, Announcement]]:
    with serving(lambda _: Said(status)) as here:
        yield here, Announcement(f"{here.url}{SECRET}", STAGING, "quick-1a2b", 150.0)


def test_it_says_beforehand_who_does_what_to_whom_for_how_long_and_how_to_stop_it() -> None:
    with webhook() as (here, announcement):
        announcement.before()
        [asked] = here.asked
    assert (asked.method, asked.path) == ("POST", SECRET)
    said = json.loads(asked.body)
    assert said["when"] == "before"
    assert said["what"] == ["10% wrong"]
    assert said["whom"] == "synthetic, 10% of subjects by header:x-applicant-id"
    assert said["at_most_s"] == 150.0
    assert said["stop"] == "chaos stop quick-1a2b"
    assert "@" in said["who"]
    assert (
        said["text"]
        == f"{said['who']} runs quick on lab (staging) for at most 2m30s: 10% wrong. To stop it: `chaos stop quick-1a2b`"
    )


def test_it_says_who_allowed_wrong_answers_to_real_people() -> None:
    with serving(lambda _: Said()) as here:
        Announcement(here.url, replace(STAGING, allowed="Ada: consent"), "quick-1a2b", 1.0).before()
        assert json.loads(here.asked[0].body)["real_users"] == "Ada: consent"


def test_it_says_that_a_freeze_is_ignored_and_why() -> None:
    with serving(lambda _: Said()) as here:
        frozen = "lab is frozen until Mon by `Sat` of its calendar; ignored: a reason"
        Announcement(here.url, replace(STAGING, frozen=frozen), "quick-1a2b", 1.0).before()
        said = json.loads(here.asked[0].body)
    assert said["frozen"] == frozen
    assert said["text"].endswith(frozen)


def test_it_says_afterwards_how_it_ended() -> None:
    verdict = judge(Story().lines())
    with webhook() as (here, announcement):
        announcement.after(verdict)
        said = json.loads(here.asked[0].body)
    assert (said["when"], said["verdict"], said["sentence"]) == ("after", "confirmed", verdict.sentence)


@pytest.mark.parametrize("status", [404, 500, 302])
def test_where_nobody_can_be_told_beforehand_nothing_is_run(status: int) -> None:
    with webhook(status) as (_, announcement), pytest.raises(Refused) as refused:
        announcement.before()
    assert f"nobody could be told of this run beforehand: the webhook at 127.0.0.1 answered {status}" in str(
        refused.value
    )
    assert SECRET not in str(refused.value)


def test_a_webhook_that_is_gone_is_named_without_its_secret() -> None:
    with serving(lambda _: Said()) as here:
        url = here.url
    with pytest.raises(Refused, match=r"the webhook at 127\.0\.0\.1 does not answer") as refused:
        Announcement(f"{url}{SECRET}", STAGING, "quick-1a2b", 1.0).before()
    assert SECRET not in str(refused.value)


def test_a_webhook_that_fails_afterwards_costs_nobody_the_verdict(caplog: pytest.LogCaptureFixture) -> None:
    with webhook(500) as (_, announcement), caplog.at_level(logging.WARNING):
        announcement.after(None)
    assert "nobody could be told that this run is over" in caplog.text
    assert SECRET not in caplog.text


def test_without_a_webhook_nobody_is_told() -> None:
    announcement = Announcement(None, STAGING, "quick-1a2b", 1.0)
    announcement.before()
    announcement.after(None)


def test_the_webhooks_address_is_shown_nowhere() -> None:
    text = edited(
        SYSTEM, ("environment: lab", f"environment: lab\nannounce: {{webhook: 'https://chat.example{SECRET}'}}")
    )
    made, _ = parse_system(text, "system.yaml", {})
    assert made.announce is not None
    assert SECRET not in repr(made) + made.model_dump_json()
    with pytest.raises(InvalidFile) as refused:
        parse_system(text.replace("https://", "gopher://"), "system.yaml", {})
    assert "this is no address" in str(refused.value)
    assert SECRET not in str(refused.value)
