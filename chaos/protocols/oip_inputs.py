"""What a request of the Open Inference Protocol (V2) over HTTP asks for: from tensors to inputs, and from changed inputs back.

A tensor of shape [n] or [n, 1] is a feature under its own name; one of shape [n, k] is k of them, under the names that its
`parameters.names` or the system file have, else under numbers. All tensors together are the features of n rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from chaos import json_codec, json_spans
from chaos.json_spans import Span
from chaos.protocols.base import InputNames, Inputs, Undecodable, bounded
from chaos.protocols.json_inputs import SCALARS, cells, kept, one_for_all, renamed, text_of
from chaos.protocols.oip_messages import HEADER_LENGTH, Message, encoded, message_of, parts_of
from chaos.protocols.oip_tensors import Changes, Tensor
from chaos.rows import Input, Label, Value

_DATATYPES = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES", type(None): "FP64"}
"""What a tensor is said to be that is added to a request, by the first of its values."""
_NO_PLACE = "a tensor that does not name its features"


@dataclass(frozen=True, slots=True)
class _Group:
    """The features of one tensor. `own`: there is one of them, and it has the tensor's name; `told`: the tensor names them itself."""

    tensor: Tensor
    names: tuple[str, ...]
    own: bool
    told: bool


@dataclass(frozen=True, slots=True)
class _Request:
    """A decoded request. `told` is its Inference-Header-Content-Length, `names` what the system file says about it."""

    body: bytes
    told: str | None
    names: InputNames
    message: Message
    groups: Sequence[_Group]

    def of(self, body: bytes, told: str | None, names: InputNames) -> bool:
        """Whether it is what these say."""
        return self.body is body and self.told == told and self.names is names


