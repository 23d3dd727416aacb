"""The data plane for HTTP/2: one connection from a client, one to its upstream, and every stream passed on as a call.

    client ⇄ Link ⇄ Bridge ⇄ Link ⇄ upstream
                      │ treatment
                      └▶ wait / answer / reset ─▶ upstream ─▶ whole answer ─▶ rows edited ─▶ client

Idle, headers, messages and trailers go on as they came, in their order; frames, header compression, windows, settings and pings are
each connection's own. Each client has an upstream connection of its own, opened with its first call: so a GOAWAY, an end or
a lost connection means to the client what it means without the proxy.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

from h2 import events as happenings
from h2.exceptions import ProtocolError

from chaos.proxy.exchange import Hurt
from chaos.proxy.grpc.call import Call
from chaos.proxy.grpc.frames import LAST_STREAM, GoAway
from chaos.proxy.grpc.link import REFUSED, Headers, Item, Link
from chaos.proxy.upstream import CONNECT_S

if TYPE_CHECKING:
    from chaos.proxy.route import Route

LARGEST_EDITED = 8 * 1024 * 1024
"""Answers above this are passed on untouched and counted."""
MOST_KEPT = 4 * LARGEST_EDITED
"""The same for all answers of one connection together: many calls at once must not eat the memory."""
_INTERNAL_ERROR = 2  # RFC 9113, section 7


class Bridge:
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
        self._kept = 0
        self._connecting = False
        self._last_taken = LAST_STREAM
        self._closing = False

    @property
    def transport(self) -> asyncio.Transport | None:
        """The client's."""
        return self.client.transport

    @property
    def exchange(self) -> Call | None:
        """A call that is not done; None when the connection is idle."""
        return next((call for call in self.calls.values() if not call.answer_ended), None)

    # --- what happens on either side ----------------------------------------------------------------------------------

    def happened(self, link: Link, event: happenings.Event | GoAway) -> None:
        """Something came from the client or from the upstream."""
        if link is self.client:
            self._from_client(event)
        elif link is self.upstream:
            self._from_upstream(event)

    def settled(self) -> None:
        """What came of a read is written; a connection whose other side has ended ends once all is out."""
        if self.upstream is not None:
            if not self.upstream.over:
                self._open_more()
            self.upstream.flush()
        self.client.flush()
        if self._closing and not self.client.waiting() and not self.client.over:
            self.client.close()
            self._client_gone()

    def lost(self, link: Link, error: ProtocolError | None) -> None:
        """A side is gone."""
        if link is self.client:
            self.route.counters.refused += error is not None
            self._client_gone()
        elif link is self.upstream:
            self._upstream_gone()

    # --- the client ---------------------------------------------------------------------------------------------------

    def _from_client(self, event: happenings.Event | GoAway) -> None:
        match event:
            case happenings.RequestReceived(stream_id=int(stream), headers=list(headers)):
                self._begin(stream, headers, ended=event.stream_ended is not None)
            case happenings.DataReceived(stream_id=int(stream), data=bytes(data)):
                size, ended = event.flow_controlled_length or 0, event.stream_ended is not None
                item = Item(data=data, end=ended, sent=lambda: self.client.acknowledge(stream, size))
                self._to_upstream(stream, item)
            case happenings.TrailersReceived(stream_id=int(stream), headers=list(headers)):
                self._to_upstream(stream, Item(headers=headers, end=True))
            case happenings.StreamReset(stream_id=int(stream), error_code=code):
                self.client.forget(stream)
                call = self.calls.get(stream)
                if call is not None:
                    if call.upstream_id is not None and self.upstream is not None:
                        self.upstream.reset(call.upstream_id, int(code or 0))
                    self._forget(call)

    def _begin(self, stream: int, headers: Headers, *, ended: bool) -> None:
        """A call has come: its arm is known, and its faults begin."""
        call = Call(stream, headers, self.route.registry.current(), time.monotonic())
        call.request_ended = ended
        self.calls[stream] = call
        self._pending[stream] = [Item(headers=headers, end=ended)]
        if self._closing or self._last_taken < LAST_STREAM:
            self._refuse(call)
            return
        call.decide(b"", self.route)
        self._act(call)

    def _to_upstream(self, stream: int, item: Item) -> None:
        """More of the request: it goes on, waits with the call, or is dropped where nobody wants it any more."""
        call = self.calls.get(stream)
        if call is not None and item.end:
            call.request_ended = True
        if call is None:
            if item.sent is not None:
                item.sent()
        elif call.upstream_id is None:
            self._pending[stream].append(item)
        else:
            assert self.upstream is not None
            self.upstream.send(call.upstream_id, item)
            if call.answer_ended and call.request_ended:
                self._forget(call)

    def _act(self, call: Call) -> None:
        """Performs what request faults ask for, then asks the upstream."""
        match hurt := call.next_action(self.route):
            case None:
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
        """The upstream takes no more streams here: the client may safely ask again, on another connection."""
        self._forget(call)
        self.client.reset(call.stream_id, REFUSED)

    def _forget(self, call: Call) -> None:
        """The call is over."""
        self._end_wait(call)
        self.calls.pop(call.stream_id, None)
        if call.upstream_id is not None:
            self._by_upstream.pop(call.upstream_id, None)
        self._kept -= call.kept_size
        call.kept_size = 0
        for item in self._pending.pop(call.stream_id, ()):
            if item.sent is not None:
                item.sent()

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
        if self.upstream is not None:
            self._open_more()
        elif not self._connecting:
            self._connecting = True
            asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            if self.route.tls is not None:
                raise OSError("HTTP/2 is passed on in clear text only")
            async with asyncio.timeout(CONNECT_S):
                _, upstream = await asyncio.get_running_loop().create_connection(
                    lambda: Link(self, client_side=True), self.route.host, self.route.port
                )
        except (OSError, TimeoutError):
            self._connecting = False
            self._unreachable("upstream-unreachable" if self.route.tls is None else "upstream-tls")
            return
        self._connecting = False
        if self._closing or self.client.over:
            upstream.close()
            return
        self.upstream = upstream
        self.settled()

    def _unreachable(self, why: str) -> None:
        """Everybody who waits for the upstream is told; the next call tries again."""
        calls = [call for call in self._unopened if call.stream_id in self.calls]
        self._unopened.clear()
        for call in calls:
            self.route.counters.unreachable[self.route.name] += 1
            self._answer_instead(call, 502, "the model behind this proxy did not answer", x_chaos_proxy=why)
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
            self._by_upstream[call.upstream_id] = call
            for item in self._pending.pop(call.stream_id):
                upstream.send(call.upstream_id, item)

    def _from_upstream(self, event: happenings.Event | GoAway) -> None:
        assert self.upstream is not None
        if isinstance(event, GoAway):
            self._goes_away(event)
            return
        stream = getattr(event, "stream_id", None)
        call = self._by_upstream.get(stream) if stream else None
        if call is None:
            if isinstance(event, happenings.DataReceived):
                self.upstream.acknowledge(int(stream or 0), event.flow_controlled_length or 0)
            return
        match event:
            case happenings.InformationalResponseReceived(headers=list(headers)):
                self.client.send(call.stream_id, Item(headers=headers))
            case happenings.ResponseReceived(headers=list(headers)):
                self._answer_head(call, headers, ended=event.stream_ended is not None)
            case happenings.DataReceived(data=bytes(data)):
                self._answer_data(call, data, event.flow_controlled_length or 0, ended=event.stream_ended is not None)
            case happenings.TrailersReceived(headers=list(headers)):
                self._answer_end(call, headers)
            case happenings.StreamReset(error_code=code):
                self._answer_reset(call, int(code or 0))

    def _answer_head(self, call: Call, headers: Headers, *, ended: bool) -> None:
        self.route.counters.upstream_took(self.route.name, time.monotonic() - call.asked_s)
        if ended:  # headers alone: an error, or an answer without a body
            self._done(call, headers)
            self.client.send(call.stream_id, Item(headers=headers, end=True))
            return
        call.answer_begins(headers, self.route)
        if not call.editing:
            self.client.send(call.stream_id, Item(headers=headers))

    def _answer_data(self, call: Call, data: bytes, size: int, *, ended: bool) -> None:
        upstream, stream = self.upstream, call.upstream_id
        assert upstream is not None
        assert stream is not None
        if not call.editing:
            if call.copying:
                call.copy(data)
            item = Item(data=data, end=ended, sent=lambda: upstream.acknowledge(stream, size))
            if ended:
                self._done(call, ())
            self.client.send(call.stream_id, item)
            return
        upstream.acknowledge(stream, size)
        call.kept.append(data)
        call.kept_size += len(data)
        self._kept += len(data)
        if ended:
            self._answer_end(call, None)
        elif call.kept_size > LARGEST_EDITED or self._kept > MOST_KEPT:
            call.give_up_editing()
            self._release_kept(call)

    def _release_kept(self, call: Call) -> None:
        """What was kept of an answer that is not edited after all goes out as it came."""
        self.client.send(call.stream_id, Item(headers=call.kept_headers))
        self.client.send(call.stream_id, Item(data=b"".join(call.kept)))
        self._kept -= call.kept_size
        call.kept, call.kept_size, call.kept_headers = [], 0, None

    def _answer_end(self, call: Call, trailers: Headers | None) -> None:
        """The answer is whole: an edited one goes out now, and its trailers behind it."""
        status = dict(trailers or ()).get(b"grpc-status", b"").decode("latin-1")
        if call.editing:
            headers, data = call.edited_answer(self.route, status)
            self.client.send(call.stream_id, Item(headers=headers))
            if data or trailers is None:
                self.client.send(call.stream_id, Item(data=data, end=trailers is None))
        self._done(call, trailers or ())
        if trailers is not None:
            self.client.send(call.stream_id, Item(headers=trailers, end=True))

    def _answer_reset(self, call: Call, code: int) -> None:
        """The upstream ends the stream: behind its answer where that is whole, else at once."""
        if call.answer_ended:
            self.client.send(call.stream_id, Item(reset=code))
        else:
            if call.editing:
                call.editing = False
                self._release_kept(call)
            call.count_answer(self.route, call.http_status("14" if code == REFUSED else "13"))
            self.client.reset(call.stream_id, code)
        self._forget(call)

    def _done(self, call: Call, last: Headers) -> None:
        """The upstream has answered; `last` are the headers that say how it went."""
        call.answer_ended = True
        said = dict(last)
        if call.answer_head is None and not call.is_grpc:
            status = said.get(b":status", b"502")
            call.count_answer(self.route, int(status) if status.isdigit() else 502)
        else:
            grpc_status = said.get(b"grpc-status")
            told = grpc_status.decode("latin-1") if grpc_status is not None else None
            call.count_answer(self.route, call.http_status(told))
            if call.looking or self.route.observer is not None:
                asyncio.get_running_loop().call_soon(call.done, self.route, told)
        if call.request_ended:
            self._forget(call)

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
