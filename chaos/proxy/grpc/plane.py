"""The data plane for HTTP/2: one connection from a client, one to its upstream, and every stream passed on as a call.

    client ⇄ Link ⇄ Bridge ⇄ Link ⇄ upstream
                      │ treatment
                      └▶ wait / answer / reset ─▶ upstream ─▶ whole answer ─▶ rows edited ─▶ client

Idle, headers, messages and trailers go on as they came, in their order; frames, header compression, windows, settings and pings are
each connection's own. Each client has an upstream connection of its own, opened with its first call: so a GOAWAY, an end or
a lost connection means to the client what it means without the proxy. An upstream that nobody could speak HTTP/2 with ends no
connection: its calls are answered with what to do about it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from h2 import events as happenings

from chaos.proxy.grpc.answers import Answers
from chaos.proxy.grpc.call import Call
from chaos.proxy.grpc.frames import LAST_STREAM, GoAway
from chaos.proxy.grpc.link import REFUSED, Happening, Headers, Item, Link, Malformed, enqueue
from chaos.proxy.grpc.reach import addressed, connect, ended, why_not
from chaos.proxy.handed import Hurt

if TYPE_CHECKING:
    from chaos.proxy.route import Route

_INTERNAL_ERROR = 2  # RFC 9113, section 7


class Bridge(Answers):
    """A client's connection, its upstream's, and the calls between them."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.client = Link(self, client_side=False)
        self.upstream: Link | None = None
        self.calls: dict[int, Call] = {}
        self._by_upstream: dict[int, Call] = {}
        self._unopened: deque[Call] = deque()
        """Calls that are to be sent on as soon as there is a connection that takes one more stream."""
        self._pending: dict[int, list[Item]] = {}
        """What calls that are not open at the upstream have to send there; the first item is the request's headers."""
        self._waits: dict[int, tuple[asyncio.TimerHandle, object]] = {}
        self._connecting: asyncio.Task[None] | None = None
        self._last_taken = LAST_STREAM
        self._leaving = False
        """Whether no more calls are taken, and the connection ends with its last one."""
        self._closing = False
        """Whether the upstream has ended the connection: what waits for the client still goes out."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """The client's."""
        return self.client.transport

    @property
    def exchange(self) -> Call | None:
        """A call that is not done; None when the connection is idle."""
        return next((call for call in self.calls.values() if not call.answer_ended), None)

    @property
    def busy(self) -> bool:
        """Whether a call is not done, or its answer not out."""
        transport = self.transport
        unsent = transport is not None and transport.get_write_buffer_size() > 0
        return unsent or self.exchange is not None or self.client.waiting()

    # --- what happens on either side ----------------------------------------------------------------------------------

    def happened(self, link: Link, event: Happening) -> None:
        """Something came from the client or from the upstream."""
        if link is self.client:
            self._from_client(event)
        elif link is self.upstream:
            self._from_upstream(event)

    def settled(self) -> None:
        """What came of a read is written; a connection whose other side has ended ends once all is out."""
        if self.upstream is not None:
            if not self.upstream.over and self._connecting is None:
                self._open_more()
            self.upstream.flush()
        self.client.flush()
        done = self._closing or (self._leaving and not self.calls)
        if done and not self.client.waiting() and not self.client.over:
            self.client.close()
            self._client_gone()

    def lost(self, link: Link) -> None:
        """A side is gone."""
        if link is self.client:
            self.route.counters.refused += link.error is not None
            self._client_gone()
        elif link is self.upstream and self._connecting is None:
            if link.heard:
                self._upstream_gone()
            else:
                self._unreachable(ended(link))

    def closed(self, link: Link) -> None:
        """The route knows the client for as long as its transport lives, even when it was refused with its first bytes."""
        if link is self.client:
            self.route.clients.discard(self)

    def leave(self) -> None:
        """The proxy ends: the client hears that no more calls are taken here, and its connection ends with its last one."""
        if not (self._leaving or self._closing or self.client.over):
            self._leaving = True
            self.client.say_goodbye(GoAway(self.client.http2.highest_inbound_stream_id, 0))
            self.settled()

    # --- the client ---------------------------------------------------------------------------------------------------

    def _from_client(self, event: Happening) -> None:
        match event:
            case happenings.RequestReceived(stream_id=int(stream), headers=list(headers)):
                self._begin(stream, headers, ended=event.stream_ended is not None)
            case happenings.DataReceived(stream_id=int(stream), data=bytes(data)):
                size, ended = event.flow_controlled_length or 0, event.stream_ended is not None
                call = self.calls.get(stream)
                if call is None or not (data or ended):  # nobody wants it, or a frame that says nothing
                    self.client.acknowledge(stream, size)
                else:
                    self._to_upstream(call, Item(data=data, end=ended, sent=call.took, owed=size))
            case happenings.TrailersReceived(stream_id=int(stream), headers=list(headers)):
                if stream in self.calls:
                    self._to_upstream(self.calls[stream], Item(headers=headers, end=True))
            case happenings.StreamReset(stream_id=int(stream), error_code=code) | Malformed(stream, code):
                self.client.forget(stream)
                self.route.counters.refused += isinstance(event, Malformed)
                call = self.calls.get(stream)
                if call is not None:
                    if call.upstream_id is not None and self.upstream is not None:
                        self.upstream.reset(call.upstream_id, int(code or 0))
                    self._forget(call)

    def _begin(self, stream: int, headers: Headers, *, ended: bool) -> None:
        """A call has come: its arm is known, and its faults begin."""
        call = Call(stream, headers, self.route.registry.current(), time.monotonic())
        call.request_ended = ended
        call.took = partial(self.client.acknowledge, stream)
        self.calls[stream] = call
        self._pending[stream] = [Item(headers=headers, end=ended)]
        if self._closing or self._leaving or self._last_taken < LAST_STREAM:
            self._refuse(call)
            return
        call.decide(b"", self.route)
        self._act(call)

    def _to_upstream(self, call: Call, item: Item) -> None:
        """More of the request: it goes on, or waits with the call."""
        call.request_ended = call.request_ended or item.end
        if call.upstream_id is None:
            enqueue(self._pending[call.stream_id], item)
        else:
            assert self.upstream is not None
            self.upstream.send(call.upstream_id, item)
            if call.answer_ended and call.request_ended:
                self._forget(call)

    def _act(self, call: Call) -> None:
        """Performs what request faults ask for, then asks the upstream."""
        match hurt := call.next_action(self.route):
            case None:
                call.ask_otherwise(self.route, 0)
                self._unopened.append(call)
                self._ask()
            case Hurt(wait_s=float(seconds)):
                self._wait(call, seconds)
            case Hurt(answer=bytes(body)):
                self._answer_instead(call, hurt.status, "the model is not available", body)
            case _:
                call.count_answer(self.route, 0)
                self._forget(call)
                self.client.reset(call.stream_id, _INTERNAL_ERROR)

    def _wait(self, call: Call, seconds: float) -> None:
        """Nothing happens to the call for so long, or until the fault is disarmed; other calls go on."""
        call.waiting, call.wait_since_s = True, time.monotonic()

        def go_on() -> None:
            if self._end_wait(call):
                self._act(call)
                self.settled()

        self._waits[call.stream_id] = asyncio.get_running_loop().call_later(seconds, go_on), go_on
        self.route.registry.waiting[go_on] = call.waits_for()

    def _end_wait(self, call: Call) -> bool:
        """The delay is over, was released, or its client has left; what it took is counted. Whether there was one."""
        timer, go_on = self._waits.pop(call.stream_id, (None, None))
        if timer is None:
            return False
        timer.cancel()
        self.route.registry.waiting.pop(go_on, None)  # type: ignore[call-overload]
        call.waiting = False
        call.waited(self.route, time.monotonic() - call.wait_since_s)
        return True

    def _answer_instead(self, call: Call, status: int, told: str, body: bytes = b"", **more: str) -> None:
        """The client gets this instead of the model's answer; the rest of its request is not wanted."""
        headers, data = call.own_answer(status, told, body, **more)
        for item in [Item(headers=headers, end=not data), *([Item(data=data, end=True)] if data else [])]:
            self.client.send(call.stream_id, item)
        if not call.request_ended:
            self.client.send(call.stream_id, Item(reset=0))  # RFC 9113, section 8.1: no error, but no need to send on
        call.count_answer(self.route, status)
        self._forget(call)

    def _refuse(self, call: Call) -> None:
        """No more streams are taken here: the client may safely ask again, on another connection."""
        if call.upstream_id is not None and self.upstream is not None:
            self.upstream.forget(call.upstream_id)
        self._forget(call)
        self.client.reset(call.stream_id, REFUSED)

    def _forget(self, call: Call) -> None:
        """The call is over."""
        self._end_wait(call)
        call.no_more_actions()
        self.calls.pop(call.stream_id, None)
        if call.upstream_id is not None:
            self._by_upstream.pop(call.upstream_id, None)
        self._kept -= call.kept_size
        call.kept_size = 0
        for item in self._pending.pop(call.stream_id, ()):
            item.done()

    def _client_gone(self) -> None:
        self._closing = True
        self.route.clients.discard(self)
        for call in list(self.calls.values()):
            self._forget(call)
        if self.upstream is not None and not self.upstream.over:
            self.upstream.close()

    # --- the upstream -------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Calls go to the upstream, as many as it takes; it is connected to when it is not."""
        if self.upstream is None:
            self.upstream = Link(self, client_side=True)
            self._connecting = asyncio.get_running_loop().create_task(self._connect(self.upstream))
        elif self._connecting is None:
            self._open_more()

    async def _connect(self, link: Link) -> None:
        error: Exception | None = None
        try:
            await connect(link, self.route)
        except (OSError, TimeoutError) as failed:
            error = failed
        self._connecting = None
        if self._closing:
            link.close()
        elif error is not None:
            self._unreachable(error)
        else:
            self.settled()

    def _unreachable(self, error: Exception) -> None:
        """Everybody who waits for the upstream is told what to do; the next call tries again."""
        self.upstream = None
        why, told = why_not(error, self.route.upstream)
        waiting = [call for call in self._unopened if self.calls.get(call.stream_id) is call]
        self._unopened.clear()
        for call in [*self._by_upstream.values(), *waiting]:
            self.route.counters.unreachable[self.route.name] += 1
            self._answer_instead(call, 502, told, x_chaos_proxy=why)
        self.settled()

    def _open_more(self) -> None:
        """Calls that wait for the upstream are begun there, up to the streams that it allows at once."""
        upstream = self.upstream
        assert upstream is not None
        while self._unopened and not upstream.over:
            http2 = upstream.http2
            if http2.open_outbound_streams >= http2.remote_settings.max_concurrent_streams:
                return
            call = self._unopened.popleft()
            if self.calls.get(call.stream_id) is not call:
                continue
            if self._last_taken < LAST_STREAM:
                self._refuse(call)
                continue
            call.upstream_id = http2.get_next_available_stream_id()
            call.asked_s = time.monotonic()
            call.gave = partial(upstream.acknowledge, call.upstream_id)
            self._by_upstream[call.upstream_id] = call
            first, *others = self._pending.pop(call.stream_id)
            if self.route.tls is not None and first.headers is not None:
                first.headers = addressed(first.headers, self.route.upstream)
            for item in (first, *others):
                upstream.send(call.upstream_id, item)

    def _from_upstream(self, event: Happening) -> None:
        assert self.upstream is not None
        if isinstance(event, GoAway):
            self._goes_away(event)
            return
        stream = int(getattr(event, "stream_id", None) or 0)
        call = self._by_upstream.get(stream)
        match event:
            case happenings.DataReceived(data=bytes(data)):
                size, ended = event.flow_controlled_length or 0, event.stream_ended is not None
                if call is None or not (data or ended):
                    self.upstream.acknowledge(stream, size)
                else:
                    self._answer_data(call, data, size, ended=ended)
            case happenings.StreamReset(error_code=code) | Malformed(error_code=code):
                self.upstream.forget(stream)  # what it would not take any more gives its client room again
                if call is not None:
                    self._answer_reset(call, int(code or 0))
            case _ if call is None:
                return
            case happenings.InformationalResponseReceived(headers=list(headers)):
                self.client.send(call.stream_id, Item(headers=headers))
            case happenings.ResponseReceived(headers=list(headers)):
                self._answer_head(call, headers, ended=event.stream_ended is not None)
            case happenings.TrailersReceived(headers=list(headers)):
                self._answer_end(call, headers)

    def _goes_away(self, goodbye: GoAway) -> None:
        """The upstream takes no more streams: the client hears it, and what was not begun it may ask elsewhere."""
        if goodbye.last_stream < LAST_STREAM:
            self._last_taken = goodbye.last_stream
            for call in [one for one in self.calls.values() if not one.answer_ended]:
                if call.upstream_id is None or call.upstream_id > goodbye.last_stream:
                    self._refuse(call)
        taken = self.client.http2.highest_inbound_stream_id if goodbye.last_stream < LAST_STREAM else LAST_STREAM
        self.client.say_goodbye(GoAway(taken, goodbye.error_code, goodbye.debug))

    def _upstream_gone(self) -> None:
        """What was answered still goes out; then the client's connection ends, as the upstream's has."""
        for call in list(self.calls.values()):
            if not call.answer_ended:
                call.count_answer(self.route, 502)
                self.client.forget(call.stream_id)
            self._forget(call)
        self._unopened.clear()
        self._closing = True


def hand_over(route: Route, transport: asyncio.Transport, data: bytes) -> Bridge:
    """The connection is HTTP/2 from its first byte on; `data` is what was read of it."""
    bridge = Bridge(route)
    transport.set_protocol(bridge.client)
    bridge.client.connection_made(transport)
    bridge.client.data_received(data)
    return bridge
