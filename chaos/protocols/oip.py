"""Open Inference Protocol (V2) over HTTP: MLServer, KServe, Triton, Seldon and the lab's own replicas.

    POST /v2/models/NAME[/versions/V]/infer → {"outputs": [{"name", "shape", "datatype", "data"}]}
    with Inference-Header-Content-Length: N → N bytes of JSON, then the raw data of every output that has a `binary_data_size`

JSON data is flat or nested, beside raw data in the same answer. What outputs mean: `chaos.protocols.oip_tensors`.

Source: KServe, Open Inference Protocol, rest_predict_v2.yaml and the binary tensor data extension.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from chaos import json_codec, json_places
from chaos.json_places import Address, Place
from chaos.protocols import oip_binary
from chaos.protocols.base import Output, Rows, Undecodable
from chaos.protocols.oip_tensors import Changes, Decision, Tensor, changes_of, decision_of, rows_of, size_of
from chaos.rows import Row

_PATH = re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/infer")
_DIGITS = 18
HEADER_LENGTH = "inference-header-content-length"


@dataclass(slots=True)
class _Answer:
    """A decoded answer. `told` is its Inference-Header-Content-Length, `output` what the system file says about it.

    `header` is its JSON, and `listed` are the places of all outputs that have a list as `data` in it; `raw` is the raw data of others
    by their place, `rest` what is behind all that.
    """

    body: bytes
    told: str | None
    output: Output
    header: bytes
    listed: list[int]
    raw: dict[int, bytes]
    rest: bytes
    decision: Decision

    def of(self, body: bytes, told: str | None, output: Output) -> bool:
        """Whether it is what these say."""
        return self.body is body and self.told == told and self.output is output


def _read(body: bytes, told: str | None, output: Output) -> _Answer:
    """The answer, decoded. Raises Undecodable."""
    header, raw = body, b""
    if told is not None:
        if not told.isascii() or not told.isdigit() or len(told) > _DIGITS or int(told) > len(body):
            raise Undecodable("an Inference-Header-Content-Length that does not fit")
        header, raw = body[: int(told)], body[int(told) :]
    try:
        answer = _answer(body, told, output, header, raw, json_codec.quickly(header))
        label = answer.decision.label
        if label is None or not json_codec.doubtful(label.values):
            return answer
    except ValueError:
        pass  # the standard library may see more in it
    try:
        whole = json_codec.exactly(header)
    except ValueError as error:
        raise Undecodable(f"this is no JSON: {error}") from error
    return _answer(body, told, output, header, raw, whole)


def _answer(body: bytes, told: str | None, output: Output, header: bytes, raw: bytes, whole: Any) -> _Answer:
    outputs = whole.get("outputs") if isinstance(whole, dict) else None
    if not isinstance(outputs, list):
        raise Undecodable("no `outputs`")
    tensors: list[Tensor] = []
    listed: list[int] = []
    pieces: dict[int, bytes] = {}
    used = 0
    for place, one in enumerate(outputs):
        if not isinstance(one, dict):
            continue
        data = one.get("data")
        if isinstance(data, list):
            listed.append(place)
        size = _size(one) if told is not None else None
        if size is not None:
            pieces[place] = raw[used : used + size]
            if len(pieces[place]) != size:
                raise Undecodable("less raw data than the sizes say")
            used += size
            tensors += _raw_tensor(place, one, pieces[place])
        elif "data" in one:  # else it is elsewhere, in shared memory for example
            tensors.append(_json_tensor(place, one, data))
    return _Answer(body, told, output, header, listed, pieces, raw[used:], decision_of(tensors, output))


def _size(output: Mapping[str, object]) -> int | None:
    """An output's `binary_data_size`; None when its data is in the JSON."""
    parameters = output.get("parameters")
    if not isinstance(parameters, dict) or "binary_data_size" not in parameters:
        return None
    size = parameters["binary_data_size"]
    if type(size) is not int or size < 0:
        raise Undecodable("a binary_data_size that is no size")
    return size


def _raw_tensor(place: int, output: Mapping[str, object], raw: bytes) -> list[Tensor]:
    """The tensor, if it can be read. Raises Undecodable."""
    datatype = output.get("datatype")
    count, width = size_of(output.get("shape"))
    if type(datatype) is not str or not oip_binary.readable(datatype):
        return []
    values = oip_binary.values(datatype, raw, count)
    return [Tensor(place, output.get("name"), datatype, width, values)]


