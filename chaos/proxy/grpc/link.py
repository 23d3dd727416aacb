"""One HTTP/2 connection: the state machine, its transport, and what waits until the other side may be sent more.

Flow control reaches through the proxy: what came in on one connection is acknowledged when it has gone out on the other, or was
dropped. So a slow reader slows its writer, and no more than a window of bytes waits here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol as Interface
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import Event, RemoteSettingsChanged, WindowUpdated
from h2.exceptions import FrameTooLargeError, ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import HeaderTuple

from chaos.proxy.grpc.frames import PREFACE, GoAway, Splitter

Headers = Iterable[HeaderTuple | tuple[bytes, bytes]]
STREAM_WINDOW = 1024 * 1024
"""Bytes of one stream that may be under way or wait here."""
CONNECTION_WINDOW = 4 * 1024 * 1024
"""The same of all streams of a connection: the most that a stuck reader costs, in each direction."""
MOST_STREAMS = 1024
LARGEST_HEADERS = 64 * 1024
_FIRST_WINDOW = 65535  # RFC 9113, section 6.9.2: a connection's window before anybody widens it


@dataclass(slots=True)
class Item:
    """Something to be sent on a stream: headers, data, or a reset. `sent` is called once it is out, or dropped."""

    headers: Headers | None = None
    data: bytes | memoryview = b""
    end: bool = False
    reset: int | None = None
    sent: Callable[[], None] | None = None


class Side(Interface):
    """Who hears what happens on a link."""

    def happened(self, link: Link, event: Event | GoAway) -> None:
        """The other end did this."""
        ...

    def settled(self) -> None:
        """A read has been worked off: it is time to write."""
        ...

    def lost(self, link: Link, error: ProtocolError | None) -> None:
        """The connection has ended; with an error when it ended because of what the other end sent."""
        ...


class Link(asyncio.Protocol):
    """One connection; `client_side` when the proxy opened it."""

    def __init__(self, side: Side, *, client_side: bool) -> None:
        self.side = side
        self.transport: asyncio.Transport | None = None
        self.over = False
        self.clogged = False
        self._queues: dict[int, deque[Item]] = {}
        self._splitter = Splitter(0 if client_side else len(PREFACE))
        self.http2 = H2Connection(
            H2Configuration(
                client_side=client_side,
                header_encoding=None,
                validate_outbound_headers=False,  # they were validated on their way in, and pass as they came
                normalize_outbound_headers=False,
                normalize_inbound_headers=False,
            )
        )
        chosen = {
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_CONCURRENT_STREAMS: MOST_STREAMS,
            SettingCodes.MAX_HEADER_LIST_SIZE: LARGEST_HEADERS,
        }
        if client_side:
            chosen[SettingCodes.ENABLE_PUSH] = 0
        self.http2.local_settings = Settings(client=client_side, initial_values=chosen)

    # --- the transport ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Settings and a wide window go out first."""
        self.transport = cast(asyncio.Transport, transport)
        self.http2.initiate_connection()
        self.http2.increment_flow_control_window(CONNECTION_WINDOW - _FIRST_WINDOW)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Every event is told in order; then what came of them is written."""
        if self.over:
            return
        try:
            for piece in self._splitter.feed(data):
                events = [piece] if isinstance(piece, GoAway) else self.http2.receive_data(piece)
                for event in events:
                    if isinstance(event, WindowUpdated) and event.stream_id:
                        self._pump(event.stream_id)
                    elif isinstance(event, (WindowUpdated, RemoteSettingsChanged)):
                        self._pump_all()
                    self.side.happened(self, event)
        except ProtocolError as error:
            with suppress(ProtocolError):  # mostly, the state machine has put its GOAWAY in front by itself
                if isinstance(error, FrameTooLargeError):
                    self.http2.close_connection(error.error_code)
            self.close()
            self.side.lost(self, error)
        self.side.settled()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The connection is gone."""
        if not self.over:
            self.over = True
            self.side.lost(self, None)
            self.side.settled()
        self._forget_all()

    def pause_writing(self) -> None:
        """The other end reads slowly: what is to be sent waits, and so do those who sent it."""
        self.clogged = True

    def resume_writing(self) -> None:
        """The other end reads again."""
        self.clogged = False
        self._pump_all()
        self.side.settled()

    # --- sending ------------------------------------------------------------------------------------------------------

    def send(self, stream: int, item: Item) -> None:
        """The item goes out on the stream after those before it, as soon as it may."""
        self._queues.setdefault(stream, deque()).append(item)
        self._pump(stream)

    def reset(self, stream: int, code: int) -> None:
        """The stream ends at once; what waits on it is dropped."""
        self.forget(stream)
        if not self.over:
            with suppress(ProtocolError):  # it has ended already
                self.http2.reset_stream(stream, code)

    def forget(self, stream: int) -> None:
        """Nothing more goes out on the stream."""
        for item in self._queues.pop(stream, ()):
            if item.sent is not None:
                item.sent()

    def acknowledge(self, stream: int, size: int) -> None:
        """So many bytes that came in on the stream are done with: the other end may send as many more."""
        if size and not self.over:
            with suppress(ProtocolError):
                self.http2.acknowledge_received_data(size, stream)

    def waiting(self) -> bool:
        """Whether anything still waits to go out."""
        return bool(self._queues)

    def _pump_all(self) -> None:
        for stream in list(self._queues):
            self._pump(stream)
            if stream in self._queues:  # the window was too small for all: others come first the next time
                self._queues[stream] = self._queues.pop(stream)

    def _pump(self, stream: int) -> None:
        queue = self._queues.get(stream)
        try:
            while queue and not self.over and self._one(stream, queue[0]):
                done = queue.popleft()
                if done.sent is not None:
                    done.sent()
        except ProtocolError:
            self.forget(stream)  # the other end has reset it, and will say so
            return
        if queue is not None and not queue:
            self._queues.pop(stream, None)

    def _one(self, stream: int, item: Item) -> bool:
        """Sends as much of the item as it may; whether all of it is out."""
        if item.headers is not None:
            self.http2.send_headers(stream, item.headers, end_stream=item.end)
            return True
        if item.reset is not None:
            with suppress(ProtocolError):
                self.http2.reset_stream(stream, item.reset)
            return True
        while item.data:
            room = min(self.http2.local_flow_control_window(stream), self.http2.max_outbound_frame_size)
            if self.clogged or room <= 0:
                return False
            if len(item.data) > room:
                item.data = memoryview(item.data)  # cutting it does not copy the rest
            piece, item.data = item.data[:room], item.data[room:]
            self.http2.send_data(stream, piece, end_stream=item.end and not item.data)
            if not item.data:
                return True
        self.http2.send_data(stream, b"", end_stream=item.end)
        return True

    def flush(self) -> None:
        """What the state machine has to say goes to the transport."""
        data = self.http2.data_to_send()
        if data and self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)
            # Data waits while the other end does not read; this much else is a flood of what must be answered.
            if self.clogged and self.transport.get_write_buffer_size() > CONNECTION_WINDOW:
                self.transport.abort()

    def say_goodbye(self, goodbye: GoAway) -> None:
        """The GOAWAY goes out behind everything before it; streams go on."""
        self.flush()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(goodbye.frame())

    def close(self) -> None:
        """What was said goes out, then the connection ends."""
        self.flush()
        self.over = True
        if self.transport is not None:
            self.transport.close()

    def _forget_all(self) -> None:
        for stream in list(self._queues):
            self.forget(stream)


REFUSED = int(ErrorCodes.REFUSED_STREAM)
"""The stream was not begun: its sender may safely send it again."""
