"""What a fault's own file says of it, as plain facts: for `chaos faults NAME` and for the page docs/faults.md."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any

from pydantic import PlainSerializer, TypeAdapter
from pydantic.fields import FieldInfo

from chaos.faults import catalogue
from chaos.faults.base import Example, Fault
from chaos.units import format_duration, format_share

FAMILIES = (
    "prediction quality", "scores", "bias", "input", "labels", "time", "errors", "language models", "containers",
    "monitoring itself", "data shift", "external",
)  # fmt: skip
"""In this order; families of third parties come last."""

_UNITS = {format_duration: "duration", format_share: "share", str: "text"}
"""What a value is called that is written in this way."""
_WHEN = {
    "request": "before the model is asked",
    "answer": "to the model's answer",
    "container": "to the container",
    "load": "in what the run's own load sends",
    "outside": "outside of this run: another tool does it, and leases do not apply",
}
_NEEDS = {
    "request": "a target with a fault proxy",
    "answer": "a target with a fault proxy",
    "container": "a target whose containers or processes the system file names",
    "load": "an experiment with `load:`",
    "outside": "a query that shows whether it is on, and somebody or something that begins and ends it",
}
_WORKS_ON = {
    "any": "",
    "predictions": ", and a model that gives predictions: a language model has no classes",
    "text": ", and a language model: others give no text",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """What people write for it: `needed` is `required` or its default, `form` the values that it takes, with their unit."""

    name: str
    needed: str
    form: str
    says: str


@dataclass(frozen=True, slots=True)
class Facts:
    """One fault. `does` and `real_life` are paragraphs, `notes` and `blind` sentences, `when` and `needs` parts of some."""

    name: str
    family: str
    what: str
    real_life: Sequence[str]
    does: Sequence[str]
    when: str
    needs: str
    notes: Sequence[str]
    must: str
    quiet: str
    blind: str
    parameters: Sequence[Parameter]
    examples: Sequence[Example]


def facts_of(fault: type[Fault]) -> Facts:
    """Everything that the fault's file says."""
    name = str(fault.model_fields["fault"].default)
    title, *real_life = paragraphs(inspect.getmodule(fault).__doc__)
    own = [key for key, field in fault.model_fields.items() if key != "fault" and not _is_common(key, field)]
    return Facts(
        name=name,
        family=fault.family,
        what=title.removeprefix(f"{name}: "),
        real_life=real_life,
        does=paragraphs(fault.__doc__),
        when=_WHEN[fault.acts_on],
        needs=_NEEDS[fault.acts_on] + _WORKS_ON[fault.works_on],
        notes=[*_notes(fault)],
        must=fault.must,
        quiet=fault.quiet,
        blind=fault.blind,
        parameters=[parameter(key, fault.model_fields[key]) for key in own],
        examples=[example for example in fault.examples if example.does],
    )


def by_family() -> list[tuple[str, list[Facts]]]:
    """Every fault of the catalogue, family by family."""
    known = sorted(map(facts_of, catalogue().values()), key=lambda one: (_place(one.family), one.name))
    return [(family, [*faults]) for family, faults in groupby(known, key=lambda one: one.family)]


def _place(family: str) -> tuple[int, str]:
    return (FAMILIES.index(family) if family in FAMILIES else len(FAMILIES), family)


def common_parameters() -> list[Parameter]:
    """The parameters that every fault has."""
    return [parameter(key, field) for key, field in Fault.model_fields.items() if key != "fault"]


def paragraphs(text: str | None) -> list[str]:
    """A docstring's paragraphs, each on one line."""
    return [" ".join(part.split()) for part in inspect.cleandoc(text or "").split("\n\n")]


def _is_common(key: str, field: FieldInfo) -> bool:
    """Whether every fault has this parameter, and this one says nothing else of it."""
    common = Fault.model_fields.get(key)
    return common is not None and (common.description, common.default) == (field.description, field.default)


def _notes(fault: type[Fault]) -> Sequence[str]:
    notes: list[str] = []
    if fault.semantic:
        notes.append("It makes answers wrong: real people get them only where the system file says who allowed it.")
    if fault.whole_target:
        notes.append(
            "Everything that goes to the target is hurt, without arms: what asks there is monitoring, and no user."
        )
    if fault.breaks_protocol:
        notes.append("What the client gets need not be an answer of the protocol any more.")
    if fault.inconsistent:
        notes.append("Label and scores may contradict each other: that is its purpose.")
    if fault.acts_on == "answer" and (fault.edits_text or fault.edits_documents):
        notes.append("Streamed answers are hurt, too.")
    if fault.acts_on == "answer" and not (fault.delivers or fault.edits_bodies):
        notes.append("It can be shadowed (`mode: shadow`): it then happens to copies of answers.")
    return notes


# --- parameters -------------------------------------------------------------------------------------------------------


def parameter(key: str, field: FieldInfo) -> Parameter:
    """What people write for this field."""
    written: Any = Annotated[(field.annotation, *field.metadata, "as the field has it")]
    kind: TypeAdapter[Any] = TypeAdapter(written)
    required = field.is_required() or key == "duration"
    needed = "required" if required else f"default {_written(kind, field.default)}"
    example = f", such as {field.examples[0]}" if field.examples else ""
    return Parameter(
        field.alias or key, needed, _form(kind, field.annotation, field.metadata), (field.description or "") + example
    )


def _written(kind: TypeAdapter[Any], value: object) -> str:
    """The value as people write it."""
    if value is None or value == "":
        return "none"
    dumped = kind.dump_python(value, mode="json")
    if isinstance(dumped, bool):
        return str(dumped).lower()
    return f"{dumped:g}" if isinstance(dumped, float) else str(dumped)


def _form(kind: TypeAdapter[Any], annotation: object, metadata: Sequence[object]) -> str:
    """Which values it takes: their kind or unit, and how small and large they may be."""
    told = _unit([annotation, *metadata])
    schema = kind.json_schema(mode="serialization" if told else "validation")
    parts = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    forms = [told] if told else [form for one in parts for form in _named(one)]
    if "number" in forms:
        forms = [form for form in forms if form != "whole number"]
    text = " or ".join(part for part in (", ".join(forms[:-1]), forms[-1]) if part)
    bounds = [f"{word} {_written(kind, bound)}" for word, bound in _bounds(metadata)]
    return ", ".join([text, *bounds]) if bounds else text


def _unit(found: Sequence[object]) -> str:
    """What a value with this unit is called, wherever in the type it says so; else nothing."""
    for one in found:
        if isinstance(one, PlainSerializer) and one.func in _UNITS:
            return _UNITS[one.func]
        inner = [*getattr(one, "__metadata__", ()), *getattr(one, "__args__", ())]
        told = _unit(inner) if inner else ""
        if told:
            return told
    return ""


def _named(schema: dict[str, Any]) -> list[str]:
    """The kinds of value that this allows, as people say it."""
    if "enum" in schema or "const" in schema:
        return [f"`{value}`" for value in schema.get("enum", [schema.get("const")])]
    if schema.get("pattern") and schema.get("examples"):
        return [f"text such as `{schema['examples'][0]}`"]
    kinds = {"integer": "whole number", "number": "number", "string": "text", "array": "list", "object": "mapping"}
    kind = str(schema.get("type"))
    return ["`true`", "`false`"] if kind == "boolean" else [kinds.get(kind, "value")]


def _bounds(metadata: Sequence[object]) -> list[tuple[str, object]]:
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    return [
        (word, getattr(one, bound))
        for one in metadata
        for bound, word in words.items()
        if getattr(one, bound, None) is not None
    ]
