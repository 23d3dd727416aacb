"""Runs against production: asked for twice, announced before and after, or not begun."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.drivers.loopback import Loopback, Said, serving
from tests.safety.stand import Stand, nothing_left

pytestmark = [pytest.mark.timeout(60)]


@contextmanager
def production(stand: Stand, status: int) -> Iterator[tuple[Loopback, Path]]:
    """The stand as production, whose webhook answers with this status; and its system file."""
    with serving(lambda _: Said(status)) as webhook:
        text = (stand.folder / "system.yaml").read_text().replace("environment: lab", "environment: production")
        path = stand.folder / "production.yaml"
        path.write_text(f"{text}announce: {{webhook: '{webhook.url}/hook'}}\n")
        yield webhook, path


def folders(stand: Stand) -> set[Path]:
    return set((stand.folder / "runs").glob("*"))


def test_production_asks_for_a_yes_and_tells_nobody_without_one(stand: Stand) -> None:
    with production(stand, 200) as (webhook, system):
        answered = stand.chaos("run", "--system", str(system), str(stand.experiment("pause")))
        assert answered.returncode == 3
        assert "is production; write --yes when that is what you want" in answered.stderr
        assert not webhook.asked
    assert not folders(stand)


def test_where_nobody_can_be_told_nothing_begins(stand: Stand) -> None:
    with production(stand, 500) as (_, system):
        answered = stand.chaos("run", "--yes", "--system", str(system), str(stand.experiment("pause")))
    assert answered.returncode == 3
    assert "nobody could be told of this run beforehand" in answered.stderr
    nothing_left(stand, 1.0)
    assert not folders(stand)


def test_a_run_is_announced_before_and_after_and_its_webhook_stands_nowhere(stand: Stand) -> None:
    with production(stand, 200) as (webhook, system):
        answered = stand.chaos("run", "--yes", "--json", "--system", str(system), str(stand.experiment("pause")))
        before, after = (json.loads(asked.body) for asked in webhook.asked)
    verdict = json.loads(answered.stdout)
    assert (before["when"], before["run"], before["stop"]) == ("before", verdict["run"], f"chaos stop {verdict['run']}")
    assert (after["when"], after["verdict"]) == ("after", verdict["verdict"])
    kept = [
        path.read_text(errors="replace") for folder in folders(stand) for path in folder.rglob("*") if path.is_file()
    ]
    assert kept
    assert not [text for text in kept if "/hook" in text]
