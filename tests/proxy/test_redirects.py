"""Somebody else is asked: that request alone goes there, as it came, and nobody takes one connection for the other."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chaos.faults.base import Action, Answer, Call, Redirect, Wait
from chaos.proxy.counters import Counters
from chaos.proxy.plane import factory
from chaos.proxy.registry import Registry
from chaos.proxy.route import Route
from chaos.proxy.upstream import tls_context
from tests.proxy.loopback import DEADLINE_S, Backend, Proxy, Reply, infer, sized, talk, unused_port
from tests.proxy.scripted import acting, arm, rewriting
from tests.proxy.test_event_streams import END, HEAD, chunk, payload_of, said, shouting

PATH = "/v2/models/model/infer"


class Stand:
    """A route on a real port, in this process."""

    def __init__(self, upstream: int) -> None:
        self.registry = Registry(asyncio.get_running_loop().time)
        self.counters = Counters()
        self.route = Route("model", "127.0.0.1", upstream, self.registry, self.counters)
        self.port = 0

    async def talk(self, *pieces: Any) -> bytes:
        """What a client gets that sends this, until its connection ends."""
        return await asyncio.to_thread(talk, self.port, *pieces)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A client that stays."""
        return await asyncio.open_connection("127.0.0.1", self.port)


@asynccontextmanager
async def serving(upstream: int) -> AsyncIterator[Stand]:
    made = Stand(upstream)
    server = await asyncio.get_running_loop().create_server(factory(made.route), "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield made
    finally:
        server.close()
        for client in list(made.route.clients):
            if client.transport is not None:
                client.transport.abort()
        made.route.close()


@pytest.fixture
def older() -> Iterator[Backend]:
    """Another model at another address."""
    made = Backend()
    made.replies[PATH] = sized(b"older", "X-Model: 1")
    yield made
    made.close()


def to(port: int, share: float = 1.0, scheme: str = "http") -> Any:
    return acting(lambda call: [Redirect(f"{scheme}://127.0.0.1:{port}")], share)


async def until(true: Callable[[], bool]) -> None:
    """Returns once this holds; the bench has a deadline."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def run(scenario: Any) -> None:
    asyncio.run(scenario())


@pytest.mark.parametrize("framing", ["sized", "chunked"])
def test_the_request_goes_there_as_it_came_and_its_answer_to_the_client(
    framing: str, backend: Backend, older: Backend
) -> None:
    async def scenario() -> None:
        async with serving(backend.port) as bench:
            (counts,) = arm(bench, to(older.port))
            request = infer("a", b'{"x":  1}', "X-Odd:  spaced ")
            if framing == "chunked":
                head = b"POST %s HTTP/1.1\r\nHost: model\r\nX-Request-Id: a\r\nConnection: close\r\n" % PATH.encode()
                request = head + b"Transfer-Encoding: chunked\r\n\r\n4;x=y\r\nabcd\r\n0\r\n\r\n"
            got = await bench.talk(request[:60], request[60:])
            assert got == b"".join(sized(b"older", "X-Model: 1").pieces)
            assert (older.seen, backend.seen) == ([request], [])
            assert (counts.selected_requests, counts.injected) == (1, 1)
            assert counts.first_effect is not None

    run(scenario)


def test_those_who_are_not_selected_ask_the_upstream(backend: Backend, older: Backend) -> None:
    async def scenario() -> None:
        async with serving(backend.port) as bench:
            arm(bench, to(older.port, share=0.0))
            assert (await bench.talk(infer("a"))).endswith(b"ok")
            assert not older.seen

    run(scenario)


def test_on_one_connection_every_request_gets_the_answer_of_whom_it_was_for(backend: Backend, older: Backend) -> None:
    backend.replies[PATH] = sized(b"current")

    async def scenario() -> None:
        async with serving(backend.port) as bench:

            def every_other(call: Call) -> Iterable[Action]:
                return [Redirect(f"http://127.0.0.1:{older.port}")] if call.subject.startswith("old") else []

            arm(bench, acting(every_other))
            names = ["new-1", "old-1", "old-2", "new-2", "old-3", "new-3"]
            got = await bench.talk(*(infer(name, close=name == names[-1]) for name in names))
            said = [b"older" if name.startswith("old") else b"current" for name in names]
            assert [piece.rpartition(b"\r\n\r\n")[2] for piece in got.split(b"HTTP/1.1 200 OK\r\n")[1:]] == said
            assert (len(older.seen), len(backend.seen)) == (3, 3)
            assert older.connections == 3  # each for its request alone
            bench.registry.disarm("run")
            assert (await bench.talk(infer("old-4"))).endswith(b"current")

    before = backend.connections
    run(scenario)
    assert backend.connections == before + 2  # the client's own was kept


def test_pipelined_requests_keep_their_order(backend: Backend, older: Backend) -> None:
    async def scenario() -> None:
        async with serving(backend.port) as bench:

            def every_other(call: Call) -> Iterable[Action]:
                return [Redirect(f"http://127.0.0.1:{older.port}")] if call.subject == "old" else []

            arm(bench, acting(every_other))
            got = await bench.talk(infer("a", close=False) + infer("old", close=False) + infer("b"))
            assert [got.index(b"ok"), got.index(b"older"), got.rindex(b"ok")] == sorted(
                [got.index(b"ok"), got.index(b"older"), got.rindex(b"ok")]
            )

    run(scenario)


def test_nobody_there_is_a_502_and_the_connection_serves_on(backend: Backend) -> None:
    async def scenario() -> None:
        async with serving(backend.port) as bench:
            arm(bench, to(unused_port()))
            first = infer(None, close=False)
            got = await bench.talk(first, infer("a", close=False), infer(None))
            assert b"HTTP/1.1 502 " in got
            assert b"x-chaos-proxy: upstream-unreachable" in got
            assert got.count(b"HTTP/1.1 200 ") == 2
            assert bench.counters.unreachable["model"] == 1

    run(scenario)


def test_its_answer_meets_the_same_answer_faults(backend: Backend, older: Backend) -> None:
    async def scenario() -> None:
        async with serving(backend.port) as bench:
            counts = arm(bench, to(older.port), rewriting(lambda body, call: body.upper()))
            assert (await bench.talk(infer("a"))).endswith(b"OLDER")
            assert [one.injected for one in counts] == [1, 1]

    run(scenario)


def test_an_upstream_over_tls_is_not_what_the_request_is_addressed_to_then(backend: Backend, older: Backend) -> None:
    async def scenario() -> None:
        async with serving(backend.port) as bench:
            bench.route.tls = tls_context(None)
            arm(bench, to(older.port))
            await bench.talk(infer("a"))
            assert older.seen == [infer("a")]

    run(scenario)


@pytest.mark.parametrize("address", ["https://127.0.0.1:9", "127.0.0.1:9", "http://127.0.0.1", "http://a/b:9x"])
def test_an_address_that_is_none_is_counted_and_the_upstream_is_asked(address: str, backend: Backend) -> None:
    async def scenario() -> None:
        async with serving(backend.port) as bench:
            (counts,) = arm(bench, acting(lambda call: [Redirect(address)]))
            assert (await bench.talk(infer("a"))).endswith(b"ok")
            assert (counts.undecodable, counts.injected) == (1, 0)

    run(scenario)


def test_what_follows_a_redirect_still_happens_and_one_that_is_off_by_then_does_not(
    backend: Backend, older: Backend
) -> None:
    async def scenario() -> None:
        async with serving(backend.port) as bench:
            counts = arm(bench, to(older.port), acting(lambda call: [Wait(600.0)]))
            reader, writer = await bench.connect()
            writer.write(infer("a"))
            await until(lambda: bool(bench.registry.waiting))
            bench.registry.disarm("run")
            assert (await reader.read()).endswith(b"ok")
            assert counts[0].injected == 0
            writer.close()
            answering = acting(lambda call: [Answer(503, {}, b"no")])
            counts = arm(bench, to(older.port), answering)
            assert (await bench.talk(infer("b"))).endswith(b"no")
            assert [one.injected for one in counts] == [0, 1]
            assert not older.seen

    run(scenario)


@pytest.mark.parametrize("own", ["speaks", "ends"])
def test_what_the_own_upstream_does_meanwhile_is_nobodys_answer(own: str, older: Backend) -> None:
    async def scenario() -> None:
        connections: list[asyncio.StreamWriter] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(writer)
            while await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(len(b'{"inputs":[]}'))
                writer.write(b"".join(sized(b"own").pieces))

        model = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with serving(model.sockets[0].getsockname()[1]) as bench:
            arm(bench, to(older.port))
            reader, writer = await bench.connect()
            writer.write(infer(None, close=False))
            assert (await reader.readuntil(b"own")).endswith(b"own")
            held = older.replies[PATH] = Reply(sized(b"older").pieces, gate=threading.Event())
            writer.write(infer("a", close=False))
            await until(lambda: bool(older.seen))
            if own == "speaks":
                connections[0].write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\n\r\nlate")
            else:
                connections[0].close()
            (client,) = bench.route.clients
            await until(lambda: client._own is None or not client._own.open)  # type: ignore[attr-defined]
            assert held.gate is not None
            held.gate.set()
            assert (await reader.readuntil(b"older")).endswith(b"\r\n\r\nolder")
            writer.write(infer(None))
            assert (await reader.read()).endswith(b"own")
            assert len(connections) == 2
            writer.close()
        model.close()

    run(scenario)


def test_a_client_that_leaves_takes_both_connections_along(backend: Backend, older: Backend) -> None:
    gate = threading.Event()
    older.replies[PATH] = Reply(sized(b"older").pieces, gate=gate)

    async def scenario() -> None:
        async with serving(backend.port) as bench:
            arm(bench, to(older.port))
            reader, writer = await bench.connect()
            writer.write(infer(None, close=False))
            await reader.readuntil(b"ok")
            (client,) = bench.route.clients
            own = client.upstream  # type: ignore[attr-defined]
            writer.write(infer("a", close=False))
            await until(lambda: bool(older.seen))
            elsewhere = client.upstream  # type: ignore[attr-defined]
            assert elsewhere is not own
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            await until(lambda: not bench.route.clients)
            assert (own.open, elsewhere.open) == (False, False)

    run(scenario)
    gate.set()


def test_a_stream_from_elsewhere_passes_and_is_edited_like_any(backend: Backend, older: Backend) -> None:
    older.replies["/v1/chat/completions"] = Reply((HEAD, chunk(said("quiet")), END))

    async def scenario() -> None:
        async with serving(backend.port) as bench:
            arm(bench, to(older.port), shouting())
            request = infer("a").replace(PATH.encode(), b"/v1/chat/completions")
            assert payload_of(await bench.talk(request))[0] == said("QUIET")

    run(scenario)


def test_a_stale_model_is_another_server_behind_the_same_proxy(backend: Backend, older: Backend, proxy: Proxy) -> None:
    proxy.arm("stale", {"fault": "stale_model", "to": f"http://127.0.0.1:{older.port}"})
    assert talk(proxy.routes["model"], infer("a")).endswith(b"older")
    assert talk(proxy.routes["model"], infer(None)).endswith(b"ok")
    assert (len(older.seen), len(backend.seen)) == (1, 1)
    counts = proxy.state("stale")["faults"]["0"]
    assert (counts["selected_requests"], counts["injected"], counts["undecodable"]) == (1, 1, 0)


def test_a_stale_model_is_asked_what_the_current_one_would_have_been(
    backend: Backend, older: Backend, proxy: Proxy
) -> None:
    unit = {"fault": "unit_change", "feature": "0", "factor": 1000}
    proxy.arm("stale-and-otherwise", {"fault": "stale_model", "to": f"http://127.0.0.1:{older.port}"}, unit)
    body = b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP64","data":[1.5,2.0]}]}'
    assert talk(proxy.routes["model"], infer("a", body)).endswith(b"older")
    assert older.seen[0].endswith(b'"data":[1500.0,2.0]}]}')
    assert [proxy.state("stale-and-otherwise")["faults"][str(place)]["undecodable"] for place in range(2)] == [0, 0]
