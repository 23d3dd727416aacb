"""Open Inference Protocol (V2) over HTTP: MLServer, KServe, Triton, Seldon and the lab's own replicas.

    POST /v2/models/NAME[/versions/V]/infer → {"outputs": [{"name", "shape", "datatype", "data"}]}
    with Inference-Header-Content-Length: N → N bytes of JSON, then the raw data of every output that has a `binary_data_size`

The label output is the one that the system file names, else `predict`, else the first with one value a row; scores are the one
named, else `predict_proba`. Shapes [n], [n, 1] and [n, k]; JSON data flat or nested, beside raw data in the same answer.

Source: KServe, Open Inference Protocol, rest_predict_v2.yaml and the binary tensor data extension.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chaos import json_spans
from chaos.json_spans import Span
from chaos.protocols import oip_binary
from chaos.protocols.base import Output, Undecodable
from chaos.rows import Label, Row

_PATH = re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/infer")
_LABELS = {"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "BYTES", "BOOL", "FP32", "FP64"}
HEADER_LENGTH = "inference-header-content-length"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One output that can be read: `values` of all rows, `width` of them a row; `place` is its number among the outputs."""

    place: int
    name: str
    datatype: str
    width: int
    values: Sequence[object]

    def row(self, index: int) -> Sequence[object]:
        """The values of one row."""
        return self.values[index * self.width : (index + 1) * self.width]


def size_of(shape: object) -> tuple[int, int]:
    """How many values a tensor of this shape has, and how many a row. Raises Undecodable."""
    if not isinstance(shape, list) or not shape:
        raise Undecodable("an output without a shape")
    if not all(isinstance(side, int) and side >= 0 for side in shape):
        raise Undecodable("a shape that is no list of whole numbers")
    width = math.prod(shape[1:])
    return shape[0] * width, width


def chosen(tensors: Sequence[Tensor], output: Output) -> tuple[Tensor | None, Tensor | None]:
    """The label output and the score output. Raises Undecodable when there is neither."""
    named = {tensor.name: tensor for tensor in tensors}
    scores = named.get(output.scores or "predict_proba")
    label = named.get(output.label or "predict")
    if label is None and output.label is None:
        label = next((one for one in tensors if one.width == 1 and one.datatype in _LABELS and one is not scores), None)
    if label is not None and label.width != 1:
        label = None
    if label is None and scores is None:
        raise Undecodable("neither a label output nor a score output")
    return label, scores


def rows_of(tensors: Sequence[Tensor], output: Output) -> list[Row]:
    """The rows of an answer with these outputs. Raises Undecodable."""
    label, scores = chosen(tensors, output)
    per_row = len(scores.values) // scores.width if scores is not None and scores.width else 0
    count = len(label.values) if label is not None else per_row
    if scores is not None and (not scores.width or per_row != count):
        scores = None
    return [_row(place, label, scores, output.classes) for place in range(count)]


def changes_of(
    tensors: Sequence[Tensor], output: Output, before: Sequence[Row], after: Sequence[Row]
) -> dict[int, dict[int, Label | None]]:
    """What the new rows change: output → element → new value; values that stay are not among them."""
    label, scores = chosen(tensors, output)
    found: dict[int, dict[int, Label | None]] = {}
    for old, new in zip(before, after, strict=True):
        if old is new:
            continue
        if label is not None and new.label != old.label:
            found.setdefault(label.place, {})[old.index] = _like(old.label, new.label)
        if scores is not None and new.scores is not None and old.scores is not None:
            for column, (was, fresh) in enumerate(zip(old.scores, new.scores, strict=True)):
                if fresh is not was and fresh != was:  # a NaN differs from itself, and must keep its bytes
                    found.setdefault(scores.place, {})[old.index * scores.width + column] = fresh
    return found


def _row(place: int, label: Tensor | None, scores: Tensor | None, classes: tuple[Label, ...]) -> Row:
    found = label.row(place)[0] if label is not None else None
    numbers: tuple[float, ...] | None = None
    if scores is not None:
        cells = scores.row(place)
        if all(isinstance(cell, (int, float)) and not isinstance(cell, bool) for cell in cells):
            numbers = tuple(float(cell) for cell in cells)  # type: ignore[arg-type]
    if not classes and numbers is not None and isinstance(found, int):
        classes = tuple(range(len(numbers)))
    if found is not None and not isinstance(found, (str, int, float, bool)):
        raise Undecodable("a label that is neither text nor number")
    return Row(place, found, numbers, classes)


def _like(old: Label | None, new: Label | None) -> Label | None:
    """The new label in the old one's JSON type: a tensor of booleans or decimals stays one."""
    if isinstance(old, bool) and not isinstance(new, (bool, str)) and new in (0, 1):
        return bool(new)
    if isinstance(old, float) and isinstance(new, int):
        return float(new)
    if isinstance(old, int) and not isinstance(old, bool) and isinstance(new, (bool, float)) and new == int(new):
        return int(new)
    return new


# --- the answer's bytes -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """Where an output's data is: the spans of its JSON values, or its raw bytes and the span of their size."""

    cells: Sequence[Span] = ()
    raw: bytes | None = None
    size: Span | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    """A decoded answer: the JSON text, what can be read, every output's data by its place, and bytes behind all of it."""

    text: str
    binary: bool
    tensors: list[Tensor]
    parts: dict[int, _Part]
    rest: bytes


