"""What protocols with JSON requests share: from a place in the request to an input, and from a changed input back to the bytes.

Rows are a list of lists (`[[5.1, 3.5], …]`), of objects (`[{"age": 31}, …]`) or of scalars, or an object of columns
(`{"age": [31, …]}`). A list of one scalar is that scalar, as TensorFlow Serving writes it. What an object has besides scalars is
no feature, and stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any
from typing import Protocol as Interface

from chaos import json_codec, json_places, json_spans
from chaos.json_places import Address
from chaos.json_spans import Span
from chaos.protocols.base import InputNames, Inputs, Undecodable, bounded
from chaos.rows import Input, Value

SCALARS = {str, int, float, bool, type(None)}
_SOME_ROWS = "a feature that only some rows lose or gain, in a request that has it once for all of them"
_NO_PLACE = "a request without a place for that: its rows do not name their features"


class Form(Interface):
    """Where a request has its rows."""

    def cell(self, row: int, place: int) -> Address:
        """Where the value of a feature, by its place, stands."""
        ...

    def redrawn(self, text: str, whole: Span, after: Sequence[Input]) -> list[tuple[Span, str]]:
        """What becomes of which values, for these inputs to have the features that they name. Raises Undecodable."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for."""

    inputs: Sequence[Input]
    form: Form


@dataclass(frozen=True, slots=True)
class _Read:
    """What a request of a protocol says."""

    of: JsonInputs
    body: bytes
    names: InputNames
    form: Form


class JsonInputs:
    """The half of a protocol that is the same wherever requests are JSON. Subclasses say where the rows are."""

    def asked(self, whole: Any, names: InputNames) -> Asked:
        """What the decoded request asks for. Raises Undecodable when it is no request of this protocol."""
        raise NotImplementedError

    def inputs(self, body: bytes, headers: Mapping[str, str], names: InputNames) -> Sequence[Input]:
        """The inputs of a request. Raises Undecodable."""
        del headers
        return self._inputs(body, names)

    def _inputs(self, body: bytes, names: InputNames) -> Inputs:
        try:
            asked = self.asked(json_codec.quickly(body), names)
            if json_codec.doubtful([*chain.from_iterable(one.values for one in asked.inputs)]):
                raise ValueError
        except ValueError:  # the standard library may see more in it
            try:
                whole = json_codec.exactly(body)
            except ValueError as error:
                raise Undecodable(f"this is no JSON: {error}") from error
            asked = self.asked(whole, names)
        inputs = Inputs(asked.inputs)
        inputs.read = _Read(self, body, names, asked.form)
        return inputs

    def encode_inputs(
        self,
        body: bytes,
        headers: Mapping[str, str],
        names: InputNames,
        before: Sequence[Input],
        after: Sequence[Input],
    ) -> tuple[bytes, Mapping[str, str]]:
        """The body with the bytes of changed values replaced, and features dropped, renamed and added. Raises Undecodable."""
        del headers
        read = getattr(before, "read", None)
        if not (isinstance(read, _Read) and read.of is self and read.body is body and read.names is names):
            before = self._inputs(body, names)
            read = before.read
            assert isinstance(read, _Read)
        if renamed(before, after):
            body = _edited(body, read.form, after)
            before = self._inputs(body, names)
            read = before.read
            assert isinstance(read, _Read)
        fresh = {read.form.cell(row, place): json_codec.dumped(value) for row, place, value in cells(before, after)}
        try:
            places = json_places.find(body, fresh)
        except RecursionError as error:
            raise Undecodable("nested too deeply") from error
        return json_places.replaced(body, [(places[at], text) for at, text in fresh.items()]), {}


def _edited(body: bytes, form: Form, after: Sequence[Input]) -> bytes:
    try:
        text = body.decode("utf-8")
        whole = json_spans.parse(text)
    except ValueError as error:
        raise Undecodable(str(error)) from error
    return json_spans.replace(text, form.redrawn(text, whole, after)).encode("utf-8")


# --- what changes -----------------------------------------------------------------------------------------------------


def renamed(before: Sequence[Input], after: Sequence[Input]) -> bool:
    """Whether an input has other features than it had. Raises Undecodable when these are not the same rows."""
    if len(before) != len(after):
        raise Undecodable("inputs that are not those of this request")
    return any(old is not new and old.names != new.names for old, new in zip(before, after, strict=True))


def cells(before: Sequence[Input], after: Sequence[Input]) -> Iterator[tuple[int, int, Value]]:
    """Row, place and new value of every value that changes. Raises Undecodable when a row has not as many as it had."""
    for row, (old, new) in enumerate(zip(before, after, strict=True)):
        if old is new:
            continue
        if len(old.values) != len(new.values):
            raise Undecodable("an input with another number of values than features")
        for place, (was, fresh) in enumerate(zip(old.values, new.values, strict=True)):
            if was is not fresh and (type(was) is not type(fresh) or was != fresh):
                yield row, place, fresh


