"""Idle, the proxy is invisible: the same bytes reach the backend and the client as without it."""

from __future__ import annotations

import gzip
import re
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.proxy.loopback import Backend, Proxy, Reply, Until, eventually, sized, talk

CAPTURES = Path(__file__).parents[1] / "captures"
BIG = bytes(range(256)) * 20_480
CLOSE = b"Connection: close\r\n\r\n"
GET = b"GET /x HTTP/1.1\r\nHost: model\r\n"
ZIPPED = gzip.compress(b'{"outputs":[]}', mtime=0)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# name → (what the client sends, what the backend says)
CASES: dict[str, tuple[tuple[bytes | Until, ...], Reply]] = {
    "content-length": ((b"POST /x HTTP/1.1\r\nHost: a\r\ncontent-LENGTH:  5\r\n" + CLOSE + b"hello",), sized(b"there")),
    "body sent apart from the head": (
        (b"POST /x HTTP/1.1\r\nContent-Length: 5\r\n" + CLOSE, b"he", b"llo"),
        sized(b"there"),
    ),
    "chunked both ways, extensions and trailers": (
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + CLOSE, b"3;a=b\r\nabc\r\n", b"0\r\nX-Sum: 1\r\n\r\n"),
        Reply((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"4\r\nwo", b"rd\r\n00\r\nX-T: z\r\n\r\n")),
    ),
    "HEAD with the length that GET would have": (
        (b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n", GET.replace(b"/x", b"/y") + CLOSE),
        Reply((b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n",)),
    ),
    "204": ((GET + b"\r\n", GET + CLOSE), Reply((b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",))),
    "304 with a length": (
        (GET + b"\r\n", GET + CLOSE),
        Reply((b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",)),
    ),
    "103 before the answer": (
        (GET + CLOSE,),
        Reply((b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", *sized(b"ok").pieces)),
    ),
    "Expect: 100-continue": (
        (b"POST /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n" + CLOSE, Until(CONTINUE), b"hello"),
        Reply(sized(b"got it").pieces, early=CONTINUE),
    ),
    "empty reason phrase, no Content-Type": ((GET + CLOSE,), Reply((b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",))),
    "no reason phrase at all": ((GET + CLOSE,), Reply((b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",))),
    "gzip": ((GET + b"Accept-Encoding: gzip\r\n" + CLOSE,), sized(ZIPPED, "Content-Encoding: gzip")),
    "a body that ends with the connection": (
        (GET + b"\r\n",),
        Reply((b"HTTP/1.1 200 OK\r\n\r\nsome", b" more"), close=True),
    ),
    "HTTP/1.0": ((b"GET /x HTTP/1.0\r\n\r\n",), Reply((b"HTTP/1.0 200 OK\r\n\r\nold",), close=True)),
    "repeated headers, odd case and spacing": (
        (b"GET /x?a=%20&b HTTP/1.1\r\nhOST:a\r\nX-A:1\r\nX-A: 2 \r\nX-Empty:\r\n" + CLOSE,),
        sized(b"ok", "Set-Cookie: a=1", "Set-Cookie: b=2", "x-latin: \xe4"),
    ),
    "5 MB each way": (
        (b"POST /x HTTP/1.1\r\nContent-Length: %d\r\n" % len(BIG) + CLOSE, BIG),
        sized(BIG),
    ),
    "keep-alive: three requests one after another": (
        (GET + b"\r\n", Until(b"again"), GET + b"X-N: 2\r\n\r\n", GET + CLOSE),
        sized(b"again"),
    ),
    "pipelined in one write": (
        (GET + b"\r\n" + GET.replace(b"/x", b"/y") + b"\r\n" + GET + CLOSE,),
        sized(b"number one"),
    ),
    "an error status with a body": ((GET + CLOSE,), sized(b'{"detail":[]}', status="422 Unprocessable Entity")),
    "an answer before the request's body": (
        (b"POST /x HTTP/1.1\r\nContent-Length: 5\r\n" + CLOSE, Until(b"too large"), b"hello"),
        Reply(
            early=b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 9\r\n\r\ntoo large",
            close=True,
        ),
    ),
    "an answer before the request's body, and the connection goes on": (
        (
            b"POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
            Until(b"no"),
            b"he",
            b"llo",
            GET.replace(b"/x", b"/y") + CLOSE,
        ),
        Reply(early=b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_both_sides_see_the_same_bytes_as_without_the_proxy(name: str, backend: Backend, proxy: Proxy) -> None:
    sent, reply = CASES[name]
    backend.replies["/x"] = reply
    direct, seen_directly = talk(backend.port, *sent), list(backend.seen)
    assert direct
    assert seen_directly or reply.early
    backend.seen.clear()
    assert talk(proxy.routes["model"], *sent) == direct
    eventually(lambda: len(backend.seen) >= len(seen_directly) or reply.early)
    if not reply.early or reply.pieces:
        assert backend.seen == seen_directly


def _wire(path: Path) -> list[tuple[bytes, bytes]]:
    """Requests and answers of a recorded connection."""
    parts = re.split(rb"<<<(C->S|S->C) \d+ bytes>>>\n", path.read_bytes())
    pairs: list[tuple[bytes, bytes]] = []
    for way, block in zip(parts[1::2], parts[2::2], strict=True):
        data = block.removesuffix(b"\n")
        if way == b"C->S" and (not pairs or pairs[-1][1]):
            pairs.append((data, b""))
        elif way == b"C->S":
            pairs[-1] = (pairs[-1][0] + data, b"")
        else:
            pairs[-1] = (pairs[-1][0], pairs[-1][1] + data)
    return pairs


@pytest.mark.parametrize("server", ["mlserver", "kserve"])
def test_what_tritonclient_and_real_servers_say_passes_unchanged(server: str, backend: Backend, proxy: Proxy) -> None:
    pairs = [
        pair
        for pair in _wire(CAPTURES / server / "tritonclient_http_wire.bin")
        if pair[0].startswith((b"GET", b"POST"))
    ]
    assert len(pairs) >= 4
    for request, answer in pairs:
        path = request.split(b" ")[1].decode()
        backend.replies[path] = Reply((answer,))
        backend.seen.clear()
        whole = Until(answer, hang_up=True)
        assert talk(proxy.routes["model"], request, whole) == talk(backend.port, request, whole) == answer
        assert backend.seen == [request, request]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]), st.binary(max_size=300), st.booleans()),
        min_size=1,
        max_size=4,
    ),
    st.binary(max_size=2000),
    st.booleans(),
)
def test_any_keep_alive_conversation_is_the_same_through_the_proxy(
    backend: Backend, proxy: Proxy, asked: list[tuple[str, bytes, bool]], answered: bytes, chunked: bool
) -> None:
    backend.forget()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = (head, b"%x\r\n%s\r\n0\r\n\r\n" % (len(answered), answered) if answered else b"0\r\n\r\n")
    backend.replies["/x"] = Reply(pieces) if chunked else sized(answered)
    said = []
    for place, (method, body, in_chunks) in enumerate(asked):
        end = CLOSE if place == len(asked) - 1 else b"\r\n"
        if in_chunks:
            framed = (
                b"Transfer-Encoding: chunked\r\n"
                + end
                + b"".join(b"1\r\n%c\r\n" % (65 + byte % 26) for byte in body)
                + b"0\r\n\r\n"
            )
        else:
            framed = b"Content-Length: %d\r\n" % len(body) + end + body
        said.append(method.encode() + b" /x HTTP/1.1\r\n" + framed)
    direct, seen_directly = talk(backend.port, *said), list(backend.seen)
    backend.seen.clear()
    assert talk(proxy.routes["model"], *said) == direct
    assert backend.seen == seen_directly == said


def test_every_request_of_a_client_goes_over_its_one_upstream_connection(backend: Backend, proxy: Proxy) -> None:
    talk(proxy.routes["model"], GET + b"\r\n", Until(b"ok"), GET + CLOSE)
    before = backend.connections
    talk(proxy.routes["model"], *[GET + b"\r\n"] * 20, GET + CLOSE)
    assert backend.connections - before <= 1


def test_an_upstream_that_refuses_connections_is_a_502_and_the_client_can_ask_again(proxy: Proxy) -> None:
    body = b"z" * 700_000
    request = b"POST /x HTTP/1.1\r\nContent-Length: %d\r\n" % len(body)
    said = talk(proxy.routes["dead"], request + b"\r\n" + body, request + CLOSE + body)
    assert said.count(b"HTTP/1.1 502 Bad Gateway\r\n") == 2
    assert b"x-chaos-proxy: upstream-unreachable" in said


@pytest.mark.parametrize("first", [False, True])
def test_an_upstream_that_hangs_up_before_it_answers_hangs_up_on_the_client_and_is_asked_once(
    first: bool, backend: Backend, proxy: Proxy
) -> None:
    backend.replies["/gone"] = Reply(close=True)
    before = () if first else (GET + b"\r\n", Until(b"ok"))
    gone = b"POST /gone HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"
    through = talk(proxy.routes["model"], *before, gone)
    assert backend.seen[-1] == gone
    assert [seen for seen in backend.seen if seen == gone] == [gone]
    assert through == talk(backend.port, *before, gone)


def test_an_answer_that_is_cut_short_is_cut_short_for_the_client_too(backend: Backend, proxy: Proxy) -> None:
    backend.replies["/cut"] = Reply((b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",), close=True)
    said = talk(proxy.routes["model"], b"GET /cut HTTP/1.1\r\n\r\n", Until(b"half"))
    assert said == b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
    ],
)
def test_an_answer_that_can_be_read_in_two_ways_is_a_502(answer: bytes, backend: Backend, proxy: Proxy) -> None:
    backend.replies["/odd"] = Reply((answer,), close=True)
    said = talk(proxy.routes["model"], b"GET /odd HTTP/1.1\r\n" + CLOSE)
    assert said.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert b"x-chaos-proxy: upstream-answer-ambiguous" in said


def test_a_slow_upstream_is_waited_for_as_long_as_its_client_waits(backend: Backend, proxy: Proxy) -> None:
    gate = threading.Event()
    backend.replies["/slow"] = Reply(sized(b"late").pieces, gate=gate)
    answers: list[bytes] = []
    asking = threading.Thread(
        target=lambda: answers.append(talk(proxy.routes["model"], b"GET /slow HTTP/1.1\r\n" + CLOSE))
    )
    asking.start()
    eventually(lambda: backend.seen)
    assert talk(proxy.routes["model"], GET + CLOSE).endswith(b"ok")  # others are served meanwhile
    assert not answers
    gate.set()
    asking.join(10)
    assert answers[0].endswith(b"late")
