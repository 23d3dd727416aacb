"""Raw tensors of the Open Inference Protocol: elements one after another, little-endian; BYTES each behind its length. Pure.

The same layout stands behind the JSON header of a binary HTTP answer and in `raw_output_contents` of a gRPC answer.

Source: KServe, Open Inference Protocol, "Tensor Data" and the binary tensor data extension.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from chaos.protocols.base import Undecodable
from chaos.rows import Label

FORMATS = {
    "BOOL": "?", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q",
    "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip
"""The datatypes of fixed size, as `struct` writes them. BF16 has no such letter and is not read."""


def readable(datatype: str) -> bool:
    """Whether tensors of this datatype can be read and changed."""
    return datatype in FORMATS or datatype == "BYTES"


def text_of(element: bytes) -> str:
    """A BYTES element as text; what is no UTF-8 goes round as it came."""
    return element.decode("utf-8", "surrogateescape")


def bytes_of(value: object) -> bytes:
    """The BYTES element that this text is. Raises Undecodable when it is no text."""
    if not isinstance(value, str):
        raise Undecodable("a tensor of BYTES has texts only")
    return value.encode("utf-8", "surrogateescape")


def values(datatype: str, raw: bytes, count: int) -> tuple[Label, ...]:
    """The elements of a tensor. Raises Undecodable when there are not `count` of them, or the datatype is not readable."""
    if datatype == "BYTES":
        found = tuple(text_of(raw[start + 4 : end]) for start, end in _elements(raw))
        if len(found) != count:
            raise Undecodable("BYTES elements that do not fit the shape")
        return found
    if datatype not in FORMATS:
        raise Undecodable(f"tensors of {datatype!r} are not read")
    # Checked first: a shape may promise more values than there is memory, or than the format can say.
    if count * struct.calcsize("<" + FORMATS[datatype]) != len(raw):
        raise Undecodable("raw data that does not fit its shape")
    return struct.unpack(f"<{count}{FORMATS[datatype]}", raw)


def replaced(datatype: str, raw: bytes, changes: Mapping[int, Label | None]) -> bytes:
    """The tensor with these elements (by place) replaced; every other byte stays. Raises Undecodable when one does not fit."""
    if datatype == "BYTES":
        pieces: list[bytes] = []
        for place, (start, end) in enumerate(_elements(raw)):
            if place in changes:
                element = bytes_of(changes[place])
                pieces += [struct.pack("<I", len(element)), element]
            else:
                pieces.append(raw[start:end])
        return b"".join(pieces)
    layout = struct.Struct(f"<{FORMATS[datatype]}")
    made = bytearray(raw)
    try:
        for place, value in changes.items():
            layout.pack_into(made, place * layout.size, value)
    except (struct.error, OverflowError) as error:
        raise Undecodable(f"a value that does not fit {datatype}: {error}") from error
    return bytes(made)


def _elements(raw: bytes) -> Iterator[tuple[int, int]]:
    """Start (of the length) and end of each BYTES element."""
    start = 0
    while start < len(raw):
        if start + 4 > len(raw):
            raise Undecodable("a BYTES element without a length")
        end = start + 4 + int.from_bytes(raw[start : start + 4], "little")
        if end > len(raw):
            raise Undecodable("a BYTES element that is longer than its tensor")
        yield start, end
        start = end
