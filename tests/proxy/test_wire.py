"""Heads and bodies: any cut of the bytes into reads gives the same messages, and two readings are never possible."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chaos.proxy import wire
from chaos.proxy.wire import BadMessage, ChunkedBody, LengthBody, answer, parse_answer, parse_request, with_body
from tests.fuzzing import examples
from tests.proxy import head_oracle

TOKEN = st.text("abcXYZ019-_!", min_size=1, max_size=10)
VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in pieces, cut at these places (modulo its length)."""
    marks = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(marks)]


@st.composite
def chunked(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A chunked body and what it carries."""
    pieces = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
    coded = b""
    for piece in pieces:
        size = b"%x" % len(piece)
        size = size.upper() if draw(st.booleans()) else size.rjust(draw(st.integers(1, 6)), b"0")
        coded += size + draw(st.sampled_from([b"", b";a", b';a="b c"'])) + b"\r\n" + piece + b"\r\n"
    trailers = draw(st.sampled_from([b"", b"X-Sum: 1\r\n", b"A: b\r\nC: d\r\n"]))
    return coded + draw(st.sampled_from([b"0", b"000"])) + b"\r\n" + trailers + b"\r\n", b"".join(pieces)


@given(chunked(), st.binary(max_size=30), st.lists(st.integers(0, 500), max_size=12))
def test_a_chunked_body_ends_at_the_same_byte_however_it_is_cut(
    body: tuple[bytes, bytes], after: bytes, places: list[int]
) -> None:
    coded, payload = body
    tracker = ChunkedBody(collect=True)
    used = 0
    for piece in cut(coded + after, places):
        taken = tracker.take(piece, 0)
        used += taken
        if tracker.done:
            break
        assert taken == len(piece)
    assert (used, tracker.done, b"".join(tracker.payload or [])) == (len(coded), True, payload)


@given(st.binary(max_size=80), st.lists(st.integers(0, 80), max_size=10))
def test_any_bytes_at_all_are_judged_the_same_however_they_are_cut(data: bytes, places: list[int]) -> None:
    def judged(pieces: list[bytes]) -> tuple[object, ...]:
        tracker, used = ChunkedBody(collect=True), 0
        try:
            for piece in pieces:
                used += tracker.take(piece, 0)
                if tracker.done:
                    break
        except BadMessage:
            return ("bad",)
        return (used, tracker.done, b"".join(tracker.payload or []))

    assert judged(cut(data, places)) == judged([data])


@given(st.integers(0, 100), st.binary(max_size=150), st.lists(st.integers(0, 150), max_size=6))
def test_a_sized_body_takes_its_bytes_and_no_more(length: int, data: bytes, places: list[int]) -> None:
    tracker = LengthBody(length)
    taken = sum(tracker.take(piece, 0) for piece in cut(data, places))
    assert taken == min(length, len(data))
    assert tracker.done is (len(data) >= length)


@given(TOKEN, st.lists(st.tuples(TOKEN, VALUE), max_size=6), st.none() | st.integers(0, 10**9))
def test_a_head_is_kept_byte_for_byte_and_its_headers_are_told(
    method: str, headers: list[tuple[str, str]], length: int | None
) -> None:
    assume(not any(name.lower() in {"content-length", "transfer-encoding"} for name, _ in headers))
    lines = [f"{method} /path?q=1 HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    lines += [f"Content-Length: {length}"] if length is not None else []
    raw = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    head = parse_request(raw)
    assert (head.raw, head.method, head.target, head.length, head.chunked) == (raw, method, "/path?q=1", length, False)
    assert all(
        head.headers[name.lower()] in {value.strip(" \t") for other, value in headers if other.lower() == name.lower()}
        for name, _ in headers
    )


@given(
    st.lists(st.tuples(TOKEN, VALUE), max_size=6),
    st.sampled_from(["x-a", "X-A", "", "host", "x–a", "a:b", "a\r\nb", "?", "\xe9"]) | TOKEN | st.text(max_size=8),
)
def test_a_header_that_is_looked_for_alone_is_what_all_headers_say(headers: list[tuple[str, str]], name: str) -> None:
    assume(not any(other.lower() in {"content-length", "transfer-encoding"} for other, _ in headers))
    raw = "".join(["GET /a:b HTTP/1.1\r\n", *(f"{other}: {value}\r\n" for other, value in headers), "A: b: c\r\n\r\n"])
    head = parse_request(raw.encode("latin-1"))
    alone = [head.get(name), head.get(name.lower())]
    assert alone == [head.headers.get(name), head.headers.get(name.lower())]


@settings(max_examples=examples(300))
@given(st.binary(max_size=100))
def test_no_bytes_make_the_parser_fail_in_any_other_way(data: bytes) -> None:
    for parse in (parse_request, lambda raw: parse_answer(raw, "GET")):
        try:
            assert parse(data + b"\r\n\r\n").raw == data + b"\r\n\r\n"
        except BadMessage:
            continue


@given(
    st.binary(max_size=60),
    st.sampled_from(
        [
            "Content-Length: 4",
            "content-length:4",
            "Transfer-Encoding: chunked",
            "Trailer: X\r\nTransfer-Encoding: chunked",
            "X: y",
        ]
    ),
)
def test_a_new_body_gets_one_length_that_fits_and_other_headers_keep_their_bytes(body: bytes, framing: str) -> None:
    raw = f"HTTP/1.1 200 OK\r\nA:  b \r\n{framing}\r\nZ:z\r\n\r\n".encode()
    made = with_body(parse_answer(raw, "POST"), body)
    end = made.index(b"\r\n\r\n") + 4
    again = parse_answer(made[:end], "POST")
    assert (again.length, again.chunked, made[end:]) == (len(body), False, body)
    lines = made[:end].split(b"\r\n")
    assert lines[:2] == [b"HTTP/1.1 200 OK", b"A:  b "]
    assert b"Z:z" in lines
    assert not any(line.startswith(b"Trailer") for line in lines)  # a body with a length has none


@pytest.mark.parametrize(
    ("status", "method", "length"),
    [(200, "HEAD", 0), (204, "GET", 0), (304, "GET", 0), (100, "POST", 0), (200, "GET", 9)],
)
def test_answers_that_have_no_body_have_none_whatever_their_length_says(status: int, method: str, length: int) -> None:
    head = parse_answer(b"HTTP/1.1 %d x\r\nContent-Length: 9\r\n\r\n" % status, method)
    assert (head.length, head.keep_alive) == (length, True)


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        ("1.1", "", True),
        ("1.1", "Connection: close\r\n", False),
        ("1.1", "Connection: Keep-Alive, Close\r\n", False),
        ("1.0", "", False),
        ("1.0", "Connection: Keep-Alive\r\n", True),
    ],
)
def test_a_connection_is_kept_as_the_version_and_the_header_say(version: str, connection: str, kept: bool) -> None:
    assert parse_request(f"GET / HTTP/{version}\r\n{connection}\r\n".encode()).keep_alive is kept


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    head = parse_answer(b"HTTP/1.1 200 OK\r\n\r\n", "GET")
    assert (head.length, head.keep_alive) == (None, False)
    assert isinstance(wire.answer_body(head), wire.EndlessBody)


def test_who_is_told_the_headers_of_an_answer_cannot_change_those_of_the_next() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"
    told: Any = parse_answer(raw, "GET").headers
    with suppress(AttributeError, TypeError):
        told.clear()
    assert parse_answer(raw, "GET").headers["content-encoding"] == "gzip"


def test_a_head_that_is_printed_does_not_tell_its_credentials() -> None:
    head = parse_request(b"GET /?token=secret HTTP/1.1\r\nAuthorization: Bearer secret\r\n\r\n")
    assert head.headers["authorization"] == "Bearer secret"
    assert "secret" not in f"{head} {head!r}"


@given(st.integers(400, 599), st.binary(max_size=50), st.booleans(), st.booleans())
def test_the_proxys_own_answers_are_messages_that_it_would_accept(
    status: int, body: bytes, keep: bool, head_only: bool
) -> None:
    made = answer(status, {"content-type": "application/json"}, body, keep_alive=keep, head_only=head_only)
    end = made.index(b"\r\n\r\n") + 4
    head = parse_answer(made[:end], "GET")
    assert (head.status, head.length, head.keep_alive) == (status, len(body), keep)
    assert made[end:] == (b"" if head_only else body)


HEADER_LINE = st.one_of(
    st.tuples(TOKEN, VALUE).map(lambda pair: f"{pair[0]}: {pair[1]}\r\n".encode("latin-1")),
    st.sampled_from(
        [b"Content-Length: 5\r\n", b"content-length:7 \r\n", b"Content-Length: \r\n", b"Content-Length: 5, 5\r\n", b"Content-Length: +5\r\n",
         b"Transfer-Encoding: chunked\r\n", b"transfer-encoding:\tCHUNKED \r\n", b"Transfer-Encoding: gzip, chunked\r\n",
         b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"connection:Upgrade, Close\r\n", b"Expect: 100-continue\r\n",
         b"Content-Type: text/event-stream\r\n", b" folded: a\r\n", b"Content-Length : 5\r\n", b"X: a\rContent-Length: 5\r\n",
         b"X: a\nContent-Length: 5\r\n", b"X: \0\r\n", b":\r\n", b"x\r\n"]
    ),
)  # fmt: skip
FIRST = st.sampled_from(
    [b"POST /a HTTP/1.1\r\n", b"GET /?a=%20&b HTTP/1.0\r\n", b"GET  /a HTTP/1.1\r\n", b"get\t/ HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n",
     b"OPTIONS * HTTP/1.1\r\n", b"GET \xff HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 \r\n", b"HTTP/1.1 204\r\n",
     b"HTTP/1.1 20 OK\r\n", b"HTTP/1.1 1000 OK\r\n", b"HTTP/1.1 304 Not\rModified\r\n", b"HTTP/1.1  200 OK\r\n", b"http/1.1 200 OK\r\n"]
)  # fmt: skip


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Heads that are nearly or quite right: lines of every kind, and then perhaps some bytes of them others."""
    whole = bytearray(draw(FIRST) + b"".join(draw(st.lists(HEADER_LINE, max_size=5))) + b"\r\n")
    for place, fresh in draw(st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=2)), max_size=2)):
        at = place % len(whole)
        whole[at : at + draw(st.integers(0, 1))] = fresh
    return bytes(whole)


@settings(max_examples=examples(500))
@given(heads())
def test_a_head_means_what_reading_it_line_by_line_says_or_is_refused_as_there(raw: bytes) -> None:
    for parse, judge in (
        (wire.request_in, head_oracle.request),
        (lambda raw: wire.answer_in(raw, "GET"), head_oracle.answer),
    ):
        wanted = judge(raw[: raw.find(b"\r\n\r\n") + 4])
        try:
            found = parse(raw)
        except BadMessage:
            found = None
        assert (found is None) == (wanted is None), raw
        if found is not None and wanted is not None:
            said = found.headers, found.length, found.chunked, found.keep_alive
            assert said == (wanted.headers, wanted.length, wanted.chunked, wanted.keep_alive)
            assert raw.startswith(found.raw)
