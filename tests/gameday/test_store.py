"""One store: every start is decided once, whoever decides, and a claim lives as long as its holder."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from chaos.drivers.gameday_store import GameDayStore, NoStore
from chaos.gameday import Due, GameDay, Play, Record, due
from tests.gameday.values import at, day

TUESDAY = at("2026-12-01 10:00")
MINUTE = timedelta(minutes=1)


def deciding(made: GameDay, now: datetime):
    return lambda since, known: due(made, [], since, known, now)


def look(store: GameDayStore, now: datetime, made: GameDay | None = None):
    made = made or day()
    return store.decide(made.name, now, deciding(made, now))


@pytest.fixture
def store(tmp_path: Path) -> GameDayStore:
    return GameDayStore(tmp_path / "gamedays.sqlite")


def test_a_start_before_the_first_look_is_not_missed(store: GameDayStore) -> None:
    assert look(store, TUESDAY + MINUTE).due.decisions == ()


def test_a_start_is_claimed_once_also_by_a_server_that_comes_later(store: GameDayStore) -> None:
    look(store, TUESDAY - MINUTE)
    assert [claim.play.start for claim in look(store, TUESDAY).claims] == [TUESDAY]
    assert look(GameDayStore(store.path), TUESDAY).claims == ()


def test_of_twenty_that_decide_at_once_one_plays(store: GameDayStore) -> None:
    look(store, TUESDAY - MINUTE)
    claims: list[object] = []
    decided: list[object] = []
    gate = threading.Barrier(20)

    def one() -> None:
        gate.wait()
        made = look(GameDayStore(store.path), TUESDAY)
        claims.extend(made.claims)
        decided.append(made)

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claims) == 1
    assert len(decided) == 20, "nobody is refused for having asked at the same time"
    assert [kept.record.status for kept in store.history()] == ["playing"]


def test_a_decision_that_fails_has_claimed_nothing_and_decided_nothing(store: GameDayStore) -> None:
    look(store, TUESDAY - MINUTE)

    def claims_twice(_since: datetime, _known: list[Record]) -> Due:
        return Due((Play(TUESDAY, timedelta()), Play(TUESDAY, timedelta())), TUESDAY)

    with pytest.raises(NoStore):
        store.decide("drill", TUESDAY, claims_twice)
    assert store.history() == []
    assert len(look(store, TUESDAY).claims) == 1


def test_a_start_that_is_passed_over_is_known_from_then_on(store: GameDayStore) -> None:
    look(store, TUESDAY - MINUTE)
    assert len(look(store, TUESDAY + 5 * MINUTE).due.decisions) == 1
    assert look(store, TUESDAY + 6 * MINUTE).due.decisions == ()
    [kept] = store.history("drill")
    assert (kept.record.status, kept.record.why.partition(":")[0]) == ("passed over", "missed")


def test_a_claim_whose_holder_is_gone_is_an_orphan_and_ends_once(store: GameDayStore) -> None:
    look(store, TUESDAY - MINUTE)
    [claim] = look(store, TUESDAY).claims
    store.plays_in("drill", TUESDAY, "runs/x")
    assert store.orphans("drill") == []
    claim.lock.release()
    [orphan] = store.orphans("drill")
    assert (orphan.record.start, orphan.folder) == (TUESDAY, "runs/x")
    assert store.end("drill", TUESDAY, "interrupted", "gone", None, TUESDAY + MINUTE, 1)
    assert not store.end("drill", TUESDAY, "ended", "", "confirmed", TUESDAY + MINUTE, 1)
    assert store.orphans("drill") == []
    assert look(store, TUESDAY + MINUTE).due.decisions == ()


def test_an_interrupted_start_is_claimed_again_once_when_its_calendar_says_so(store: GameDayStore) -> None:
    again = day(("  timezone:", "  interrupted: again within 2h\n  timezone:"))
    look(store, TUESDAY - MINUTE, again)
    for attempt in (1, 2):
        [claim] = look(store, TUESDAY, again).claims
        assert claim.play.again is (attempt == 2)
        claim.lock.release()
        store.end("drill", TUESDAY, "interrupted", "gone", None, TUESDAY, 1)
        assert store.history()[0].record.attempt == attempt
    assert look(store, TUESDAY, again).claims == ()


def test_what_is_no_store_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, however long it is " * 50)
    with pytest.raises(NoStore, match="text cannot be used"):
        look(GameDayStore(tmp_path / "text"), TUESDAY)
