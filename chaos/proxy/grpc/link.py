"""One HTTP/2 connection: the state machine, its transport, and what waits until the other side may be sent more.

Flow control reaches through the proxy: what came in on one connection is acknowledged when it has gone out on the other, or was
dropped. So a slow reader slows its writer, and no more than a window of bytes waits here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, MutableSequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol as Interface
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    Event,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    RequestReceived,
    ResponseReceived,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import FrameTooLargeError, ProtocolError
from h2.settings import SettingCodes, Settings
from h2.utilities import HeaderValidationFlags, validate_headers
from hpack import HeaderTuple

from chaos.proxy.grpc.frames import LARGEST_FRAME, PREFACE, GoAway, Splitter

Headers = Iterable[HeaderTuple | tuple[bytes, bytes]]
STREAM_WINDOW = 1024 * 1024
"""Bytes of one stream that may be under way or wait here."""
CONNECTION_WINDOW = 16 * 1024 * 1024
"""The same of all streams of a connection: the most that a stuck reader costs, in each direction.

So many calls may hold their whole window here, because a fault delays them or because nobody reads them, before those beside them
are held up, too.
"""
MOST_OWED = 4 * 1024 * 1024
"""Bytes of what must be answered to another end that does not read: what is more is a flood."""
MOST_STREAMS = 1024
LARGEST_HEADERS = 64 * 1024
_AT_ONCE = 256 * 1024
_FIRST_WINDOW = 65535  # RFC 9113, section 6.9.2: a connection's window before anybody widens it


@dataclass(slots=True)
class Item:
    """Something to be sent on a stream: headers, data, or a reset.

    `sent` hears of the `owed` bytes of what came in once the item is out, or dropped.
    """

    headers: Headers | None = None
    data: bytes | memoryview = b""
    end: bool = False
    reset: int | None = None
    sent: Callable[[int], None] | None = None
    owed: int = 0

    def done(self) -> None:
        """It is out, or dropped."""
        if self.sent is not None:
            self.sent(self.owed)


def enqueue(queue: MutableSequence[Item], item: Item) -> None:
    """The item waits behind those before it. Data that waits behind data of the same sender becomes one piece with it, up to a
    frame: windows count bytes, and a byte with a frame of its own would cost hundreds here.
    """
    last = queue[-1] if queue else None
    if (
        last is not None
        and item.sent is not None
        and last.sent is item.sent
        and not last.end
        and isinstance(last.data, bytes)
        and len(last.data) + len(item.data) <= LARGEST_FRAME
    ):
        last.data, last.end, last.owed = last.data + item.data, item.end, last.owed + item.owed
    else:
        queue.append(item)


@dataclass(frozen=True, slots=True)
class Malformed:
    """In the place of headers that HTTP/2 forbids: the stream was reset for them, and other streams go on."""

    stream_id: int
    error_code: int = int(ErrorCodes.PROTOCOL_ERROR)


Happening = Event | GoAway | Malformed


class Side(Interface):
    """Who hears what happens on a link."""

    def happened(self, link: Link, event: Happening) -> None:
        """The other end did this."""
        ...

    def settled(self) -> None:
        """A read has been worked off: it is time to write."""
        ...

    def lost(self, link: Link) -> None:
        """Nothing goes in or out any more."""
        ...

    def closed(self, link: Link) -> None:
        """The transport is gone, too."""
        ...


class Link(asyncio.Protocol):
    """One connection; `client_side` when the proxy opened it."""

    def __init__(self, side: Side, *, client_side: bool) -> None:
        self.side = side
        self.transport: asyncio.Transport | None = None
        self.over = False
        self.clogged = False
        self.heard = False
        """Whether the other end has begun to speak HTTP/2, which is with its settings."""
        self.error: ProtocolError | None = None
        """What the other end sent that ended the connection; None when something else did, or nothing yet."""
        self.other_protocol = False
        """Whether TLS was agreed on, and HTTP/2 was not: then nothing is ever said."""
        self._unflushed = 0
        self._queues: dict[int, deque[Item]] = {}
        self._splitter = Splitter(0 if client_side else len(PREFACE))
        self.http2 = H2Connection(
            H2Configuration(
                client_side=client_side,
                header_encoding=None,
                validate_inbound_headers=False,  # here instead, where one stream's fault does not end the connection
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
        """Settings and a wide window go out first; over TLS, only to whoever has agreed on HTTP/2."""
        self.transport = cast(asyncio.Transport, transport)
        secured = transport.get_extra_info("ssl_object")
        self.other_protocol = secured is not None and secured.selected_alpn_protocol() != "h2"
        if self.other_protocol or self.over:
            self.over = True
            self.transport.close()
            return
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
                    self._take(event)
        except ProtocolError as error:
            self.error = error
            with suppress(ProtocolError):  # mostly, the state machine has put its GOAWAY in front by itself
                if isinstance(error, FrameTooLargeError):
                    self.http2.close_connection(error.error_code)
            self.close()
            self.side.lost(self)
        self.side.settled()

    def _take(self, event: Event | GoAway) -> None:
        if isinstance(event, WindowUpdated) and event.stream_id:
            self._pump(event.stream_id)
        elif isinstance(event, (WindowUpdated, RemoteSettingsChanged)):
            self.heard = True
            encoder = self.http2.encoder
            encoder.header_table_size = min(encoder.header_table_size, LARGEST_HEADERS)  # whatever the other end offers
            self._pump_all()
        elif isinstance(event, _WITH_HEADERS) and not well_formed(event, by_server=self.http2.config.client_side):
            stream = int(event.stream_id or 0)
            self.reset(stream, int(ErrorCodes.PROTOCOL_ERROR))
            self.side.happened(self, Malformed(stream))
            return
        self.side.happened(self, event)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The connection is gone."""
        if not self.over:
            self.over = True
            self.side.lost(self)
            self.side.settled()
        self._forget_all()
        self.side.closed(self)

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
        enqueue(self._queues.setdefault(stream, deque()), item)
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
            item.done()

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
                queue.popleft().done()
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
            self._unflushed += len(piece)
            if self._unflushed >= _AT_ONCE:
                self.flush()  # the transport says now that it is enough, not after all that a wide window admits
            if not item.data:
                return True
        self.http2.send_data(stream, b"", end_stream=item.end)
        return True

    def flush(self) -> None:
        """What the state machine has to say goes to the transport."""
        self._unflushed = 0
        data = self.http2.data_to_send()
        if data and self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)
            # Data waits while the other end does not read; this much else is a flood of what must be answered.
            if self.clogged and self.transport.get_write_buffer_size() > MOST_OWED:
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
_WITH_HEADERS = (RequestReceived, ResponseReceived, InformationalResponseReceived, TrailersReceived)


def well_formed(event: Event, *, by_server: bool) -> bool:
    """Whether HTTP/2 allows these headers. Blanks around a value it does not, but gRPC does, and they pass as they came.

    Source: RFC 9113, sections 8.2 and 8.3; gRPC over HTTP/2 (PROTOCOL-HTTP2), Custom-Metadata.
    """
    trailers = isinstance(event, TrailersReceived)
    flags = HeaderValidationFlags(
        is_client=by_server, is_trailer=trailers, is_response_header=by_server and not trailers, is_push_promise=False
    )
    headers = [(bytes(name), bytes(value).strip(b" \t")) for name, value in getattr(event, "headers", None) or ()]
    try:
        for _ in validate_headers(headers, flags):
            pass
    except ProtocolError:
        return False
    return True
