"""No request smuggling: what the proxy accepts, every other reader cuts at the same byte, lenient ones included; all else is refused.

The shapes are those of the published collections (the byte sweeps of smuggler.py, the permutations of HTTP Request Smuggler, the
differences that h2csmuggler and the "HTTP Garden" papers report): a framing header spoilt by one byte at each of its places, hidden
in another header's value, said twice, or in a spelling that gateways to WSGI and CGI fold together.
"""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.proxy.test_plane_memory import Bench

HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
BYTES = [*range(0x21), *range(0x7F, 0x100)]
TEMPLATES = {
    "before the name": b"%cTransfer-Encoding: chunked\r\n",
    "within the name": b"Transfer%cEncoding: chunked\r\n",
    "after the name": b"Transfer-Encoding%c: chunked\r\n",
    "for the colon": b"Transfer-Encoding%c chunked\r\n",
    "after the colon": b"Transfer-Encoding:%cchunked\r\n",
    "before the value": b"Transfer-Encoding: %cchunked\r\n",
    "within the value": b"Transfer-Encoding: chu%cnked\r\n",
    "after the value": b"Transfer-Encoding: chunked%c\r\n",
    "before the line's end": b"Transfer-Encoding: chunked%c\r\n",
    "for the line's end before": b"X: x%cTransfer-Encoding: chunked\r\n",
    "after a CR before": b"X: x\r%cTransfer-Encoding: chunked\r\n",
    "before a LF before": b"X: x%c\nTransfer-Encoding: chunked\r\n",
    "before the length's name": b"%cContent-Length: 0\r\n",
    "after the length's name": b"Content-Length%c: 0\r\n",
    "before the length": b"Content-Length:%c0\r\n",
    "within the length": b"Content-Length: 3%c7\r\n",
    "after the length": b"Content-Length: 37%c\r\n",
    "in a chunk's size": b"Transfer-Encoding: chunked\r\nX: %c\r\n",
}
WORDS = {
    "both": b"Transfer-Encoding: chunked\r\n",
    "both, twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n",
    "a list": b"Transfer-Encoding: chunked, identity\r\n",
    "a list, the other way": b"Transfer-Encoding: identity, chunked\r\n",
    "an empty item": b"Transfer-Encoding: , chunked\r\n",
    "quoted": b'Transfer-Encoding: "chunked"\r\n',
    "in single quotes": b"Transfer-Encoding: 'chunked'\r\n",
    "with a parameter": b"Transfer-Encoding: chunked;q=1\r\n",
    "identity": b"Transfer-Encoding: identity\r\n",
    "empty": b"Transfer-Encoding:\r\n",
    "folded": b"Transfer-Encoding:\r\n chunked\r\n",
    "folded with a tab": b"Transfer-Encoding:\r\n\tchunked\r\n",
    "folded from another": b"X: x\r\n Transfer-Encoding: chunked\r\n",
    "an underscore": b"Transfer_Encoding: chunked\r\n",
    "an underscore in the length": b"Content_Length: 0\r\n",
    "without a colon": b"Transfer-Encoding\r\n",
    "an empty name": b": x\r\nTransfer-Encoding: chunked\r\n",
    "length twice": b"Content-Length: 0\r\nContent-Length: 37\r\n",
    "length twice, the same": b"Content-Length: 37\r\nContent-Length: 37\r\n",
    "length as a list": b"Content-Length: 37, 37\r\n",
    "length with a sign": b"Content-Length: +37\r\n",
    "length with a point": b"Content-Length: 37.0\r\n",
    "length in octal": b"Content-Length: 0o45\r\n",
    "length hexadecimal": b"Content-Length: 0x25\r\n",
    "length with an underscore": b"Content-Length: 3_7\r\n",
    "length that overflows": b"Content-Length: 18446744073709551653\r\n",
    "length with zeros before it": b"Content-Length: 0037\r\n",
    "a code point that folds to k": "Transfer-Encoding: chun\u212aed\r\n".encode(),
    "a NUL before": b"X: \0\r\nTransfer-Encoding: chunked\r\n",
}


def framings(head: bytes) -> set[tuple[str, int]]:
    """How readers of every leniency cut what follows this head: ("chunked", 0) or ("length", n)."""
    found = set()
    for line_end in (rb"\r\n", rb"\r?\n", rb"\r\n|\n|\r"):
        for name_noise in (rb"(?!)", rb"[\0-\x20\x7f-\xff]", rb"[_\0-\x20\x7f-\xff]"):
            for last in (False, True):
                found.add(_framing(re.split(line_end, head)[1:], name_noise, last=last))
    return found


def _framing(lines: list[bytes], name_noise: bytes, *, last: bool) -> tuple[str, int]:
    codings, lengths = [], []
    for line in lines:
        name, _, value = line.partition(b":")
        told = re.sub(name_noise, b"-" if b"_" in name_noise else b"", name.lower()).strip(b"-")
        if told == b"transfer-encoding":
            codings.append(value.lower())
        elif told == b"content-length":
            digits = re.match(rb"[^0-9]*([0-9]+)", value)
            lengths.append(int(digits[1]) if digits else 0)
    if codings and b"chunked" in codings[-1 if last else 0]:
        return "chunked", 0
    return "length", lengths[-1 if last else 0] if lengths else 0


def passed(request: bytes) -> tuple[bytes, bytes]:
    """What reached the upstream, and what the client was told at once."""

    async def scenario() -> tuple[bytes, bytes]:
        bench = Bench()
        bench.client.data_received(request)
        await bench.settle()
        return bytes(bench.upstream_pipe.written), bytes(bench.client_pipe.written)

    return asyncio.run(scenario())


def judge(lines: bytes) -> None:
    """One head with a length or a coding of its own besides these lines, and another request where a body may be."""
    for own in (b"", b"Content-Length: 37\r\n", b"Transfer-Encoding: chunked\r\n"):
        head = b"POST /a HTTP/1.1\r\nHost: a\r\n" + own + lines + b"\r\n"
        body = b"0\r\n\r\n" + HIDDEN
        upstream, client = passed(head + body)
        if client.startswith(b"HTTP/1.1 400 "):
            assert not upstream, head
            continue
        assert not client, head
        kinds = framings(upstream[: upstream.index(b"\r\n\r\n")])
        assert len(kinds) == 1, (head, kinds)
        kind, length = kinds.pop()
        wanted = head + (b"0\r\n\r\n" if kind == "chunked" else body[:length])
        assert upstream == wanted, head


@pytest.mark.parametrize("place", TEMPLATES)
def test_a_framing_header_with_any_byte_at_this_place_is_refused_or_read_alike_by_all(place: str) -> None:
    for byte in BYTES:
        judge(TEMPLATES[place] % byte)


@pytest.mark.parametrize("words", WORDS)
def test_framing_headers_in_these_words_are_refused_or_read_alike_by_all(words: str) -> None:
    judge(WORDS[words])
