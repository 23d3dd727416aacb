"""Requests and answers of the Open Inference Protocol (V2) over HTTP: where their tensors stand, and how elements are put back.

    {"inputs" or "outputs": [{"name", "shape", "datatype", "data"}]}
    with Inference-Header-Content-Length: N → N bytes of JSON, then the raw data of every tensor that has a `binary_data_size`

JSON data is flat or nested, beside raw data in the same message.

Source: KServe, Open Inference Protocol, rest_predict_v2.yaml and the binary tensor data extension.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from chaos import json_codec, json_places
from chaos.json_places import Address, Place
from chaos.protocols import oip_binary
from chaos.protocols.base import Undecodable
from chaos.protocols.oip_tensors import Changes, Tensor, size_of

_DIGITS = 18
HEADER_LENGTH = "inference-header-content-length"


@dataclass(slots=True)
class Message:
    """A decoded message.

    `header` is its JSON, with the tensors under `key`; `listed` are the places of all that have a list as `data` in it. `raw` is
    the raw data of others by their place, `rest` what is behind all that.
    """

    header: bytes
    key: str
    tensors: list[Tensor]
    listed: list[int]
    raw: dict[int, bytes]
    rest: bytes


def parts_of(body: bytes, told: str | None) -> tuple[bytes, bytes]:
    """The JSON and the raw data of a body; `told` is its Inference-Header-Content-Length. Raises Undecodable."""
    if told is None:
        return body, b""
    if not told.isascii() or not told.isdigit() or len(told) > _DIGITS or int(told) > len(body):
        raise Undecodable("an Inference-Header-Content-Length that does not fit")
    return body[: int(told)], body[int(told) :]


def message_of(header: bytes, whole: Any, raw: bytes, key: str, *, binary: bool) -> Message:
    """The message; `whole` is its JSON, decoded, and `binary` says whether raw data may stand behind it. Raises Undecodable."""
    listing = whole.get(key) if isinstance(whole, dict) else None
    if not isinstance(listing, list):
        raise Undecodable(f"no `{key}`")
    tensors: list[Tensor] = []
    listed: list[int] = []
    pieces: dict[int, bytes] = {}
    used = 0
    for place, one in enumerate(listing):
        if not isinstance(one, dict):
            continue
        data = one.get("data")
        if isinstance(data, list):
            listed.append(place)
        size = _size(one) if binary else None
        if size is not None:
            pieces[place] = raw[used : used + size]
            if len(pieces[place]) != size:
                raise Undecodable("less raw data than the sizes say")
            used += size
            tensors += _raw_tensor(place, one, pieces[place])
        elif "data" in one:  # else it is elsewhere, in shared memory for example
            tensors.append(_json_tensor(place, one, data))
    return Message(header, key, tensors, listed, pieces, raw[used:])


def _size(tensor: Mapping[str, object]) -> int | None:
    """A tensor's `binary_data_size`; None when its data is in the JSON."""
    parameters = tensor.get("parameters")
    if not isinstance(parameters, dict) or "binary_data_size" not in parameters:
        return None
    size = parameters["binary_data_size"]
    if type(size) is not int or size < 0:
        raise Undecodable("a binary_data_size that is no size")
    return size


def _raw_tensor(place: int, tensor: Mapping[str, object], raw: bytes) -> list[Tensor]:
    """The tensor, if it can be read. Raises Undecodable."""
    datatype = tensor.get("datatype")
    count, width = size_of(tensor.get("shape"))
    if type(datatype) is not str or not oip_binary.readable(datatype):
        return []
    values = oip_binary.values(datatype, raw, count)
    return [Tensor(place, tensor.get("name"), datatype, width, values)]


def _json_tensor(place: int, tensor: Mapping[str, object], data: object) -> Tensor:
    if not isinstance(data, list):
        raise Undecodable("data that is no list")
    count, width = size_of(tensor.get("shape"))
    while data and type(data[0]) is list:
        if {*map(type, data)} != {list}:
            raise Undecodable("data that is nested unevenly")
        data = list(chain.from_iterable(data))
    if count != len(data):
        raise Undecodable("data that does not fit its shape")
    return Tensor(place, tensor.get("name"), tensor.get("datatype"), width, data)


# --- the message's bytes ----------------------------------------------------------------------------------------------


def encoded(message: Message, told: str | None, changes: Sequence[Changes]) -> tuple[bytes, Mapping[str, str]]:
    """The body with these elements replaced, and the header that changes with it; sizes in the JSON are corrected."""
    edits = _data_edits(message, changes)
    if told is None:
        return json_places.replaced(message.header, edits), {}
    raw = _with_raw(message, changes)
    header = json_places.replaced(message.header, [*edits, *_size_edits(message, raw)])
    whole = b"".join([header, *(raw[place] for place in sorted(raw)), message.rest])
    return whole, {} if str(len(header)) == told else {HEADER_LENGTH: str(len(header))}


def _data_edits(message: Message, changes: Sequence[Changes]) -> list[tuple[Place, bytes]]:
    """The data of tensors in the JSON, with what changes in it."""
    text, listed = message.header, message.listed
    places = json_places.lists_at(text, "data", len(listed)) or _searched(message)
    edits: list[tuple[Place, bytes]] = []
    for tensor, numbers, values in changes:
        if tensor.place not in message.raw:
            place = places[listed.index(tensor.place)]
            fresh = json_codec.dumped_all(values)
            edits.append((place, json_places.with_scalars(text, place, len(tensor.values), numbers, fresh)))
    return edits


def _searched(message: Message) -> Sequence[Place]:
    """Where the lists under `data` stand in the JSON, looked up by their addresses."""
    addresses: list[Address] = [(message.key, place, "data") for place in message.listed]
    found = json_places.find(message.header, addresses)
    return [found[address] for address in addresses]


def _with_raw(message: Message, changes: Sequence[Changes]) -> Mapping[int, bytes]:
    """The raw data of all tensors that have any, with what changes in it."""
    raw = dict(message.raw)
    for tensor, numbers, values in changes:
        if tensor.place in raw:
            elements = dict(zip(numbers, values, strict=True))
            raw[tensor.place] = oip_binary.replaced(str(tensor.datatype), raw[tensor.place], elements)
    return raw


def _size_edits(message: Message, raw: Mapping[int, bytes]) -> Iterator[tuple[Place, bytes]]:
    """The sizes in the JSON of raw data whose length has changed."""
    addresses: dict[Address, bytes] = {
        (message.key, place, "parameters", "binary_data_size"): b"%d" % len(data)
        for place, data in raw.items()
        if len(data) != len(message.raw[place])
    }
    found = json_places.find(message.header, addresses)
    return ((found[address], size) for address, size in addresses.items())
