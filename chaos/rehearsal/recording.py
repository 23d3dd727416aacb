"""A stretch of telemetry, kept: every sample of the series that rules read, and what happened in it. A value and a file. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from chaos.telemetry import RecordingRule, RuleInfo

Kind = Literal["counter", "gauge"]

COUNTER_ENDINGS = ("_total", "_bucket", "_count", "_sum")
"""By these ends of its name a series without metadata is known as a counter."""


@dataclass(frozen=True, slots=True)
class RecordedSeries:
    """One series. `labels` has its name under `__name__`; samples are (wall_s, value), with the server's own times."""

    labels: Mapping[str, str]
    kind: Kind
    samples: tuple[tuple[float, float], ...]

    @property
    def name(self) -> str:
        """The metric's name."""
        return self.labels.get("__name__", "")


@dataclass(frozen=True, slots=True)
class Recording:
    """What was recorded. All times are the server's, in wall-clock seconds.

    `effect_wall_s` and `removal_wall_s` say when a fault was on; None where nothing was hurt. `severity` is the share of traffic that
    was hurt then. `about` says in words what this is: "run quickstart-1a2b", "1h of http://…".
    """

    about: str
    start_wall_s: float
    end_wall_s: float
    scrape_s: float
    evaluation_s: float
    series: tuple[RecordedSeries, ...]
    rules: tuple[RuleInfo, ...] = ()
    recording_rules: tuple[RecordingRule, ...] = ()
    baseline_wall_s: float | None = None
    effect_wall_s: float | None = None
    removal_wall_s: float | None = None
    severity: float = 1.0
    whole: bool = True
    """Whether everything that was wanted is in it; False when it grew too large and was cut."""

    def samples(self) -> int:
        """How many samples are in it."""
        return sum(len(one.samples) for one in self.series)

    def lines(self) -> Iterator[str]:
        """The recording as lines of JSON: first what it is, then each series."""
        head = asdict(self)
        del head["series"]
        yield json.dumps({"recording": 1, **head}, separators=(",", ":"))
        for one in self.series:
            first = one.samples[0][0] if one.samples else 0.0
            times = [round((at - first) * 1000) for at, _ in one.samples]
            values = [_text(value) for _, value in one.samples]
            yield json.dumps(
                {"labels": dict(one.labels), "kind": one.kind, "first": first, "ms": times, "values": values},
                separators=(",", ":"),
            )

    @staticmethod
    def read(lines: Iterable[str]) -> Recording:
        """The recording of `lines()`. Raises ValueError when it is none."""
        rows = iter(lines)
        try:
            head = json.loads(next(rows, "null"))
            if not isinstance(head, dict) or head.pop("recording", None) != 1:
                raise ValueError("this is no recording")
            series = tuple(_counted(_series(json.loads(row)) for row in rows if row.strip()))
            return _ADAPTER.validate_python({**head, "series": series})
        except (LookupError, TypeError, AttributeError, RecursionError, json.JSONDecodeError) as error:
            raise ValueError(f"this is no recording: {error}") from error


_ADAPTER: TypeAdapter[Recording] = TypeAdapter(Recording)


def _text(value: float) -> float | str:
    """JSON knows neither NaN nor infinity."""
    return value if math.isfinite(value) else str(value)


MOST_SAMPLES = 20_000_000
"""Of a recording that is read: a file may come from somebody else."""


def _counted(series: Iterable[RecordedSeries]) -> Iterator[RecordedSeries]:
    count = 0
    for one in series:
        count += len(one.samples)
        if count > MOST_SAMPLES:
            raise ValueError(f"it has more than {MOST_SAMPLES:,} samples")
        yield one


def _series(row: Any) -> RecordedSeries:
    first = float(row["first"])
    samples = tuple((first + ms / 1000, float(value)) for ms, value in zip(row["ms"], row["values"], strict=True))
    return RecordedSeries(dict(row["labels"]), row["kind"], samples)


def kind_of(name: str, types: Mapping[str, str]) -> Kind:
    """Whether a metric only grows. `types` is the server's metadata: metric → counter, gauge, histogram, summary."""
    for end in ("", "_bucket", "_count", "_sum"):
        said = types.get(name.removesuffix(end)) if end == "" or name.endswith(end) else None
        if said in ("counter", "gauge"):
            return "counter" if said == "counter" else "gauge"
        if said in ("histogram", "summary") and end:
            return "counter"
    return "counter" if name.endswith(COUNTER_ENDINGS) else "gauge"
