"""Faults of the families time and errors on real connections: what a client gets, counted by the client and by the backend."""

from __future__ import annotations

import json
import socket
import time

import pytest

from tests.proxy.loopback import DEADLINE_S, Backend, Proxy, Reply, Until, eventually, infer, sized, talk
from tests.proxy.test_event_streams import END, HEAD, chunk, payload_of, said

PATH = "/v2/models/model/infer"
ANSWER = b'{"outputs":[{"name":"predict","shape":[2],"datatype":"INT64","data":[0,1]}]}'
WHOLE = b"".join(sized(ANSWER).pieces)


@pytest.fixture
def model(backend: Backend) -> Backend:
    """A backend that predicts."""
    backend.replies[PATH] = sized(ANSWER)
    return backend


def received(port: int, request: bytes) -> tuple[bytes, str]:
    """What came, and how the connection ended: `closed` or `reset`."""
    got = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as connection:
        connection.sendall(request)
        try:
            while data := connection.recv(65536):
                got += data
        except ConnectionResetError:
            return bytes(got), "reset"
    return bytes(got), "closed"


def test_bandwidth_is_what_a_client_gets_and_nobody_else(model: Backend, proxy: Proxy) -> None:
    model.replies[PATH] = sized(b"z" * 40_000)
    proxy.arm("slow", {"fault": "bandwidth", "to": "200kB/s"})
    begun_s = time.monotonic()
    assert talk(proxy.routes["model"], infer("a")).endswith(b"z" * 40_000)
    assert time.monotonic() - begun_s >= 0.19
    delayed_s = proxy.state("slow")["faults"]["0"]["delayed_s"]
    assert delayed_s >= 0.19
    assert talk(proxy.routes["model"], infer(None)).endswith(b"z" * 40_000)
    assert proxy.state("slow")["faults"]["0"]["delayed_s"] == delayed_s


def test_disarming_is_answered_at_once_and_lets_a_slow_stream_go(model: Backend, proxy: Proxy) -> None:
    events = [said(f"word {number}") for number in range(20)]
    model.replies["/v1/chat/completions"] = Reply((HEAD, *(chunk(event) for event in events), END))
    proxy.arm("trickle", {"fault": "bandwidth", "to": "100B/s"})
    request = infer("a", b"{}").replace(PATH.encode(), b"/v1/chat/completions")
    with socket.create_connection(("127.0.0.1", proxy.routes["model"]), timeout=DEADLINE_S) as connection:
        connection.sendall(request)
        eventually(lambda: proxy.state("trickle")["faults"]["0"]["first_effect"] is not None)
        begun_s = time.monotonic()
        assert proxy.ask("DELETE", "/runs/trickle").status_code == 204
        got = bytearray()
        while END not in got:
            got += connection.recv(65536)
        assert time.monotonic() - begun_s < 5  # at 100 bytes a second it would take fifteen
    assert payload_of(bytes(got))[0] == b"".join(events)


def test_hung_requests_are_answered_when_the_fault_ends(model: Backend, proxy: Proxy) -> None:
    proxy.arm("hung", {"fault": "hang"})
    with socket.create_connection(("127.0.0.1", proxy.routes["model"]), timeout=DEADLINE_S) as connection:
        connection.sendall(infer("a"))
        eventually(lambda: proxy.state("hung")["faults"]["0"]["selected_requests"] == 1)
        assert not model.seen
        assert proxy.ask("DELETE", "/runs").status_code == 204
        got = bytearray()
        while data := connection.recv(65536):
            got += data
    assert bytes(got) == WHOLE


def test_a_reset_before_the_answer_leaves_the_model_in_peace(model: Backend, proxy: Proxy) -> None:
    proxy.arm("cut", {"fault": "reset"})
    assert received(proxy.routes["model"], infer("a")) == (b"", "reset")
    assert received(proxy.routes["model"], infer(None)) == (WHOLE, "closed")
    assert len(model.seen) == 1


@pytest.mark.parametrize("after", [0, 10])
def test_a_reset_within_the_answer_comes_after_so_many_bytes(after: int, model: Backend, proxy: Proxy) -> None:
    proxy.arm(f"cut-{after}", {"fault": "reset", "after": f"{after}B"})
    got, end = received(proxy.routes["model"], infer("a"))
    assert end == "reset"
    assert got == WHOLE[: len(WHOLE) - len(ANSWER) + after]
    assert len(model.seen) == 1
    counted = proxy.state(f"cut-{after}")
    assert counted["faults"]["0"]["injected"] == 1
    assert counted["arms"]["treatment"]["errors"] == 1


@pytest.mark.parametrize("framing", ["sized", "chunked"])
def test_a_truncated_body_ends_with_its_connection(framing: str, model: Backend, proxy: Proxy) -> None:
    if framing == "chunked":
        model.replies[PATH] = Reply((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk(ANSWER), END))
    proxy.arm(f"short-{framing}", {"fault": "truncated_body", "after": "20B"})
    got, end = received(proxy.routes["model"], infer("a", close=False))
    body = got.partition(b"\r\n\r\n")[2]
    assert (body, end) == (ANSWER[:20] if framing == "sized" else chunk(ANSWER[:20]), "closed")
    assert proxy.state(f"short-{framing}")["arms"]["treatment"]["errors"] == 1


def test_an_answer_that_is_shorter_than_the_cut_stays_whole(model: Backend, proxy: Proxy) -> None:
    proxy.arm("short-enough", {"fault": "truncated_body", "after": f"{len(ANSWER)}B"})
    assert talk(proxy.routes["model"], infer("a")) == WHOLE
    assert proxy.state("short-enough")["faults"]["0"]["injected"] == 0


@pytest.mark.parametrize("how", ["byte", "cut", "page", "empty"])
def test_a_malformed_body_has_a_length_that_fits_and_does_not_parse(how: str, model: Backend, proxy: Proxy) -> None:
    proxy.arm(f"malformed-{how}", {"fault": "malformed_body", "how": how})
    port = proxy.routes["model"]
    got = talk(port, infer("a", close=False), Until(b"HTTP/1.1 200 OK"), infer(None))
    first = got[: -len(WHOLE)]
    assert got == first + WHOLE
    head, _, body = first.partition(b"\r\n\r\n")
    assert int(head.rpartition(b": ")[2]) == len(body)
    with pytest.raises(ValueError):
        json.loads(body)


def test_a_rate_limit_says_when_to_come_back_and_in_the_protocols_words(model: Backend, proxy: Proxy) -> None:
    proxy.arm("limited", {"fault": "rate_limit", "above": "1/h", "retry_after": "90s"})
    port = proxy.routes["model"]
    assert talk(port, infer("a")) == WHOLE
    head, _, body = talk(port, infer("b")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert b"\r\nretry-after: 90\r\n" in head
    assert "error" in json.loads(body)
    assert len(model.seen) == 1


def test_a_slow_tail_slows_the_share_that_is_in_it(model: Backend, proxy: Proxy) -> None:
    proxy.arm("tail", {"fault": "slow_tail", "share": "30%", "scale": "50ms", "cap": "60ms"})
    slow = 0
    for number in range(30):
        begun_s = time.monotonic()
        talk(proxy.routes["model"], infer(f"subject-{number}"))
        slow += time.monotonic() - begun_s >= 0.049
    counts = proxy.state("tail")["faults"]["0"]
    assert 0 < counts["selected_requests"] < 30
    assert slow >= counts["selected_requests"]
    assert counts["delayed_s"] >= 0.049 * counts["selected_requests"]
