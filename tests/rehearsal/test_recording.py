"""A recording survives its file, and a file that is none is refused."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.rehearsal.recording import RecordedSeries, Recording, kind_of
from chaos.telemetry import RecordingRule, RuleInfo
from tests.rehearsal.telemetry import START_S, recording, series

values = st.floats(allow_nan=False) | st.just(math.inf) | st.just(-math.inf)
labels = st.dictionaries(st.sampled_from(["code", "le", "path"]), st.text(max_size=8), max_size=3)
recorded = st.builds(
    lambda more, kind, samples: RecordedSeries(
        {"__name__": "m", **more}, kind, tuple((START_S + ms / 1000, value) for ms, value in sorted(samples.items()))
    ),
    labels,
    st.sampled_from(["counter", "gauge"]),
    st.dictionaries(st.integers(0, 10**7), values, max_size=6),
)


@given(st.lists(recorded, max_size=4), st.floats(0.01, 1.0))
def test_a_recording_survives_its_file(found: list[RecordedSeries], severity: float) -> None:
    made = recording(
        found,
        60,
        effect_s=20,
        removal_s=40,
        severity=severity,
        rules=[RuleInfo("Low", "m < 1", 5.0, {"severity": "page"})],
    )
    back = Recording.read(list(made.lines()))
    assert (back.severity, back.effect_wall_s, back.rules) == (severity, START_S + 20, made.rules)
    for was, read in zip(made.series, back.series, strict=True):
        assert (read.labels, read.kind) == (was.labels, was.kind)
        assert [value for _, value in read.samples] == [value for _, value in was.samples]
        assert all(abs(one - other) < 1e-3 for (one, _), (other, _) in zip(was.samples, read.samples, strict=True))


def test_not_a_number_survives_too() -> None:
    back = Recording.read(list(recording([series("m", [1, math.nan], "gauge")], 2).lines()))
    assert math.isnan(back.series[0].samples[1][1])


def test_recording_rules_survive() -> None:
    made = Recording("x", 0, 1, 1, 1, (), recording_rules=(RecordingRule("a:b", "sum(b)", {"c": "d"}, 15.0),))
    assert Recording.read(list(made.lines())).recording_rules == made.recording_rules


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["null"],
        ["[]"],
        ["{"],
        ['{"recording": 2}'],
        ['{"recording": 1}'],
        ['{"recording": 1, "about": 3}', "{}"],
        ["1" * 5],
    ],
)
def test_what_is_no_recording_is_refused(lines: list[str]) -> None:
    with pytest.raises(ValueError, match=r"no recording|validation error|shorter"):
        Recording.read(lines)


def test_a_damaged_series_is_refused() -> None:
    head, row = recording([series("m", [1, 2])], 2).lines()
    cut = json.loads(row)
    cut["values"] = cut["values"][:1]
    with pytest.raises(ValueError, match=r"no recording|validation error|shorter"):
        Recording.read([head, json.dumps(cut)])


@pytest.mark.parametrize(
    ("name", "types", "kind"),
    [
        ("requests", {"requests": "counter"}, "counter"),
        ("requests_total", {"requests_total": "gauge"}, "gauge"),
        ("time_bucket", {"time": "histogram"}, "counter"),
        ("time_count", {"time": "summary"}, "counter"),
        ("time", {"time": "summary"}, "gauge"),
        ("errors_total", {}, "counter"),
        ("queue", {}, "gauge"),
        ("queue_count", {"queue_count": "gauge"}, "gauge"),
    ],
)
def test_what_only_grows_is_known_by_metadata_and_else_by_its_name(name: str, types: dict[str, str], kind: str) -> None:
    assert kind_of(name, types) == kind
