"""What people write becomes a model, or one clear sentence per mistake.

`validate` runs pydantic over a Document and turns each of its errors into a Problem: where it stands, what is wrong,
and what to write instead. Unknown keys get the nearest known one, and one mistake gives one sentence.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, RootModel, Tag, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from chaos.document import Document, Path, did_you_mean, nearest
from chaos.errors import Problem
from chaos.kinds import Kind, other_kind

Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """The base of everything people write: unknown keys refused, values frozen, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)


def keys_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Key as people write it → the field behind it."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


@dataclass(frozen=True, slots=True)
class _Option:
    """A model that a mapping may be, and its tag where a union tells its options apart."""

    model: type[BaseModel]
    tag: str | None = None


def _options(annotation: Any, tag: str | None = None) -> Iterator[_Option]:
    """Every model that a value with this annotation may be."""
    origin = get_origin(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield _Option(annotation, tag)
    elif origin is Annotated:
        inner, *about = get_args(annotation)
        yield from _options(inner, next((one.tag for one in about if isinstance(one, Tag)), tag))
    elif origin in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from _options(option, tag)


def _inner(annotation: Any) -> Iterator[Any]:
    """What the elements of a list or the values of a mapping with this annotation are."""
    origin = get_origin(annotation)
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        yield from _inner(annotation.model_fields["root"].annotation)
    elif origin is Annotated:
        yield from _inner(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from _inner(option)
    elif origin in (list, tuple):
        yield get_args(annotation)[0]
    elif origin in (dict, Mapping) or (origin is not None and getattr(origin, "__name__", "") == "Mapping"):
        yield get_args(annotation)[1]


def _all_options(model: type[BaseModel], path: Path) -> list[_Option]:
    """Every model that the mapping at this path may be."""
    annotations: list[Any] = [model]
    for part in path:
        annotations = [
            following
            for annotation in annotations
            for following in [
                *(
                    field.annotation
                    for option in _options(annotation)
                    for key, field in keys_of(option.model).items()
                    if key == part
                ),
                *_inner(annotation),
            ]
        ]
    return [option for annotation in annotations for option in _options(annotation)]


def _chosen(options: list[_Option], tags: tuple[str, ...]) -> list[_Option]:
    """Those of the options that pydantic meant; `tags` are the union tags that it named on the way."""
    return [option for option in options if option.tag in tags] or options


def _at(document: Document, path: Path) -> object:
    """The value at this path, which stands in the document."""
    value: Any = document.data
    for part in path:
        value = value[part]
    return value


def _split(document: Document, error: ErrorDetails) -> tuple[Path, tuple[str, ...]]:
    """Where in the document an error is, and the union tags that pydantic's location had in between.

    A tag may be spelt like a key that stands there too (`probe`), so the value that pydantic refused decides. Only a
    missing key may end a path without standing in the document.
    """
    missing = error["type"] == "missing"
    location = error["loc"][:-1] if missing else error["loc"]
    candidates: list[Path] = [()]
    for part in location:
        candidates += [(*path, part) for path in candidates if (*path, part) in document.places]
    path = max(candidates, key=lambda one: (_at(document, one) is error["input"], len(one)))
    tags = [str(part) for part in location]
    for part in path:
        tags.remove(str(part))
    return (*path, error["loc"][-1]) if missing else path, tuple(tags)


_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "mapping_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "nothing" if value is None else f"{value!r}"


def _wrong_kind(kinds: list[str], value: object) -> str:
    """The sentence about a value that is none of these kinds, and how to write it as one of them."""
    if "a number" in kinds:
        kinds = [kind for kind in kinds if kind != "a whole number"]
    said = f"this must be {' or '.join(dict.fromkeys(kinds))}, not {_shown(value)}"
    if "true or false" in kinds and str(value).lower() in ("yes", "on", "y", "no", "off", "n"):
        return f"{said}; write {'true' if str(value).lower() in ('yes', 'on', 'y') else 'false'}"
    if "text" in kinds and isinstance(value, (bool, int, float)):
        return f'{said}; write "{_shown(value)}"'
    if "a list" in kinds and isinstance(value, str):
        return f"{said}; write [{value}]"
    return said


def _refused(text: str, value: object) -> str:
    """A sentence of our own about this value, with the value as it stands in the file and not as Python shows it."""
    if value is None:
        return f"a value is missing; {text.partition('; ')[2] or 'write one'}"
    if isinstance(value, (bool, list, dict)):
        return text.replace(repr(value), _shown(value), 1).replace(str(value), _shown(value), 1)
    return text


def sentence(error: ErrorDetails) -> str:
    """What people are told of one of pydantic's errors, without its place."""
    kind, context = error["type"], error.get("ctx", {})
    match kind:
        case "value_error" | "assertion_error":
            return _refused(str(context.get("error", error["msg"])), error["input"])
        case "literal_error" | "enum":
            return f"{_shown(error['input'])} is not possible here; write {context['expected']}"
    if kind in _KINDS:
        return _wrong_kind([_KINDS[kind]], error["input"])
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        words = {"greater_than": "more than", "greater_than_equal": "at least", "less_than": "less than"}
        limit = context.get("gt", context.get("ge", context.get("lt", context.get("le"))))
        return f"{_shown(error['input'])} is out of range; it must be {words.get(kind, 'at most')} {limit}"
    return error["msg"][:1].lower() + error["msg"][1:]


def _problem(document: Document, model: type[BaseModel], error: ErrorDetails) -> Problem:
    path, tags = _split(document, error)
    match error["type"]:
        case "extra_forbidden":
            return document.problem(path, _unknown_key(document, model, path, tags), key=True)
        case "missing":
            return document.problem(path, f"`{path[-1]}` is missing; {_example(model, path, tags)}")
        case "too_short":
            return document.problem(path, f"this must not be empty; {_example(model, path, tags)}")
        case "union_tag_not_found" | "union_tag_invalid":
            name = str(error.get("ctx", {}).get("discriminator", "")).strip("'")
            known = sorted(option.tag for option in _all_options(model, path) if option.tag is not None)
            return document.problem((*path, name), _unknown_tag(name, error["input"], known))
    return document.problem(path, sentence(error))


def _unknown_tag(name: str, mapping: object, known: list[str]) -> str:
    """The sentence about a mapping whose key `name` does not say which of the known kinds it is."""
    tag = mapping.get(name) if isinstance(mapping, Mapping) else None
    if tag is None:
        return f"`{name}` is missing; write `{name}: NAME`; {_list_of(name, known)}"
    if not isinstance(tag, str):
        return f"this must be text, not {_shown(tag)}; {_list_of(name, known)}"
    return f"`{tag}` is unknown; {did_you_mean(tag, known)}"


def _list_of(name: str, known: list[str]) -> str:
    """Every name that there is, or where they are listed when there are many."""
    return f"write one of {', '.join(known)}" if len(known) <= 12 else f"`chaos {name}s` lists the names"


def _unwritten(document: Document, path: Path, options: list[_Option]) -> set[str]:
    """The keys that the mapping at this path may have and has not."""
    return {key for option in options for key in keys_of(option.model) if (*path, key) not in document.keys}


def _unknown_key(document: Document, model: type[BaseModel], path: Path, tags: tuple[str, ...]) -> str:
    options = _all_options(model, path[:-1])
    chosen, key = _chosen(options, tags), str(path[-1])
    known = {one for option in chosen for one in keys_of(option.model)}
    unwritten = _unwritten(document, path[:-1], chosen)
    owners = sorted(f"`{option.tag}`" for option in options if key in keys_of(option.model))
    mapping = _at(document, path[:-1])
    if owners and len(chosen) == 1 and isinstance(mapping, dict) and chosen[0].tag in mapping.values():
        here = f"`{chosen[0].tag}`, which has {', '.join(sorted(known))}"
        return f"this key belongs to {', '.join(owners)} and not to {here}"
    return f"unknown key; {did_you_mean(key, unwritten if nearest(key, unwritten) else known)}"


def _example(model: type[BaseModel], path: Path, tags: tuple[str, ...]) -> str:
    """`write KEY: EXAMPLE`, from what the field says of itself."""
    for option in _chosen(_all_options(model, path[:-1]), tags):
        field = keys_of(option.model).get(str(path[-1]))
        if field is not None and field.examples:
            return f"write `{path[-1]}: {field.examples[0]}`"
        if field is not None and field.description:
            return f"write `{path[-1]}: …`, {field.description}"
    return f"write `{path[-1]}: …`"


def _misspelt(document: Document, model: type[BaseModel], errors: list[ErrorDetails]) -> set[Path]:
    """The missing keys that stand there misspelt, so that one typo gives one sentence."""
    found: set[Path] = set()
    for error in errors:
        if error["type"] == "extra_forbidden":
            path, tags = _split(document, error)
            options = _chosen(_all_options(model, path[:-1]), tags)
            meant = nearest(str(path[-1]), _unwritten(document, path[:-1], options))
            if meant is not None:
                found.add((*path[:-1], meant))
    return found


def _problems(document: Document, model: type[BaseModel], errors: list[ErrorDetails]) -> Iterator[Problem]:
    """One problem for each mistake; a value that fits no option of a union is one mistake."""
    misspelt = _misspelt(document, model, errors)
    kinds: dict[Path, list[str]] = {}
    for error in errors:
        if error["type"] in _KINDS:
            kinds.setdefault(_split(document, error)[0], []).append(_KINDS[error["type"]])
    for error in errors:
        path, _ = _split(document, error)
        if error["type"] == "missing" and path in misspelt:
            continue
        if error["type"] not in _KINDS:
            yield _problem(document, model, error)
        elif path in kinds:
            yield document.problem(path, _wrong_kind(kinds.pop(path), error["input"]))


def misplaced(document: Document, model: type[BaseModel], kind: Kind) -> Problem | None:
    """The one problem of a file that is of another kind than this one, whose model is given; None where it may be of this."""
    said = other_kind(document.data, kind, document.path, frozenset(keys_of(model)))
    return None if said is None else document.problem((), said)


def validate(document: Document, model: type[Model], kind: Kind | None = None) -> tuple[Model | None, list[Problem]]:
    """The model, and every problem of the file; the model is None when there is any.

    A file of another kind than `kind` has that one problem alone.
    """
    elsewhere = misplaced(document, model, kind) if kind is not None else None
    if elsewhere is not None:
        return None, [elsewhere]
    problems = list(document.problems)
    made: Model | None = None
    if not isinstance(document.data, dict):
        message = f"the file must hold `key: value` lines, not {_shown(document.data)}"
        return None, [*problems, document.problem((), message)]
    try:
        made = model.model_validate(document.data)
    except ValidationError as errors:
        placed = {(problem.line, problem.column) for problem in problems}
        problems += [
            found
            for found in _problems(document, model, errors.errors())
            if (found.line, found.column) not in placed or "is missing" in found.message
        ]
    return (None if problems else made), problems
