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
from functools import lru_cache

from chaos import json_places, json_spans
from chaos.json_places import Address
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
    labels = label.values if label is not None else [None] * count
    if not all(found is None or isinstance(found, (str, int, float)) for found in labels):
        raise Undecodable("a label that is neither text nor number")
    numbers = _numbers(scores) if scores is not None else [None] * count
    return [
        Row(place, found, given, output.classes or _classes(found, given))  # type: ignore[arg-type]
        for place, (found, given) in enumerate(zip(labels, numbers, strict=True))
    ]


def _numbers(scores: Tensor) -> list[tuple[float, ...] | None]:
    """The scores of each row as decimals; None for a row with a value that is no number."""
    values, width = scores.values, scores.width
    if all(type(value) is float for value in values):
        return [tuple(values[start : start + width]) for start in range(0, len(values), width)]  # type: ignore[arg-type]
    found: list[tuple[float, ...] | None] = []
    for start in range(0, len(values), width):
        cells = values[start : start + width]
        fine = all(isinstance(cell, (int, float)) and not isinstance(cell, bool) for cell in cells)
        found.append(tuple(float(cell) for cell in cells) if fine else None)  # type: ignore[arg-type]
    return found


def _classes(found: object, given: tuple[float, ...] | None) -> tuple[Label, ...]:
    """Class numbers, where the label is one and there is a score for each."""
    return tuple(range(len(given))) if given is not None and isinstance(found, int) else ()


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
class _Answer:
    """A decoded answer: the JSON text and its value, what can be read, every output's raw data by its place, bytes behind all."""

    text: str
    outputs: list[object]
    binary: bool
    tensors: list[Tensor]
    raw: dict[int, bytes]
    rest: bytes


@lru_cache(maxsize=1)
def _read(body: bytes, told: str | None) -> _Answer:
    """The answer, decoded; `told` is its Inference-Header-Content-Length. Raises Undecodable.

    Rows and encoding ask one after the other for the same answer, which is therefore remembered: it is never changed.
    """
    header, raw = body, b""
    if told is not None:
        if not told.isascii() or not told.isdigit() or int(told) > len(body):
            raise Undecodable("an Inference-Header-Content-Length that does not fit")
        header, raw = body[: int(told)], body[int(told) :]
    try:
        text = header.decode("utf-8")
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Undecodable(f"this is no JSON: {error}") from error
    outputs = whole.get("outputs") if isinstance(whole, dict) else None
    if not isinstance(outputs, list):
        raise Undecodable("no `outputs`")
    tensors: list[Tensor] = []
    pieces: dict[int, bytes] = {}
    used = 0
    for place, one in enumerate(outputs):
        if not isinstance(one, dict):
            continue
        size = _size(one) if told is not None else None
        if size is not None:
            pieces[place] = raw[used : used + size]
            if len(pieces[place]) != size:
                raise Undecodable("less raw data than the sizes say")
            used += size
        tensor = _tensor(place, one, pieces.get(place))
        tensors += [tensor] if tensor is not None else []
    return _Answer(text, outputs, told is not None, tensors, pieces, raw[used:])


def _size(output: Mapping[str, object]) -> int | None:
    """An output's `binary_data_size`; None when its data is in the JSON."""
    parameters = output.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None and not (isinstance(parameters, dict) and "binary_data_size" in parameters):
        return None
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise Undecodable("a binary_data_size that is no size")
    return size


def _tensor(place: int, output: Mapping[str, object], raw: bytes | None) -> Tensor | None:
    name, datatype, data = output.get("name"), output.get("datatype"), output.get("data")
    called, kind = str(name) if "name" in output else "", str(datatype) if "datatype" in output else ""
    if raw is None and "data" not in output:
        return None  # its data is elsewhere, in shared memory for example
    count, width = size_of(output.get("shape"))
    if raw is not None:
        if not oip_binary.readable(kind):
            return None
        return Tensor(place, called, kind, width, oip_binary.values(kind, raw, count))
    if not isinstance(data, list):
        raise Undecodable("data that is no list")
    values = data if not any(isinstance(item, list) for item in data) else list(_leaves(data))
    if count != len(values):
        raise Undecodable("data that does not fit its shape")
    return Tensor(place, called, kind, width, values)


def _leaves(data: list[object]) -> Iterator[object]:
    for item in data:
        if isinstance(item, list):
            yield from _leaves(item)
        else:
            yield item


class OpenInference:
    """The protocol."""

    name = "oip"

    def detect(self, path: str, request_headers: Mapping[str, str]) -> bool:
        """Whether this is an inference request of the protocol, its tensors in JSON or raw."""
        del request_headers
        return _PATH.fullmatch(path) is not None

    def rows(self, body: bytes, headers: Mapping[str, str], output: Output) -> Sequence[Row]:
        """The rows of an answer. Raises Undecodable."""
        return rows_of(_read(body, headers.get(HEADER_LENGTH)).tensors, output)

    def encode(
        self, body: bytes, headers: Mapping[str, str], output: Output, before: Sequence[Row], after: Sequence[Row]
    ) -> tuple[bytes, Mapping[str, str]]:
        """The body with the bytes of changed labels and scores replaced; sizes that change with them are corrected."""
        answer = _read(body, headers.get(HEADER_LENGTH))
        edits: dict[Address, str] = {}
        lists: dict[Address, dict[int, str]] = {}
        raw = dict(answer.raw)
        for place, changes in changes_of(answer.tensors, output, before, after).items():
            if place not in answer.raw:
                lists["outputs", place, "data"] = {element: _dumped(value) for element, value in changes.items()}
                continue
            datatype = next(tensor.datatype for tensor in answer.tensors if tensor.place == place)
            raw[place] = oip_binary.replaced(datatype, answer.raw[place], changes)
            if len(raw[place]) != len(answer.raw[place]):
                edits["outputs", place, "parameters", "binary_data_size"] = str(len(raw[place]))
        text = answer.text
        spans = json_places.find(text, [*edits, *lists])
        for address, fresh in lists.items():
            edits[address] = json_places.with_leaves(text[spans[address].start : spans[address].end], fresh)
        header = json_spans.replace(text, [(spans[address], fresh) for address, fresh in edits.items()]).encode()
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
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return repr(value)  # what json.dumps writes, without its set-up
    return json.dumps(value, ensure_ascii=False)


PROTOCOL = OpenInference()
