"""What a calendar wants now, given what has happened: travel in time through changes of the clock, freezes and missed weeks."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.calendar import Calendar
from chaos.gameday import Due, GameDay, Pass, Play, Record, Wait, due, starts
from tests.gameday.values import at, day

MINUTE = timedelta(minutes=1)
TUESDAY = at("2026-12-01 10:00")
CATCHES_UP = ("  timezone:", "  missed: catch up within 2h\n  timezone:")


def shown(found: Due) -> list[tuple[str, str]]:
    return [(type(one).__name__ + (f" {one.why}" if isinstance(one, Pass) else ""), f"{one.start:%m-%d %H:%M}") for one in found.decisions]  # fmt: skip


def look(made: GameDay, now: datetime, since: datetime | None = None, known: tuple[Record, ...] = (), **calendars: Calendar) -> Due:  # fmt: skip
    return due(made, list(calendars.items()), since or now - timedelta(days=1), known, now)


def test_before_its_start_nothing_is_due_and_at_it_the_day_is() -> None:
    assert look(day(), TUESDAY - MINUTE).decisions == ()
    assert look(day(), TUESDAY).decisions == (Play(TUESDAY, timedelta()),)
    assert look(day(), TUESDAY + MINUTE).decisions == (Play(TUESDAY, MINUTE),)


def test_a_start_that_is_known_already_is_nobodys_any_more() -> None:
    for status in ("playing", "ended", "interrupted", "passed over"):
        record = Record(TUESDAY, status, begun=TUESDAY)  # type: ignore[arg-type]
        assert look(day(), TUESDAY, known=(record,)).decisions == ()


def test_a_start_before_anybody_looked_is_not_missed() -> None:
    assert look(day(), TUESDAY + 5 * MINUTE, since=TUESDAY).decisions == ()


def test_a_missed_start_is_skipped_or_made_up_for_as_told() -> None:
    late = TUESDAY + timedelta(hours=1)
    assert shown(look(day(), late)) == [("Pass missed", "12-01 09:00")]
    assert look(day(CATCHES_UP), late).decisions == (Play(TUESDAY, timedelta(hours=1)),)
    assert shown(look(day(CATCHES_UP), late + timedelta(hours=1, minutes=1))) == [("Pass missed", "12-01 09:00")]


def test_of_five_missed_weeks_only_the_last_is_made_up_for_and_each_is_told_once() -> None:
    since = at("2026-10-20 12:00")
    found = look(day(CATCHES_UP), at("2026-11-24 11:30"), since=since)
    assert shown(found) == [
        ("Pass missed", "10-27 09:00"), ("Pass missed", "11-03 09:00"), ("Pass missed", "11-10 09:00"),
        ("Pass missed", "11-17 09:00"), ("Play", "11-24 09:00"),
    ]  # fmt: skip
    assert found.decided == at("2026-11-24 11:30")
    assert due(day(CATCHES_UP), [], found.decided, (), at("2026-11-24 11:31")).decisions == ()


def test_a_start_in_a_freeze_is_passed_over_by_the_name_of_who_is_frozen() -> None:
    frozen = Calendar(timezone="Europe/Berlin", freeze=["2026-12-01"])
    [found] = look(day(), TUESDAY, staging=frozen).decisions
    assert isinstance(found, Pass)
    assert found.why == "frozen"
    assert found.sentence == "staging is frozen until Wed 2026-12-02 00:00 CET by `2026-12-01` of its calendar"


def test_a_start_waits_for_a_freeze_that_ends_while_it_may_still_be_made_up_for() -> None:
    frozen = Calendar(timezone="Europe/Berlin", freeze=["09:00 - 11:30"])
    made = day(CATCHES_UP)
    waits = look(made, TUESDAY, staging=frozen)
    assert [type(one) for one in waits.decisions] == [Wait]
    assert waits.decided < TUESDAY
    still = due(made, [("staging", frozen)], waits.decided, (), at("2026-12-01 11:29"))
    assert [type(one) for one in still.decisions] == [Wait]
    thawed = due(made, [("staging", frozen)], still.decided, (), at("2026-12-01 11:30"))
    assert thawed.decisions == (Play(TUESDAY, timedelta(minutes=90)),)


def test_a_freeze_that_begins_while_a_day_waits_keeps_it_from_being_played() -> None:
    made = day(CATCHES_UP)
    morning = Calendar(timezone="Europe/Berlin", freeze=["09:00 - 10:30"])
    waits = look(made, TUESDAY, staging=morning)
    more = Calendar(timezone="Europe/Berlin", freeze=["09:00 - 10:30", "10:30 - 13:00"])
    found = due(made, [("staging", more)], waits.decided, (), at("2026-12-01 10:30"))
    assert shown(found) == [("Pass frozen", "12-01 09:00")]


def test_the_days_own_holidays_count_like_those_of_its_systems() -> None:
    assert shown(look(day(("  timezone:", "  holidays: [12-01]\n  timezone:")), TUESDAY)) == [
        ("Pass frozen", "12-01 09:00")
    ]


DAILY = (("0 10 * * Tue", "0 10 * * *"), ("name: drill", "name: drill\nlimits: {most_per_week: 2}"))


def played(*starts: str) -> tuple[Record, ...]:
    return tuple(Record(at(one), "ended", begun=at(one)) for one in starts)


def test_a_week_has_its_most_also_over_the_years_end() -> None:
    made = day(*DAILY)
    history = played("2026-12-29 10:00", "2026-12-31 10:00")  # the week from Monday, the 28th, to Sunday, the 3rd
    assert shown(look(made, at("2027-01-01 10:00"), known=history)) == [("Pass limit", "01-01 09:00")]
    assert shown(look(made, at("2027-01-03 10:00"), known=history)) == [("Pass limit", "01-03 09:00")]
    assert shown(look(made, at("2027-01-04 10:00"), known=history)) == [("Play", "01-04 09:00")]


def test_what_was_passed_over_does_not_count_for_the_week_and_what_was_interrupted_does() -> None:
    made = day(*DAILY)
    passed = (Record(at("2026-12-29 10:00"), "passed over"), Record(at("2026-12-30 10:00"), "passed over"))
    assert shown(look(made, at("2026-12-31 10:00"), known=passed)) == [("Play", "12-31 09:00")]
    broken = tuple(
        Record(at(f"2026-12-{one} 10:00"), "interrupted", begun=at(f"2026-12-{one} 10:00")) for one in (29, 30)
    )
    assert shown(look(made, at("2026-12-31 10:00"), known=broken)) == [("Pass limit", "12-31 09:00")]


def test_a_day_that_still_goes_on_is_not_begun_twice() -> None:
    made = day(("0 10 * * Tue", "0 * * * Tue"))
    goes_on = (Record(at("2026-12-01 09:00"), "playing", begun=at("2026-12-01 09:00")),)
    assert shown(look(made, TUESDAY, since=TUESDAY - MINUTE, known=goes_on)) == [("Pass busy", "12-01 09:00")]


AGAIN = ("  timezone:", "  interrupted: again within 2h\n  timezone:")


def test_an_interrupted_day_is_left_or_begun_again_once_in_time_as_told() -> None:
    broken = Record(TUESDAY, "interrupted", begun=TUESDAY)
    later = TUESDAY + timedelta(hours=1)
    assert look(day(), later, since=later, known=(broken,)).decisions == ()
    assert look(day(AGAIN), later, since=later, known=(broken,)).decisions == (
        Play(TUESDAY, timedelta(hours=1), again=True),
    )
    twice = Record(TUESDAY, "interrupted", begun=TUESDAY, attempt=2)
    assert look(day(AGAIN), later, since=later, known=(twice,)).decisions == ()
    assert look(day(AGAIN), later + timedelta(hours=2), since=later, known=(broken,)).decisions == ()


def test_the_hour_that_comes_twice_starts_a_day_once() -> None:
    made = day(("0 10 * * Tue", "30 2 * * *"))
    first = at("2026-10-25 02:30")
    assert look(made, first, since=first - MINUTE).decisions == (Play(first, timedelta()),)
    known = (Record(first, "ended", begun=first),)
    assert look(made, at("2026-10-25 02:30", fold=1), since=first, known=known).decisions == ()


def play_through(made: GameDay, begin: datetime, looks: list[timedelta]) -> list[Record]:
    """What a server does that looks at these distances in time; every played day is over at once."""
    since, now, known = begin, begin, dict[datetime, Record]()
    for step in looks:
        now += step
        found = due(made, [], since, list(known.values()), now)
        since = found.decided
        for one in found.decisions:
            assert one.start not in known, "no start is decided twice"
            if isinstance(one, Play):
                known[one.start] = Record(one.start, "ended", begun=now)
            elif isinstance(one, Pass):
                known[one.start] = Record(one.start, "passed over", one.why)
    return list(known.values())


@settings(deadline=None, max_examples=60)
@given(
    begin=st.sampled_from([at("2026-10-24 20:00"), at("2026-03-28 20:00"), at("2026-12-28 20:00")]),
    looks=st.lists(st.integers(1, 60 * 30).map(lambda one: one * MINUTE), min_size=1, max_size=25),
    cron=st.sampled_from(["30 2 * * *", "0 * * * *", "0 10 * * *"]),
    most=st.integers(1, 3),
)
def test_however_a_server_looks_every_start_is_decided_once_and_no_week_has_more_than_its_most(
    begin: datetime, looks: list[timedelta], cron: str, most: int
) -> None:
    made = day(("0 10 * * Tue", cron), ("name: drill", f"name: drill\nlimits: {{most_per_week: {most}}}"), CATCHES_UP)
    records = play_through(made, begin, looks)
    end = begin + sum(looks, timedelta())
    expected = []
    for one in starts(made.calendar, begin):
        if one > end:
            break
        expected.append(one)
    assert sorted(record.start for record in records) == expected
    weeks = [record.begun.astimezone(made.calendar.zone()).isocalendar()[:2] for record in records if record.begun]
    assert all(weeks.count(week) <= most for week in weeks)
