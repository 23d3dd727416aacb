"""What people write of a game day: every mistake at once, with its place and what to write instead."""

from __future__ import annotations

import pytest

from chaos.errors import InvalidFile
from chaos.gameday import parse_gameday
from tests.gameday.values import DAY, day

TOLD = "name: drill\ntell:\n  - {slack: 'https://chat.example/hooks/${TOKEN}'}\n  - {webhook: 'https://x.example/${TOKEN}'}\n"


def problems(*edits: tuple[str, str]) -> str:
    with pytest.raises(InvalidFile) as refused:
        day(*edits)
    return str(refused.value)


def test_the_smallest_day_asks_nobody_waits_for_nothing_and_tells_nobody() -> None:
    made = day()
    step = made.steps[0]
    assert (step.pause, step.only_if, step.confirm) == (0.0, "always", False)
    assert (made.tell, made.limits.most_per_week) == ([], None)
    assert (made.calendar.catch_up_s(), made.calendar.again_s()) == (None, None)


def test_what_becomes_of_missed_and_interrupted_starts_is_said_in_words() -> None:
    made = day(("  timezone:", "  missed: catch up within 2h\n  interrupted: again within 90m\n  timezone:"))
    assert (made.calendar.catch_up_s(), made.calendar.again_s()) == (7200.0, 5400.0)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("0 10 * * Tue", "0 10 * *"), "is no cron expression; write minute, hour, day, month and weekday, such as"),
        (("0 10 * * Tue", "61 10 * * Tue"), "is no cron expression (bad minute)"),
        (("0 10 * * Tue", "0 10 30 2 *"), "is no cron expression (bad day-of-month)"),
        (("0 10 * * Tue", "0 0 10 * * Tue"), "is no cron expression"),
        (("  timezone: Europe/Berlin", "  timezone: Berlin"), "there is no time zone 'Berlin'"),
        (("  timezone:", "  missed: later\n  timezone:"), "write `skip`, or `catch up within 2h`"),
        (("  timezone:", "  missed: catch up within 2\n  timezone:"), "2 has no unit; write 2s"),
        (("  timezone:", "  interrupted: again\n  timezone:"), "write `leave`, or `again within 2h`"),
        (("only_if: passed", "only_if: green"), "'green' is not possible here; write 'passed', 'failed' or 'always'"),
        (("only_if: passed", "only_when: passed"), "unknown key; did you mean `only_if`?"),
        (("only_if: passed", "pause: 5"), "5 has no unit; write 5s"),
        (("purpose: The on-call finds a bad model without help.", "purpose: ' '"), "write what people are to learn"),
        (("purpose: The on-call finds a bad model without help.\n", ""), "`purpose` is missing"),
        (("name: drill", "name: drill\nlimits: {most_per_week: 0}"), "must be at least 1"),
        (("name: drill", "name: drill\ntell: [{}]"), "write one of `webhook:`, `slack:` and `email:`"),
        (("name: drill", "name: drill\ntell: [{email: {host: h, from: nobody, to: [a@b]}}]"), "'nobody' is no mail address"),
        (("name: drill", "name: ../drill"), "is no name; write letters, digits, dots and dashes only"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_what_to_write(edit: tuple[str, str], said: str) -> None:
    found = problems(edit)
    assert said in found
    assert found.count("\n") == 0


def test_all_mistakes_come_at_once_each_with_its_place() -> None:
    found = problems(("0 10 * * Tue", "x"), ("only_if: passed", "only_if: x"), ("only_if: failed", "confirm: perhaps"))
    assert [line.partition(": ")[0] for line in found.splitlines()] == [
        "gameday.yaml:4:9", "gameday.yaml:9:14", "gameday.yaml:11:14",
    ]  # fmt: skip


def test_addresses_and_passwords_are_shown_nowhere() -> None:
    mail = "  - email: {host: smtp.example, user: u, password: '${TOKEN}', from: a@b, to: [c@d]}\n"
    made, _ = parse_gameday(DAY.replace("name: drill\n", TOLD + mail), "gameday.yaml", {"TOKEN": "hunter2"})
    for shown in (repr(made), made.model_dump_json(), str(made)):
        assert "hunter2" not in shown
    assert made.tell[2].email is not None
    assert made.tell[2].email.at_port() == 587


def test_a_password_never_goes_over_the_wire_as_it_is() -> None:
    mail = "name: drill\ntell:\n  - email: {host: h, security: none, user: u, password: hunter2, from: a@b, to: [c@d]}"
    found = problems(("name: drill", mail))
    assert "a password would go over the wire as it is" in found
    assert "hunter2" not in found