def _split(body: bytes, headers: Mapping[str, str]) -> tuple[bytes, bytes, bool]:
    """The JSON, the raw data, and whether the answer says that it has any."""
    told = headers.get(HEADER_LENGTH)
    if told is None:
        return body, b"", False
    if not told.isascii() or not told.isdigit() or int(told) > len(body):
        raise Undecodable("an Inference-Header-Content-Length that does not fit")
    return body[: int(told)], body[int(told) :], True


def _read(body: bytes, headers: Mapping[str, str]) -> _Answer:
    """The answer, decoded. Raises Undecodable."""
    header, raw, binary = _split(body, headers)
    try:
        text = header.decode("utf-8")
        whole = json_spans.parse(text)
    except (ValueError, RecursionError) as error:
        raise Undecodable(f"this is no JSON: {error}") from error
    outputs = whole.get("outputs") if isinstance(whole.value, dict) else None
    if outputs is None or not isinstance(outputs.value, list):
        raise Undecodable("no `outputs`")
    tensors: list[Tensor] = []
    parts: dict[int, _Part] = {}
    used = 0
    for place, span in enumerate(outputs.items):
        if not isinstance(span.value, dict):
            continue
        size = _size(span) if binary else None
        piece = None
        if size is not None:
            assert isinstance(size.value, int)
            piece = raw[used : used + size.value]
            if len(piece) != size.value:
                raise Undecodable("less raw data than the sizes say")
            used += size.value
        tensor, part = _tensor(place, span, piece, size)
        parts[place] = part
        tensors += [tensor] if tensor is not None else []
    return _Answer(text, binary, tensors, parts, raw[used:])


def _size(output: Span) -> Span | None:
    """The span of an output's `binary_data_size`; None when its data is in the JSON."""
    parameters = output.get("parameters")
    if parameters is None or not isinstance(parameters.value, dict):
        return None
    size = parameters.get("binary_data_size")
    if size is not None and (not isinstance(size.value, int) or isinstance(size.value, bool) or size.value < 0):
        raise Undecodable("a binary_data_size that is no size")
    return size


def _tensor(place: int, span: Span, raw: bytes | None, size: Span | None) -> tuple[Tensor | None, _Part]:
    name, shape, datatype, data = (span.get(key) for key in ("name", "shape", "datatype", "data"))
    called, kind = str(name.value) if name else "", str(datatype.value) if datatype else ""
    part = _Part(raw=raw, size=size)
    if raw is None and data is None:
        return None, part  # its data is elsewhere, in shared memory for example
    count, width = size_of(shape.value if shape is not None else None)
    if raw is not None:
        if not oip_binary.readable(kind):
            return None, part
        return Tensor(place, called, kind, width, oip_binary.values(kind, raw, count)), part
    assert data is not None
    if not isinstance(data.value, list):
        raise Undecodable("data that is no list")
    cells = data.leaves()
    if count != len(cells):
        raise Undecodable("data that does not fit its shape")
    return Tensor(place, called, kind, width, [cell.value for cell in cells]), _Part(cells)


class OpenInference:
    """The protocol."""

    name = "oip"

    def detect(self, path: str, request_headers: Mapping[str, str]) -> bool:
        """Whether this is an inference request of the protocol, its tensors in JSON or raw."""
        del request_headers
        return _PATH.fullmatch(path) is not None

    def rows(self, body: bytes, headers: Mapping[str, str], output: Output) -> Sequence[Row]:
        """The rows of an answer. Raises Undecodable."""
        return rows_of(_read(body, headers).tensors, output)

    def encode(
        self, body: bytes, headers: Mapping[str, str], output: Output, before: Sequence[Row], after: Sequence[Row]
    ) -> tuple[bytes, Mapping[str, str]]:
        """The body with the bytes of changed labels and scores replaced; sizes that change with them are corrected."""
        answer = _read(body, headers)
        edits: list[tuple[Span, str]] = []
        raw = {place: part.raw for place, part in answer.parts.items() if part.raw is not None}
        for place, changes in changes_of(answer.tensors, output, before, after).items():
            part = answer.parts[place]
            if part.raw is None:
                edits += [(part.cells[element], _dumped(value)) for element, value in changes.items()]
                continue
            datatype = next(tensor.datatype for tensor in answer.tensors if tensor.place == place)
            raw[place] = oip_binary.replaced(datatype, part.raw, changes)
            if part.size is not None and len(raw[place]) != len(part.raw):
                edits.append((part.size, str(len(raw[place]))))
        header = json_spans.replace(answer.text, edits).encode("utf-8")
        if not answer.binary:
            return header, {}
        whole = b"".join([header, *_in_order(raw), answer.rest])
        return whole, {} if str(len(header)) == headers[HEADER_LENGTH] else {HEADER_LENGTH: str(len(header))}

    def error(self, status: int, message: str) -> tuple[bytes, Mapping[str, str]]:
        """`{"error": …}`, as the protocol says."""
        del status
        return json.dumps({"error": message}).encode(), {"content-type": "application/json"}


def _in_order(raw: Mapping[int, bytes]) -> Iterator[bytes]:
    for place in sorted(raw):
        yield raw[place]


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


PROTOCOL = OpenInference()
