"""Server-sent events in bytes: the same events however they are cut, by all three line ends, and no byte lost or changed."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.proxy.streams import LARGEST_EVENT, EventMeter, EventReader, TooLarge, data_of, with_data
from tests.proxy.test_wire import cut

ENDS = st.sampled_from(["\n", "\r\n", "\r"])
LINES = st.lists(
    st.tuples(
        st.sampled_from(
            ["data: a", "data:b", "data", "data:", "event: x", ": comment", "id:1", "datax: 1", "", "da\u00e9"]
        ),
        ENDS,
    ),
    max_size=25,
)
TEXT = LINES.map(lambda lines: "".join(line + end for line, end in lines).encode())
CUTS = st.lists(st.integers(0, 300), max_size=12)


def read(pieces: Sequence[bytes]) -> tuple[list[bytes], bytes]:
    reader = EventReader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events, reader.rest


def told(events: Sequence[bytes]) -> list[str]:
    return [data for event in events if (data := data_of(event)) is not None]


@given(TEXT, CUTS)
def test_however_an_event_stream_is_cut_into_reads_its_events_are_the_same_and_no_byte_is_lost(
    text: bytes, places: list[int]
) -> None:
    events, rest = read(cut(text, places))
    assert b"".join(events) + rest == text
    assert told(events) == told(read([text])[0])


@given(TEXT)
def test_an_event_is_what_the_standard_says_it_is(text: bytes) -> None:
    wanted: list[str] = []
    data: list[str] = []
    lines = re.split("\r\n|\n|\r", text.decode())
    for line in lines[:-1]:  # what follows the last line end is no whole line
        name, _, value = line.partition(":")
        if not line and data:
            wanted.append("\n".join(data))
            data = []
        elif line and name == "data":
            data.append(value.removeprefix(" "))
    assert told(read([text])[0]) == wanted


@given(TEXT, CUTS)
def test_the_meter_counts_the_events_that_the_reader_finds(text: bytes, places: list[int]) -> None:
    meter = EventMeter()
    assert sum(meter.feed(piece) for piece in cut(text, places)) == len(told(read([text])[0]))


def test_an_event_is_whole_with_the_very_byte_that_ends_it() -> None:
    reader = EventReader()
    assert reader.feed(b"data: a\r\n\r") == [b"data: a\r\n\r"]
    assert reader.feed(b"\ndata: b\n\n") == [b"\n", b"data: b\n\n"]


@pytest.mark.parametrize(
    ("event", "data"),
    [(b"data: a\ndata:b\n\n", "a\nb"), (b"data:  a\n\n", " a"), (b"data\n\n", ""), (b"\xef\xbb\xbfdata: a\n\n", "a"), (b": data: a\n\n", None), (b"Data: a\n\n", None),
     (b"event: x\r\nid: 1\r\ndata: a\r\n\r\n", "a"), (b"data: \xff\n\n", None), (b"\n", None)],
)  # fmt: skip
def test_the_data_of_an_event_are_its_data_lines_joined(event: bytes, data: str | None) -> None:
    assert data_of(event) == data


def test_new_data_stand_where_the_old_ones_stood_and_every_other_byte_stays() -> None:
    event = b': c\r\nevent:x\r\ndata: {"a":\rid: 1\r\ndata:"b"}\r\n\r\n'
    assert with_data(event, '{"a":\n"\u00e9"}') == b': c\r\nevent:x\r\ndata: {"a":\rid: 1\r\ndata:"\xc3\xa9"}\r\n\r\n'
    with pytest.raises(ValueError):
        with_data(event, "one line")


def test_an_event_of_a_megabyte_is_one_event_and_a_larger_one_than_allowed_is_given_back() -> None:
    event = b"data: " + b"x" * (1 << 20) + b"\n\n"
    assert read([event[place : place + 1000] for place in range(0, len(event), 1000)]) == ([event], b"")
    reader = EventReader()
    for _ in range(LARGEST_EVENT // 1000):
        assert reader.feed(b"x" * 1000) == []
    with pytest.raises(TooLarge):
        reader.feed(b"x" * 1000)
    assert len(reader.rest) <= LARGEST_EVENT + 1000