def _json_tensor(place: int, output: Mapping[str, object], data: object) -> Tensor:
    if not isinstance(data, list):
        raise Undecodable("data that is no list")
    count, width = size_of(output.get("shape"))
    while data and type(data[0]) is list:
        if {*map(type, data)} != {list}:
            raise Undecodable("data that is nested unevenly")
        data = list(chain.from_iterable(data))
    if count != len(data):
        raise Undecodable("data that does not fit its shape")
    return Tensor(place, output.get("name"), output.get("datatype"), width, data)


class OpenInference:
    """The protocol."""

    name = "oip"

    def detect(self, path: str, request_headers: Mapping[str, str]) -> bool:
        """Whether this is an inference request of the protocol, its tensors in JSON or raw."""
        del request_headers
        return _PATH.fullmatch(path) is not None

    def rows(self, body: bytes, headers: Mapping[str, str], output: Output) -> Sequence[Row]:
        """The rows of an answer. Raises Undecodable."""
        answer = _read(body, headers.get(HEADER_LENGTH), output)
        rows = Rows(rows_of(answer.decision, output))
        rows.read = answer
        return rows

    def encode(
        self, body: bytes, headers: Mapping[str, str], output: Output, before: Sequence[Row], after: Sequence[Row]
    ) -> tuple[bytes, Mapping[str, str]]:
        """The body with the bytes of changed labels and scores replaced; sizes that change with them are corrected."""
        told = headers.get(HEADER_LENGTH)
        answer = getattr(before, "read", None)
        if type(answer) is not _Answer or not answer.of(body, told, output):
            answer = _read(body, told, output)
        changes = changes_of(answer.decision, before, after)
        if not changes:
            return body, {}
        edits = _data_edits(answer, changes)
        if told is None:
            return json_places.replaced(answer.header, edits), {}
        raw = _with_raw(answer, changes)
        header = json_places.replaced(answer.header, [*edits, *_size_edits(answer, raw)])
        whole = b"".join([header, *(raw[place] for place in sorted(raw)), answer.rest])
        return whole, {} if str(len(header)) == told else {HEADER_LENGTH: str(len(header))}

    def error(self, status: int, message: str) -> tuple[bytes, Mapping[str, str]]:
        """`{"error": …}`, as the protocol says."""
        del status
        return json.dumps({"error": message}).encode(), {"content-type": "application/json"}


# --- the answer's bytes -----------------------------------------------------------------------------------------------


def _data_edits(answer: _Answer, changes: Sequence[Changes]) -> list[tuple[Place, bytes]]:
    """The data of outputs in the JSON, with what changes in it."""
    text, listed = answer.header, answer.listed
    places = json_places.lists_at(text, "data", len(listed)) or _searched(answer)
    edits: list[tuple[Place, bytes]] = []
    for tensor, numbers, values in changes:
        if tensor.place not in answer.raw:
            place = places[listed.index(tensor.place)]
            fresh = json_codec.dumped_all(values)
            edits.append((place, json_places.with_scalars(text, place, len(tensor.values), numbers, fresh)))
    return edits


def _searched(answer: _Answer) -> Sequence[Place]:
    """Where the lists under `data` stand in the JSON, looked up by their addresses."""
    addresses: list[Address] = [("outputs", place, "data") for place in answer.listed]
    found = json_places.find(answer.header, addresses)
    return [found[address] for address in addresses]


def _with_raw(answer: _Answer, changes: Sequence[Changes]) -> Mapping[int, bytes]:
    """The raw data of all outputs that have any, with what changes in it."""
    raw = dict(answer.raw)
    for tensor, numbers, values in changes:
        if tensor.place in raw:
            elements = dict(zip(numbers, values, strict=True))
            raw[tensor.place] = oip_binary.replaced(str(tensor.datatype), raw[tensor.place], elements)
    return raw


def _size_edits(answer: _Answer, raw: Mapping[int, bytes]) -> Iterator[tuple[Place, bytes]]:
    """The sizes in the JSON of raw data whose length has changed."""
    addresses: dict[Address, bytes] = {
        ("outputs", place, "parameters", "binary_data_size"): b"%d" % len(data)
        for place, data in raw.items()
        if len(data) != len(answer.raw[place])
    }
    found = json_places.find(answer.header, addresses)
    return ((found[address], size) for address, size in addresses.items())


PROTOCOL = OpenInference()
