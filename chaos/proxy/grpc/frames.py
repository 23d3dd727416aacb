"""GOAWAY, taken out of a connection's bytes before the state machine sees it. Pure.

For the `h2` state machine a GOAWAY ends the connection at once; by the standard it only says which streams will still be
answered, and servers that shut down gracefully answer them. So GOAWAY is the one frame that is read and written here.

Source: RFC 9113, sections 4.1 and 6.8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from h2.exceptions import FrameTooLargeError

from chaos.proxy.wire import HTTP2_START

PREFACE = HTTP2_START + b"SM\r\n\r\n"
LAST_STREAM = 2**31 - 1
LARGEST_FRAME = 16384
"""What nobody may exceed who was told nothing else: RFC 9113, section 4.2."""
_GOAWAY = 7
_HEAD = 9


@dataclass(frozen=True, slots=True)
class GoAway:
    """The sender opens or answers no streams above `last_stream`; it will end the connection when the others are done."""

    last_stream: int
    error_code: int
    debug: bytes = b""

    def frame(self) -> bytes:
        """The frame's bytes."""
        payload = self.last_stream.to_bytes(4, "big") + self.error_code.to_bytes(4, "big") + self.debug
        return len(payload).to_bytes(3, "big") + bytes([_GOAWAY, 0, 0, 0, 0, 0]) + payload


class Splitter:
    """Tells GOAWAY frames from everything else, however the bytes are cut into reads. `preface` bytes come before frames."""

    __slots__ = ("_held", "_left")

    def __init__(self, preface: int = 0) -> None:
        self._held = b""
        self._left = preface
        """Bytes that still belong to the preface, or to a frame that goes on as it comes."""

    def feed(self, data: bytes) -> Iterator[bytes | GoAway]:
        """The same bytes in the same order, with GoAway in the place of each such frame that is well formed.

        Raises FrameTooLargeError at the head of a frame that is: the state machine would wait for the whole of it.
        """
        data = self._held + data if self._held else data
        self._held = b""
        place = begun = 0
        while place < len(data):
            if self._left:
                used = min(self._left, len(data) - place)
                place, self._left = place + used, self._left - used
                continue
            size = int.from_bytes(data[place : place + 3], "big") if len(data) - place >= 3 else 0
            if size > LARGEST_FRAME:
                raise FrameTooLargeError(f"a frame of {size} bytes")
            whole = _HEAD + (size if _is_goaway(data[place : place + _HEAD], size) else 0)
            if len(data) - place < whole:
                if place > begun:
                    yield data[begun:place]
                self._held = data[place:]
                return
            if whole == _HEAD:
                self._left = _HEAD + size
                continue
            if place > begun:
                yield data[begun:place]
            payload = data[place + _HEAD : place + whole]
            last_stream = int.from_bytes(payload[:4], "big") & LAST_STREAM
            yield GoAway(last_stream, int.from_bytes(payload[4:8], "big"), payload[8:])
            place = begun = place + whole
        if place > begun:
            yield data[begun:place]


def _is_goaway(head: bytes, size: int) -> bool:
    """Whether this frame is a GOAWAY that is well formed; of others the state machine says what is wrong."""
    return len(head) == _HEAD and head[3] == _GOAWAY and not any(head[5:]) and 8 <= size <= 16384
