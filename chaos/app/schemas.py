"""The JSON Schemas of what people write, for editors: with what each key means, defaults as they are written, and faults told apart
by `fault:` alone, so that one typo is marked once and as what it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from chaos.app.schema_words import WORDS
from chaos.units import format_byte_rate, format_duration, format_rate, format_share, format_size

KINDS = ("experiment", "system", "probes", "gameday")
Schema = dict[str, Any]


def schema_of(kind: str) -> Schema:
    """The schema of this kind of file, one of KINDS."""
    from chaos import experiment, gameday, probe
    from chaos.system import System

    made: dict[str, Callable[[], Schema]] = {
        "experiment": experiment.json_schema,
        "system": System.model_json_schema,
        "probes": probe.json_schema,
        "gameday": gameday.json_schema,
    }
    schema = made[kind]()
    for model, part in _models(schema):
        _explain(model, part)
    if kind == "experiment":
        _tell_faults_apart(schema)
    return schema


def write_all(folder: Path) -> list[Path]:
    """KIND.schema.json of every kind stands in the folder; whatever stood there is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in KINDS:
        path = folder / f"{kind}.schema.json"
        path.write_text(json.dumps(schema_of(kind), indent=2) + "\n", encoding="utf-8")
        written.append(path)
    return written


def _models(schema: Schema) -> Iterator[tuple[str, Schema]]:
    yield str(schema.get("title", "")), schema
    yield from schema.get("$defs", {}).items()


def _explain(model: str, part: Schema) -> None:
    """Every key says what it means, and its default and its examples as people write them."""
    for key, said in part.get("properties", {}).items():
        if "description" not in said and f"{model}.{key}" in WORDS:
            said["description"] = WORDS[f"{model}.{key}"]
        said.pop("title", None)
        _rewrite(said)


def _rewrite(said: Schema) -> None:
    if "examples" in said:
        said["examples"] = [_as_data(one, said) for one in said["examples"]]
    if said.get("default", "") is None:
        del said["default"]
    elif "default" in said:
        said["default"] = _as_written(said["default"], said)


def _as_data(example: object, said: Schema) -> object:
    """An example that is YAML's flow style or a number, as the value that it is."""
    number = said.get("type") in ("number", "integer")
    if not isinstance(example, str) or not (number or example.startswith(("[", "{"))):
        return example
    try:
        return yaml.safe_load(example)
    except yaml.YAMLError:
        return example


def _as_written(default: object, said: Schema) -> object:
    """A default as people write it: 30s and not 30.0."""
    pattern = next((one["pattern"] for one in [said, *said.get("anyOf", [])] if "pattern" in one), "")
    if isinstance(default, dict) and default.get("kind") == "step":
        return "step"
    if isinstance(default, bool) or not isinstance(default, int | float):
        return default
    if "us|ms" in pattern:
        return format_duration(float(default))
    if "%" in pattern:
        return format_share(float(default))
    if "B" in pattern:
        return format_byte_rate(float(default)) if "/s" in pattern else format_size(int(default))
    return format_rate(float(default)) if "/s" in pattern else default


def _tell_faults_apart(schema: Schema) -> None:
    """An entry of `faults` must be one of the faults by its name; its other keys are those of that fault."""
    from chaos.app.fault_facts import facts_of
    from chaos.faults import catalogue

    known = catalogue()
    cases = []
    for name, fault in known.items():
        part = schema["$defs"][fault.__name__]
        about = facts_of(fault)
        part["title"], part["description"] = name, about.what
        part["properties"]["fault"] = {"const": name, "description": f"{about.what} What must catch it: {about.must}."}
        cases.append(
            {
                "if": {"properties": {"fault": {"const": name}}, "required": ["fault"]},
                "then": {"$ref": f"#/$defs/{fault.__name__}"},
            }
        )
    names = [
        {"const": name, "description": schema["$defs"][fault.__name__]["description"]} for name, fault in known.items()
    ]
    schema["properties"]["faults"]["items"] = {
        "type": "object",
        "properties": {"fault": {"oneOf": names}},
        "required": ["fault", "target"],
        "allOf": cases,
    }
