"""HTTP/1.1 on the wire: heads and where bodies end. Pure, strict, and it never changes a byte.

A head is kept as it was received and passed on as it was received; parsing only finds out what the proxy must know. What can
be read in two ways (both lengths, differing or repeated lengths, folded lines, bare CR or LF, white space before a colon,
sizes that are no numbers) is BadMessage: whoever stands behind could read it the other way.

One regular expression decides over a whole head; all else about a head that it accepts is found by searching.

Source: RFC 9112, sections 2.2, 3, 5, 6, 7.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

LARGEST_HEAD = 64 * 1024
HTTP2_START = b"PRI * HTTP/2.0\r\n\r\n"
"""What a client that knows of HTTP/2 begins with, as a parser of HTTP/1.1 sees it; RFC 9113, section 3.4."""
_HEX = b"0123456789abcdefABCDEF"
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_LINES = rb"(?:" + _TOKEN + rb":[^\r\n\0]*+\r\n)*+\r\n"
# Every repetition is possessive: nothing is ever tried twice, however a head is made.
_REQUEST = re.compile(rb"(" + _TOKEN + rb") ([^\0-\x20\x7f]++) HTTP/1\.([01])\r\n" + _LINES)
_ANSWER = re.compile(rb"HTTP/1\.([01]) ([0-9]{3})(?: [^\r\n]*+)?\r\n" + _LINES)
_LINE = re.compile(r"\n([^:\r]++):[ \t]*+([^\r]*+)")


class BadMessage(ValueError):
    """The bytes are no message that can be read in one way only."""


@dataclass(slots=True, repr=False)
class Head:
    """A parsed head. Printed, it does not tell what is in it: credentials are.

    `raw` is the head as received, final empty line included. `length` is the body's, None when it is not given.
    """

    raw: bytes
    method: str
    target: str
    status: int
    known_headers: Mapping[str, str] | None
    """Lower-case names; None until somebody asks for `headers`."""
    length: int | None
    chunked: bool
    keep_alive: bool
    low: bytes = b""
    """`raw` in lower case, where its headers may still be looked for one by one."""
    expects_continue: bool = False
    streams: bool = False
    """Whether an answer is server-sent events."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Every header by its lower-case name; of a repeated one the last value (repeated framing headers are refused).

        Nobody can change it, protocols of others included: the same head may be that of many answers.
        """
        known = self.known_headers
        if known is None:
            found = _LINE.findall(self.raw.decode("latin-1"))
            known = MappingProxyType({name.lower(): value.rstrip(" \t") for name, value in found})
            self.known_headers = known
        return known

    def get(self, name: str) -> str | None:
        """The header with this lower-case name, as `headers` has it; None where there is none."""
        if self.known_headers is not None or not self.low:
            return self.headers.get(name)
        if ":" in name:
            return None
        needle = b"\n%b:" % name.encode("ascii", "replace")  # no name has a question mark
        place = self.low.rfind(needle)
        if place < 0:
            return None
        start = place + len(needle)
        return self.raw[start : self.raw.index(b"\r", start)].decode("latin-1").strip(" \t")


def _value(low: bytes, place: int) -> bytes:
    """The value of the header line whose value begins at `place`, without white space around it."""
    return low[place : low.index(b"\r", place)].strip(b" \t")


def _framing(low: bytes, *, old: bool) -> tuple[int | None, bool]:
    """The length that a lower-case head says, and whether the body is chunked. Raises BadMessage."""
    if b"_" in low and (b"\ntransfer_encoding:" in low or b"\ncontent_length:" in low):
        raise BadMessage("a framing header with an underscore, which some gateways take for the real one")
    coded, sized = low.find(b"\ntransfer-encoding:"), low.find(b"\ncontent-length:")
    if coded >= 0:
        if sized >= 0:
            raise BadMessage("both Transfer-Encoding and Content-Length")
        if _value(low, coded + 19) != b"chunked" or low.find(b"\ntransfer-encoding:", coded + 1) >= 0:
            raise BadMessage("a Transfer-Encoding other than chunked")
        if old:
            raise BadMessage("chunked in HTTP/1.0")
        return None, True
    if sized < 0:
        return None, False
    length = _value(low, sized + 16)
    if not length.isdigit() or len(length) > 18 or low.find(b"\ncontent-length:", sized + 1) >= 0:
        raise BadMessage("a Content-Length that is repeated or no number")
    return int(length), False


def _keep_alive(low: bytes, *, old: bool) -> bool:
    """Whether the connection lasts: the last Connection header decides, as `Head.headers` has it."""
    place = low.rfind(b"\nconnection:")
    if place < 0:
        return not old
    said = _value(low, place + 12)
    return b"keep-alive" in said if old else b"close" not in said


def request_in(data: bytes) -> Head | None:
    """The request's head that `data` begins with; None when it is not whole yet. Raises BadMessage."""
    found = _REQUEST.match(data)
    if found is None:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return None
        raise BadMessage(_why_no_request(data[: end + 4]))
    raw = found[0]
    if len(raw) > LARGEST_HEAD:
        raise BadMessage("the request's head is too large")
    low, old = raw.lower(), found[3] == b"0"
    length, chunked = _framing(low, old=old)
    place = low.rfind(b"\nexpect:")
    expects = place >= 0 and _value(low, place + 8) == b"100-continue"
    method, target = found[1].decode("ascii"), found[2].decode("latin-1")
    return Head(raw, method, target, 0, None, length, chunked, _keep_alive(low, old=old), low, expects)


