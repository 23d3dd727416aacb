"""How an answer reaches its client where faults decide about it: part by part, with waits between, or not to its end.

Everything else of an answer goes out as it comes. What waits is bounded: beyond that, the upstream is not read. A wait ends with its
time, with its fault (nobody who disarms waits for an answer to end) and with its client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from chaos.faults.base import End, Reset, Wait
from chaos.proxy.armed import ArmedFault
from chaos.proxy.connection import Connection
from chaos.proxy.delivery import MOST_HELD, Delivery
from chaos.proxy.exchange import Exchange


class Delivering(Connection):
    """What is given to the client goes out at once, unless a fault has something to say about it."""

    def resume_writing(self) -> None:
        """The client reads again: what waited for that goes out first."""
        super().resume_writing()
        if self.exchange is not None and self.exchange.delivery is not None:
            self._deliver(self.exchange)

    def _give(self, exchange: Exchange, data: bytes) -> None:
        """More of the answer, for the client."""
        delivery = exchange.delivery
        if delivery is None:
            self._write(data)
        elif data:
            delivery.feed(data)
            self._bound(delivery)
            # Not now: what ends within the answer must not end under the feet of whoever reads the upstream.
            asyncio.get_running_loop().call_soon(self._deliver, exchange)

    def _once_out(self, exchange: Exchange, then: Callable[[], None]) -> None:
        """No more of the answer will come; this happens once the client has got all that came."""
        delivery = exchange.delivery
        if delivery is None:
            then()
            return
        delivery.flush()
        delivery.then = then
        exchange.going_out = True
        asyncio.get_running_loop().call_soon(self._deliver, exchange)

    def _bound(self, delivery: Delivery) -> None:
        """Of too much that waits, no more is read."""
        full = delivery.size > MOST_HELD
        if full is not self._full:
            self._full = full
            self._read_upstream()

    def _deliver(self, exchange: Exchange) -> None:
        """Part after part goes out, until a fault waits, the client reads no more, or nothing is left."""
        delivery = exchange.delivery
        if delivery is None or self.exchange is not exchange:
            return
        while not (self.finished or self._clogged or exchange.waiting):
            if not delivery.next():
                self._all_out(exchange, delivery)
                return
            found = delivery.action()
            if found is None:
                self._write(delivery.taken())
                self._bound(delivery)
                continue
            fault, action = found
            match action:
                case Wait(seconds=seconds):
                    if seconds > 0:
                        exchange.waits_in(fault)
                        self._wait(exchange, float(seconds), self._deliver)
                case End():
                    self._end_answer(exchange, delivery, fault, action)
                    return
                case Reset():
                    self._reset_answer(exchange, delivery, fault, action)
                    return

    def _all_out(self, exchange: Exchange, delivery: Delivery) -> None:
        """Nothing is held any more; where the answer has ended, the connections are free."""
        then = delivery.then
        if then is not None:
            exchange.no_more_delivery()
            exchange.going_out = False
            then()

    def _end_answer(self, exchange: Exchange, delivery: Delivery, fault: ArmedFault, end: End) -> None:
        """The client gets a little more and the end of the answer, however much of it is still to come."""
        head = exchange.answer_head
        assert head is not None
        after = max(0, end.after)
        well = end.clean and delivery.ends_well(after)
        self._write(delivery.taken(after))
        if well:
            self._write(delivery.last)
        self._leave_answer(exchange, fault, head.status if well else 502)
        if not (well and exchange.head.keep_alive and head.keep_alive):
            self._close(linger=not exchange.request_body.done)
        elif not exchange.request_body.done:
            exchange.answer_whole = True
            self.release("upstream")
        else:
            self.exchange = None
            if exchange.redirected:
                self._come_back()
            self._next()

    def _reset_answer(self, exchange: Exchange, delivery: Delivery, fault: ArmedFault, reset: Reset) -> None:
        """The client gets a little more, and its connection is reset."""
        if reset.after > 0:
            self._write(delivery.taken(reset.after))
        self._leave_answer(exchange, fault, 0)
        self._reset()

    def _leave_answer(self, exchange: Exchange, fault: ArmedFault, status: int) -> None:
        """Nothing more of the answer goes out. An upstream that may still be about to say it is left."""
        exchange.cut(fault, self.route, status)
        self._full = False
        if not exchange.going_out:
            self._leave_upstream()
        exchange.going_out = False
        self._read_upstream()
