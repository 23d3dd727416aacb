"""Whatever happens to a client's connection and its upstreams', in whatever order: answers stay with their requests, nothing is left."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.proxy.arming import parse_arming
from chaos.proxy.route import Upstream
from tests.fuzzing import examples
from tests.proxy.loopback import arming
from tests.proxy.test_plane_memory import Bench, Pipe

FAULTS = (
    ({"fault": "http_error"},),
    ({"fault": "delay", "by": "600s"},),
    ({"fault": "delay", "by": "600s"}, {"fault": "http_error"}),
    ({"fault": "wrong_predictions"},),
    ({"fault": "bandwidth", "to": "100B/s"},),
    ({"fault": "truncated_body", "after": "3B"},),
    ({"fault": "reset", "after": "3B", "share": "30%"},),
    ({"fault": "malformed_body", "share": "50%"}, {"fault": "bandwidth", "to": "1MB/s"}),
    (),
)
STRAY = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
_FINAL = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) [^\r]*\r\n(?:[^\r]+\r\n)*?\r\n")


@dataclass
class Model:
    """One upstream connection as a server sees it: what it has read, whom it owes, and what it still has to say."""

    upstream: Upstream
    pipe: Pipe
    asked: list[int] = field(default_factory=list)
    saying: list[bytes] = field(default_factory=list)
    gone: bool = False

    def look(self) -> list[int]:
        """The requests that have begun since the last look: each is owed an answer."""
        already = len(self.asked)
        self.asked = [int(found) for found in re.findall(rb"/n([0-9]+) HTTP", bytes(self.pipe.written))]
        return self.asked[already:]


class World:
    """A client, its upstreams, and a coin that decides what happens next."""

    def __init__(self, coin: Random) -> None:
        self.coin = coin
        self.bench = Bench()
        self.models = [Model(self.bench.upstream, self.bench.upstream_pipe)]
        self.told = 0
        self.unsent = b""
        self.eof = self.calm = False
        self.bench.registry.arm("run", parse_arming(arming(*coin.choice(FAULTS), arms=self._arms())))

    def _arms(self) -> dict[str, object]:
        where = self.coin.choice([None, None, 'json:$.region == "north"', 'header:x-a == "b"'])
        return {"traffic": 0.5, "by": "request", "where": where}

    # --- the client ---------------------------------------------------------------------------------------------------

    def ask(self) -> None:
        number, self.told = self.told, self.told + 1
        lines = b"X-Request-Id: %d\r\nX-A: b\r\n" % number
        if self.coin.random() < 0.03:
            lines += b"Connection: close\r\n"
        kind = self.coin.randrange(3)
        body = b'{"region":"north"}' * self.coin.choice([1, 1, 1, 20])
        if kind == 0:
            self.unsent += b"GET /n%d HTTP/1.1\r\n%s\r\n" % (number, lines)
        elif kind == 1:
            self.unsent += b"POST /n%d HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" % (number, lines, len(body), body)
        else:
            head = b"POST /n%d HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n" % (number, lines)
            self.unsent += head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)

    def send(self) -> None:
        if self.bench.client_pipe.reading and not self.eof and not self.bench.client_pipe.closed:
            size = 100_000 if self.calm else self.coin.choice([1, 20, 100, 1000, 100_000])
            piece, self.unsent = self.unsent[:size], self.unsent[size:]
            if piece:
                self.bench.client.data_received(piece)

    def half_close(self) -> None:
        pipe = self.bench.client_pipe
        if not self.eof and pipe.reading and not pipe.closed and self.coin.random() < 0.05:
            self.eof = True
            if not self.bench.client.eof_received():
                pipe.close()

    def clog(self) -> None:
        if not self.bench.client_pipe.closed:
            (self.bench.client.resume_writing if self.bench.client._clogged else self.bench.client.pause_writing)()

    # --- the upstreams ------------------------------------------------------------------------------------------------

    def _open(self) -> list[Model]:
        return [one for one in self.models if not one.pipe.closed and not one.gone]

    def answer(self) -> None:
        for model in self._open():
            for number in model.look():
                model.saying += self._answer(number)

    def _answer(self, number: int) -> list[bytes]:
        tag = b"X-Tag: %d\r\n" % number
        body = b"answer %d" % number
        ways = [
            [b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (tag, len(body), body)],
            [b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n" % (tag, len(body)), body],
            [b"HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked\r\n\r\n" % tag, b"%x\r\n%s\r\n" % (len(body), body), b"0\r\n\r\n"],
            [b"HTTP/1.1 200 OK\r\n%sConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (tag, len(body), body), b""],
            [b"HTTP/1.1 200 OK\r\n%s\r\n" % tag, body, b""],
            [b"HTTP/1.1 200 OK\r\n%sContent-Length: 100\r\n\r\n" % tag, body, b""],
            [b"SSH-2.0\r\n\r\n"],
            [b""],
        ]  # fmt: skip
        return list(ways[0] if self.calm else self.coin.choices(ways, weights=[20, 10, 10, 1, 1, 1, 1, 1])[0])

    def say(self) -> None:
        for model in self._open():
            if model.saying and model.pipe.reading:
                piece = model.saying.pop(0)
                if not piece:
                    self.lose(model)
                elif len(piece) > 5 and self.coin.random() < 0.3:
                    at = self.coin.randrange(1, len(piece))
                    model.saying.insert(0, piece[at:])
                    model.upstream.data_received(piece[:at])
                else:
                    model.upstream.data_received(piece)

    def stray(self) -> None:
        for model in self._open():
            owed = [one for number in model.look() for one in self._answer(number)]
            model.saying += owed
            if not model.saying and model.pipe.reading and self.coin.random() < 0.03:
                model.upstream.data_received(STRAY)

    def lose(self, model: Model) -> None:
        model.gone, model.saying = True, []
        model.pipe.closed = True
        if self.coin.random() < 0.7:
            model.upstream.eof_received()
            model.upstream.connection_lost(None)
        else:
            model.upstream.connection_lost(ConnectionResetError())

    def lose_one(self) -> None:
        if self._open() and self.coin.random() < 0.03:
            self.lose(self.coin.choice(self._open()))

    def clog_upstream(self) -> None:
        """As transports do: full within a write, and no word more until there is room again."""
        exchange = self.bench.client.exchange
        for model in self._open():
            if model.upstream.clogged:
                model.upstream.resume_writing()
            elif model.upstream.client is not None and exchange is not None and exchange.sent:
                model.upstream.pause_writing()

    # --- the runs -----------------------------------------------------------------------------------------------------

    def disarm(self) -> None:
        if self.coin.random() < 0.3:
            self.bench.registry.disarm("run")
            if self.coin.random() < 0.7:
                self.bench.registry.arm("run", parse_arming(arming(*self.coin.choice(FAULTS), arms=self._arms())))

    # --- all of it ----------------------------------------------------------------------------------------------------

    def closings(self) -> None:
        """Transports that were closed say so, a turn of the event loop later."""
        for model in self.models:
            if model.pipe.closed and not model.gone:
                model.gone = True
                model.upstream.connection_lost(None)

    def _connectable(self) -> None:
        """There is always an upstream connection to be had at once."""
        if not self.bench.route.idle:
            fresh = Upstream(self.bench.route)
            pipe = Pipe()
            fresh.connection_made(pipe)
            self.models.append(Model(fresh, pipe))
            self.bench.route.give_back(fresh)

    async def step(self) -> None:
        self._connectable()
        does = [self.ask, self.send, self.send, self.answer, self.say, self.say, self.clog, self.half_close, self.stray, self.lose_one,
                self.clog_upstream, self.disarm]  # fmt: skip
        self.coin.choice(does)()
        if self.coin.random() < 0.5:
            await self.bench.settle()
        self.closings()

    def judge(self) -> None:
        """Each answer is the next request's; at rest, nothing is held."""
        client, pipe = self.bench.client, self.bench.client_pipe
        said = bytes(pipe.written)
        finals = list(_FINAL.finditer(said))
        for number, final in enumerate(finals):
            tag = re.search(rb"\r\nX-Tag: ([0-9]+)\r\n", final[0])
            if tag is not None:
                assert int(tag[1]) == number, said
            elif final[1] == b"408":
                assert number == len(finals) - 1  # the last word of an upstream, and its connection's
        assert sum(self.bench.counters.requests.values()) <= self.told
        if pipe.closed or client.finished:
            return
        kept = client.upstream
        if kept is not None and kept.transport is not None:
            assert kept.client is client
            assert kept.transport.reading is not (client._clogged or client._full)  # type: ignore[attr-defined]
        if client.exchange is None and not client.buffer:
            assert pipe.reading
            assert not self.bench.registry.waiting
            assert client._timer is None

    async def calm_down(self) -> None:
        """Everybody reads, nobody delays, every upstream answers: then each request is answered, or the connection has ended."""
        self.calm = True
        self.bench.registry.disarm("run")
        client, pipe = self.bench.client, self.bench.client_pipe
        for _ in range(20 * self.told + 20):
            self._connectable()
            if client._clogged and not pipe.closed:
                client.resume_writing()
            for model in self._open():
                if model.upstream.clogged:
                    model.upstream.resume_writing()
            self.send()
            self.answer()
            self.say()
            await self.bench.settle()
            self.closings()
            self.judge()
        if not (pipe.closed or pipe.ended):
            assert client.exchange is None
            assert not client.buffer
            assert len(_FINAL.findall(bytes(pipe.written))) == self.told
            assert sum(self.bench.counters.requests.values()) == self.told

    async def end(self) -> None:
        self.bench.client.connection_lost(None)
        await self.bench.settle()
        self.closings()
        assert not self.bench.registry.waiting
        assert not self.bench.route.clients
        assert self.bench.client._timer is None
        linger = self.bench.client._linger_timer
        assert linger is None or linger.cancelled()
        idle = set(self.bench.route.idle)
        assert all(one.client is None for one in idle)
        assert all(one.pipe.closed or one.upstream in idle for one in self.models)
        assert not any(one.upstream.clogged for one in self.models if one.upstream in idle)
        self.bench.route.close()


@settings(max_examples=examples(150), deadline=None)
@given(st.integers(0, 2**32))
def test_answers_stay_with_their_requests_and_nothing_is_left_whatever_happens(seed: int) -> None:
    async def live() -> None:
        world = World(Random(seed))
        for _ in range(120):
            await world.step()
            world.judge()
        await world.calm_down()
        await world.end()

    asyncio.run(live())
