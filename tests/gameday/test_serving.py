"""Real servers, as processes: two on one store, one that is killed, one that is ended. Their experiments hurt nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from chaos.drivers.gameday_store import GameDayStore, Kept
from chaos.gameday import Due
from tests.drivers.loopback import Said, eventually, serving
from tests.gameday.days import written


def due_now() -> tuple[str, str]:
    """Every half hour, a quarter of an hour from now and from the last: what was missed is due, and nothing comes during a test."""
    minute = (datetime.now(UTC).minute + 15) % 30
    cron = f'cron: "{minute},{minute + 30} * * * *", missed: catch up within 1h'
    return 'cron: "0 10 * * Tue", timezone: Europe/Berlin', cron


PAUSES = ("experiment: first.yaml", "{experiment: first.yaml, pause: 10m}")
SOON_S = 25.0


@dataclass
class Stand:
    """A folder with a day that is due, its store, and the servers that a test starts."""

    folder: Path
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def store(self) -> GameDayStore:
        return GameDayStore(self.folder / "s.sqlite")

    def make_due(self) -> None:
        """Every start up to an hour ago is decided: of the two since then the last one is due."""
        past = datetime.now(UTC) - timedelta(minutes=61)
        self.store.decide("drill", past, lambda _since, _known: Due((), past))

    def serve(self) -> subprocess.Popen[bytes]:
        name = f"server{len(self.servers)}.log"
        with (self.folder / name).open("wb") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "chaos", "gameday", "serve", "day.yaml", "--store", "s.sqlite"],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "CHAOS_STATE": str(self.folder / "state")},
            )  # fmt: skip
        self.servers.append(server)
        return server

    def said(self, number: int) -> str:
        return (self.folder / f"server{number}.log").read_text()

    def played(self) -> list[Kept]:
        """The starts that were not passed over."""
        return [one for one in self.store.history("drill") if one.record.status != "passed over"]

    def days(self) -> list[Path]:
        return sorted((self.folder / "runs").glob("*-gameday-drill-*")) if (self.folder / "runs").exists() else []

    def child(self, server: subprocess.Popen[bytes]) -> psutil.Process | None:
        return next((one for one in psutil.Process(server.pid).children() if "run" in one.cmdline()), None)

    def end(self) -> None:
        for server in self.servers:
            for process in [*self._family(server)]:
                process.kill()
            server.wait(10)

    def _family(self, server: subprocess.Popen[bytes]) -> list[psutil.Process]:
        try:
            whole = psutil.Process(server.pid)
            return [*whole.children(recursive=True), whole]
        except psutil.NoSuchProcess:
            return []


@pytest.fixture
def stand(tmp_path: Path):
    made = Stand(tmp_path)
    yield made
    made.end()


def pausing(stand: Stand) -> Callable[[], bool]:
    """Whether the day is in its pause."""
    return lambda: any("pause: 10m" in stand.said(number) for number in range(len(stand.servers)))


def test_two_servers_on_one_store_play_a_start_once(stand: Stand) -> None:
    written(
        stand.folder,
        due_now(),
        ("second.yaml, pause: 5m", "second.yaml, pause: 1s"),
        ("third.yaml, pause: 5m", "third.yaml"),
    )
    stand.make_due()
    servers = [stand.serve(), stand.serve()]
    eventually(lambda: [one.record.status for one in stand.played()] == ["ended"], SOON_S, "the day was played")
    eventually(lambda: all("drill: next" in stand.said(number) for number in (0, 1)), SOON_S, "both look")
    [day] = stand.days()
    [kept] = stand.played()
    assert (kept.verdict, kept.record.attempt, kept.folder) == ("invalid", 1, str(day))
    summary = json.loads((day / "summary.json").read_text())
    assert [one["status"] for one in summary["outcomes"]] == ["refused", "refused", "refused"]
    assert sum("drill: begins" in stand.said(number) for number in (0, 1)) == 1
    assert all(server.poll() is None for server in servers)


def test_a_server_that_is_ended_ends_its_day_and_a_second_one_goes_on_without_playing_it_again(stand: Stand) -> None:
    written(stand.folder, due_now(), PAUSES)
    stand.make_due()
    first = stand.serve()
    eventually(pausing(stand), SOON_S, "the day waits")
    second = stand.serve()
    eventually(lambda: "drill: next" in stand.said(1), SOON_S, "the second one looks")
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    assert "drill: ended with exit code 130" in stand.said(0)
    [kept] = stand.played()
    assert (kept.record.status, kept.verdict) == ("ended", "interrupted")
    assert second.poll() is None
    assert "begins" not in stand.said(1)
    assert len(stand.days()) == 1


def test_a_day_that_is_killed_with_its_server_is_interrupted_told_and_not_played_again(stand: Stand) -> None:
    with serving(lambda _: Said()) as here:
        told = ("name: drill", f"name: drill\ntell:\n  - {{webhook: {here.url}, when: [trouble]}}")
        written(stand.folder, due_now(), PAUSES, told)
        stand.make_due()
        first = stand.serve()
        eventually(pausing(stand), SOON_S, "the day waits")
        child = stand.child(first)
        assert child is not None
        first.kill()
        child.kill()
        stand.serve()
        eventually(lambda: len(here.asked) == 2, SOON_S, "people are told")
        said = [json.loads(asked.body)["text"] for asked in here.asked]
    assert "was passed over" in said[0]  # the start before, half an hour earlier
    assert "was interrupted: its process is gone. It left nothing." in said[1]
    assert [one.record.status for one in stand.played()] == ["interrupted"]
    assert "begins" not in stand.said(1)


def test_a_day_whose_server_alone_is_killed_goes_on_and_says_itself_how_it_ended(stand: Stand) -> None:
    written(stand.folder, due_now(), PAUSES)
    stand.make_due()
    first = stand.serve()
    eventually(pausing(stand), SOON_S, "the day waits")
    child = stand.child(first)
    assert child is not None
    first.kill()
    stand.serve()
    eventually(lambda: "drill: next" in stand.said(1), SOON_S, "the second one looks")
    assert [one.record.status for one in stand.played()] == ["playing"]
    child.terminate()
    eventually(lambda: [one.verdict for one in stand.played()] == ["interrupted"], SOON_S, "the day says how it ended")
    assert [one.record.status for one in stand.played()] == ["ended"]
