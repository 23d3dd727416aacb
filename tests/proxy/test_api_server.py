"""The control API's server: whole requests in, whole answers out, bounded, and never the reason for an end."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from chaos.proxy.api_server import LARGEST_BODY, ApiServer, Request, Response
from tests.proxy.loopback import DEADLINE_S, talk

CLOSE = b"Connection: close\r\n\r\n"


async def echo(request: Request) -> Response:
    """What the request said; /bug raises, /none has no body."""
    if request.path == "/bug":
        raise ZeroDivisionError
    if request.path == "/none":
        return Response(204)
    told = {"method": request.method, "path": request.path, "query": dict(request.query), "size": len(request.body)}
    return Response.of_json({**told, "token": request.headers.get("authorization")}, 202)


@dataclass
class Served:
    """A running server."""

    port: int
    stop: threading.Event

    def url(self, path: str) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    started, stop = threading.Event(), threading.Event()
    found = Served(0, stop)

    async def serve() -> None:
        server = ApiServer(echo)
        _, found.port = await server.listen("127.0.0.1", 0)
        started.set()
        await asyncio.get_running_loop().run_in_executor(None, stop.wait)
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(DEADLINE_S)
    yield found
    stop.set()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()


def test_a_request_arrives_whole_and_its_answer_too(served: Served) -> None:
    answer = requests.put(
        served.url("/runs/a%20b?after=1&after=2"), data=b"x" * 300_000, headers={"Authorization": "Bearer t"}, timeout=5
    )
    assert answer.status_code == 202
    assert answer.json() == {
        "method": "PUT", "path": "/runs/a b", "query": {"after": "2"}, "size": 300_000, "token": "Bearer t",
    }  # fmt: skip


def test_one_connection_serves_many_requests(served: Served) -> None:
    get = b"GET /x HTTP/1.1\r\nHost: a\r\n"
    said = talk(served.port, get + b"\r\n" + get + b"\r\n", get + CLOSE)
    assert said.count(b"HTTP/1.1 202 ") == 3


def test_a_chunked_body_is_a_body(served: Served) -> None:
    answer = requests.post(served.url("/x"), data=iter([b"ab", b"cde"]), timeout=5)
    assert answer.json()["size"] == 5


def test_who_waits_for_a_continue_gets_one(served: Served) -> None:
    head = b"PUT /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n" + CLOSE
    with socket.create_connection(("127.0.0.1", served.port), timeout=DEADLINE_S) as connection:
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"ab")
        assert b'"size": 2' in connection.recv(1000)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/none", 204), ("HEAD", "/x", 202)])
def test_an_answer_that_may_have_no_body_has_none_and_the_connection_goes_on(
    method: str, path: str, status: int, served: Served
) -> None:
    first = f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    said = talk(served.port, first, b"GET /x HTTP/1.1\r\nHost: a\r\n" + CLOSE)
    assert said.startswith(b"HTTP/1.1 %d " % status)
    assert said.count(b"\r\n\r\n{") == 1
    assert said.count(b"HTTP/1.1 ") == 2


def test_a_bug_in_the_handler_is_a_500_and_the_server_goes_on(served: Served) -> None:
    assert requests.get(served.url("/bug"), timeout=5).status_code == 500
    assert requests.get(served.url("/x"), timeout=5).status_code == 202


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET  /x HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nHost: a\r\nX: " + b"z" * 100_000, 431),
        (b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" + b"z" * (LARGEST_BODY + 1), 413),
    ],
)
def test_what_is_no_request_or_too_large_is_refused_and_the_connection_ends(
    sent: bytes, status: int, served: Served
) -> None:
    said = talk(served.port, sent)
    assert said.startswith(b"HTTP/1.1 %d " % status)
    assert "error" in json.loads(said.partition(b"\r\n\r\n")[2])


def test_a_client_that_leaves_in_the_middle_costs_nothing(served: Served) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.sendall(b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab")
    assert requests.get(served.url("/x"), timeout=5).status_code == 202
