"""What the upstream answers to calls: passed on as it comes, or kept until it is whole and a fault can edit it.

What is kept has been taken off the upstream's window, so that it must fit in here; it counts until it is out on the client's side.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from chaos.proxy.grpc.call import Call
from chaos.proxy.grpc.link import REFUSED, Headers, Item, Link

if TYPE_CHECKING:
    from chaos.proxy.route import Route

LARGEST_EDITED = 8 * 1024 * 1024
"""Answers above this are passed on untouched and counted."""
MOST_KEPT = 4 * LARGEST_EDITED
"""The same for all answers of one connection together: many calls at once must not eat the memory."""


class Answers(ABC):
    """The way back of one client's calls."""

    route: Route
    client: Link
    _kept = 0
    """Bytes of answers that are kept for a fault, or were and have not gone out yet."""

    @abstractmethod
    def _forget(self, call: Call) -> None:
        """The call is over."""

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
        if not call.editing:
            if call.copying:
                call.copy(data)
            if ended:
                self._done(call, ())
            self.client.send(call.stream_id, Item(data=data, end=ended, sent=call.gave, owed=size))
            return
        call.gave(size)
        call.keep(data)
        self._kept += len(data)
        if ended:
            self._answer_end(call, None)
        elif call.kept_size > LARGEST_EDITED or self._kept > MOST_KEPT:
            call.give_up_editing()
            self._release_kept(call)

    def _release_kept(self, call: Call) -> None:
        """What was kept of an answer that is not edited after all goes out as it came."""
        self.client.send(call.stream_id, Item(headers=call.kept_headers))
        self._send_kept(call, b"".join(call.kept), end=False)
        call.kept, call.kept_headers = [], None

    def _send_kept(self, call: Call, data: bytes, *, end: bool) -> None:
        """The data goes out in the place of what was kept, which takes up room until it is out."""
        owed, call.kept_size = call.kept_size, 0
        self.client.send(call.stream_id, Item(data=data, end=end, sent=self._let_go, owed=owed))

    def _let_go(self, size: int) -> None:
        self._kept -= size

    def _answer_end(self, call: Call, trailers: Headers | None) -> None:
        """The answer is whole: an edited one goes out now, and its trailers behind it."""
        status = dict(trailers or ()).get(b"grpc-status", b"").decode("latin-1")
        if call.editing:
            headers, data = call.edited_answer(self.route, status)
            self.client.send(call.stream_id, Item(headers=headers))
            if data or trailers is None:
                self._send_kept(call, data, end=trailers is None)
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
