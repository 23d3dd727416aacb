"""What `make interop` compares: both sides of one exchange, each as a tap on that side of the proxy has seen it."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.interop.tap import Both, Tap, differs, paired
from tests.proxy.loopback import Backend, Reply, eventually, running_proxy, talk

ASKED = b"POST /stream HTTP/1.1\r\nHost: model\r\nX-User-Id: one\r\nContent-Length: 0\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
DONE = b"e\r\ndata: [DONE]\n\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def seen(answered: bytes, *, asked: bytes = ASKED, left: bool = False) -> Both:
    """One side of an exchange."""
    return Both(bytearray(asked), bytearray(answered), left)


def test_a_client_that_leaves_after_the_last_event_makes_no_difference(backend: Backend, tmp_path: Path) -> None:
    """The official OpenAI client leaves as soon as it has read `[DONE]`. The server's last chunk, which says nothing, is then seen
    behind the proxy, and may be cut in front of it.
    """
    gate = threading.Event()
    backend.replies["/stream"] = Reply(early=HEAD + DONE, pieces=(LAST_CHUNK,), gate=gate)
    with closing(Tap(backend.port)) as far, running_proxy(tmp_path, model=far.port) as proxy:
        with closing(Tap(proxy.routes["model"])) as near:
            with socket.create_connection(("127.0.0.1", near.port)) as client:
                client.sendall(ASKED)
                got = b""
                while DONE not in got:
                    got += client.recv(65536)
                os.kill(
                    proxy.process.pid, signal.SIGSTOP
                )  # the last chunk stays between the taps until the client has left
                gate.set()
                eventually(lambda: far.exchanges[0].answered.endswith(LAST_CHUNK))
            eventually(near.idle)
            os.kill(proxy.process.pid, signal.SIGCONT)
        (pair,) = paired(near.exchanges, far.exchanges, "x-user-id")
    assert bytes(pair[0].answered) != bytes(pair[1].answered)
    assert differs(*pair) == ""


@pytest.mark.parametrize("missing", [LAST_CHUNK, b"\r\n" + LAST_CHUNK, b"\n"])
def test_who_leaves_may_miss_the_end_of_a_chunked_body(missing: bytes) -> None:
    whole = HEAD + DONE + LAST_CHUNK
    assert differs(seen(whole.removesuffix(missing), left=True), seen(whole)) == ""


def test_who_stays_may_miss_nothing() -> None:
    assert differs(seen(HEAD + DONE), seen(HEAD + DONE + LAST_CHUNK)) == "the bytes that were answered differ"


@pytest.mark.parametrize(
    ("near", "far"),
    [
        (HEAD, HEAD + DONE + LAST_CHUNK),
        (HEAD + DONE[:-3], HEAD + DONE + LAST_CHUNK),
        (b"", LAST_CHUNK),
        (HEAD + DONE + LAST_CHUNK, HEAD + DONE),
        (HEAD + DONE.replace(b"DONE", b"done"), HEAD + DONE + LAST_CHUNK),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n1",
            b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n1" + LAST_CHUNK,
        ),
    ],
    ids=["an event is missing", "content is missing", "nothing came", "more came", "an event differs", "not chunked"],
)
def test_who_leaves_misses_nothing_else(near: bytes, far: bytes) -> None:
    assert differs(seen(near, left=True), seen(far)) == "the bytes that were answered differ"


def test_what_was_asked_is_the_same_to_the_byte() -> None:
    assert differs(seen(HEAD, asked=ASKED.lower()), seen(HEAD)) == "the bytes that were asked differ"


def test_exchanges_are_paired_by_who_asked_and_not_by_their_place() -> None:
    one, two = seen(b"1"), seen(b"2", asked=ASKED.replace(b"one", b"two"))
    assert paired([one, two], [two, one], "x-user-id") == [(one, one), (two, two)]


@pytest.mark.parametrize("far", [0, 2], ids=["the server never saw it", "the server saw it twice"])
def test_an_exchange_that_one_side_did_not_see_once_is_no_pair(far: int) -> None:
    with pytest.raises(AssertionError, match="the two sides saw"):
        paired([seen(b"1")], [seen(b"1")] * far, "x-user-id")


def test_a_request_that_met_a_closed_connection_and_was_sent_again_is_one_exchange() -> None:
    front, lost, back = seen(b"1"), seen(b""), seen(b"1")
    assert paired([front], [lost, back], "x-user-id") == [(front, back)]


@pytest.mark.parametrize(
    "asked", [ASKED.replace(b"one", b"two"), ASKED.lower()], ids=["never sent again", "sent again differently"]
)
def test_a_request_that_was_never_answered_must_have_been_sent_again_as_it_was(asked: bytes) -> None:
    with pytest.raises(AssertionError, match="was not sent again as it was"):
        paired([seen(b"1")], [seen(b"", asked=asked), seen(b"1")], "x-user-id")


def test_exchanges_on_one_connection_are_told_apart(backend: Backend) -> None:
    again = ASKED.replace(b"one", b"two").replace(b"Host", b"Connection: close\r\nHost")
    with closing(Tap(backend.port)) as tap:
        with socket.create_connection(("127.0.0.1", tap.port)) as client:
            client.sendall(ASKED)
            assert client.recv(65536)
            eventually(lambda: tap.exchanges[0].answered.endswith(b"ok"))
            client.sendall(again)
            eventually(lambda: len(tap.exchanges) == 2 and tap.exchanges[1].answered.endswith(b"ok"))
        assert [bytes(one.asked) for one in tap.exchanges] == [ASKED, again]
        assert bytes(tap.connections[0].asked) == ASKED + again


def test_what_comes_late_belongs_to_its_own_exchange(backend: Backend) -> None:
    gate = threading.Event()
    backend.replies["/stream"] = Reply(early=HEAD + DONE, pieces=(LAST_CHUNK,), gate=gate)
    with closing(Tap(backend.port)) as tap, socket.create_connection(("127.0.0.1", tap.port)) as client:
        client.sendall(ASKED)
        eventually(lambda: tap.exchanges and tap.exchanges[0].answered.endswith(DONE))
        first = tap.exchanges[0]
        tap.forget()
        gate.set()
        eventually(lambda: first.answered.endswith(LAST_CHUNK))
        assert tap.exchanges == []


def test_a_server_that_ends_the_connection_is_no_client_that_left(backend: Backend) -> None:
    backend.replies["/stream"] = Reply((HEAD + DONE,), close=True)
    with closing(Tap(backend.port)) as tap:
        talk(tap.port, ASKED)
        assert not tap.exchanges[0].left