def kept(old: Sequence[str], new: Sequence[str]) -> list[int | None]:
    """For every new feature the place of the old one that it is, perhaps under another name; None when it is added.

    Raises Undecodable when that cannot be told, or the features that stay have changed places.
    """
    if len({*old}) < len(old) or len({*new}) < len(new):
        raise Undecodable("two features of one name")
    one_for_one = len(old) == len(new)
    places = [
        old.index(name) if name in old else place if one_for_one and old[place] not in new else None
        for place, name in enumerate(new)
    ]
    stay = [place for place in places if place is not None]
    if stay != sorted(stay) or None in places[: len(stay)]:
        raise Undecodable("features that have changed places")
    return places


def one_for_all(after: Sequence[Input]) -> tuple[str, ...]:
    """The features that all inputs have. Raises Undecodable when they differ."""
    names = after[0].names
    if any(one.names != names for one in after):
        raise Undecodable(_SOME_ROWS)
    return names


# --- rows that are lists ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Lists:
    """Rows that are lists, at these addresses. `header` is the list of names that the request has for them."""

    rows: Sequence[Address]
    names: tuple[str, ...]
    header: Address | None

    def cell(self, row: int, place: int) -> Address:
        return (*self.rows[row], place)

    def redrawn(self, text: str, whole: Span, after: Sequence[Input]) -> list[tuple[Span, str]]:
        new = one_for_all(after)
        places = kept(self.names, new)
        if self.header is None and places == [*range(len(self.names))]:
            raise Undecodable(_NO_PLACE)
        edits: list[tuple[Span, str]] = []
        for at, one in zip(self.rows, after, strict=True):
            span = whole.at(at)
            edits.append((span, json_spans.rebuilt(text, span, _members(places, one.values))))
        if self.header is not None:
            span = whole.at(self.header)
            told = [
                place if place is not None and self.names[place] == name else json.dumps(name)
                for place, name in zip(places, new, strict=True)
            ]
            edits.append((span, json_spans.rebuilt(text, span, told)))
        return edits


def _members(places: Sequence[int | None], values: Sequence[Value]) -> list[int | str]:
    """Old members by their place, new ones by their text."""
    return [text_of(value) if place is None else place for place, value in zip(places, values, strict=True)]


def text_of(value: Value) -> str:
    """The JSON text of a value."""
    return json_codec.dumped(value).decode("utf-8")


@dataclass(frozen=True, slots=True)
class _Scalars:
    """Rows that are scalars: one feature, without a name."""

    rows: Sequence[Address]

    def cell(self, row: int, place: int) -> Address:
        del place
        return self.rows[row]

    def redrawn(self, text: str, whole: Span, after: Sequence[Input]) -> list[tuple[Span, str]]:
        del text, whole, after
        raise Undecodable(_NO_PLACE)


def of_rows(
    found: Sequence[tuple[Any, Address]], names: InputNames, told: tuple[Sequence[str], Address] | None = None
) -> Asked:
    """What rows at these addresses ask for; `told` are the names that the request has for them. Raises Undecodable."""
    bounded(len(found))
    kinds = {type(value) for value, _ in found}
    if kinds == {dict}:
        return _of_objects(found, names)
    if kinds == {list}:
        widths = {len(value) for value, _ in found}
        if len(widths) != 1 or any(type(value) not in SCALARS for row, _ in found for value in row):
            raise Undecodable("rows of different lengths, or with something else than scalars in them")
        width = widths.pop()
        if told is not None and len(told[0]) != width:
            raise Undecodable("another number of names than of values")
        called = tuple(told[0]) if told is not None else numbered(names, width)
        rows = [Input(index, tuple(value), called) for index, (value, _) in enumerate(found)]
        return Asked(rows, _Lists([at for _, at in found], called, told[1] if told is not None else None))
    if kinds <= SCALARS:
        called = numbered(names, 1)
        rows = [Input(index, (value,), called) for index, (value, _) in enumerate(found)]
        return Asked(rows, _Scalars([at for _, at in found]))
    raise Undecodable("rows of several kinds")


def numbered(names: InputNames, width: int) -> tuple[str, ...]:
    """What the system file calls so many features; numbers where it says nothing that fits."""
    return names.features if len(names.features) == width else tuple(map(str, range(width)))


def items_of(value: Any, at: Address) -> list[tuple[Any, Address]]:
    """The items of a list, each with its address. Raises Undecodable when it is none."""
    if not isinstance(value, list):
        raise Undecodable("no list of rows")
    return [(item, (*at, index)) for index, item in enumerate(value)]


# --- rows that are objects --------------------------------------------------------------------------------------------


def _scalar_in(value: Any) -> tuple[bool, Any]:
    """Whether a value is a feature's: a scalar, or a list of one; and that scalar."""
    inner = value[0] if isinstance(value, list) and len(value) == 1 else value
    return type(inner) in SCALARS, inner


