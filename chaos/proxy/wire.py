"""HTTP/1.1 on the wire: heads and where bodies end. Pure, strict, and it never changes a byte.

A head is kept as it was received and passed on as it was received; parsing only finds out what the proxy must know. What can
be read in two ways (both lengths, differing or repeated lengths, folded lines, bare CR or LF, white space before a colon,
sizes that are no numbers) is BadMessage: whoever stands behind could read it the other way.

Source: RFC 9112, sections 2.2, 3, 5, 6, 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

LARGEST_HEAD = 64 * 1024
_TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HEX = b"0123456789abcdefABCDEF"
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0")


class BadMessage(ValueError):
    """The bytes are no message that can be read in one way only."""


@dataclass(slots=True)
class Head:
    """A parsed head.

    `raw` is the head as received, final empty line included. `headers` are lower-case names; of a repeated header the
    last value stands (framing headers are checked for repetition). `length` is the body's, None when it is not given.
    """

    raw: bytes
    method: str
    target: str
    status: int
    headers: dict[str, str]
    length: int | None
    chunked: bool
    keep_alive: bool


def _headers(lines: list[bytes]) -> tuple[dict[str, str], list[bytes], list[bytes]]:
    headers: dict[str, str] = {}
    lengths: list[bytes] = []
    codings: list[bytes] = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name.translate(None, _TOKEN):
            raise BadMessage("a header line that is none (folded, without a colon, or with white space before it)")
        if b"\r" in value or b"\n" in value or b"\0" in value:
            raise BadMessage("a header value with a bare CR, LF or NUL")
        low = name.lower()
        value = value.strip(b" \t")
        if low == b"content-length":
            lengths.append(value)
        elif low == b"transfer-encoding":
            codings.append(value.lower())
        headers[low.decode("ascii")] = value.decode("latin-1")
    return headers, lengths, codings


def _framing(lengths: list[bytes], codings: list[bytes]) -> tuple[int | None, bool]:
    if codings:
        if lengths:
            raise BadMessage("both Transfer-Encoding and Content-Length")
        if len(codings) > 1 or codings[0] != b"chunked":
            raise BadMessage("a Transfer-Encoding other than chunked")
        return None, True
    if not lengths:
        return None, False
    if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 18:
        raise BadMessage("a Content-Length that is repeated or no number")
    return int(lengths[0]), False


def _keep_alive(version: bytes, headers: dict[str, str]) -> bool:
    said = headers.get("connection", "").lower()
    return "close" not in said if version == b"HTTP/1.1" else "keep-alive" in said


def parse_request(raw: bytes) -> Head:
    """A request's head. Raises BadMessage."""
    lines = raw[:-4].split(b"\r\n")
    parts = lines[0].split(b" ")
    if len(parts) != 3 or parts[2] not in _VERSIONS or not parts[0] or parts[0].translate(None, _TOKEN):
        raise BadMessage("a request line that is none")
    if not parts[1] or any(sign < 33 or sign == 127 for sign in parts[1]):
        raise BadMessage("a request target with control characters")
    headers, lengths, codings = _headers(lines[1:])
    length, chunked = _framing(lengths, codings)
    if chunked and parts[2] == b"HTTP/1.0":
        raise BadMessage("chunked in HTTP/1.0")
    return Head(
        raw, parts[0].decode(), parts[1].decode("latin-1"), 0, headers, length, chunked, _keep_alive(parts[2], headers)
    )


def parse_answer(raw: bytes, method: str) -> Head:
    """An answer's head; `method` is the request's. `length` is 0 where no body may follow, None where it ends with the connection."""
    lines = raw[:-4].split(b"\r\n")
    start = lines[0]
    if start[:8] not in _VERSIONS or start[8:9] != b" " or not start[9:12].isdigit() or start[12:13] not in (b"", b" "):
        raise BadMessage("a status line that is none")
    if b"\r" in start or b"\n" in start:
        raise BadMessage("a status line with a bare CR or LF")
    status = int(start[9:12])
    headers, lengths, codings = _headers(lines[1:])
    length, chunked = _framing(lengths, codings)
    if chunked and start[:8] == b"HTTP/1.0":
        raise BadMessage("chunked in HTTP/1.0")
    if method == "HEAD" or status in (204, 304) or 100 <= status < 200:
        length, chunked = 0, False
    keep = _keep_alive(start[:8], headers) and (chunked or length is not None)
    return Head(raw, "", "", status, headers, length, chunked, keep)


class LengthBody:
    """A body of so many bytes."""

    __slots__ = ("left",)

    def forget(self) -> None:
        """Nothing was collected."""

    def __init__(self, length: int) -> None:
        self.left = length

    @property
    def done(self) -> bool:
        """Whether the body has ended."""
        return self.left == 0

    def take(self, data: bytes, start: int) -> int:
        """How far the body reaches into `data[start:]`: the place after its last byte there."""
        used = min(self.left, len(data) - start)
        self.left -= used
        return start + used


