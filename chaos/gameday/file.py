"""What people write of a game day: the model of `gameday.yaml`, strict like the other files.

The words: a game day has `steps`, each an experiment with the pause before it and the condition under which it is run; people to
`tell`; a `calendar` with the starts and what nobody may be hurt in; and `limits`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field, SecretStr, model_validator

from chaos.calendar import Calendar
from chaos.document import Document, read_document
from chaos.errors import InvalidFile
from chaos.strict import Strict, validate
from chaos.system import secret_http
from chaos.units import Duration, parse_duration

When = Literal["before", "after", "trouble"]
Condition = Literal["passed", "failed", "always"]
EVERYTHING: tuple[When, ...] = ("before", "after", "trouble")
PORTS = {"none": 25, "starttls": 587, "tls": 465}


def _cron(text: str) -> str:
    if len(text.split()) != 5:
        raise ValueError(f"{text!r} is no cron expression; {_FIELDS}")
    try:
        next(CronSim(text, datetime(2024, 1, 1)))  # noqa: DTZ001 - only whether there is one
    except CronSimError as error:
        raise ValueError(f"{text!r} is no cron expression ({str(error).lower()}); {_FIELDS}") from None
    except StopIteration:
        raise ValueError(f"{text!r} never comes; {_FIELDS}") from None
    return text


_FIELDS = "write minute, hour, day, month and weekday, such as `0 10 * * Tue`"


def _within(text: str, words: str) -> float | None:
    """Seconds of `WORDS within 2h`; None when the text does not begin so."""
    match = re.fullmatch(rf"{words}\s+within\s+(.+)", text.strip())
    return parse_duration(match[1]) if match else None


def _missed(text: str) -> str:
    if text != "skip" and _within(text, "catch up") is None:
        raise ValueError(f"{text!r} is not possible here; write `skip`, or `catch up within 2h`")
    return text


def _interrupted(text: str) -> str:
    if text != "leave" and _within(text, "again") is None:
        raise ValueError(f"{text!r} is not possible here; write `leave`, or `again within 2h`")
    return text


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", value):
        raise ValueError(f"{value!r} is no name; write letters, digits, dots and dashes only")
    return value


def _purpose(value: str) -> str:
    if not value.strip():
        raise ValueError("nothing is said here; write what people are to learn from this day")
    return " ".join(value.split())


class Schedule(Calendar):
    """When a game day starts, and when it must not."""

    cron: Annotated[str, AfterValidator(_cron)] | None = Field(
        None, description="the starts: minute, hour, day, month, weekday, as in a crontab", examples=["0 10 * * Tue"]
    )
    missed: Annotated[str, AfterValidator(_missed)] = Field(
        "skip", description="what becomes of a start that nobody was there for: `skip`, or `catch up within 2h`"
    )
    interrupted: Annotated[str, AfterValidator(_interrupted)] = Field(
        "leave", description="what becomes of a game day whose process died: `leave`, or `again within 2h` of its start"
    )

    def catch_up_s(self) -> float | None:
        """How late a start may still be made up for; None: not at all."""
        return _within(self.missed, "catch up")

    def again_s(self) -> float | None:
        """How long after its start an interrupted game day is begun again; None: never."""
        return _within(self.interrupted, "again")


class Email(Strict):
    """A mail by a mail server of yours."""

    host: str = Field(examples=["smtp.example"])
    port: int | None = Field(None, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: SecretStr | None = None
    from_: str = Field(alias="from", examples=["chaos@example.org"])
    to: list[Annotated[str, Field(min_length=3)]] = Field(min_length=1, examples=["[oncall@example.org]"])

    @model_validator(mode="after")
    def _fits(self) -> Email:
        if (self.user is None) != (self.password is None):
            raise ValueError("`user` and `password` belong together; write both, or none")
        if self.password is not None and self.security == "none":
            raise ValueError("a password would go over the wire as it is; write `security: starttls` or `tls`")
        for address in (self.from_, *self.to):
            if not re.fullmatch(r"[^@\s,;<>]+@[^@\s,;<>]+", address):
                raise ValueError(f"{address!r} is no mail address; write something like oncall@example.org")
        return self

    def at_port(self) -> int:
        """The port, which the security says when nobody else does."""
        return self.port or PORTS[self.security]


class Tell(Strict):
    """Who is told, how, and of what. Addresses are secrets: whoever has one can post there."""

    webhook: Annotated[SecretStr, AfterValidator(secret_http)] | None = None
    slack: Annotated[SecretStr, AfterValidator(secret_http)] | None = Field(
        None, description="an address that takes Slack's `{text: …}`: Slack, Mattermost, Rocket.Chat, …"
    )
    email: Email | None = None
    when: list[When] = Field(
        list(EVERYTHING),
        min_length=1,
        description="`trouble`: missed, frozen, refused or interrupted",
        examples=["[before, after, trouble]"],
    )

    @model_validator(mode="after")
    def _one(self) -> Tell:
        if sum(one is not None for one in (self.webhook, self.slack, self.email)) != 1:
            raise ValueError("this names not exactly one way; write one of `webhook:`, `slack:` and `email:`")
        return self


class Step(Strict):
    """One experiment of the day."""

    experiment: str = Field(min_length=1, description="a file, relative to this one", examples=["delay.yaml"])
    system: str | None = Field(None, description="in place of the experiment's own system")
    pause: Duration = Field(0.0, description="how long to wait before it, for people and alerts to settle")
    only_if: Condition = Field(
        "always", description="`passed`, `failed`: what the experiment that was run before it must have shown"
    )
    confirm: bool = Field(default=False, description="a person at the terminal is asked before it begins")
    note: str | None = Field(None, description="what people should look at while it goes on")


class Limits(Strict):
    """How often a game day may be. That two never hurt one target at once is no limit of choice: it always holds."""

    most_per_week: int | None = Field(None, ge=1, le=10_000, description="in a calendar week, Monday to Sunday")


class GameDay(Strict):
    """One `gameday.yaml`."""

    name: Annotated[str, AfterValidator(_name)] = Field(examples=["tuesday-drill"])
    purpose: Annotated[str, AfterValidator(_purpose)] = Field(
        description="what people are to learn from it", examples=["The on-call finds a bad model without help"]
    )
    owner: str | None = None
    system: str | None = Field(None, description="in place of the experiments' own systems")
    calendar: Schedule = Schedule()
    limits: Limits = Limits()
    steps: list[Step] = Field(min_length=1, examples=["[{experiment: delay.yaml}]"])
    tell: list[Tell] = Field(default_factory=list)


def parse_gameday(text: str, path: str, variables: Mapping[str, str]) -> tuple[GameDay, Document]:
    """The game day and the document that it stood in. Raises InvalidFile with every problem."""
    document = read_document(text, path, variables)
    made, problems = validate(document, GameDay, "game day")
    if made is None:
        raise InvalidFile(problems)
    return made, document


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a game day's file."""
    return GameDay.model_json_schema()