_KNOWN_ANSWERS: dict[bytes, Head] = {}
"""Heads of answers that were parsed lately: servers say the same ones again and again, a Date apart."""
_MOST_KNOWN = 200
_LARGEST_KNOWN = 2048


def answer_in(data: bytes, method: str) -> Head | None:
    """The answer's head that `data` begins with, which nobody may change; None when it is not whole yet. Raises BadMessage.

    `method` is the request's. `length` is 0 where no body may follow, None where it ends with the connection.
    """
    end = data.find(b"\r\n\r\n") + 4
    if end < 4:
        return None
    raw = data[:end]
    known = _KNOWN_ANSWERS.get(raw)
    if known is None:
        known = _answer(raw)
        if end <= _LARGEST_KNOWN:
            if len(_KNOWN_ANSWERS) >= _MOST_KNOWN:
                _KNOWN_ANSWERS.clear()
            _KNOWN_ANSWERS[raw] = known
    if method == "HEAD" and known.status >= 200:
        return replace(known, length=0, chunked=False, keep_alive=_keep_alive(raw.lower(), old=raw[7:8] == b"0"))
    return known


def _answer(raw: bytes) -> Head:
    found = _ANSWER.fullmatch(raw)
    if found is None:
        raise BadMessage(_why_no_answer(raw))
    low, old, status = raw.lower(), found[1] == b"0", int(found[2])
    length, chunked = _framing(low, old=old)
    if status in (204, 304) or status < 200:
        length, chunked = 0, False
    keep = (chunked or length is not None) and _keep_alive(low, old=old)
    head = Head(raw, "", "", status, None, length, chunked, keep)
    head.streams = head.headers.get("content-type", "")[:17].lower() == "text/event-stream"
    return head


def parse_request(raw: bytes) -> Head:
    """A whole request's head. Raises BadMessage."""
    head = request_in(raw)
    if head is None or head.raw != raw:
        raise BadMessage("not one whole head")
    return head


def parse_answer(raw: bytes, method: str) -> Head:
    """A whole answer's head; `method` is the request's. Raises BadMessage."""
    head = answer_in(raw, method)
    if head is None or head.raw != raw:
        raise BadMessage("not one whole head")
    return head


def _why_no_request(raw: bytes) -> str:
    """What is wrong with a head that is none, for the person who sent it."""
    first, *lines = raw[:-4].split(b"\r\n")
    if not re.fullmatch(_TOKEN + rb" [^ ]+ HTTP/1\.[01]", first):
        return "a request line that is none"
    if not re.fullmatch(rb"[^\0-\x20\x7f]+", first.split(b" ")[1]):
        return "a request target with control characters"
    return _why_no_lines(lines)


def _why_no_answer(raw: bytes) -> str:
    first, *lines = raw[:-4].split(b"\r\n")
    if not re.fullmatch(rb"HTTP/1\.[01] [0-9]{3}(?: [^\r\n]*)?", first):
        return "a status line that is none"
    return _why_no_lines(lines)


def _why_no_lines(lines: list[bytes]) -> str:
    if all(re.match(_TOKEN + rb":", line) for line in lines):
        return "a header value with a bare CR, LF or NUL"
    return "a header line that is none (folded, without a colon, or with white space before it)"


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
NOTHING = LengthBody(0)
"""The rest of every body that came whole."""


def request_body(head: Head, *, collect: bool = False) -> Body:
    """The tracker of a request's body; a request without a length has none."""
    return ChunkedBody(collect=collect) if head.chunked else LengthBody(head.length or 0)


def answer_body(head: Head, *, collect: bool = False) -> Body:
    """The tracker of an answer's body."""
    if head.chunked:
        return ChunkedBody(collect=collect)
    return EndlessBody() if head.length is None else LengthBody(head.length)


_LENGTH = re.compile(rb"(?i)\n(?:content-length):[ \t]*+([0-9]++)")


def with_body(head: Head, body: bytes) -> bytes:
    """The head with framing headers that fit `body`, and the body. Every other header keeps its bytes and its place."""
    raw = head.raw
    if head.length is not None and not head.chunked:
        found = _LENGTH.search(raw)
        if found is not None:
            if head.length == len(body):
                return raw + body
            return b"%s%d%s%s" % (raw[: found.start(1)], len(body), raw[found.end(1) :], body)
    return _measured(raw, len(body)) + body


def _measured(raw: bytes, size: int) -> bytes:
    """A head without a length, chunked or not, that has one now: where the coding was said, or at its end."""
    length = b"%d" % size
    first, *lines = raw[:-4].split(b"\r\n")
    made = [first]
    told = False
    for line in lines:
        low = line[:18].lower()
        if low.startswith(b"transfer-encoding:"):
            made.append(b"content-length: " + length)
            told = True
        elif not low.startswith(b"trailer:"):
            made.append(line)
    if not told:
        made.append(b"content-length: " + length)
    return b"\r\n".join(made) + b"\r\n\r\n"


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
    return replace(head, raw=b"\r\n".join(lines) + b"\r\n\r\n", known_headers=None, low=b"")


_REASON = {400: "Bad Request", 405: "Method Not Allowed", 429: "Too Many Requests", 500: "Internal Server Error",
           502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout", 431: "Request Header Fields Too Large"}  # fmt: skip


def answer(status: int, headers: dict[str, str], body: bytes, *, keep_alive: bool, head_only: bool = False) -> bytes:
    """A whole answer of the proxy's own."""
    lines = [f"HTTP/1.1 {status} {_REASON.get(status, 'Error')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(body)}", f"connection: {'keep-alive' if keep_alive else 'close'}"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (b"" if head_only else body)