class EndlessBody:
    """A body that ends with the connection."""

    __slots__ = ()
    done = False

    def forget(self) -> None:
        """Nothing was collected."""

    def take(self, data: bytes, start: int) -> int:
        """All of it."""
        del start
        return len(data)


class ChunkedBody:
    """A chunked body with its trailers; finds its end, byte by byte exact, however the bytes are cut into reads."""

    __slots__ = ("_left", "_line", "_state", "done", "payload", "trailers")

    def __init__(self, *, collect: bool = False) -> None:
        self.done = False
        self.payload: list[bytes] | None = [] if collect else None
        self.trailers = b""
        """What followed the last chunk, its empty line included; of a collected body only."""
        self._state = "size"  # size · data · crlf · trailer
        self._line = b""
        self._left = 0

    def forget(self) -> None:
        """What was collected is let go, and nothing more is collected."""
        self.payload = None

    def take(self, data: bytes, start: int) -> int:
        """How far the body reaches into `data[start:]`. Raises BadMessage."""
        place, end = start, len(data)
        while place < end and not self.done:
            if self._state == "data":
                used = min(self._left, end - place)
                if self.payload is not None:
                    self.payload.append(data[place : place + used])
                self._left -= used
                place += used
                if self._left == 0:
                    self._state = "crlf"
                continue
            found = data.find(b"\n", place)
            piece = data[place : found + 1] if found >= 0 else data[place:]
            place += len(piece)
            self._line += piece
            if len(self._line) > LARGEST_HEAD:
                raise BadMessage("a chunk line that does not end")
            if found >= 0:
                self._take_line()
        return place

    def _take_line(self) -> None:
        line, self._line = self._line, b""
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise BadMessage("a chunk line with a bare CR or LF")
        line = line[:-2]
        if self._state == "crlf":
            if line:
                raise BadMessage("a chunk that is longer than it said")
            self._state = "size"
        elif self._state == "trailer":
            if self.payload is not None:
                self.trailers += line + b"\r\n"
                if len(self.trailers) > LARGEST_HEAD:
                    raise BadMessage("trailers that do not end")
            if not line:
                self.done = True
        else:
            size = line.split(b";", 1)[0]
            if not size or len(size) > 16 or size.translate(None, _HEX):
                raise BadMessage("a chunk size that is no number")
            self._left = int(size, 16)
            self._state = "data" if self._left else "trailer"


Body = LengthBody | EndlessBody | ChunkedBody


def request_body(head: Head, *, collect: bool = False) -> Body:
    """The tracker of a request's body; a request without a length has none."""
    return ChunkedBody(collect=collect) if head.chunked else LengthBody(head.length or 0)


def answer_body(head: Head, *, collect: bool = False) -> Body:
    """The tracker of an answer's body."""
    if head.chunked:
        return ChunkedBody(collect=collect)
    return EndlessBody() if head.length is None else LengthBody(head.length)


def with_body(head: Head, body: bytes) -> bytes:
    """The head with framing headers that fit `body`, and the body. Every other header keeps its bytes and its place."""
    lines = head.raw[:-4].split(b"\r\n")
    length = b"%d" % len(body)
    made: list[bytes] = [lines[0]]
    told = False
    for line in lines[1:]:
        low = line[:18].lower()
        if low.startswith(b"content-length:"):
            made.append(line[:15] + b" " + length)
            told = True
        elif low.startswith(b"transfer-encoding:"):
            made.append(b"content-length: " + length)
            told = True
        elif not low.startswith(b"trailer:"):
            made.append(line)
    if not told:
        made.append(b"content-length: " + length)
    return b"\r\n".join(made) + b"\r\n\r\n" + body


def with_headers(head: Head, changed: Mapping[str, str]) -> Head:
    """The head with these header values changed in place, by lower-case name; other headers keep their bytes."""
    if not changed:
        return head
    lines = head.raw[:-4].split(b"\r\n")
    for place, line in enumerate(lines[1:], 1):
        name, _, _ = line.partition(b":")
        value = changed.get(name.decode("latin-1").lower())
        if value is not None:
            lines[place] = name + b": " + value.encode("latin-1")
    return replace(head, raw=b"\r\n".join(lines) + b"\r\n\r\n")


_REASON = {400: "Bad Request", 405: "Method Not Allowed", 429: "Too Many Requests", 500: "Internal Server Error",
           502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout", 431: "Request Header Fields Too Large"}  # fmt: skip


def answer(status: int, headers: dict[str, str], body: bytes, *, keep_alive: bool, head_only: bool = False) -> bytes:
    """A whole answer of the proxy's own."""
    lines = [f"HTTP/1.1 {status} {_REASON.get(status, 'Error')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(body)}", f"connection: {'keep-alive' if keep_alive else 'close'}"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (b"" if head_only else body)
