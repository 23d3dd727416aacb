"""Open Inference Protocol (V2) over gRPC: the answer of `inference.GRPCInferenceService/ModelInfer`. Pure, no generated code.

    ModelInferResponse: 1 model_name · 2 model_version · 3 id · 4 parameters · 5 outputs… · 6 raw_output_contents…
    InferOutputTensor:  1 name · 2 datatype · 3 shape… · 4 parameters · 5 contents
    InferTensorContents: 1 bool · 2 int · 3 int64 · 4 uint · 5 uint64 · 6 fp32 · 7 fp64 · 8 bytes

`body` is one message without its five-byte prefix. Data stands in typed `contents`, packed or not, or raw, one
`raw_output_contents` per output. Only changed elements are written anew, and the lengths around them where those change: unknown
fields, the order of fields, and varints that are longer than they need be keep their bytes.

Source: KServe, Open Inference Protocol, open_inference_grpc.proto; Protocol Buffers, "Encoding"; gRPC,
"HTTP to gRPC Status Code Mapping".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from chaos.protocols import oip_binary
from chaos.protocols.base import Output, Undecodable
from chaos.protocols.oip_tensors import Tensor, changes_of, decision_of, rows_of, size_of
from chaos.rows import Label, Row

METHOD = "/inference.GRPCInferenceService/ModelInfer"
_VARINT, _EIGHT, _SIZED, _FOUR = 0, 1, 2, 5
_CONTENTS = {
    "BOOL": 1, "INT8": 2, "INT16": 2, "INT32": 2, "INT64": 3, "UINT8": 4, "UINT16": 4, "UINT32": 4, "UINT64": 5,
    "FP32": 6, "FP64": 7, "BYTES": 8,
}  # fmt: skip
"""The field of InferTensorContents that holds a datatype; FP16 and BF16 are raw only."""
_FIXED = {"FP32": struct.Struct("<f"), "FP64": struct.Struct("<d")}
_STATUS = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
_INTERNAL = 13


def status_of(http_status: int) -> int:
    """The gRPC status that stands for this HTTP status: 14 UNAVAILABLE where a retry may help, else mostly 13 INTERNAL."""
    return _STATUS.get(http_status, _INTERNAL)


@dataclass(frozen=True, slots=True)
class _Field:
    """One field: its tag begins at `start`, its value (behind tag and length) at `value`, and it ends at `end`."""

    number: int
    kind: int
    start: int
    value: int
    end: int


def _varint(data: bytes, place: int, end: int) -> tuple[int, int]:
    """The number at `place`, and the place behind it."""
    found = shift = 0
    while place < end and shift < 70:
        byte = data[place]
        place += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return found & 0xFFFF_FFFF_FFFF_FFFF, place
        shift += 7
    raise Undecodable("a varint that does not end")


def _as_varint(value: int) -> bytes:
    value &= 0xFFFF_FFFF_FFFF_FFFF  # negative numbers are written as 64 bits, in two's complement
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def _fields(data: bytes, start: int, end: int) -> Iterator[_Field]:
    """The fields of the message in `data[start:end]`. Raises Undecodable."""
    while start < end:
        tag, place = _varint(data, start, end)
        kind = tag & 7
        value = place
        match kind:
            case 0:
                _, place = _varint(data, place, end)
            case 1:
                place += 8
            case 2:
                length, value = _varint(data, place, end)
                place = value + length
            case 5:
                place += 4
            case _:
                raise Undecodable("a protobuf field of an unknown kind")
        if place > end or not tag >> 3:
            raise Undecodable("a protobuf field that is longer than its message, or without a number")
        yield _Field(tag >> 3, kind, start, value, place)
        start = place


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _number(value: int, datatype: str) -> Label:
    if datatype == "BOOL":
        return bool(value)
    if datatype.startswith("UINT"):
        return value if datatype == "UINT64" else value & 0xFFFF_FFFF
    return _signed(value, 64 if datatype == "INT64" else 32)


def _elements(data: bytes, field: _Field, datatype: str) -> Iterator[tuple[Label, int, int]]:
    """The elements that one field of the contents holds, packed or not: value, start, end. BYTES start at their value."""
    if datatype == "BYTES":
        yield oip_binary.text_of(data[field.value : field.end]), field.value, field.end
    elif datatype in _FIXED:
        layout = _FIXED[datatype]
        if (field.end - field.value) % layout.size:
            raise Undecodable("packed numbers that are cut off")
        for place in range(field.value, field.end, layout.size):
            yield layout.unpack_from(data, place)[0], place, place + layout.size
    else:
        place = field.value
        while place < field.end:
            value, after = _varint(data, place, field.end)
            yield _number(value, datatype), place, after
            place = after


def _element(datatype: str, value: Label | None) -> bytes:
    """One element's bytes. Raises Undecodable when the value does not fit the datatype."""
    if datatype == "BYTES":
        return oip_binary.bytes_of(value)
    try:
        packed = struct.pack(f"<{oip_binary.FORMATS[datatype]}", value)
    except (struct.error, OverflowError) as error:
        raise Undecodable(f"a value that does not fit {datatype}: {error}") from error
    return packed if datatype in _FIXED else _as_varint(int(value or 0))


def _kind_fits(field: _Field, datatype: str) -> bool:
    """Whether a field of the contents is encoded as its datatype may be: one by one, or packed."""
    one_by_one = {"BYTES": _SIZED, "FP32": _FOUR, "FP64": _EIGHT}.get(datatype, _VARINT)
    return field.kind in (one_by_one, _SIZED)


# --- decoding ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Output:
    """One output's fields as they stand in the message."""

    field: _Field
    name: str
    datatype: str
    shape: list[int]
    contents: list[_Field]