def inputs_of(body: bytes, told: str | None, names: InputNames) -> Inputs:
    """The inputs of a request. Raises Undecodable."""
    request = _read(body, told, names)
    rows = {len(group.tensor.values) // group.tensor.width for group in request.groups}
    if len(rows) != 1:
        raise Undecodable("tensors of different lengths")
    bounded(rows.pop())
    called = tuple(chain.from_iterable(group.names for group in request.groups))
    parts = [_rows_of(group.tensor) for group in request.groups]
    inputs = Inputs(
        Input(index, tuple(chain.from_iterable(pieces)), called)
        for index, pieces in enumerate(zip(*parts, strict=True))
    )
    inputs.read = request
    return inputs


def _rows_of(tensor: Tensor) -> list[Sequence[Value]]:
    """The tensor's values, row by row; decimals where it is one of decimals, however they are written."""
    values: Sequence[Any] = tensor.values
    if not {*map(type, values)} <= SCALARS:
        raise Undecodable("data with something else than scalars in it")
    if str(tensor.datatype).startswith(("FP", "BF")):
        values = [_decimal(value) if type(value) is int else value for value in values]
    return [values[start : start + tensor.width] for start in range(0, len(values), tensor.width)]


def _decimal(number: int) -> float:
    try:
        return float(number)
    except OverflowError as error:
        raise Undecodable("a number with hundreds of digits") from error


def _read(body: bytes, told: str | None, names: InputNames) -> _Request:
    """The request, decoded. Raises Undecodable."""
    header, raw = parts_of(body, told)
    try:
        whole = json_codec.quickly(header)
        request = _request(body, told, names, message_of(header, whole, raw, "inputs", binary=told is not None), whole)
        if not any(json_codec.doubtful(group.tensor.values) for group in request.groups):
            return request
    except ValueError:
        pass  # the standard library may see more in it
    try:
        whole = json_codec.exactly(header)
    except ValueError as error:
        raise Undecodable(f"this is no JSON: {error}") from error
    return _request(body, told, names, message_of(header, whole, raw, "inputs", binary=told is not None), whole)


def _request(body: bytes, told: str | None, names: InputNames, message: Message, whole: Any) -> _Request:
    tensors = message.tensors
    if not tensors or not all(tensor.width for tensor in tensors):
        raise Undecodable("no tensor that can be read")
    said = [_said(whole["inputs"][tensor.place], tensor) for tensor in tensors]
    known = _known(tensors, said, names)
    groups: list[_Group] = []
    for place, tensor in enumerate(tensors):
        own = said[place] is None and known[place] is None and tensor.width == 1 and isinstance(tensor.name, str)
        called = said[place] or known[place] or ((tensor.name,) if own else _numbers(tensor, lone=len(tensors) == 1))
        groups.append(_Group(tensor, called, own, said[place] is not None))
    return _Request(body, told, names, message, groups)


def _said(entry: Mapping[str, Any], tensor: Tensor) -> tuple[str, ...] | None:
    """The names that a tensor gives its features; None where it gives none."""
    parameters = entry.get("parameters")
    names = parameters.get("names") if isinstance(parameters, dict) else None
    if isinstance(names, list) and len(names) == tensor.width and all(isinstance(name, str) for name in names):
        return tuple(names)
    return None


def _known(
    tensors: Sequence[Tensor], said: Sequence[tuple[str, ...] | None], names: InputNames
) -> Sequence[tuple[str, ...] | None]:
    """The names that the system file has for each tensor's features; None where they fit no request like this.

    Tensors of one feature each have their own names, which the request says.
    """
    nothing = [None] * len(tensors)
    named = len(tensors) > 1 and all(tensor.width == 1 for tensor in tensors)
    if named or any(said) or len(names.features) != sum(tensor.width for tensor in tensors):
        return nothing
    rest = iter(names.features)
    return [tuple(next(rest) for _ in range(tensor.width)) for tensor in tensors]


def _numbers(tensor: Tensor, *, lone: bool) -> tuple[str, ...]:
    return tuple(str(place) if lone else f"{tensor.name}.{place}" for place in range(tensor.width))


# --- from inputs back to tensors --------------------------------------------------------------------------------------


def encoded_inputs(
    body: bytes, told: str | None, names: InputNames, before: Sequence[Input], after: Sequence[Input]
) -> tuple[bytes, Mapping[str, str]]:
    """The body with the elements of changed values replaced, and features dropped, renamed and added. Raises Undecodable."""
    request = getattr(before, "read", None)
    if type(request) is not _Request or not request.of(body, told, names):
        before = inputs_of(body, told, names)
        request = before.read
        assert isinstance(request, _Request)
    first: Mapping[str, str] = {}
    if renamed(before, after):
        body, first = _redrawn(request, after)
        told = first.get(HEADER_LENGTH, told)
        before = inputs_of(body, told, names)
        request = before.read
        assert isinstance(request, _Request)
    changes = _changes(request, before, after)
    if not changes:
        return body, first
    made, more = encoded(request.message, told, changes)
    return made, {**first, **more}


def _changes(request: _Request, before: Sequence[Input], after: Sequence[Input]) -> list[Changes]:
    """The elements that change, tensor by tensor."""
    where = [(group, offset) for group in request.groups for offset in range(len(group.names))]
    found: dict[int, tuple[Tensor, list[int], list[Label | None]]] = {}
    for row, place, value in cells(before, after):
        group, offset = where[place]
        tensor = group.tensor
        if value is None and tensor.place in request.message.raw:
            raise Undecodable("raw data has no null")
        if type(value) is int and str(tensor.datatype).startswith(("FP", "BF")):
            value = float(value)  # noqa: PLW2901
        _, numbers, values = found.setdefault(tensor.place, (tensor, [], []))
        numbers.append(row * tensor.width + offset)
        values.append(value)
    return [*found.values()]


def _redrawn(request: _Request, after: Sequence[Input]) -> tuple[bytes, Mapping[str, str]]:
    """The body once its inputs have these features, and the header that changes with it. Raises Undecodable."""
    new = one_for_all(after)
    places = kept([*chain.from_iterable(group.names for group in request.groups)], new)
    try:
        text = request.message.header.decode("utf-8")
        listing = json_spans.parse(text).at(("inputs",))
    except ValueError as error:
        raise Undecodable(str(error)) from error
    members: dict[int, int | str] = {place: place for place in range(len(listing.items))}
    added = [place for place, old in enumerate(places) if old is None]
    wide = len(request.groups) == 1 and not request.groups[0].own
    start = 0
    for group in request.groups:
        mine = [
            place for place, old in enumerate(places) if old is not None and start <= old < start + len(group.names)
        ]
        stay = [(new[place], (places[place] or 0) - start) for place in mine]
        start += len(group.names)
        gained = [(new[place], [one.values[place] for one in after]) for place in added] if wide else []
        at = group.tensor.place
        if not stay and not gained:
            if at in request.message.raw or len(request.groups) == 1:
                raise Undecodable("a tensor that cannot be left out: the only one, or one of raw data")
            del members[at]
        elif [(name, place) for place, name in enumerate(group.names)] != stay or gained:
            members[at] = _member(text, listing.items[at], group, stay, gained, raw=at in request.message.raw)
    more = [] if wide else [_tensor(new[place], [one.values[place] for one in after], text, listing) for place in added]
    fresh = json_spans.rebuilt(text, listing, [*members.values(), *more])
    header = json_spans.replace(text, [(listing, fresh)]).encode("utf-8")
    whole = header + request.body[len(request.message.header) :]
    return whole, {} if request.told is None else {HEADER_LENGTH: str(len(header))}


def _member(
    text: str,
    span: Span,
    group: _Group,
    stay: Sequence[tuple[str, int]],
    gained: Sequence[tuple[str, Sequence[Value]]],
    *,
    raw: bool,
) -> str:
    """The text of a tensor with these features: old ones by their place in it, under these names, then new ones."""
    if group.own:
        return json_spans.part(text, span, [(span.at(("name",)), json.dumps(stay[0][0]))])
    width = group.tensor.width
    edits: list[tuple[Span, str]] = []
    if [place for _, place in stay] != [*range(width)] or gained:
        shape, data = span.at(("shape",)), None if raw else span.get("data")
        if data is None or len(shape.items) != 2:
            raise Undecodable("a tensor that keeps its features: one of raw data, or of another shape than [n, k]")
        edits += [(shape.items[1], str(len(stay) + len(gained))), *_data(text, data, width, stay, gained)]
    elif not group.told:
        raise Undecodable(_NO_PLACE)
    if group.told:
        names = span.at(("parameters", "names"))
        told = [place if group.names[place] == name else json.dumps(name) for name, place in stay]
        edits.append((names, json_spans.rebuilt(text, names, [*told, *(json.dumps(name) for name, _ in gained)])))
    return json_spans.part(text, span, edits)


def _data(
    text: str, data: Span, width: int, stay: Sequence[tuple[str, int]], gained: Sequence[tuple[str, Sequence[Value]]]
) -> Iterable[tuple[Span, str]]:
    """The data of a tensor with other features, flat or row by row."""
    more = [[text_of(values[row]) for _, values in gained] for row in range(len(data.leaves()) // width)]
    if all(isinstance(item.value, list) and len(item.items) == width for item in data.items):
        return [
            (item, json_spans.rebuilt(text, item, [*(place for _, place in stay), *more[row]]))
            for row, item in enumerate(data.items)
        ]
    if any(isinstance(item.value, list) for item in data.items):
        raise Undecodable("data that is nested more deeply than rows")
    members: list[int | str] = []
    for row, fresh in enumerate(more):
        members += [row * width + place for _, place in stay]
        members += fresh
    return [(data, json_spans.rebuilt(text, data, members))]


def _tensor(name: str, values: Sequence[Value], text: str, listing: Span) -> str:
    """The text of a tensor that is added, of the shape that the first one has."""
    shape = listing.items[0].at(("shape",))
    told = text[shape.start : shape.end]
    datatype = _DATATYPES[type(values[0])]
    data = ", ".join(map(text_of, values))
    return f'{{"name": {json.dumps(name)}, "shape": {told}, "datatype": "{datatype}", "data": [{data}]}}'
