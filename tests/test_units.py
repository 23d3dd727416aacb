"""Quantities: what people write is read exactly, printed back, and never guessed at."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from chaos.units import (
    ByteRate,
    Count,
    Duration,
    Rate,
    Share,
    Size,
    WrittenFloat,
    WrittenInt,
    format_byte_rate,
    format_duration,
    format_error,
    format_measured,
    format_rate,
    format_share,
    format_size,
    parse_byte_rate,
    parse_count,
    parse_duration,
    parse_rate,
    parse_share,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("250ms", 0.25),
        ("5us", 5e-6),
        ("1m30s", 90.0),
        ("1.5h", 5400.0),
        ("2d", 172_800.0),
        ("1w", 604_800.0),
        ("0s", 0.0),
        (" 3s ", 3.0),
        ("1e2s", 100.0),
    ],
)
def test_a_duration_is_read_in_seconds(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("30", "30 has no unit; write 30s (units: ms, s, m, h, d)"),
        (30, "30 has no unit; write 30s (units: ms, s, m, h, d)"),
        (0.5, "0.5 has no unit; write 0.5s (units: ms, s, m, h, d)"),
        ("60 sec", "'60 sec' is no duration; write something like 90s, 250ms or 1m30s"),
        ("-5s", "'-5s' is no duration; write something like 90s, 250ms or 1m30s"),
        ("1:30", "'1:30' is no duration; write something like 90s, 250ms or 1m30s"),
        (True, "True is no duration; write something like 90s, 250ms or 1m30s"),
        ("", "a duration is missing; write something like 90s"),
        ("400d", "'400d' is longer than a year; write a shorter duration"),
        ("1e300s", "'1e300s' is longer than a year; write a shorter duration"),
        ("1e999s", "'1e999s' is longer than a year; write a shorter duration"),
        ("nans", "'nans' is no duration; write something like 90s, 250ms or 1m30s"),
    ],
)
def test_what_is_no_duration_is_refused_with_what_to_write(value, said):
    with pytest.raises(ValueError) as refused:
        parse_duration(value)
    assert str(refused.value) == said


@settings(deadline=None)
@given(st.integers(0, 366 * 86_400_000).map(lambda milliseconds: milliseconds / 1000))
@example(0.0)
@example(0.001)
@example(59.9996)
@example(90061.001)
@example(1_234_567.891)
def test_a_printed_duration_reads_back_as_the_same_duration(seconds):
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(st.integers(0, 366 * 86_400))
def test_whole_seconds_survive_printing_exactly(seconds):
    assert parse_duration(format_duration(float(seconds))) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(90.0, "1m30s"), (0.25, "250ms"), (0.0, "0s"), (59.0, "59s"), (3600.0, "1h"), (-90.0, "-1m30s"), (1.5, "1.5s")],
)
def test_a_duration_is_printed_as_people_write_it(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), ("0.5 %", 0.005), ("100%", 1.0), ("0%", 0.0)])
def test_a_share_is_read_as_a_part_of_one(text, share):
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (10, "10 has no unit; write 10%"),
        ("0.1", "0.1 has no unit; write 10%"),
        ("1", "1 has no unit; write 1%"),
        ("101%", "101% is more than everything; write at most 100%"),
        ("-1%", "'-1%' is no share; write something like 10%"),
        ("a tenth", "'a tenth' is no share; write something like 10%"),
        (True, "True is no share; write something like 10%"),
        ("%", "'%' is no share; write something like 10%"),
    ],
)
def test_what_is_no_share_is_refused_with_what_to_write(value, said):
    with pytest.raises(ValueError) as refused:
        parse_share(value)
    assert str(refused.value) == said


@settings(deadline=None)
@given(st.integers(0, 1_000_000).map(lambda parts: parts / 1_000_000))
def test_a_printed_share_reads_back_as_the_same_share(share):
    assert parse_share(format_share(share)) == pytest.approx(share, rel=1e-9)


@pytest.mark.parametrize(("text", "rate"), [("40/s", 40.0), ("600/m", 10.0), ("36 / h", 0.01), ("0.5/s", 0.5)])
def test_a_rate_is_read_per_second(text, rate):
    assert parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (40, "40 has no unit; write 40/s"),
        ("40s", "'40s' is no rate; write something like 40/s"),
        ("40/day", "'40/day' is no rate; write something like 40/s"),
        ("-1/s", "'-1/s' is no rate; write something like 40/s"),
        ("2e6/s", "'2e6/s' is more than a million a second; write a smaller rate"),
    ],
)
def test_what_is_no_rate_is_refused_with_what_to_write(value, said):
    with pytest.raises(ValueError) as refused:
        parse_rate(value)
    assert str(refused.value) == said


@settings(deadline=None)
@given(st.integers(0, 10**9).map(lambda parts: parts / 1000))
def test_a_printed_rate_reads_back_as_the_same_rate(rate):
    assert parse_rate(format_rate(rate)) == pytest.approx(rate, rel=1e-9)


@pytest.mark.parametrize(("text", "count"), [("20000 requests", 20_000), ("1 request", 1)])
def test_a_count_says_what_it_counts(text, count):
    assert parse_count(text) == count


@pytest.mark.parametrize(
    "value", [2000, "2000", "2.5 requests", "-1 requests", "2000 requests a day", "1" * 20 + " requests"]
)
def test_what_is_no_count_is_refused_with_what_to_write(value):
    with pytest.raises(ValueError, match=r"; write (2000|something like 20000) requests$"):
        parse_count(value)


class Quantities(BaseModel):
    """One field of each kind."""

    duration: Duration = 0.0
    share: Share = 0.0
    rate: Rate = 0.0
    count: Count = 0


@pytest.mark.parametrize("field", ["duration", "share", "rate", "count"])
@pytest.mark.parametrize("number", [WrittenInt(1), WrittenFloat(0.5)])
def test_a_number_that_stands_in_a_file_without_a_unit_is_refused(field, number):
    with pytest.raises(ValidationError, match="; write "):
        Quantities.model_validate({field: number})


def test_numbers_that_the_program_made_need_no_unit():
    made = Quantities(duration=90.0, share=0.1, rate=40.0, count=7)
    assert (made.duration, made.share, made.rate, made.count) == (90.0, 0.1, 40.0, 7)


def test_quantities_are_written_with_their_units_and_read_back_equal():
    made = Quantities(duration=90.0, share=0.1, rate=40.0, count=7)
    assert made.model_dump_json() == '{"duration":"1m30s","share":"10%","rate":"40/s","count":"7 requests"}'
    assert Quantities.model_validate_json(made.model_dump_json()) == made


@settings(deadline=None)
@given(st.text(max_size=12))
def test_no_text_makes_a_parser_fail_in_another_way_than_by_refusing(text):
    for parse in (parse_duration, parse_share, parse_rate, parse_count):
        value, said = 0.0, "write"
        try:
            value = parse(text)
        except ValueError as refused:
            said = str(refused)
        assert value >= 0
        assert "write" in said


@pytest.mark.parametrize(
    ("text", "size"),
    [("300B", 300), ("64kB", 64_000), ("64KiB", 65_536), ("1.5MB", 1_500_000), (" 2 GiB ", 2 * 1024**3), ("0B", 0)],
)
def test_a_size_is_read_in_whole_bytes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (300, "300 has no unit; write 300B (units: B, kB, MB, GB, KiB, MiB, GiB)"),
        ("64", "64 has no unit; write 64B (units: B, kB, MB, GB, KiB, MiB, GiB)"),
        ("64KB", "'64KB' is no size; write something like 300B, 64kB or 1MiB"),
        ("64kb", "'64kb' is no size; write something like 300B, 64kB or 1MiB"),
        ("-1B", "'-1B' is no size; write something like 300B, 64kB or 1MiB"),
        (True, "True is no size; write something like 300B, 64kB or 1MiB"),
        ("1e9GB", "'1e9GB' is more than 1024GiB; write a smaller size"),
        ("1.2B", "'1.2B' is no whole number of bytes; write 1B"),
    ],
)
def test_what_is_no_size_is_refused_with_what_to_write(value, said):
    with pytest.raises(ValueError) as refused:
        parse_size(value)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("text", "bytes_per_s"), [("10kB/s", 10_000.0), ("600B/m", 10.0), ("1MiB / s", 1_048_576.0), ("36kB/h", 10.0)]
)
def test_a_bandwidth_is_read_in_bytes_a_second(text, bytes_per_s):
    assert parse_byte_rate(text) == bytes_per_s


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (10, "10 has no unit; write 10B/s (units: B, kB, MB, GB, KiB, MiB, GiB, each by s, m or h)"),
        ("10kB", "'10kB' is no bandwidth; write something like 10kB/s"),
        ("10kbit/s", "'10kbit/s' is no bandwidth; write something like 10kB/s"),
        ("10kB/d", "'10kB/d' is no bandwidth; write something like 10kB/s"),
        ("10/s", "'10/s' is no bandwidth; write something like 10kB/s"),
        ("1e9GB/s", "'1e9GB/s' is more than 1024GiB/s; write a smaller bandwidth"),
    ],
)
def test_what_is_no_bandwidth_is_refused_with_what_to_write(value, said):
    with pytest.raises(ValueError) as refused:
        parse_byte_rate(value)
    assert str(refused.value) == said


@given(st.integers(0, 1024**4))
@example(64_000)
@example(65_536)
def test_a_size_is_printed_as_text_that_reads_back_to_it(size):
    assert parse_size(format_size(size)) == size


@given(st.floats(0.001, 1e12))
def test_a_bandwidth_is_printed_as_text_that_reads_back_to_it(bytes_per_s):
    assert parse_byte_rate(format_byte_rate(bytes_per_s)) == bytes_per_s


def test_sizes_and_bandwidths_are_written_with_units_and_stay_as_the_program_made_them():
    class Model(BaseModel):
        size: Size
        rate: ByteRate

    assert Model(size="64kB", rate="10kB/s") == Model(size=64_000, rate=10_000.0)
    assert Model(size=65_536, rate=0.5).model_dump(mode="json") == {"size": "64KiB", "rate": "0.5B/s"}
    with pytest.raises(ValidationError):
        Model(size=WrittenInt(300), rate="10kB/s")


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.0, "± 2s"), (0.1, "± 0.1s"), (0.00400019, "± 0.004s"), (0, "± 0s"), (17.25, "± 17s")]
)
def test_a_stated_error_has_as_many_figures_as_it_deserves(seconds: float, text: str) -> None:
    assert format_error(seconds) == text


@given(
    st.floats(0.0, 1e4),
    st.one_of(st.none(), st.floats(0.0, 1e4)),
    st.sampled_from([0, 1, 3]),
)
@example(60.04, 60.0, 1)
@example(59.97, 60.0, 1)
def test_a_measured_time_lies_on_the_same_side_of_its_limit_when_it_is_shown(
    seconds: float, limit_s: float | None, digits: int
) -> None:
    shown = format_measured(seconds, limit_s, digits=digits)
    read = float(shown.removesuffix("s"))
    assert abs(read - seconds) <= 0.5 * 10.0**-digits + 1e-9
    if limit_s is not None:
        assert (read > limit_s, read < limit_s) == (seconds > limit_s, seconds < limit_s)


@pytest.mark.parametrize(
    ("seconds", "limit_s", "shown"),
    [
        (60.2, 60.0, "60.2s"),
        (60.04, 60.0, "60.04s"),
        (60.04, None, "60.0s"),
        (28.74, 60.0, "28.7s"),
        (60.0, 60.0, "60.0s"),
    ],
)
def test_a_measured_time_has_no_more_figures_than_that_takes(seconds: float, limit_s: float | None, shown: str) -> None:
    assert format_measured(seconds, limit_s) == shown
    assert format_measured(seconds, limit_s, sign="+") == f"+{shown}"
