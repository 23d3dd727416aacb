"""Which subject is in which arm, and which of its rows a fault selects: one pure rule for proxy and load.

Both sides hash the same seed and subject, so each knows every request's arm without asking the other. The hash is a
position in [0, 1); a subject whose position lies below the treatment share is in the treatment arm. Raising the share
therefore only adds subjects, and a retried request meets the same fault.
"""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Literal, Protocol
from urllib.parse import unquote_plus

Arm = Literal["treatment", "control"]

ATTEMPT_HEADER = "x-attempt-number"
"""Which attempt at one request this is, from 1. Only first attempts count in statistics."""
REQUEST_HEADER = "x-request-id"
"""One id per request of a user, the same over its retries."""
SYNTHETIC_HEADER = "x-chaos-synthetic"
"""Marks the run's own load, signed with the run's key; forwarded, so that downstream can discard it."""


class HeaderValues(Protocol):
    """A message's headers, by their lower-case names: a mapping, or whatever finds them when they are asked for."""

    def get(self, name: str, /) -> str | None:
        """The value; None where there is no such header."""
        ...


_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PATH = re.compile(r"\$(?:\.\w+|\[\d{1,9}\])+")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_SCALE = 1.0 / (1 << 64)


def unit_interval(seed: str, *parts: str | int) -> float:
    """A number in [0, 1) that depends on nothing but its arguments; uniform over subjects.

    `seed` is the run's; `parts` say what is drawn. Parts are joined by a character that none of them may contain
    meaningfully (U+001F), so ("a", "bc") and ("ab", "c") differ.
    """
    return _position("\x1f".join((seed, *map(str, parts))))


def _position(text: str) -> float:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big") * _SCALE


@dataclass(frozen=True, slots=True)
class Arms:
    """How subjects are split. `traffic` is the treatment share in [0, 1]; `by` is what a subject is."""

    seed: str
    traffic: float
    by: str = f"header:{REQUEST_HEADER}"
    where: str | None = None

    def arm_of(self, subject: str) -> Arm:
        """The arm in which this subject is for the whole run, on every proxy and in the load."""
        # unit_interval(seed, "arm", subject), asked for every request
        return "treatment" if _position(f"{self.seed}\x1farm\x1f{subject}") < self.traffic else "control"


def row_selected(seed: str, fault_index: int, subject: str, row: int, share: float) -> bool:
    """Whether a fault hurts this row of this subject's answer; `share` in [0, 1] is of the treatment arm's rows."""
    return unit_interval(seed, "fault", fault_index, subject, row) < share


def sign_synthetic(key: bytes, run: str, subject: str) -> str:
    """The value of SYNTHETIC_HEADER for one subject of the run's own load: `RUN:SIGNATURE`."""
    signature = hmac.digest(key, f"{run}\x1f{subject}".encode("utf-8", "surrogateescape"), "sha256")
    return f"{run}:{signature.hex()[:32]}"


def is_synthetic(key: bytes, run: str, subject: str, value: str | None) -> bool:
    """Whether this header value proves that the run itself made the subject up. Compared in constant time."""
    if value is None:
        return False
    wanted = sign_synthetic(key, run, subject)
    return hmac.compare_digest(value.encode("utf-8", "surrogateescape"), wanted.encode("utf-8", "surrogateescape"))


def cookie_of(headers: HeaderValues, name: str) -> str | None:
    """The value of the first cookie with this name; None where there is none."""
    line = headers.get("cookie")
    if line is None:
        return None
    for pair in line.split(";"):
        found, equals, value = pair.partition("=")
        if equals and found.strip() == name:
            return value.strip()
    return None


def parameter_of(target: str, name: str) -> str | None:
    """The first parameter with this name in the query of a request's target, decoded; None where there is none."""
    if name and "?" in target:
        for pair in target.partition("?")[2].split("&"):
            found, _, value = pair.partition("=")
            if unquote_plus(found) == name:
                return unquote_plus(value)
    return None


@lru_cache(256)
def steps_of(path: str) -> tuple[str | int, ...]:
    """The keys and indexes of a path such as `$.customer.cards[0]`. Raises ValueError when it is none."""
    if _PATH.fullmatch(path) is None:
        raise ValueError(f"{path!r} is no path; write something like $.customer.id")
    return tuple(name or int(index) for name, index in _STEP.findall(path))


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object. Raises ValueError when a key stands in it twice: one reader takes the first, another one the last."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands in it twice")
    return made


def json_at(body: bytes, steps: tuple[str | int, ...]) -> Any:
    """What stands at the end of these steps in a body. Raises LookupError when nothing does, or the body is no JSON."""
    value: Any
    try:
        value = json.loads(body, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        raise LookupError("the body is no JSON") from error
    for step in steps:
        fits = isinstance(value, dict) if isinstance(step, str) else isinstance(value, list)
        if not fits:
            raise LookupError(step)
        value = value[step]
    return value


def subject_in(body: bytes, path: str) -> str | None:
    """The subject that a body says at `path`: a text, or a whole number as its digits. None where it says nothing of the kind.

    The text must have an encoding: half of a surrogate pair could not be hashed.
    """
    try:
        found = json_at(body, steps_of(path))
        subject = str(found) if isinstance(found, int) and not isinstance(found, bool) else found
        if not isinstance(subject, str):
            return None
        subject.encode()
    except (LookupError, ValueError):
        return None
    return subject


def with_subject(value: Any, path: str, subject: str) -> Any:
    """A JSON value that says the subject at `path`; mappings on the way that are missing are made. The value given stays as it is.

    Raises LookupError when something else than a mapping, or than a list that is long enough, is in the way.
    """
    return _placed(value, steps_of(path), subject)


def _placed(value: Any, steps: tuple[str | int, ...], subject: str) -> Any:
    if not steps:
        return subject
    step, rest = steps[0], steps[1:]
    if isinstance(step, str) and isinstance(value, dict):
        return {**value, step: _placed(value.get(step, {}), rest, subject)}
    if isinstance(step, int) and isinstance(value, list) and step < len(value):
        return [*value[:step], _placed(value[step], rest, subject), *value[step + 1 :]]
    raise LookupError(step)


def said_at(kind: str, name: str, headers: HeaderValues, target: str) -> str | None:
    """What a request says at a place: the `header`, `cookie` or `query` parameter of this name. None where it says nothing."""
    if kind == "header":
        return headers.get(name)
    return cookie_of(headers, name) if kind == "cookie" else parameter_of(target, name)


@lru_cache(64)
def place_of(by: str) -> tuple[str, str] | None:
    """Where a request says its subject: `header`, `cookie` or `query`, and the name there, or `json`, and the path in its body.

    None when `by` names no place.
    """
    kind, _, name = by.partition(":")
    name = name.strip()
    if by == "request":
        return "header", REQUEST_HEADER
    if kind == "json":
        return (kind, name) if _PATH.fullmatch(name) else None
    if kind not in ("header", "cookie", "query") or not _NAME.fullmatch(name):
        return None
    return kind, name.lower() if kind == "header" else name


def header_of(by: str) -> str | None:
    """The header that says the subject, lower-case; None when a cookie, the query or the body does, or nothing that a request can have."""
    found = place_of(by)
    return found[1] if found is not None and found[0] == "header" else None
