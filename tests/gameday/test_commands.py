"""`chaos gameday`: what is refused before anybody is told, what is listed, and the exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from chaos.drivers.gameday_store import GameDayStore
from tests.gameday.days import written
from tests.gameday.test_due import CATCHES_UP, TUESDAY, day, due

CRON = 'cron: "0 10 * * Tue", timezone: Europe/Berlin'


def gameday(folder: Path, *words: str, columns: str = "200") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chaos", "gameday", *words], cwd=folder, capture_output=True, text=True, check=False,
        timeout=60, stdin=subprocess.DEVNULL, env={**os.environ, "CHAOS_STATE": str(folder / "state"), "COLUMNS": columns},
    )  # fmt: skip


def test_a_day_that_asks_a_person_is_refused_without_a_terminal_before_anything_is_done(tmp_path: Path) -> None:
    written(tmp_path, ("second.yaml,", "second.yaml, confirm: true,"))
    found = gameday(tmp_path, "run", "day.yaml")
    assert found.returncode == 3
    assert (
        "step 2 of drill wants a person's yes (`confirm: true`), and there is no terminal; write --yes" in found.stderr
    )
    assert not (tmp_path / "runs").exists()


def test_a_day_is_played_to_its_summary_whose_exit_code_it_has(tmp_path: Path) -> None:
    written(
        tmp_path,
        ("second.yaml, pause: 5m", "second.yaml, pause: 1s"),
        ("third.yaml, pause: 5m", "third.yaml, only_if: failed"),
    )
    found = gameday(tmp_path, "run", "day.yaml", "--json")
    assert found.returncode == 3
    said = json.loads(found.stdout)
    assert [one["status"] for one in said["outcomes"]] == ["refused", "refused", "skipped"]
    [folder] = (tmp_path / "runs").iterdir()
    assert json.loads((folder / "summary.json").read_text()) == said
    page = (folder / "summary.html").read_text()
    assert "The on-call finds a bad model without help." in page
    assert "<script" not in page
    assert "▸ step 1 of 3: first; then second; at most 18m left" in found.stderr
    assert "  pause: 1s until second" in found.stderr


def test_a_frozen_day_is_refused_by_its_window_and_leaves_no_folder(tmp_path: Path) -> None:
    written(tmp_path, (CRON, 'freeze: ["00:00 - 00:00"]'))
    found = gameday(tmp_path, "run", "day.yaml")
    assert found.returncode == 3
    assert "the game day drill is frozen for more than a year by `00:00 - 00:00` of its calendar" in found.stderr
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_server_refuses_at_once_what_it_could_never_play(tmp_path: Path) -> None:
    written(
        tmp_path,
        (CRON, ""),
        ("second.yaml,", "second.yaml, confirm: true,"),
        system=(("environment: lab", "environment: production"),),
    )
    found = gameday(tmp_path, "serve", "day.yaml")
    assert found.returncode == 3
    for reason in ("a server needs starts", "`confirm: true` needs a person", "a system of it is production"):
        assert reason in found.stderr


def test_the_next_starts_are_listed_with_the_freezes_of_day_and_systems(tmp_path: Path) -> None:
    written(tmp_path, system=(("name: lab", 'name: lab\ncalendar: {freeze: ["Tue"]}'),))
    told = json.loads(gameday(tmp_path, "list", "day.yaml", "--count", "3", "--json").stdout)["drill"]
    assert len(told["next"]) == 3
    assert all("lab is frozen until Wed" in one["frozen"] for one in told["next"])
    shown = gameday(tmp_path, "list", "day.yaml", "--count", "1", columns="80").stdout
    assert "Tue 20" in shown
    assert "by `Tue` of its calendar" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_the_history_says_what_became_of_every_start(tmp_path: Path) -> None:
    written(tmp_path)
    made = day(CATCHES_UP)
    for now in (TUESDAY.replace(hour=1), TUESDAY, TUESDAY.replace(day=8, hour=23)):
        decided = GameDayStore(tmp_path / "s.sqlite").decide(
            "drill", now, lambda since, known, now=now: due(made, [], since, known, now)
        )
        for claim in decided.claims:
            GameDayStore(tmp_path / "s.sqlite").end("drill", claim.play.start, "ended", "", "late", now, 1)
            claim.lock.release()
    shown = gameday(tmp_path, "list", "day.yaml", "--history", "--store", "s.sqlite").stdout
    assert "2026-12-01T09:00:00+00:00  ended late" in shown
    assert "2026-12-08T09:00:00+00:00  passed over missed: nobody was there at Tue" in shown


def test_a_wrong_file_is_said_with_its_place_and_exits_2(tmp_path: Path) -> None:
    written(tmp_path, ("purpose:", "purpos:"))
    for command in ("run", "serve", "list"):
        found = gameday(tmp_path, command, "day.yaml")
        assert found.returncode == 2
        assert "day.yaml:2:1: purpos: unknown key; did you mean `purpose`?" in found.stderr
        assert "Traceback" not in found.stderr


def test_a_history_in_which_nothing_is_says_so(tmp_path: Path) -> None:
    written(tmp_path)
    assert (
        "no earlier start is in s.sqlite"
        in gameday(tmp_path, "list", "day.yaml", "--history", "--store", "s.sqlite").stdout
    )
    assert "no earlier start" not in gameday(tmp_path, "list", "day.yaml").stdout
