"""GOAWAY is told from every other frame, however the bytes come; and what a call's answer becomes, without a socket."""

from __future__ import annotations

from itertools import pairwise

import pytest
from h2.exceptions import FrameTooLargeError
from hypothesis import given
from hypothesis import strategies as st

from chaos.proxy.grpc.call import Call
from chaos.proxy.grpc.frames import LARGEST_FRAME, PREFACE, GoAway, Splitter
from tests.proxy.grpc_loopback import INFER, request_headers


def frame(kind: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, 0]) + stream.to_bytes(4, "big") + payload


OTHERS = st.builds(frame, st.integers(0, 255).filter(lambda kind: kind != 7), st.integers(0, 9), st.binary(max_size=40))
GOODBYES = st.builds(GoAway, st.integers(0, 2**31 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=40))


@given(st.lists(st.one_of(OTHERS, GOODBYES), max_size=8), st.booleans(), st.lists(st.integers(0, 400), max_size=8))
def test_every_goaway_is_found_and_every_other_byte_passes_however_they_are_cut(
    sent: list[bytes | GoAway], preface: bool, cuts: list[int]
) -> None:
    whole = (PREFACE if preface else b"") + b"".join(one.frame() if isinstance(one, GoAway) else one for one in sent)
    splitter = Splitter(len(PREFACE) if preface else 0)
    got: list[bytes | GoAway] = []
    places = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    for start, end in pairwise(places):
        got += splitter.feed(whole[start:end])
    assert [one for one in got if isinstance(one, GoAway)] == [one for one in sent if isinstance(one, GoAway)]
    assert b"".join(one.frame() if isinstance(one, GoAway) else one for one in got) == whole


@pytest.mark.parametrize("bad", [frame(7, 1, bytes(8)), frame(7, 0, bytes(7))])
def test_a_goaway_that_is_none_is_left_to_the_state_machine(bad: bytes) -> None:
    assert list(Splitter().feed(bad)) == [bad]


def test_a_frame_that_nobody_may_send_is_refused_at_its_head() -> None:
    with pytest.raises(FrameTooLargeError):
        list(Splitter().feed((LARGEST_FRAME + 1).to_bytes(3, "big")))
    largest = frame(0, 1, bytes(LARGEST_FRAME))
    assert list(Splitter().feed(largest)) == [largest]


@pytest.mark.parametrize(
    ("grpc_status", "http_status"),
    [("0", 200), ("1", 499), ("3", 400), ("5", 404), ("8", 429), ("13", 500), ("14", 503), ("16", 401), ("99", 500), ("x", 500), (None, 500)],
)  # fmt: skip
def test_a_status_of_grpc_is_counted_as_the_one_of_http_that_it_means(
    grpc_status: str | None, http_status: int
) -> None:
    assert Call(1, request_headers(), (), 0.0).http_status(grpc_status) == http_status


def test_an_answer_of_the_proxys_own_speaks_what_the_request_speaks() -> None:
    headers, body = Call(1, request_headers(), (), 0.0).own_answer(429, "later", b"x")
    assert (dict(headers)[b":status"], dict(headers)[b"grpc-status"], body) == (b"200", b"14", b"")
    plain = [(b":method", b"POST"), (b":path", INFER.encode()), (b"content-type", b"application/json")]
    headers, body = Call(1, plain, (), 0.0).own_answer(429, "later", b"x", retry_after="7")
    assert (list(headers), body) == ([(b":status", b"429"), (b"content-length", b"1"), (b"retry-after", b"7")], b"x")
