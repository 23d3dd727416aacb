"""Quantities as people write them: 90s, 10%, 40/s, 250ms, 20000 requests, 64kB, 10kB/s.

Every quantity carries its unit. A bare number where a unit belongs is refused with the text to write instead. Inside the
program a duration is float seconds, a share is in [0, 1], a rate is per second, a size is whole bytes.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_NUMBER = r"([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(rf"{_NUMBER}\s*({'|'.join(sorted(_SECONDS, key=len, reverse=True))})")
_LARGEST_S = 366 * 86400.0
_BYTES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_SIZE = re.compile(rf"{_NUMBER}\s*({'|'.join(sorted(_BYTES, key=len, reverse=True))})")
_LARGEST_SIZE = 1024**4


def _bare(value: object) -> str | None:
    """The text of a bare number, or None when it is none. Booleans are not numbers here."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    text = str(value).strip()
    return text if re.fullmatch(_NUMBER, text) else None


def parse_duration(value: object) -> float:
    """Seconds of `90s`, `1m30s`, `250ms`, `2h`. Raises ValueError that says what to write instead."""
    bare = _bare(value)
    if bare is not None:
        raise ValueError(f"{bare} has no unit; write {bare}s (units: ms, s, m, h, d)")
    text = str(value).strip()
    total, place = 0.0, 0
    while place < len(text):
        match = _DURATION.match(text, place)
        if match is None:
            raise ValueError(f"{value!r} is no duration; write something like 90s, 250ms or 1m30s")
        total += float(match[1]) * _SECONDS[match[2]]
        place = match.end()
    if not text:
        raise ValueError("a duration is missing; write something like 90s")
    if total > _LARGEST_S:
        raise ValueError(f"{value!r} is longer than a year; write a shorter duration")
    return total