def _output(data: bytes, field: _Field) -> _Output:
    name = datatype = ""
    shape: list[int] = []
    contents: list[_Field] = []
    for one in _fields(data, field.value, field.end):
        match one.number, one.kind:
            case 1, 2:
                name = oip_binary.text_of(data[one.value : one.end])
            case 2, 2:
                datatype = oip_binary.text_of(data[one.value : one.end])
            case 3, (0 | 2):
                shape += [int(value) for value, _, _ in _elements(data, one, "INT64")]
            case 5, 2:
                contents.append(one)
    return _Output(field, name, datatype, shape, contents)


def _held(data: bytes, output: _Output) -> list[_Field]:
    """The fields of the output's contents that hold its datatype."""
    number = _CONTENTS.get(output.datatype)
    found = [one for part in output.contents for one in _fields(data, part.value, part.end) if one.number == number]
    if not all(_kind_fits(one, output.datatype) for one in found):
        raise Undecodable("contents that are encoded unlike their datatype")
    return found


def _read(data: bytes) -> tuple[list[Tensor], list[_Output], list[_Field]]:
    """What can be read, all outputs, and all raw contents. Raises Undecodable."""
    outputs: list[_Output] = []
    raws: list[_Field] = []
    for field in _fields(data, 0, len(data)):
        if field.number == 5 and field.kind == _SIZED:
            outputs.append(_output(data, field))
        elif field.number == 6 and field.kind == _SIZED:
            raws.append(field)
    if raws and len(raws) != len(outputs):
        raise Undecodable("raw contents of some outputs only")
    tensors: list[Tensor] = []
    for place, output in enumerate(outputs):
        raw = data[raws[place].value : raws[place].end] if raws else None
        values = _values(data, output, raw)
        if values is not None:
            tensors.append(Tensor(place, output.name, output.datatype, size_of(output.shape)[1], values))
    return tensors, outputs, raws


def _values(data: bytes, output: _Output, raw: bytes | None) -> Sequence[Label] | None:
    """The output's values; None when its data is elsewhere (in shared memory), or of a datatype that is not read."""
    if not oip_binary.readable(output.datatype):
        return None
    count, _ = size_of(output.shape)
    if raw is not None:
        return oip_binary.values(output.datatype, raw, count) if raw or not count else None
    values = [value for one in _held(data, output) for value, _, _ in _elements(data, one, output.datatype)]
    if not values and count:
        return None
    if len(values) != count:
        raise Undecodable("contents that do not fit their shape")
    return values


# --- encoding ---------------------------------------------------------------------------------------------------------


def _resized(data: bytes, field: _Field, payload: bytes) -> bytes:
    """The field with another payload; tag and length keep their bytes where the size is the same."""
    if len(payload) == field.end - field.value:
        return data[field.start : field.value] + payload
    _, after_tag = _varint(data, field.start, field.value)
    return data[field.start : after_tag] + _as_varint(len(payload)) + payload


def _with_fields(data: bytes, start: int, end: int, fresh: Mapping[int, bytes]) -> bytes:
    """The message in `data[start:end]` with the fields that begin at these places replaced."""
    return b"".join(fresh.get(one.start, data[one.start : one.end]) for one in _fields(data, start, end))


def _with_values(data: bytes, output: _Output, changes: Mapping[int, Label | None]) -> bytes:
    """The output's field with these elements of its typed contents replaced."""
    fresh: dict[int, bytes] = {}
    place = 0
    for field in _held(data, output):
        pieces: list[bytes] = []
        for _, start, end in _elements(data, field, output.datatype):
            pieces.append(_element(output.datatype, changes[place]) if place in changes else data[start:end])
            place += 1
        payload = b"".join(pieces)
        whole = _resized(data, field, payload) if field.kind == _SIZED else data[field.start : field.value] + payload
        fresh[field.start] = whole
    contents = {
        one.start: _resized(data, one, _with_fields(data, one.value, one.end, fresh)) for one in output.contents
    }
    return _resized(data, output.field, _with_fields(data, output.field.value, output.field.end, contents))


class OpenInferenceGrpc:
    """The protocol."""

    name = "oip_grpc"

    def detect(self, path: str, request_headers: Mapping[str, str]) -> bool:
        """Whether this is a unary inference call of the protocol."""
        return path == METHOD and request_headers.get("content-type", "").startswith("application/grpc")

    def rows(self, body: bytes, headers: Mapping[str, str], output: Output) -> Sequence[Row]:
        """The rows of an answer's message. Raises Undecodable."""
        del headers
        return [*rows_of(decision_of(_read(body)[0], output), output)]

    def encode(
        self, body: bytes, headers: Mapping[str, str], output: Output, before: Sequence[Row], after: Sequence[Row]
    ) -> tuple[bytes, Mapping[str, str]]:
        """The message with the bytes of changed labels and scores replaced, and the lengths around them."""
        del headers
        tensors, outputs, raws = _read(body)
        fresh: dict[int, bytes] = {}
        for tensor, numbers, values in changes_of(decision_of(tensors, output), before, after):
            place, changes = tensor.place, dict(zip(numbers, values, strict=True))
            if raws:
                raw = raws[place]
                payload = oip_binary.replaced(outputs[place].datatype, body[raw.value : raw.end], changes)
                fresh[raw.start] = _resized(body, raw, payload)
            else:
                fresh[outputs[place].field.start] = _with_values(body, outputs[place], changes)
        return _with_fields(body, 0, len(body), fresh), {}

    def error(self, status: int, message: str) -> tuple[bytes, Mapping[str, str]]:
        """No message, but a status: gRPC's errors are trailers."""
        told = quote(message, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")
        return b"", {"grpc-status": str(status_of(status)), "grpc-message": told}


PROTOCOL = OpenInferenceGrpc()
