"""What people write becomes a model, or one clear sentence per mistake.

`validate` runs pydantic over a Document and turns each of its errors into a Problem: where it stands, what is wrong, and what
to write instead. Unknown keys get the nearest known one.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from chaos.document import Document, Path, did_you_mean
from chaos.errors import Problem

Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """The base of everything people write: unknown keys refused, values frozen, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)


def keys_of(model: type[BaseModel]) -> dict[str, Any]:
    """Key as people write it → annotation."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model that a value with this annotation may be."""
    origin = get_origin(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif origin is Annotated:
        yield from _models(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from _models(option)


def _inner(annotation: Any) -> Iterator[Any]:
    """What the elements of a list or the values of a mapping with this annotation are."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _inner(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from _inner(option)
    elif origin in (list, tuple):
        yield get_args(annotation)[0]
    elif origin in (dict, Mapping) or (origin is not None and getattr(origin, "__name__", "") == "Mapping"):
        yield get_args(annotation)[1]


def _options_at(model: type[BaseModel], path: Path, tags: tuple[str, ...]) -> list[type[BaseModel]]:
    """The models that the mapping at this path may be; `tags` are union tags that pydantic named on the way."""
    annotations: list[Any] = [model]
    for part in path:
        annotations = [
            following
            for annotation in annotations
            for following in [
                *(keys_of(option)[str(part)] for option in _models(annotation) if str(part) in keys_of(option)),
                *_inner(annotation),
            ]
        ]
    options = [option for annotation in annotations for option in _models(annotation)]
    return [option for option in options if _tag_of(option) in tags] or options


def _tag_of(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("fault")
    return field.default if field is not None and isinstance(field.default, str) else None


def _split(document: Document, location: tuple[int | str, ...]) -> tuple[Path, tuple[str, ...]]:
    """pydantic's location as a path in the document, and the union tags that it had in between."""
    path: Path = ()
    tags: list[str] = []
    for place, part in enumerate(location):
        longer = (*path, part)
        if longer in document.places or place == len(location) - 1:
            path = longer
        else:
            tags.append(str(part))
    return path, tuple(tags)


_KINDS = {
    "string_type": "text", "int_type": "a whole number", "int_parsing": "a whole number", "int_from_float": "a whole number",
    "float_type": "a number", "float_parsing": "a number", "bool_type": "true or false", "bool_parsing": "true or false",
    "list_type": "a list", "tuple_type": "a list", "dict_type": "a mapping", "model_type": "a mapping", "mapping_type": "a mapping",
    "model_attributes_type": "a mapping",
}  # fmt: skip


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else f"{value!r}"


def _sentence(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    match kind:
        case "value_error" | "assertion_error":
            return str(context.get("error", error["msg"]))
        case "literal_error" | "enum":
            return f"{_shown(error['input'])} is not possible here; write {context['expected']}"
        case "union_tag_not_found":
            return f"`{str(context.get('discriminator', '')).strip(chr(39))}` is missing"
        case "union_tag_invalid":
            expected = [tag.strip(" '") for tag in str(context["expected_tags"]).split(",")]
            return f"`{context['tag']}` is unknown; {did_you_mean(str(context['tag']), expected)}"
    if kind in _KINDS:
        return f"this must be {_KINDS[kind]}, not {_shown(error['input'])}"
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        words = {"greater_than": "more than", "greater_than_equal": "at least", "less_than": "less than"}
        limit = context.get("gt", context.get("ge", context.get("lt", context.get("le"))))
        return f"{_shown(error['input'])} is out of range; it must be {words.get(kind, 'at most')} {limit}"
    if kind == "too_short":
        return "this must not be empty"
    return error["msg"][:1].lower() + error["msg"][1:]


def _problem(document: Document, model: type[BaseModel], error: ErrorDetails) -> Problem:
    path, tags = _split(document, error["loc"])
    match error["type"]:
        case "extra_forbidden":
            known = {key for option in _options_at(model, path[:-1], tags) for key in keys_of(option)}
            return document.problem(path, f"unknown key; {did_you_mean(str(path[-1]), known)}", key=True)
        case "missing":
            return document.problem(path, f"`{path[-1]}` is missing; {_example(model, path, tags)}")
    return document.problem(path, _sentence(error))


def _example(model: type[BaseModel], path: Path, tags: tuple[str, ...]) -> str:
    """`write KEY: EXAMPLE` from the field's own examples."""
    options = _options_at(model, path[:-1], tags)
    for option in options:
        for name, field in option.model_fields.items():
            if (field.alias or name) == path[-1] and field.examples:
                return f"write `{path[-1]}: {field.examples[0]}`"
    return "it is required"


def validate(document: Document, model: type[Model]) -> tuple[Model | None, list[Problem]]:
    """The model, and every problem of the file; the model is None when there is any."""
    problems = list(document.problems)
    made: Model | None = None
    if not isinstance(document.data, dict):
        return None, [*problems, document.problem((), f"this must be a mapping, not {_shown(document.data)}")]
    try:
        made = model.model_validate(document.data)
    except ValidationError as errors:
        placed = {(problem.line, problem.column) for problem in problems}
        for error in errors.errors():
            found = _problem(document, model, error)
            if (found.line, found.column) not in placed or error["type"] == "missing":
                problems.append(found)
    return (None if problems else made), problems