def format_duration(seconds: float) -> str:
    """The shortest text that parses back to the same duration: 90s becomes 1m30s, 0.25 becomes 250ms."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds and seconds < 1:
        return f"{seconds * 1000:.10g}ms"
    whole, rest = int(seconds), seconds - int(seconds)
    if rest or whole < 60:
        return f"{seconds:.10g}s"
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def format_measured(seconds: float, limit_s: float | None = None, *, digits: int = 1, sign: str = "") -> str:
    """A measured time, `60.2s`, with so many decimals; with more where only they show on which side of its limit it lies.

    `sign` is `+` for one that always shows its sign.
    """
    for more in range(digits, 10):
        said = f"{seconds:{sign}.{more}f}"
        if limit_s is None or same_side(float(said), seconds, limit_s):
            return f"{said}s"
    return f"{seconds:{sign}}s"


def same_side(shown: float, value: float, limit: float) -> bool:
    """Whether what is shown lies on the same side of a limit as the value: below, at, or above it."""
    return (shown > limit, shown < limit) == (value > limit, value < limit)


def format_error(seconds: float) -> str:
    """A stated error with as many figures as it deserves: `± 2s`, `± 0.1s`, `± 0.004s`."""
    return f"± {float(f'{seconds:.2g}'):g}s"


def parse_share(value: object) -> float:
    """A number in [0, 1] from `10%` or `0.5%`. Raises ValueError that says what to write instead."""
    text = str(value).strip()
    match = re.fullmatch(_NUMBER + r"\s*%", text)
    if match is None or isinstance(value, bool):
        bare = _bare(value)
        if bare is not None:
            percent = float(bare)
            guess = f"{percent * 100:g}%" if percent < 1 else f"{percent:g}%"
            raise ValueError(f"{bare} has no unit; write {guess}")
        raise ValueError(f"{value!r} is no share; write something like 10%")
    share = float(match[1]) / 100
    if share > 1:
        raise ValueError(f"{text} is more than everything; write at most 100%")
    return share


def format_share(share: float) -> str:
    """0.1 becomes 10%."""
    return f"{share * 100:.10g}%"


def parse_rate(value: object) -> float:
    """Events per second of `40/s`, `600/m`. Raises ValueError that says what to write instead."""
    bare = _bare(value)
    if bare is not None:
        raise ValueError(f"{bare} has no unit; write {bare}/s")
    match = re.fullmatch(_NUMBER + r"\s*/\s*(s|m|h)", str(value).strip())
    if match is None:
        raise ValueError(f"{value!r} is no rate; write something like 40/s")
    rate = float(match[1]) / _SECONDS[match[2]]
    if rate > 1e6:
        raise ValueError(f"{value!r} is more than a million a second; write a smaller rate")
    return rate


def format_rate(rate_per_s: float) -> str:
    """40.0 becomes 40/s."""
    return f"{rate_per_s:.10g}/s"


def parse_size(value: object) -> int:
    """Whole bytes of `300B`, `64kB`, `1.5MiB`. Raises ValueError that says what to write instead."""
    bare = _bare(value)
    if bare is not None:
        raise ValueError(f"{bare} has no unit; write {bare}B (units: B, kB, MB, GB, KiB, MiB, GiB)")
    match = _SIZE.fullmatch(str(value).strip())
    if match is None or isinstance(value, bool):
        raise ValueError(f"{value!r} is no size; write something like 300B, 64kB or 1MiB")
    size = float(match[1]) * _BYTES[match[2]]
    if size > _LARGEST_SIZE:
        raise ValueError(f"{value!r} is more than 1024GiB; write a smaller size")
    if size != int(size):
        raise ValueError(f"{value!r} is no whole number of bytes; write {round(size)}B")
    return int(size)


def format_size(size: int) -> str:
    """The shortest text that parses back to the same size: 64000 becomes 64kB, 65536 becomes 64KiB."""
    told = [f"{size // factor}{unit}" for unit, factor in _BYTES.items() if size % factor == 0 and size >= factor]
    return min(told, key=len, default="0B")


def parse_byte_rate(value: object) -> float:
    """Bytes per second of `10kB/s`, `1MiB/m`. Raises ValueError that says what to write instead."""
    bare = _bare(value)
    if bare is not None:
        raise ValueError(
            f"{bare} has no unit; write {bare}B/s (units: B, kB, MB, GB, KiB, MiB, GiB, each by s, m or h)"
        )
    size, _, time = str(value).strip().partition("/")
    match = _SIZE.fullmatch(size.strip())
    if match is None or time.strip() not in ("s", "m", "h"):
        raise ValueError(f"{value!r} is no bandwidth; write something like 10kB/s")
    rate = float(match[1]) * _BYTES[match[2]] / _SECONDS[time.strip()]
    if rate > _LARGEST_SIZE:
        raise ValueError(f"{value!r} is more than 1024GiB/s; write a smaller bandwidth")
    return rate


def format_byte_rate(bytes_per_s: float) -> str:
    """10000.0 becomes 10kB/s; a rate that is no whole number of bytes keeps its digits."""
    if bytes_per_s == int(bytes_per_s):
        return f"{format_size(int(bytes_per_s))}/s"
    return f"{bytes_per_s:.17g}B/s"


def parse_count(value: object) -> int:
    """The whole number of `20000 requests`. Raises ValueError that says what to write instead."""
    bare = _bare(value)
    if bare is not None:
        raise ValueError(f"{bare} has no unit; write {bare} requests")
    match = re.fullmatch(r"([0-9]{1,12})\s+requests?", str(value).strip())
    if match is None:
        raise ValueError(f"{value!r} is no count; write something like 20000 requests")
    return int(match[1])


def _text(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


def _keep(parse: object) -> BeforeValidator:
    """Values that the program itself made (floats) pass; text that people wrote is parsed.

    The loader hands every scalar of a file over as `Written`, so that a bare number in a file is never taken for one of
    the program's own.
    """

    def validate(value: object) -> object:
        if isinstance(value, (float, int)) and not isinstance(value, (bool, WrittenInt, WrittenFloat)):
            return value
        return parse(value)  # type: ignore[operator]

    return BeforeValidator(validate)


class WrittenInt(int):
    """An integer that stands in a file without a unit."""


class WrittenFloat(float):
    """A decimal that stands in a file without a unit."""


Duration = Annotated[
    float,
    _keep(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    _text(r"^([0-9.]+(us|ms|s|m|h|d|w))+$", "90s"),
]
Share = Annotated[
    float, _keep(parse_share), PlainSerializer(format_share, return_type=str), _text(r"^[0-9.]+ *%$", "10%")
]
Rate = Annotated[
    float, _keep(parse_rate), PlainSerializer(format_rate, return_type=str), _text(r"^[0-9.]+ */ *(s|m|h)$", "40/s")
]
Count = Annotated[
    int,
    _keep(parse_count),
    PlainSerializer(lambda n: f"{n} requests", return_type=str),
    _text(r"^[0-9]+ requests?$", "20000 requests"),
]
_SIZE_TEXT = r"[0-9.]+ *(B|kB|MB|GB|KiB|MiB|GiB)"
Size = Annotated[
    int, _keep(parse_size), PlainSerializer(format_size, return_type=str), _text(rf"^{_SIZE_TEXT}$", "64kB")
]
ByteRate = Annotated[
    float,
    _keep(parse_byte_rate),
    PlainSerializer(format_byte_rate, return_type=str),
    _text(rf"^{_SIZE_TEXT} */ *(s|m|h)$", "10kB/s"),
]