@dataclass(frozen=True, slots=True)
class _Objects:
    """Rows that are objects, at these addresses. `names` are each one's features, `listed` those whose value is a list of one."""

    rows: Sequence[Address]
    names: Sequence[tuple[str, ...]]
    listed: Sequence[frozenset[str]]

    def cell(self, row: int, place: int) -> Address:
        name = self.names[row][place]
        return (*self.rows[row], name, 0) if name in self.listed[row] else (*self.rows[row], name)

    def redrawn(self, text: str, whole: Span, after: Sequence[Input]) -> list[tuple[Span, str]]:
        edits: list[tuple[Span, str]] = []
        for at, old, one in zip(self.rows, self.names, after, strict=True):
            if old != one.names:
                added = {name: text_of(value) for name, value in zip(one.names, one.values, strict=True)}
                span = whole.at(at)
                edits.append((span, json_spans.rebuilt(text, span, mapping(text, span, old, one.names, added))))
        return edits


def mapping(text: str, span: Span, old: Sequence[str], new: Sequence[str], added: Mapping[str, str]) -> list[int | str]:
    """The members of a mapping once its features are called otherwise; `added` are the values of those that it gains."""
    places = kept(old, new)
    called = {old[place]: name for place, name in zip(places, new, strict=True) if place is not None}
    gone = {*old} - {*called}
    members: list[int | str] = []
    for place, key in enumerate(span.keys):
        if key in gone:
            continue
        name = called.get(key, key)
        members.append(place if name == key else json_spans.under(name, json_spans.member(text, span, place)))
    more = [name for place, name in zip(places, new, strict=True) if place is None]
    if not {*more}.isdisjoint(span.keys):
        raise Undecodable("a feature that is added under a name which something else has")
    return [*members, *(f"{json.dumps(name)}: {added[name]}" for name in more)]


def _of_objects(found: Sequence[tuple[Any, Address]], names: InputNames) -> Asked:
    lone = _lone_key(found)
    if lone is not None:
        return of_rows([(value[lone], (*at, lone)) for value, at in found], names)
    rows: list[Input] = []
    listed: list[frozenset[str]] = []
    for index, (value, _) in enumerate(found):
        features = {name: inner for name, item in value.items() for scalar, inner in [_scalar_in(item)] if scalar}
        rows.append(Input(index, tuple(features.values()), tuple(features)))
        listed.append(frozenset(name for name in features if isinstance(value[name], list)))
    if not any(one.names for one in rows):
        raise Undecodable("objects without a feature")
    return Asked(rows, _Objects([at for _, at in found], [one.names for one in rows], listed))


def _lone_key(found: Sequence[tuple[Any, Address]]) -> str | None:
    """The one key of all these objects, under which each has a list of several values: a tensor, by its name."""
    keys = {key for value, _ in found for key in value}
    if len(keys) != 1:
        return None
    key = next(iter(keys))
    return key if all(isinstance(value.get(key), list) and len(value[key]) > 1 for value, _ in found) else None


# --- columns ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Columns:
    """An object of columns, each a list of as many values as there are rows; `listed` are those whose values are lists of one."""

    at: Address
    names: tuple[str, ...]
    listed: frozenset[str]

    def cell(self, row: int, place: int) -> Address:
        name = self.names[place]
        return (*self.at, name, row, 0) if name in self.listed else (*self.at, name, row)

    def redrawn(self, text: str, whole: Span, after: Sequence[Input]) -> list[tuple[Span, str]]:
        new, span = one_for_all(after), whole.at(self.at)
        pattern = "[[{}]]" if self.names[0] in self.listed else "[{}]"
        between = "], [" if self.names[0] in self.listed else ", "
        added = {
            name: pattern.format(between.join(text_of(one.values[place]) for one in after))
            for place, name in enumerate(new)
        }
        return [(span, json_spans.rebuilt(text, span, mapping(text, span, self.names, new, added)))]


def of_rows_or_columns(value: Any, at: Address, names: InputNames) -> Asked:
    """What a list of rows, or an object of columns, asks for. Raises Undecodable."""
    if not isinstance(value, dict):
        return of_rows(items_of(value, at), names)
    if len(value) == 1:
        (key, only), *_ = value.items()
        if isinstance(only, list) and only and all(isinstance(item, list) and len(item) > 1 for item in only):
            return of_rows(items_of(only, (*at, key)), names)
    columns = {
        name: [inner for _, inner in map(_scalar_in, column)]
        for name, column in value.items()
        if isinstance(column, list) and all(scalar for scalar, _ in map(_scalar_in, column))
    }
    if not columns or len({*map(len, columns.values())}) != 1:
        raise Undecodable("no columns, or columns of different lengths")
    bounded(max(map(len, columns.values())))
    called = tuple(columns)
    rows = [Input(index, values, called) for index, values in enumerate(zip(*columns.values(), strict=True))]
    listed = frozenset(name for name in columns if isinstance(value[name][0], list))
    if any(isinstance(item, list) is not (name in listed) for name in columns for item in value[name]):
        raise Undecodable("a column whose values have different shapes")
    return Asked(rows, _Columns(at, called, listed))
