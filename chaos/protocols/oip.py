"""Open Inference Protocol (V2), JSON over HTTP: MLServer, KServe, Triton, Seldon and the lab's own replicas.

    POST /v2/models/NAME[/versions/V]/infer → {"outputs": [{"name", "shape", "datatype", "data"}]}

The label output is the one that the system file names, else `predict`, else the first with one value a row; scores are the one
named, else `predict_proba`. Shapes [n], [n, 1] and [n, k], data flat or nested. Binary tensors are not read yet.

Source: KServe, Open Inference Protocol, rest_predict_v2.yaml.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chaos import json_spans
from chaos.json_spans import Span
from chaos.protocols.base import Output, Undecodable
from chaos.rows import Label, Row

_PATH = re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/infer")
_LABELS = {"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "BYTES", "BOOL", "FP32", "FP64"}


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    datatype: str
    cells: list[Span]
    width: int

    def row(self, place: int) -> list[Span]:
        return self.cells[place * self.width : (place + 1) * self.width]


def _tensor(span: Span) -> _Tensor:
    name, shape, datatype, data = (span.get(key) for key in ("name", "shape", "datatype", "data"))
    if (
        data is None
        or shape is None
        or not isinstance(shape.value, list)
        or not shape.value
        or not isinstance(data.value, list)
    ):
        raise Undecodable("an output without shape or JSON data")
    cells = data.leaves()
    if not all(isinstance(side, int) and side >= 0 for side in shape.value):
        raise Undecodable("a shape that is no list of whole numbers")
    width = math.prod(shape.value[1:])
    if shape.value[0] * width != len(cells):
        raise Undecodable("data that does not fit its shape")
    return _Tensor(str(name.value) if name else "", str(datatype.value) if datatype else "", cells, width)


def _read(body: bytes, output: Output) -> tuple[str, _Tensor | None, _Tensor | None]:
    """The text, the label tensor and the score tensor."""
    try:
        text = body.decode("utf-8")
        whole = json_spans.parse(text)
    except (ValueError, RecursionError) as error:
        raise Undecodable(f"this is no JSON: {error}") from error
    outputs = whole.get("outputs") if isinstance(whole.value, dict) else None
    if outputs is None or not isinstance(outputs.value, list):
        raise Undecodable("no `outputs`")
    tensors = [_tensor(span) for span in outputs.items if isinstance(span.value, dict)]
    named = {tensor.name: tensor for tensor in tensors}
    scores = named.get(output.scores or "predict_proba")
    label = named.get(output.label or "predict")
    if label is None and output.label is None:
        label = next((one for one in tensors if one.width == 1 and one.datatype in _LABELS and one is not scores), None)
    if label is not None and label.width != 1:
        label = None
    return text, label, scores


class OpenInference:
    """The protocol."""

    name = "oip"

    def detect(self, path: str, request_headers: Mapping[str, str]) -> bool:
        """Whether this is an inference request of the protocol, in JSON."""
        return _PATH.fullmatch(path) is not None and "inference-header-content-length" not in request_headers

    def rows(self, body: bytes, headers: Mapping[str, str], output: Output) -> Sequence[Row]:
        """The rows of an answer. Raises Undecodable."""
        if "inference-header-content-length" in headers:
            raise Undecodable("binary tensors")
        _, label, scores = _read(body, output)
        if label is None and scores is None:
            raise Undecodable("neither a label output nor a score output")
        count = (
            len(label.cells)
            if label is not None
            else (len(scores.cells) // scores.width if scores and scores.width else 0)
        )
        if scores is not None and (not scores.width or len(scores.cells) // scores.width != count):
            scores = None
        return [_row(place, label, scores, output.classes) for place in range(count)]

    def encode(
        self, body: bytes, headers: Mapping[str, str], output: Output, before: Sequence[Row], after: Sequence[Row]
    ) -> tuple[bytes, Mapping[str, str]]:
        """The body with the bytes of changed labels and scores replaced, and nothing else."""
        del headers
        text, label, scores = _read(body, output)
        edits: list[tuple[Span, str]] = []
        for old, new in zip(before, after, strict=True):
            if old is new:
                continue
            if label is not None and new.label != old.label:
                edits.append((label.row(old.index)[0], _dumped(_like(old.label, new.label))))
            if scores is not None and new.scores is not None and old.scores is not None:
                cells = scores.row(old.index)
                edits += [
                    (cell, _dumped(fresh))
                    for cell, was, fresh in zip(cells, old.scores, new.scores, strict=True)
                    if fresh != was
                ]
        return json_spans.replace(text, edits).encode("utf-8"), {}

    def error(self, status: int, message: str) -> tuple[bytes, Mapping[str, str]]:
        """`{"error": …}`, as the protocol says."""
        del status
        return json.dumps({"error": message}).encode(), {"content-type": "application/json"}


def _row(place: int, label: _Tensor | None, scores: _Tensor | None, classes: tuple[Label, ...]) -> Row:
    found = label.row(place)[0].value if label is not None else None
    numbers: tuple[float, ...] | None = None
    if scores is not None:
        cells = [cell.value for cell in scores.row(place)]
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


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


PROTOCOL = OpenInference()
