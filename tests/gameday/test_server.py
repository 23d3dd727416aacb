"""The server in a time of the test's own: who begins what, what is told once, and what becomes of a day whose process dies."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from chaos.app.gameday.loading import LoadedDay
from chaos.app.gameday.server import Server
from chaos.drivers.gameday_store import Claim, GameDayStore
from chaos.errors import NotUndone
from chaos.gameday.messages import Message
from tests.drivers.loopback import eventually
from tests.gameday.days import loaded
from tests.gameday.values import at

TUESDAY = at("2026-12-01 10:00")
MINUTE = timedelta(minutes=1)
STAYS = "import time\ntime.sleep(600)"
DEAF = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(600)"


@dataclass
class Stage:
    """A store, a clock and what has happened."""

    folder: Path
    now: datetime = TUESDAY - MINUTE
    code: str = STAYS
    begun: list[datetime] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    recovered: int = 0
    undone: threading.Event = field(default_factory=threading.Event)

    def begin(self, one: LoadedDay, claim: Claim) -> subprocess.Popen[bytes]:
        self.begun.append(claim.play.start)
        process = subprocess.Popen(
            [sys.executable, "-c", self.code], pass_fds=[claim.lock.fileno()], stdout=subprocess.PIPE
        )
        self.processes.append(process)
        return process

    def recover(self) -> str:
        self.recovered += 1
        assert self.undone.wait(20.0)
        return "It left nothing."

    def server(self, *edits: tuple[str, str]) -> Server:
        store = GameDayStore(self.folder / "s.sqlite")
        announce = lambda _, message: self.told.append(message.subject)  # noqa: E731
        return Server(
            [loaded(self.folder, *edits)], store, self.begin, announce, self.said.append, lambda: self.now, self.recover
        )

    def kill(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def stage(tmp_path: Path):
    made = Stage(tmp_path)
    made.undone.set()
    yield made
    made.kill()


def test_two_servers_on_one_store_begin_a_day_once(stage: Stage) -> None:
    servers = [stage.server(), stage.server()]
    for stage.now in (TUESDAY - MINUTE, TUESDAY, TUESDAY + MINUTE):
        for server in servers:
            server.look()
    assert stage.begun == [TUESDAY]


def test_what_is_passed_over_is_told_once_also_by_two_servers(stage: Stage) -> None:
    servers = [stage.server(), stage.server()]
    for stage.now in (TUESDAY - MINUTE, TUESDAY + timedelta(days=8), TUESDAY + timedelta(days=8, minutes=1)):
        for server in servers:
            server.look()
    assert (stage.begun, stage.told) == ([], ["game day drill: missed"])


def test_a_webhook_that_is_slow_to_answer_keeps_no_other_start_waiting(stage: Stage) -> None:
    server, telling, answered = stage.server(), threading.Event(), threading.Event()

    def slow(_: LoadedDay, __: Message) -> None:
        telling.set()
        answered.wait(30)

    server.announce = slow
    server.look()
    looks = [threading.Thread(target=server.look, daemon=True) for _ in range(2)]
    try:
        stage.now = TUESDAY + timedelta(days=8)
        looks[0].start()
        assert telling.wait(10), "nobody is told what was missed"
        stage.now = TUESDAY + timedelta(days=14)
        looks[1].start()
        eventually(lambda: stage.begun, 10, "the next start")
    finally:
        answered.set()
        for look in looks:
            look.join(10)
    assert stage.begun == [TUESDAY + timedelta(days=14)]


def test_a_month_of_looks_begins_every_tuesday_at_ten_by_the_clock_on_the_wall(stage: Stage) -> None:
    stage.code = ""
    server = stage.server()
    begin = at("2026-03-20 00:00")
    for hours in range(24 * 32):  # over the night in which the clock is set
        stage.now = begin + timedelta(hours=hours)
        server.look()
        stage.kill()
    assert [f"{one:%m-%d %H:%M}" for one in stage.begun] == ["03-24 09:00", "03-31 08:00", "04-07 08:00", "04-14 08:00"]


def test_a_day_whose_process_dies_is_interrupted_recovered_told_and_not_begun_again(stage: Stage) -> None:
    server = stage.server()
    server.look()
    stage.now = TUESDAY
    server.look()
    assert server.store.history()[0].record.status == "playing"
    stage.kill()
    stage.now += MINUTE
    after = stage.server()  # another one: the server has died with it
    after.look()
    after.look()
    server.look()
    eventually(lambda: stage.told, 10.0, "people are told")
    [kept] = after.store.history()
    assert (kept.record.status, stage.recovered, stage.begun) == ("interrupted", 1, [TUESDAY])
    assert stage.told == ["game day drill: interrupted"]


AGAIN = ("timezone: Europe/Berlin}", "timezone: Europe/Berlin, interrupted: again within 2h}")


def test_a_day_is_begun_again_only_when_what_it_left_is_undone(stage: Stage) -> None:
    stage.undone.clear()
    servers = [stage.server(AGAIN), stage.server(AGAIN)]
    servers[0].look()
    stage.now = TUESDAY
    servers[0].look()
    stage.kill()
    for server in servers * 2:
        server.look()
    assert (stage.recovered, len(stage.begun), stage.told) == (1, 1, [])
    stage.undone.set()
    eventually(lambda: stage.told, 10.0, "people are told")
    servers[1].look()
    assert stage.begun == [TUESDAY, TUESDAY]
    assert not servers[0].store.end(
        "drill", TUESDAY, "ended", "", "confirmed", stage.now, 1
    )  # the first attempt is over


def test_a_day_is_not_begun_again_on_top_of_what_could_not_be_undone(stage: Stage) -> None:
    server = stage.server(AGAIN)
    server.recover = lambda: 1 / 0  # type: ignore[assignment,return-value]
    server.look()
    stage.now = TUESDAY
    server.look()
    stage.kill()
    server.look()
    eventually(lambda: stage.told, 10.0, "people are told")
    server.look()
    [kept] = server.store.history()
    assert (kept.record.status, kept.verdict, len(stage.begun)) == ("ended", "unsafe", 1)


def test_a_day_that_crashed_half_way_is_recovered_and_not_told_as_refused(stage: Stage) -> None:
    stage.code = "raise SystemExit(3)"
    server = stage.server()
    server.look()
    stage.now = TUESDAY
    server.look()
    server.store.plays_in("drill", TUESDAY, str(stage.folder))
    stage.processes[0].wait(20)
    server.look()
    eventually(lambda: stage.told == ["game day drill: interrupted"], 10.0, "people are told")
    assert (stage.recovered, server.store.history()[0].record.status) == (1, "interrupted")


def test_no_day_waits_until_people_have_heard_of_another(stage: Stage) -> None:
    server = stage.server()
    server.days = [server.days[0], replace(server.days[0], day=server.days[0].day.model_copy(update={"name": "other"}))]
    server.look()
    told: list[int] = []
    server.announce = lambda _, __: told.append(len(stage.begun))
    stage.now = TUESDAY
    begin = server.begin
    server.begin = lambda one, claim: (
        (_ for _ in ()).throw(OSError("full")) if one.day.name == "drill" else begin(one, claim)
    )
    server.look()
    assert told == [1]


def test_a_recovery_that_fails_keeps_nobody_from_being_told_and_no_day_from_its_start(stage: Stage) -> None:
    server = stage.server()
    server.recover = lambda: 1 / 0  # type: ignore[assignment,return-value]
    server.look()
    stage.now = TUESDAY
    server.look()
    stage.kill()
    server.look()
    eventually(lambda: stage.told == ["game day drill: interrupted"], 10.0, "people are told")
    assert any("`chaos recover` tries again" in one for one in stage.said)
    stage.now += timedelta(days=7)
    server.look()
    assert len(stage.begun) == 2


def test_a_day_that_goes_on_outlives_the_server_that_began_it(stage: Stage) -> None:
    server = stage.server()
    server.look()
    stage.now = TUESDAY
    server.look()
    stage.now += 3 * MINUTE
    stage.server().look()
    assert stage.told == []
    assert server.store.history()[0].record.status == "playing"


def test_a_day_whose_files_are_wrong_by_now_is_over_and_told_as_refused(stage: Stage) -> None:
    stage.code = "raise SystemExit(2)"
    server = stage.server()
    server.look()
    stage.now = TUESDAY
    server.look()
    stage.processes[0].wait(20)
    server.look()
    server.look()
    [kept] = server.store.history()
    assert (kept.record.status, kept.record.why, kept.verdict) == ("ended", "refused: exit code 2", "invalid")
    assert stage.told == ["game day drill: refused"]


def test_a_day_that_was_over_when_its_process_died_was_not_interrupted(stage: Stage) -> None:
    server = stage.server()
    server.look()
    stage.now = TUESDAY
    server.look()
    (stage.folder / "summary.json").write_text('{"verdict": "late"}')
    server.store.plays_in("drill", TUESDAY, str(stage.folder))
    stage.kill()
    server.look()
    [kept] = server.store.history()
    assert (kept.record.status, kept.verdict, stage.told) == ("ended", "late", [])


def test_a_server_that_is_ended_ends_its_days_and_begins_nothing_more(stage: Stage) -> None:
    server = stage.server()
    server.look()
    stage.now = TUESDAY
    server.look()
    server.stop(20.0)
    assert stage.processes[0].returncode is not None
    stage.now += timedelta(days=7)
    server.look()
    assert stage.begun == [TUESDAY]


def test_a_day_that_does_not_end_in_time_is_named_with_what_to_do(stage: Stage) -> None:
    stage.code = DEAF
    server = stage.server()
    server.look()
    stage.now = TUESDAY
    server.look()
    assert stage.processes[0].stdout is not None
    assert stage.processes[0].stdout.readline() == b"deaf\n"
    with pytest.raises(NotUndone, match="this still goes on: drill") as lost:
        server.stop(0.2)
    assert "chaos recover" in lost.value.by_hand


def test_a_store_that_cannot_be_used_is_said_once_and_ends_nothing(stage: Stage) -> None:
    server = stage.server()
    (stage.folder / "s.sqlite").write_text("no database at all, in a file that is long enough to be looked at" * 20)
    server.look()
    server.look()
    assert len(stage.said) == 1
    assert "cannot be used" in stage.said[0]
    (stage.folder / "s.sqlite").unlink()
    server.look()
    assert stage.said[-1] == "drill: next Tue 2026-12-01 10:00 CET"


def test_it_says_what_comes_next_and_which_freeze_it_falls_into(stage: Stage) -> None:
    server = stage.server(("timezone: Europe/Berlin}", "timezone: Europe/Berlin, holidays: [12-01]}"))
    server.look()
    assert stage.said == [
        (
            "drill: next Tue 2026-12-01 10:00 CET, which is in a freeze: the game day is frozen until "
            "Wed 2026-12-02 00:00 CET by `holiday 12-01` of its calendar"
        )
    ]
