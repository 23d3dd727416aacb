"""Content codings: an answer that came compressed is opened for its faults, and closed again in the same way. Pure.

Real servers compress as soon as a client accepts it: MLServer every answer of 500 bytes to clients on `requests` or `httpx`.

Source: RFC 9110, section 8.4.1.
"""

from __future__ import annotations

import zlib

from chaos.protocols.base import Undecodable

LARGEST_OPENED = 512 * 1024
"""Bytes; what unfolds to more is not read: it would take as long as an answer that came so large, which is not read either."""
_FORMATS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""How zlib calls them (`wbits`). What needs other libraries (`br`, `zstd`) is not read."""


def opened(body: bytes, coding: str) -> bytes:
    """The body without its content coding. Raises Undecodable: another coding, damaged, or too large."""
    if coding == "identity":
        return body
    name = coding.strip().lower()
    if name not in _FORMATS:
        raise Undecodable(f"nobody here reads the content coding {coding!r}")
    unfolding = zlib.decompressobj(_FORMATS[name])
    try:
        made = unfolding.decompress(body, LARGEST_OPENED)
    except zlib.error as error:
        raise Undecodable(f"this is not {name}: {error}") from error
    if not unfolding.eof or unfolding.unused_data:
        raise Undecodable(f"not one whole {name} body of at most {LARGEST_OPENED} bytes")
    return made


def closed(body: bytes, coding: str) -> bytes:
    """The body in this content coding, one that `opened` reads; the same bytes for the same body."""
    if coding == "identity":
        return body
    folding = zlib.compressobj(wbits=_FORMATS[coding.strip().lower()])
    return folding.compress(body) + folding.flush()
